"""Models of half precision by their function graphs: which cell it is, and what the proof compares, does not depend on
how float16 and bfloat16 round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter import convert
from converter.model.layers import GRUCell, LSTMCell, Recurrent

pytestmark = pytest.mark.tensorflow
POLICIES = ["mixed_float16", "float16", "mixed_bfloat16"]
CELLS: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "LSTM": (lambda L, **k: L.LSTM(4, **k), "tanh", {}),
    "elu": (lambda L, **k: L.LSTM(4, activation="elu", recurrent_activation="hard_sigmoid", **k), "elu", {}),
    "GRU": (lambda L, **k: L.GRU(4, **k), "tanh", {"reset_after": True}),
    "GRU, reset before": (lambda L, **k: L.GRU(4, reset_after=False, **k), "tanh", {"reset_after": False}),
    "SimpleRNN": (lambda L, **k: L.SimpleRNN(4, activation="softsign", **k), "softsign", {}),
}


def exported(keras: Any, layers: list[Any], folder: Path) -> Path:
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    random = np.random.default_rng(4)
    model.set_weights([random.normal(0, 0.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    model.export(folder / "m", format="tf_saved_model", verbose=False)
    return folder / "m"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", CELLS)
def test_cells_are_recognized(case: str, policy: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    make, activation, options = CELLS[case]
    done = convert(exported(keras, [make(keras.layers, dtype=policy)], tmp_path), tmp_path / "m.onnx")
    assert done.reports[0].passed
    (layer,) = (node.layer for node in done.model.nodes if isinstance(node.layer, Recurrent))
    cell = layer.directions[0].cell
    assert cell.activation.name == activation
    assert all(getattr(cell, name) == value for name, value in options.items())
    assert isinstance(cell, GRUCell if "GRU" in case else LSTMCell if case in ("LSTM", "elu") else object)


def test_what_half_precision_costs_is_no_difference(tmp_path: Path) -> None:
    """Large weights and many units: float16 rounds the second digit of what comes out."""
    keras = pytest.importorskip("keras")
    L, dtype = keras.layers, "mixed_float16"
    deep = [L.LSTM(64, return_sequences=True, dtype=dtype), L.GRU(64, return_sequences=True, dtype=dtype),
            L.SimpleRNN(64, dtype=dtype)]  # fmt: skip
    assert convert(exported(keras, deep, tmp_path), tmp_path / "m.onnx").reports[0].passed
