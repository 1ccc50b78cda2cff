"""ONNX files of our own around recurrent layers: each neutral layer that is read back computes what it did before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import Builder, feed

from converter import api, interpret
from converter.exporters.onnx import export
from converter.model import Model, constant, layers

SHAPE = (None, 6, 3)


def one(layer: Any, *shape: int | None, dtype: str = "float32") -> Model:
    b = Builder()
    x = b.input("x", SHAPE)
    return b.model(b.node("one", layer, [x], shape, dtype=dtype))


def weight(*shape: int) -> Any:
    return constant("w", np.random.default_rng(3).normal(size=shape).astype(np.float32))


def positive(size: int) -> Any:
    return constant("v", np.linspace(0.5, 2, size).astype(np.float32))


def conv(padding: str, stride: int = 1, dilation: int = 1) -> Any:
    return layers.Conv(1, weight(2, 3, 4), weight(4), (stride,), padding, (dilation,), 1, "channels_last")  # type: ignore[arg-type]


MODELS = {
    "conv": one(conv("valid"), None, 5, 4),
    "conv same": one(conv("same"), None, 6, 4),
    "conv causal, dilated": one(conv("causal", dilation=2), None, 6, 4),
    "conv strided": one(conv("valid", 2), None, 3, 4),
    "max pool": one(layers.Pool(1, "max", (2,), (2,), "valid"), None, 3, 3),
    "average pool": one(layers.Pool(1, "average", (3,), (1,), "same"), None, 6, 3),
    "batch norm": one(
        layers.BatchNormalization(2, weight(3), weight(3), weight(3), positive(3), 1e-3), None, 6, 3
    ),
    "layer norm": one(layers.LayerNormalization((2,), weight(3), weight(3), 1e-3), None, 6, 3),
    "mean over time": one(layers.Reduce("mean", (1,)), None, 3),
    "max, axes kept": one(layers.Reduce("max", (1, 2), True), None, 1, 1),
    "exp": one(layers.Unary("exp"), None, 6, 3),
    "cumulative sum": one(layers.CumSum(1), None, 6, 3),
    "pad": one(layers.Pad(((0, 0), (1, 2), (0, 0)), 0.5), None, 9, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_comes_back(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    export(model, tmp_path / "m.onnx")
    again = api.load(tmp_path / "m.onnx")
    arrays = feed(model, 2, 6)
    want = interpret.run(model, arrays)[model.outputs[0].name]
    have = interpret.run(again, {again.inputs[0].name: arrays["x"]})[again.outputs[0].name]
    np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6)


def test_inspect_says_how_the_gates_stand_in_the_file_itself(tmp_path: Path) -> None:
    from neutral_models import lstm_model

    export(lstm_model(Builder()), tmp_path / "m.onnx")
    (layer,) = [layer for layer in api.inspect(tmp_path / "m.onnx").layers if "LSTM" in layer.class_name]
    assert layer.gates.startswith("gates i, o, f, c; W [directions, 4·units, input]")
    assert layer.formula == "4·(4·3 + 4² + 2·4)"
    assert layer.parameters == 4 * (4 * 3 + 4 * 4 + 2 * 4)
