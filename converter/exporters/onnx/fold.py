"""Arithmetic with known sizes as constants: what a graph whose inputs have known shapes computes of nothing else.

onnx' shape inference says the sizes, its ReferenceEvaluator what operators make of constants. Each round knows more, as
a Reshape to a constant shape has known sizes itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from converter.exporters.onnx.graph import Initializer, value_info
from converter.model import Array

SMALL = 1 << 16  # bytes of what takes part
EXACT = ("i", "u", "b")  # kinds of NumPy types: arithmetic of floating numbers is left to the runtime


def is_static(graph: onnx.GraphProto) -> bool:
    """Whether all sizes of all inputs are known."""
    return all(dim.HasField("dim_value") for value in graph.input for dim in value.type.tensor_type.shape.dim)


def fold(
    model: onnx.ModelProto, initializers: list[Initializer], held: Collection[str]
) -> tuple[list[Initializer], dict[str, str]]:
    """Replaces nodes of a graph with static inputs by constants.

    Args:
        model: the graph.
        initializers: its own.
        held: those that are values of the model, which stay as they are, to be found in the file.

    Returns:
        The initializers that are left, and new ones; and the names of the new ones by what they were called before.
    """
    graph, kept = model.graph, {value.name for value in model.graph.output}
    known = {item.name: _values(item) for item in initializers if _takes_part(item) and item.name not in held}
    made: dict[str, Array] = {}
    while found := _folded(model, initializers, known, kept):
        known |= found
        made |= found
        left = [node for node in graph.node if not set(node.output) <= set(found)]
        del graph.node[:]
        graph.node.extend(left)
    read = {name for node in graph.node for name in _read_by(node)}
    names = _names(made, {item.name for item in initializers})
    new = [
        Initializer(names[name], array.dtype.name, array.shape, partial(iter, (array,)))
        for name, array in made.items()
        if name in read
    ]
    return [*(item for item in initializers if item.name in read), *new], names


def _names(made: Iterable[str], taken: set[str]) -> dict[str, str]:
    """Names that say what they are: "<layer>/constant", numbered."""
    names: dict[str, str] = {}
    for number, name in enumerate(made, 1):
        base = f"{name.rpartition('/')[0]}/constant_folded_{number}"
        while base in taken:
            base += "_"
        names[name] = base
    return names


def _folded(
    model: onnx.ModelProto, initializers: list[Initializer], known: Mapping[str, Array], kept: set[str]
) -> dict[str, Array]:
    """The values of nodes that read constants alone, or sizes."""
    sizes = _sizes(model, initializers, known)
    found: dict[str, Array] = {}
    for node in model.graph.node:
        constants = {**known, **found}
        if node.op_type == "Shape" and node.input[0] in sizes and not node.attribute and node.output[0] not in kept:
            found[node.output[0]] = np.array(sizes[node.input[0]], np.int64)
        elif _foldable(node, constants, kept):
            found |= _evaluated(model, node, constants)
    return found


def _foldable(node: onnx.NodeProto, known: Mapping[str, Array], kept: set[str]) -> bool:
    inner = any(attribute.HasField("g") for attribute in node.attribute)
    outputs = [name for name in node.output if name]
    return not inner and not node.domain and len(outputs) == 1 and outputs[0] not in kept and all(
        name in known for name in node.input if name
    )  # fmt: skip


def _evaluated(model: onnx.ModelProto, node: onnx.NodeProto, known: Mapping[str, Array]) -> dict[str, Array]:
    """The output of one node, where it is small and exact."""
    inputs = {name: known[name] for name in node.input if name}
    infos = [value_info(name, array.dtype.name, array.shape) for name, array in inputs.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    proto = helper.make_model(helper.make_graph([node], "one", infos, outputs), opset_imports=model.opset_import)
    (array,) = ReferenceEvaluator(proto).run(None, inputs)
    array = np.asarray(array)
    return {outputs[0].name: array} if array.dtype.kind in EXACT and array.nbytes <= SMALL else {}


def _sizes(
    model: onnx.ModelProto, initializers: list[Initializer], known: Mapping[str, Array]
) -> dict[str, tuple[int, ...]]:
    """Shapes that are known whole, by name."""
    shell = onnx.ModelProto()
    shell.CopyFrom(model)
    shell.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in known.items())
    shell.graph.input.extend(value_info(i.name, i.dtype, i.shape) for i in initializers if i.name not in known)
    inferred = onnx.shape_inference.infer_shapes(shell, data_prop=True).graph
    found = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def _takes_part(item: Initializer) -> bool:
    return item.nbytes <= SMALL and np.dtype(item.dtype if item.dtype != "bfloat16" else "f4").kind in EXACT


def _values(item: Initializer) -> Array:
    return np.concatenate([block.reshape(-1) for block in item.blocks()]).reshape(item.shape)


def _read_by(node: onnx.NodeProto) -> Iterable[str]:
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _read_by(inner)
