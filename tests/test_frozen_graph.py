"""Frozen graphs of TensorFlow 1, made here node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converter import load
from converter.errors import ConversionError, Unsupported
from converter.formats import graph_def
from converter.formats.protobuf import parse
from converter.interpret import run

KERNEL = np.arange(6, dtype=np.float32).reshape(3, 2) / 10


def graph(*extra: str) -> bytes:
    """tanh(x·kernel), and further Tanh nodes on it."""
    proto = parse("GraphDef", b"")
    x = proto.node.add(name="x", op="Placeholder")
    attr = x.attr.add(key="dtype")
    attr.value.type = 1
    attr = x.attr.add(key="shape")
    for size in (-1, 3):
        attr.value.shape.dim.add(size=size)
    weights = proto.node.add(name="w", op="Const")
    tensor = weights.attr.add(key="value").value.tensor
    tensor.dtype, tensor.tensor_content = 1, KERNEL.tobytes()
    for size in KERNEL.shape:
        tensor.tensor_shape.dim.add(size=size)
    proto.node.add(name="m", op="MatMul", input=["x", "w"])
    proto.node.add(name="y", op="Tanh", input=["m:0"])
    for name in extra:
        proto.node.add(name=name, op="Tanh", input=["y"])
    return bytes(proto.SerializeToString())


def test_inputs_and_output_are_found(tmp_path: Path) -> None:
    path = tmp_path / "frozen.pb"
    path.write_bytes(graph())
    assert graph_def.sniff(path)
    model = load(path)
    x = np.ones((4, 3), np.float32)
    made = run(model, {"x": x})[model.outputs[0].name]
    np.testing.assert_allclose(made, np.tanh(x @ KERNEL), atol=1e-6)
    assert (model.output_names, model.inputs[0].shape) == (("y",), (None, 3))
    assert model.origin is not None
    np.testing.assert_allclose(model.origin({"x": x})[0], made, atol=1e-6)


def test_a_choice_of_outputs_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "frozen.pb"
    path.write_bytes(graph("a", "b"))
    with pytest.raises(Unsupported, match=r"2 ends \(a, b\)"):
        load(path)
    assert load(path, outputs=["b", "y"]).output_names == ("b", "y")
    with pytest.raises(ConversionError, match="no node c"):
        load(path, outputs=["c"])


def test_cut_off_graphs(tmp_path: Path) -> None:
    path, whole = tmp_path / "frozen.pb", graph()
    for cut in (1, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ConversionError):
            load(path)
