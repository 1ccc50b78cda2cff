"""Layers that move values without changing them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter import limits
from converter.exporters.onnx.graph import WIDER, Graph, Tensor
from converter.exporters.onnx.lower import Inputs, Outputs, lower, present, rank, result_type
from converter.model import Node
from converter.model.layers import (
    ArgSort,
    Concatenate,
    ExpandDims,
    FoldTime,
    Gather,
    GatherND,
    Pad,
    Range,
    Repeat,
    Reshape,
    Size,
    Slice,
    Squeeze,
    TakeAlong,
    Tile,
    Transpose,
    UnfoldTime,
)

INT64 = np.iinfo(np.int64)


@lower.register
def reshape(layer: Reshape, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Reshape; 0 and -1 mean the same in ONNX."""
    return (graph.reshape(present(inputs[0]), layer.target),)


@lower.register
def fold_time(layer: FoldTime, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Reshape to [batch·time, *rest], whose sizes are the input's own."""
    x = present(inputs[0])
    sizes = graph.op("Shape", x, dtype="int64")
    lead = graph.op("Mul", graph.slice(sizes, 0, 0, 1), graph.slice(sizes, 0, 1, 2))
    return (graph.op("Reshape", x, graph.op("Concat", lead, graph.slice(sizes, 0, 2, INT64.max), axis=0)),)


@lower.register
def unfold_time(layer: UnfoldTime, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Reshape to [batch, time, *rest]; batch and time are those of the second input."""
    y, like = present(inputs[0]), present(inputs[1])
    lead = graph.slice(graph.op("Shape", like, dtype="int64"), 0, 0, 2)
    rest = graph.slice(graph.op("Shape", y, dtype="int64"), 0, 1, INT64.max)
    return (graph.op("Reshape", y, graph.op("Concat", lead, rest, axis=0)),)


@lower.register
def transpose(layer: Transpose, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Transpose."""
    return (graph.transpose(present(inputs[0]), layer.axes),)


@lower.register
def concatenate(layer: Concatenate, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Concat."""
    return (graph.op("Concat", *(graph.cast(present(x), result_type(node)) for x in inputs), axis=layer.axis),)


@lower.register
def expand_dims(layer: ExpandDims, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Unsqueeze."""
    return (graph.with_axes("Unsqueeze", present(inputs[0]), layer.axes),)


@lower.register
def squeeze(layer: Squeeze, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Squeeze."""
    return (graph.with_axes("Squeeze", present(inputs[0]), layer.axes),)


@lower.register
def repeat(layer: Repeat, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Gather of 0, 0, ..., 1, 1, ...: right for any rank and for lengths known only at run time."""
    x, value = present(inputs[0]), node.inputs[0]
    length = value.shape[layer.axis] if value is not None else None
    if length is not None and length * layer.times <= limits.CONSTANT_NUMBERS:
        index = graph.const(np.repeat(np.arange(length), layer.times))
    else:
        times = graph.const(layer.times)
        total = graph.op("Mul", graph.size(x, layer.axis), times)
        index = graph.op("Div", graph.op("Range", graph.const(0), total, graph.const(1)), times)
    return (graph.op("Gather", x, index, axis=layer.axis),)


@lower.register
def tile(layer: Tile, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Tile."""
    return (graph.op("Tile", present(inputs[0]), graph.const(list(layer.times))),)


@lower.register
def pad(layer: Pad, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Pad. Copies of what is there want a padded axis last: onnxruntime 1.6 takes wrong ones where it is another."""
    out = result_type(node)
    x = graph.cast(present(inputs[0]), WIDER.get(out, out))
    if layer.mode == "constant":
        return (graph.cast(graph.op("Pad", x, _pads(graph, layer.pads), graph.scalar(layer.value, x)), out),)
    order = sorted(range(len(layer.pads)), key=lambda axis: any(layer.pads[axis]))
    pads = _pads(graph, [layer.pads[axis] for axis in order])
    y = graph.op("Pad", graph.transpose(x, order), pads, mode=layer.mode)
    return (graph.cast(graph.transpose(y, [order.index(axis) for axis in range(len(order))]), out),)


def _pads(graph: Graph, pads: Sequence[tuple[int, int]]) -> Tensor:
    return graph.const([before for before, _ in pads] + [after for _, after in pads])


@lower.register
def slice_(layer: Slice, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Slice; an open end is the farthest number, which ONNX clamps."""
    if (layer.starts, layer.stops, layer.steps) == ((None,), (None,), (-1,)):
        return (graph.flip(present(inputs[0]), layer.axes[0]),)
    low, high = int(INT64.min) + 1, int(INT64.max)
    starts = [_open(n, low if step > 0 else high) for n, step in zip(layer.starts, layer.steps, strict=True)]
    stops = [_open(n, high if step > 0 else low) for n, step in zip(layer.stops, layer.steps, strict=True)]
    arguments = (starts, stops, list(layer.axes), list(layer.steps))
    return (graph.op("Slice", present(inputs[0]), *(graph.const(numbers) for numbers in arguments)),)


def _open(bound: int | None, farthest: int) -> int:
    return farthest if bound is None else bound


@lower.register
def gather(layer: Gather, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Gather; negative indices count from the end in NumPy and ONNX alike."""
    assert rank(node) > layer.axis
    return (graph.op("Gather", present(inputs[0]), _index(graph, inputs[1]), axis=layer.axis),)


def _index(graph: Graph, index: Tensor | None) -> Tensor:
    found = present(index)
    return found if found.dtype in ("int32", "int64") else graph.cast(found, "int64")


@lower.register
def take_along(layer: TakeAlong, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """GatherElements."""
    return (graph.op("GatherElements", present(inputs[0]), _index(graph, inputs[1]), axis=layer.axis),)


@lower.register
def gather_nd(layer: GatherND, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """GatherND, which takes no int32."""
    index = graph.cast(present(inputs[1]), "int64")
    return (graph.op("GatherND", present(inputs[0]), index, batch_dims=layer.batch_axes),)


SORTED_AS = {**WIDER, "float16": "float32", "int32": "int64"}  # TopK of onnxruntime 1.6 has float32 and int64


@lower.register
def argsort(layer: ArgSort, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """The indices of TopK, which puts the lower index first among equals."""
    x = present(inputs[0])
    x = graph.cast(x, SORTED_AS.get(x.dtype, x.dtype))
    size = graph.size(x, layer.axis) if layer.count is None else graph.const(layer.count)
    count = graph.reshape(size, [1])
    found = graph.ops("TopK", (x, count), (x.dtype, "int64"), axis=layer.axis, largest=int(layer.descending), sorted=1)
    return (found[1],)


@lower.register
def size(layer: Size, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """One element of Shape."""
    return (graph.size(present(inputs[0]), layer.axis),)


@lower.register
def range_(layer: Range, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Range from 0 by 1."""
    return (graph.op("Range", graph.const(0), present(inputs[0]), graph.const(1)),)
