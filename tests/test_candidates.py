"""Files that name no version: what narrows the versions they may be of, and what is done where those differ."""

from __future__ import annotations

import pytest
from layer_samples import drawn, samples

from converter.errors import Unsupported
from converter.keras.build import build
from converter.keras.eras.candidates import agreed, candidates
from converter.keras.eras.existence import versions
from converter.keras.eras.switches import SWITCHES, Era, parse
from converter.keras.source import FlatWeights, Source
from converter.model import Provenance

CHANGES = sorted({row[0] for families in SWITCHES.values() for row in families["keras3"]} - {(0, 0, 0)})
KERAS_3 = [Era("keras3", version) for version in versions("keras3")]  # type: ignore[arg-type]


def source_of(name: str, version: str) -> Source:
    import numpy as np

    raw, rng = samples()[name], np.random.default_rng(0)
    arrays = {layer: tuple(drawn(*array, rng) for array in listed) for layer, listed in raw["arrays"].items()}
    return Source(raw["architecture"], FlatWeights(arrays), Provenance(name, "sample", version))


GENUINE = sorted(name for name, raw in samples().items() if raw["version"].startswith("3."))


@pytest.mark.parametrize("name", GENUINE)
def test_the_version_that_wrote_a_file_is_among_the_possible_ones(name: str) -> None:
    source = source_of(name, "")
    era = parse(samples()[name]["version"])
    found = candidates(parse("3.0.0"), source.architecture, source.weights, None)
    assert era.version in {one.version for one in found}


@pytest.mark.parametrize("name", GENUINE)
def test_without_its_version_a_file_is_the_same_or_refused(name: str) -> None:
    stated = build(source_of(name, samples()[name]["version"]))
    try:
        guessed = build(source_of(name, ""))
    except Unsupported as problem:
        assert "does not say which Keras wrote it" in str(problem)
        assert "--keras-version" in str(problem)
    else:
        assert [type(node.layer) for node in guessed.nodes] == [type(node.layer) for node in stated.nodes]


@pytest.mark.parametrize("since", CHANGES)
def test_only_a_change_that_the_model_touches_refuses_it(since: tuple[int, ...]) -> None:
    with pytest.raises(Unsupported, match=r"these mean different things by it: Keras 3.0.0.*; .*--keras-version"):
        agreed(KERAS_3, lambda era: era.version >= since, lambda made: made)
    assert agreed(KERAS_3, lambda era: "same", lambda made: made) == "same"


def test_an_error_of_all_versions_is_told_as_it_is() -> None:
    def broken(era: Era) -> str:
        raise Unsupported(f"{era} cannot")

    with pytest.raises(Unsupported, match=r"^Keras 3.15.1 cannot$"):
        agreed(KERAS_3, broken, lambda made: made)
