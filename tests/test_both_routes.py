"""Every SavedModel of the corpus, by Keras' configuration and by the function graph: both agree, and with Keras."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sampling import some

from converter import load
from converter.errors import ConversionError, Unsupported
from converter.interpret import run
from converter.model import Array, Model
from converter.model.layers import Recurrent

CORPUS = Path(__file__).parents[2] / "shared/corpus"
FOLDERS = sorted(path.parent for path in CORPUS.rglob("saved_model.pb"))

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not FOLDERS, reason="no ../shared/corpus")]


def arrays(folder: Path, name: str) -> list[Array]:
    """Of the first call, in order."""
    if not (folder.parent / name).exists():
        return []
    with np.load(folder.parent / name) as file:
        stored = dict(file)
    first = {
        key.rpartition("_")[2]: array for key, array in stored.items() if "_" not in key or key.startswith("call0_")
    }
    return [first[key] for key in sorted(first, key=lambda key: (len(key), key))]


def outputs(model: Model, given: list[Array]) -> list[Array]:
    feed = dict(zip((value.name for value in model.inputs), given, strict=True))
    feed |= {s.input.name: np.zeros([len(given[0]) if n is None else n for n in s.input.shape]) for s in model.states}
    made = run(model, {v.name: feed[v.name].astype(object if v.dtype == "string" else v.dtype)
                       for v in (*model.inputs, *(s.input for s in model.states))})  # fmt: skip
    return [made[value.name] for value in model.outputs]


def by(folder: Path, route: str) -> Model | None:
    """The model by one route, or None where that one refuses it."""
    try:
        return load(folder, route=route)
    except Unsupported:
        return None


def passes(model: Model) -> int:
    """Recurrent layers, each direction for itself."""
    return sum(len(node.layer.directions) for node in model.nodes if isinstance(node.layer, Recurrent))


@pytest.mark.parametrize("folder", some(FOLDERS, 3), ids=lambda folder: "/".join(folder.parts[-3:]))
def test_both_routes_agree_with_each_other_and_with_keras(folder: Path) -> None:
    keras, graph = by(folder, "keras"), by(folder, "graph")
    assert keras is not None or graph is not None
    if graph is None:
        assert "notraces" in folder.name  # a save without signatures
        return
    given, wanted = arrays(folder, "inputs.npz"), arrays(folder, "expected.npz")
    if not wanted:
        return
    mixed = "float16" in json.dumps([value.dtype for node in graph.nodes for value in node.outputs])
    made = outputs(graph, given)
    for a, b in zip(made, wanted, strict=False):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-2 if mixed else 1e-4)
    if keras is None:
        return
    assert passes(keras) == passes(graph)
    for a, b in zip(outputs(keras, given), made, strict=False):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-2 if mixed else 1e-6)


GIVEN = [folder for folder in FOLDERS if folder.name in ("tfsm", "export") and (folder.parent / "model.json").exists()]


@pytest.mark.parametrize("folder", GIVEN, ids=lambda folder: "/".join(folder.parts[-3:]))
def test_an_architecture_goes_with_the_variables_of_an_export(folder: Path) -> None:
    model = load(folder, folder.parent / "model.json")
    half = any(value.dtype == "float16" for node in model.nodes for value in node.outputs)
    for a, b in zip(outputs(model, arrays(folder, "inputs.npz")), arrays(folder, "expected.npz"), strict=False):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-2 if half else 1e-5)


def test_a_wrong_architecture_is_refused() -> None:
    folder = next(folder for folder in GIVEN if folder.parent.name == "p_conv_lstm_bn" and folder.name == "tfsm")
    with pytest.raises(ConversionError):
        load(folder, CORPUS / "eras/k3151/q_multi_io/model.json")
