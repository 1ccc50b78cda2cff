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


def shaped(name: str = "m") -> bytes:
    """The same graph, in which the node says its type and its shape, as exporters that were asked for it write."""
    proto = parse("GraphDef", graph())
    node = next(node for node in proto.node if node.name == name)
    node.attr.add(key="T").value.type = 1
    sizes = node.attr.add(key="_output_shapes").value.list.shape.add()
    for size in (-1, 2):
        sizes.dim.add(size=size)
    return bytes(proto.SerializeToString())


def test_inputs_are_the_users_where_the_graph_says_their_shapes(tmp_path: Path) -> None:
    path = tmp_path / "frozen.pb"
    path.write_bytes(shaped())
    model = load(path, outputs=["y"], begin=["m:0"])
    assert [(value.name, value.shape) for value in model.inputs] == [("m", (None, 2))]
    x = np.ones((4, 2), np.float32)
    np.testing.assert_allclose(run(model, {"m": x})[model.outputs[0].name], np.tanh(x), atol=1e-6)
    with pytest.raises(ConversionError, match="no node c"):
        load(path, outputs=["y"], begin=["c"])
    path.write_bytes(shaped("w"))
    with pytest.raises(Unsupported, match="x is an input, too"):
        load(path, outputs=["y"], begin=["w"])
    path.write_bytes(graph())
    with pytest.raises(Unsupported, match="does not say the type and the shape of what MatMul m makes"):
        load(path, outputs=["y"], begin=["m"])


@pytest.mark.parametrize("odd", ["text", "tensor"])
@pytest.mark.parametrize("kind", ["dtype", "shape"])
def test_a_placeholder_says_what_it_is(kind: str, odd: str, tmp_path: Path) -> None:
    proto = parse("GraphDef", graph())
    attr = next(attr for attr in proto.node[0].attr if attr.key == kind)
    tensor = next(attr for attr in proto.node[1].attr if attr.key == "value").value
    attr.value.CopyFrom(tensor)
    if odd == "text":
        attr.value.Clear()
        attr.value.s = b"("
    (tmp_path / "frozen.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(ConversionError, match="a Placeholder without a type or a shape"):
        load(tmp_path / "frozen.pb")


@pytest.mark.parametrize(
    ("op", "why"),
    [
        ("PyFunc", "runs Python code"), ("ReadFile", "reads or writes files"), ("StringSplitV2", "is not supported"),
        ("RaggedTensorToTensor", "is not supported"), ("MyOwnOperator", "is not supported"),
    ],
)  # fmt: skip
def test_other_operators_are_refused_with_their_names(op: str, why: str, tmp_path: Path) -> None:
    proto = parse("GraphDef", graph())
    node = next(node for node in proto.node if node.name == "y")
    node.op = op
    (tmp_path / "frozen.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(Unsupported, match=rf"y: the TensorFlow operator {op} {why}"):
        load(tmp_path / "frozen.pb")
