"""Files that name no version: what narrows the versions they may be of, and what is done where those differ."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import onnx
import pytest
from command_line import run
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


NEWER = {"quantization_config", "input_axes", "output_axes"}  # since 3.13, 3.15 and 3.15


def aged(tree: Any, without: Collection[str] = NEWER) -> Any:
    """The tree without keys that Keras writes only since some version."""
    if isinstance(tree, dict):
        return {key: aged(value, without) for key, value in tree.items() if key not in without}
    return [aged(item, without) for item in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize(
    ("without", "first", "last"),
    [
        (set(), (3, 15), (3, 15)),
        ({"input_axes", "output_axes"}, (3, 13), (3, 14)),
        (NEWER, (3, 4), (3, 12)),
    ],
)
def test_keys_that_only_some_versions_write_narrow_them(
    without: set[str], first: tuple[int, int], last: tuple[int, int]
) -> None:
    source = source_of("Dense", "")
    found = candidates(parse("3.0.0"), aged(source.architecture, without), source.weights, None)
    assert (min(found, key=lambda one: one.version).version[:2], max(one.version for one in found)[:2]) == (first, last)


# --- the option -------------------------------------------------------------------------------------------------------


def converted(folder: Path, *options: str) -> tuple[int, str]:
    """Exit code and stderr."""
    given = ("-o", folder / "model.onnx", "--architecture", folder / "model.json", "--force", *options)
    done = run(folder / "model.weights.h5", *given)
    return done.returncode, done.stderr


@pytest.mark.parametrize(("version", "message"), [("three", "three"), ("9.0.0", "newer"), ("3.x", "3.x"), ("2.", "2.")])
def test_a_version_that_none_is_is_one_line(version: str, message: str, tmp_path: Path) -> None:
    good = Path(__file__).parents[1] / "fixtures/good/k3151_stack"
    for name in ("model.json", "model.weights.h5"):
        (tmp_path / name).write_bytes((good / name).read_bytes())
    code, told = converted(tmp_path, "--keras-version", version)
    assert code == 1
    assert len(told.strip().splitlines()) == 1
    assert message in told
    assert "Traceback" not in told


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_versions_that_differ_are_named_and_the_option_settles_it(tmp_path: Path) -> None:
    """A Softmax of masked scores, which 3.10 and 3.13 changed."""
    keras = pytest.importorskip("keras")
    x = keras.Input((4, 2))
    y = keras.layers.LSTM(2, return_sequences=True)(x)
    model = keras.Model(x, keras.layers.Softmax()(y, mask=keras.ops.greater(x, 0.0)))
    model.save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "model.json").write_text(json.dumps(aged(json.loads(model.to_json()))))
    code, told = converted(tmp_path)
    assert code == 1
    assert re.search(r"mean different things by it: Keras 3\.6\.0, .* to 3\.9\.2; Keras 3\.10\.0, .*3\.14\.1\.", told)
    assert "Say which it was with --keras-version" in told
    assert not (tmp_path / "model.onnx").exists()
    made = []
    for version in ("3.4.1", "3.9.2", "3.12.0"):
        code, told = converted(tmp_path, "--keras-version", version)
        assert code == 0, told
        made.append(onnx.load(tmp_path / "model.onnx").graph.node)
    assert len(made[0]) == len(made[1]) != len(made[2])
