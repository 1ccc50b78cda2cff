"""int8 files are read back where their weights alone are rounded, and refused by name where activations are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from converter import api, interpret
from converter.errors import InvalidModel, Unsupported

_AXES = {"one scale": None, "a scale for each row": 0, "a scale for each column": 1, "counted from behind": -1}


def _file(path: Path, axis: int | None, zero: bool) -> None:
    """A MatMul by int8 weights, then an Embedding-like Gather of others by its signs."""
    draw = np.random.default_rng(1)
    kernel = draw.integers(-127, 128, (4, 5)).astype(np.int8)
    count = 1 if axis is None else kernel.shape[axis]
    scale = draw.uniform(0.01, 0.1, () if axis is None else count).astype(np.float32)
    point = draw.integers(-9, 9, scale.shape).astype(np.int8)
    table = draw.integers(0, 255, (3, 2)).astype(np.uint8)
    arrays = {"kernel": kernel, "scale": scale, "point": point, "table": table, "step": np.float32(0.02),
              "middle": np.uint8(128)}  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["kernel", "scale", *(["point"] if zero else [])], ["w"],
                         **({} if axis is None else {"axis": axis})),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Gather", ["table", "places"], ["rows"]),
        helper.make_node("DequantizeLinear", ["rows", "step", "middle"], ["z"]),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(*end) for end in (
        ("x", TensorProto.FLOAT, (2, 4)), ("places", TensorProto.INT64, (2, 6)), ("y", TensorProto.FLOAT, (2, 5)),
        ("z", TensorProto.FLOAT, (2, 6, 2)))]  # fmt: skip
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", ends[:2], ends[2:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("axis", _AXES)
def test_rounded_weights_are_the_numbers_that_they_mean(axis: str, zero: bool, tmp_path: Path) -> None:
    _file(tmp_path / "m.onnx", _AXES[axis], zero)
    draw = np.random.default_rng(2)
    given = {"x": draw.normal(size=(2, 4)).astype(np.float32), "places": draw.integers(0, 3, (2, 6))}
    model = api.load(tmp_path / "m.onnx")
    made = interpret.run(model, given)
    options = onnxruntime.SessionOptions()  # onnxruntime rounds activations where it joins both operators
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    want = onnxruntime.InferenceSession(tmp_path / "m.onnx", options, ["CPUExecutionProvider"]).run(None, given)
    np.testing.assert_allclose(made[model.outputs[0].name], want[0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(made[model.outputs[1].name].astype(np.float32), want[1])


@pytest.mark.parametrize("op", ["DynamicQuantizeLSTM", "MatMulInteger", "DynamicQuantizeLinear", "ConvInteger"])
def test_rounded_activations_are_refused_by_name(op: str, tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 4))
    domain = "com.microsoft" if op == "DynamicQuantizeLSTM" else ""
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name="layer", domain=domain)], "g", [x], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 4))])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(Unsupported, match=f"layer: the file is quantized: {op} rounds activations.*without --quantize"):
        api.load(tmp_path / "m.onnx")


@pytest.mark.parametrize(("name", "array"), [
    ("kernel", np.full((4, 5), 0.5, np.float32)), ("kernel", np.full((4, 5), 1 << 40)), ("scale", np.int64(3)),
    ("point", np.float32(0.5)),
])  # fmt: skip
def test_types_that_the_operator_does_not_take_are_refused(name: str, array: np.ndarray, tmp_path: Path) -> None:
    _file(tmp_path / "m.onnx", None, True)
    proto = onnx.load(tmp_path / "m.onnx")
    tensor = next(one for one in proto.graph.initializer if one.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(array), name))
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(InvalidModel, match=r"DequantizeLinear of .* by a scale|zero point of float32"):
        api.load(tmp_path / "m.onnx")
