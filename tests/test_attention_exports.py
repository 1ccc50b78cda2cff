"""What PyTorch writes around MultiheadAttention, causal masks, keys that are added, pools, pads: as ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from converter import api, convert, interpret
from converter.errors import ConversionError
from converter.exporters import EXPORTERS

node = helper.make_node


def _constant(name: str, values: Any, dtype: str = "int64") -> onnx.NodeProto:
    return node("Constant", [], [name], value=numpy_helper.from_array(np.array(values, dtype), name))


def _causal(upper: int, k: int | None) -> list[onnx.NodeProto]:
    """A mask of a size that is open, added to scores [batch, time, time]."""
    ends = [] if k is None else ["k"]
    return [
        *([] if k is None else [_constant("k", k)]),
        _constant("axes", [1]), _constant("one", [1]), _constant("low", -np.inf, "float32"),
        node("Transpose", ["x"], ["xt"], perm=[0, 2, 1]), node("MatMul", ["x", "xt"], ["scores"]),
        node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "one"], ["steps"]),
        node("Concat", ["steps", "steps"], ["square"], axis=0),
        node("Expand", ["low", "square"], ["full"]), node("Trilu", ["full", *ends], ["mask"], upper=upper),
        node("Add", ["scores", "mask"], ["masked"]), node("Softmax", ["masked"], ["shares"], axis=-1),
        node("MatMul", ["shares", "x"], ["y"]),
    ]  # fmt: skip


def _keys() -> list[onnx.NodeProto]:
    """One key more for each row of the batch."""
    return [
        _constant("key", np.arange(3).reshape(1, 1, 3), "float32"), _constant("zero", [0]), _constant("ones", [1, 1]),
        node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "zero"], ["batch"]),
        node("Concat", ["batch", "ones"], ["times"], axis=0), node("Tile", ["key", "times"], ["keys"]),
        node("Concat", ["x", "keys"], ["y"], axis=1),
    ]  # fmt: skip


def _pad(pads: list[int], mode: str = "constant") -> list[onnx.NodeProto]:
    return [_constant("pads", pads), node("Pad", ["x", "pads"], ["y"], mode=mode)]


MODELS = {
    "causal": _causal(1, 1),
    "the lower triangle": _causal(0, None),
    "the lower triangle, one diagonal less": _causal(0, -1),
    "the upper triangle": _causal(1, None),
    "keys that are added": _keys(),
    "a pad on one side": _pad([0, 2, 0, 0, 0, 0]),
    "a pad that takes away": _pad([0, -1, 0, 0, 0, 0]),
    "a pad that takes and gives": _pad([0, -1, 1, 0, 2, -1]),
}  # fmt: skip


def saved(nodes: list[onnx.NodeProto], path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "t", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", "u", "f"])
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:invalid value")  # rows of -inf alone have no shares
def test_it_computes_what_onnxruntime_does(name: str, tmp_path: Path) -> None:
    saved(MODELS[name], tmp_path / "m.onnx")
    model = api.load(tmp_path / "m.onnx")
    EXPORTERS["onnx"].export(model, tmp_path / "again.onnx")
    first, again = (onnxruntime.InferenceSession(tmp_path / f"{n}.onnx", providers=["CPUExecutionProvider"])
                    for n in ("m", "again"))  # fmt: skip
    for batch, steps in ((2, 5), (1, 1), (3, 2)):
        x = np.random.default_rng(steps).normal(size=(batch, steps, 3)).astype(np.float32)
        (want,), (written,) = first.run(None, {"x": x}), again.run(None, {"x": x})
        made = interpret.run(model, {"x": x})[model.outputs[0].name]
        np.testing.assert_allclose(made, want, rtol=0, atol=2e-6)
        np.testing.assert_allclose(written, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("nodes", "said"), [
    (_pad([0, -1, 0, 0, 0, 0], "reflect"), "Pad that takes away, of the kind reflect"),
    (_pad([0, 0, -4, 0, 0, 0]), "takes away more than there is"),
    ([_constant("times", [2, 1, 1]), node("Shape", ["x"], ["shape"]), node("Tile", ["x", "shape"], ["y"])],
     "Tile of more than one element, as often as a size is"),
    ([node("AveragePool", ["x"], ["y"], kernel_shape=[2], ceil_mode=1)], "AveragePool with ceil_mode"),
    ([node("MaxPool", ["x"], ["y"], kernel_shape=[2], dilations=[2])], "MaxPool with dilations"),
    ([node("ReduceSum", ["x"], ["s"], keepdims=0), node("Cast", ["s"], ["k"], to=7), node("Trilu", ["x", "k"], ["y"])],
     "Trilu from a diagonal that is computed"),
])  # fmt: skip
def test_what_is_not_read_is_named(nodes: list[onnx.NodeProto], said: str, tmp_path: Path) -> None:
    saved(nodes, tmp_path / "m.onnx")
    with pytest.raises(ConversionError, match=said):
        api.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_a_pool_that_one_step_does_not_fill_is_proved_on_more(kind: str, tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["xt"], perm=[0, 2, 1]), node(kind, ["xt"], ["p"], kernel_shape=[2], strides=[2]),
        _constant("last", [-1]), _constant("end", [2**31]), _constant("axis", [2]),
        node("Slice", ["p", "last", "end", "axis"], ["y"]),
    ]  # fmt: skip
    saved(nodes, tmp_path / "m.onnx")
    for target in ("again.keras", "again.onnx"):
        assert all(report.passed for report in convert(tmp_path / "m.onnx", tmp_path / target).reports)
