"""ONNX files of our own around recurrent layers: each neutral layer that is read back computes what it did before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from neutral_models import Builder, feed
from onnx import TensorProto, helper, numpy_helper

from converter import api, interpret
from converter.errors import InvalidModel
from converter.exporters.onnx import export
from converter.model import Model, State, Value, constant, layers
from converter.model.layers import Direction, Recurrent

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


@pytest.mark.parametrize("rule", ["previous", "zero"])
@pytest.mark.parametrize(("reverse", "back"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("last", [False, True])
def test_a_mask_comes_back(rule: Any, reverse: bool, back: bool, last: bool, tmp_path: Path) -> None:
    b = Builder()
    x, mask = b.input("x", (None, None, 3)), b.input("mask", (None, None), "bool")
    layer = Recurrent((Direction(b.lstm(3, 4), reverse, back),), None, not last, "previous" if last else rule)
    shape = (None, 4) if last else (None, None, 4)
    y, h, _ = b.node("lstm", layer, [x, mask, None, None], shape, (None, 4), (None, 4))
    model = b.model([y, h])
    export(model, tmp_path / "m.onnx")
    again = api.load(tmp_path / "m.onnx")
    assert sum(isinstance(node.layer, Recurrent) for node in again.nodes) == len(again.nodes)
    draw = np.random.default_rng(0)
    arrays = {"x": draw.normal(size=(4, 6, 3)).astype(np.float32), "mask": draw.random((4, 6)) < 0.5}
    arrays["mask"][0] = False
    want = interpret.run(model, arrays)
    have = interpret.run(again, arrays)
    for a, one_of in zip(model.outputs, again.outputs, strict=True):
        np.testing.assert_allclose(have[one_of.name], want[a.name], rtol=0, atol=1e-12)


def test_carried_states_come_back(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (2, None, 3))
    ends = [(Value(f"lstm_{k}_in", (2, 4), "float32"), Value(f"lstm:{i + 1}", (2, 4), "float32"))
            for i, k in enumerate("hc")]  # fmt: skip
    states = tuple(State(*pair) for pair in ends)
    lstm = Recurrent((Direction(b.lstm(3, 4)),), None, True)
    made = b.node("lstm", lstm, [x, None, *(s.input for s in states)], (2, None, 4), (2, 4), (2, 4))
    model = b.model(made[:1], states=states)
    export(model, tmp_path / "m.onnx")
    again = api.load(tmp_path / "m.onnx")
    assert [len(m.states) for m in (model, again)] == [2, 2]
    assert len(again.inputs) == len(again.outputs) == 1
    export(again, tmp_path / "n.onnx")
    assert api.verify(again, tmp_path / "n.onnx").passed
    arrays = feed(model, 2, 5)
    have = interpret.run(again, arrays, states={name: arrays[name] for name in ("lstm_h_in", "lstm_c_in")})
    want = interpret.run(model, arrays, states={name: arrays[name] for name in ("lstm_h_in", "lstm_c_in")})
    np.testing.assert_allclose(have[again.outputs[0].name], want["lstm:0"], rtol=0, atol=1e-12)


def test_inspect_says_how_the_gates_stand_in_the_file_itself(tmp_path: Path) -> None:
    from neutral_models import lstm_model

    export(lstm_model(Builder()), tmp_path / "m.onnx")
    (layer,) = [layer for layer in api.inspect(tmp_path / "m.onnx").layers if "LSTM" in layer.class_name]
    assert layer.gates.startswith("gates i, o, f, c; W [directions, 4·units, input]")
    assert layer.formula == "4·(4·3 + 4² + 2·4)"
    assert layer.parameters == 4 * (4 * 3 + 4 * 4 + 2 * 4)


@pytest.mark.parametrize("name", ["initial_h", "initial_c"])
@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 2, 4), (2, 4)])
def test_a_state_that_does_not_fit_is_refused_by_name(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    weights = [np.full(s, 0.1, np.float32) for s in ((1, 16, 3), (1, 16, 4), shape)]
    constants = [numpy_helper.from_array(a, n) for a, n in zip(weights, ("W", "R", name), strict=True)]
    given = ["x", "W", "R", "", "", *(n if n == name else "" for n in ("initial_h", "initial_c"))]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (5, 2, 3)), ("y", (5, 1, 2, 4)))]
    node = helper.make_node("LSTM", given, ["y"], hidden_size=4)
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(InvalidModel, match=name):
        api.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize(("op", "number"), [("Sub", 1), ("Sub", 3), ("Div", 2), ("Mul", 2), ("Add", 0)])
def test_a_slice_ends_where_it_is_computed(op: str, number: int, steps: int, tmp_path: Path) -> None:
    constants = {"one": [1], "two": [2], "zero": [0], "number": [number], "rows": [-1, 3]}
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Gather", ["shape", "one"], ["time"]),
        helper.make_node(op, ["time", "number"], ["end"]),
        helper.make_node("Slice", ["x", "zero", "end", "one"], ["y"]),
        helper.make_node("Reshape", ["x", "rows"], ["flat"]), helper.make_node("Relu", ["flat"], ["relu"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "time", "minus"], ["back"], axis=0),
        helper.make_node("Reshape", ["relu", "back"], ["z"]),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ("b", "t", 3)) for n in ("x", "y", "z")]
    arrays = [numpy_helper.from_array(np.array(a), n) for n, a in {**constants, "minus": [-1]}.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(2, steps, 3)).astype(np.float32)
    want = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": x})
    model = api.load(tmp_path / "m.onnx")
    made = interpret.run(model, {"x": x})
    for value, array in zip(model.outputs, want, strict=True):
        np.testing.assert_allclose(made[value.name], array, rtol=0, atol=1e-6)
