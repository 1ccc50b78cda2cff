"""SavedModels by their function graphs: against genuine Keras, against the Keras route, and against broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converter import load
from converter.interpret import run
from converter.model import Model
from converter.model.layers import Recurrent

GOOD = Path(__file__).parent.parent / "fixtures" / "good"
SIGNED = sorted(path.parent for path in GOOD.glob("*/*/saved_model.pb") if "notraces" not in path.parent.name)


def recurrent(model: Model) -> int:
    return sum(isinstance(node.layer, Recurrent) for node in model.nodes)


def arrays_of(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Of the first call."""
    arrays = np.load(folder.parent / name)
    return {key.removeprefix("call0_"): arrays[key] for key in arrays if "call" not in key or "call0_" in key}


def outputs(model: Model, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    feed = {value.name: arrays[f"in{k}"] for k, value in enumerate(model.inputs)}
    made = run(model, feed)
    return [made[value.name] for value in model.outputs]


@pytest.mark.parametrize("folder", SIGNED, ids=lambda folder: folder.parent.name)
def test_graphs_give_what_keras_gave(folder: Path) -> None:
    model = load(folder, route="graph")
    assert recurrent(model)
    wanted = arrays_of(folder, "expected.npz")
    for k, array in enumerate(outputs(model, arrays_of(folder, "inputs.npz"))):
        np.testing.assert_allclose(array, wanted[f"out{k}"], rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "folder", [f for f in SIGNED if not f.parent.name.endswith("exported")], ids=lambda folder: folder.parent.name
)
def test_both_routes_agree(folder: Path) -> None:
    arrays = arrays_of(folder, "inputs.npz")
    one, other = (load(folder, route=route) for route in ("keras", "graph"))
    assert recurrent(one) == recurrent(other)
    for a, b in zip(outputs(one, arrays), outputs(other, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
