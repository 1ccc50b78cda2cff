"""Operators of ONNX files whose inputs or attributes were lost, exchanged or damaged: one line in our own words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from converter import api
from converter.errors import ConversionError

HERE = Path(__file__).parents[1] / "fixtures"
FILES = (
    "keras_onnx/over_time",
    "tf2onnx/masked",
    "tf2onnx/bidirectional",
    "torch/onnx/script_gru1_tf_states_attention",
)
KINDS = ("Loop", "Slice", "Scan", "Split", "Gather", "Squeeze", "Concat", "Range", "Where", "Cast", "Max", "Reshape")
# As Python and NumPy say it.
PYTHON = re.compile(
    r"\w+Error|NoneType|out of range|subscript|unpack|no attribute|broadcast together|positional|not supported between"
)
Change = Callable[[onnx.NodeProto, random.Random, list[str]], object]


def _attribute(node: onnx.NodeProto, draw: random.Random, names: list[str]) -> None:
    for a in node.attribute:
        a.i, a.s = draw.choice((-1, -9, 99, 0, 2**40)), draw.choice((b"", b"\xff\xfe", b"nope"))
        if a.ints:
            a.ints.append(draw.choice((-1, -99, 5)))


def _any(items: object, draw: random.Random) -> int:
    return draw.randrange(len(items)) if len(items) else 0  # type: ignore[arg-type]


CHANGES: dict[str, Change] = {
    "an input less": lambda node, draw, names: node.input and node.input.pop(_any(node.input, draw)),
    "an input without a name": lambda node, draw, names: (
        node.input and node.input.__setitem__(_any(node.input, draw), "")
    ),
    "an input more": lambda node, draw, names: node.input.append(draw.choice(names)),
    "another input": lambda node, draw, names: (
        node.input and node.input.__setitem__(_any(node.input, draw), draw.choice(names))
    ),
    "an output less": lambda node, draw, names: node.output and node.output.pop(),
    "an attribute less": lambda node, draw, names: node.attribute and node.attribute.pop(),
    "other attributes": _attribute,
    "another operator": lambda node, draw, names: setattr(node, "op_type", draw.choice(KINDS)),
}  # fmt: skip


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def said(proto: onnx.ModelProto, path: Path) -> str:
    """What the reader says of a file, "" where it reads it."""
    path.write_bytes(proto.SerializeToString())
    try:
        api.load(path)
    except ConversionError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", CHANGES)
def test_it_is_read_or_refused_in_our_words(change: str, file: str, tmp_path: Path) -> None:
    draw = random.Random(f"{change} {file}")
    found = []
    for _ in range(3):
        proto = onnx.load(HERE / f"{file}.onnx")
        every = list(graphs(proto.graph))
        names = [name for graph in every for node in graph.node for name in node.output]
        nodes = [node for graph in every for node in graph.node if node.op_type in KINDS]
        CHANGES[change](draw.choice(nodes), draw, names)
        found.append(said(proto, tmp_path / "m.onnx"))
    assert not [line for line in found if PYTHON.search(line) or "\n" in line]


@pytest.mark.parametrize("shape", [(0,), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("file", FILES)
def test_arrays_of_another_shape(file: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    draw = random.Random(f"{shape} {file}")
    for _ in range(2):
        proto = onnx.load(HERE / f"{file}.onnx")
        tensor = draw.choice([tensor for graph in graphs(proto.graph) for tensor in graph.initializer])
        array = np.zeros(shape, numpy_helper.to_array(tensor).dtype)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        assert not PYTHON.search(said(proto, tmp_path / "m.onnx"))


def test_it_lists_what_does_not_fit(tmp_path: Path) -> None:
    x, y = (onnx.helper.make_tensor_value_info(name, 1, ["b", 3]) for name in "xy")
    nodes = [onnx.helper.make_node("Concat", ["x", "x"], ["y"], axis=9, name="both")]
    graph = onnx.helper.make_graph(nodes, "g", [x], [y])
    line = said(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    assert "both: Concat of [?, 3], [?, 3] with axis: these do not fit each other, or one is missing" in line
    assert "please report it" in line
