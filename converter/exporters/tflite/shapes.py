"""Layers that move values without changing them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter.errors import Unsupported
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.lower import Inputs, Outputs, lower, present, result
from converter.exporters.tflite.operators import REFLECT
from converter.exporters.tflite.tensors import Tensor
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
    Tile,
    Transpose,
    UnfoldTime,
)


@lower.register
def reshape(layer: Reshape, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """RESHAPE."""
    x, (_, shape) = present(inputs[0]), result(node)
    sizes = [graph.size(x, k) if n == 0 and x.shape[k] is None else x.shape[k] if n == 0 else n
             for k, n in enumerate(layer.target)]  # fmt: skip
    return (graph.reshape(x, [n for n in sizes if n is not None], shape),)


@lower.register
def fold_time(layer: FoldTime, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """RESHAPE to [batch·time, *rest]."""
    x, (_, shape) = present(inputs[0]), result(node)
    rest = [graph.size(x, k) for k in range(2, x.rank)]
    return (graph.reshape(x, [-1, *(n or one for n, one in zip(shape[1:], rest, strict=True))], shape),)


@lower.register
def unfold_time(layer: UnfoldTime, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """RESHAPE to [batch, time, *rest]; batch and time are those of the second input."""
    y, like, (_, shape) = present(inputs[0]), present(inputs[1]), result(node)
    shape = (*like.shape[:2], *shape[2:])
    sizes = [*(graph.size(like, k) for k in (0, 1)), *(graph.size(y, k) for k in range(1, y.rank))]
    return (graph.reshape(y, [n or one for n, one in zip(shape, sizes, strict=True)], shape),)


@lower.register
def transpose(layer: Transpose, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """TRANSPOSE."""
    return (graph.transpose(present(inputs[0]), layer.axes),)


@lower.register
def concatenate(layer: Concatenate, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """CONCATENATION."""
    dtype, shape = result(node)
    parts = [graph.cast(present(x), dtype) for x in inputs]
    return (graph.op("CONCATENATION", *parts, shape=shape, axis=layer.axis),)


@lower.register
def expand_dims(layer: ExpandDims, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """EXPAND_DIMS, one axis at a time."""
    x = present(inputs[0])
    for axis in sorted(layer.axes):
        x = graph.op("EXPAND_DIMS", x, graph.const(axis), shape=(*x.shape[:axis], 1, *x.shape[axis:]))
    return (x,)


@lower.register
def squeeze(layer: Squeeze, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """SQUEEZE."""
    return (graph.op("SQUEEZE", present(inputs[0]), shape=result(node)[1], squeezeDims=sorted(layer.axes)),)


@lower.register
def repeat(layer: Repeat, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """GATHER of 0, 0, ..., 1, 1, ...; TILE along a new axis where the length is open."""
    x, (_, shape) = present(inputs[0]), result(node)
    axis, length = layer.axis, x.shape[layer.axis]
    if length is not None:
        index = graph.const(np.repeat(np.arange(length), layer.times))
        return (graph.op("GATHER", x, index, shape=shape, axis=axis),)
    wide = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    y = graph.op("EXPAND_DIMS", x, graph.const(axis + 1), shape=wide)
    times = [layer.times if k == axis + 1 else 1 for k in range(y.rank)]
    y = graph.op("TILE", y, graph.const(times), shape=tuple(layer.times if k == axis + 1 else n
                                                            for k, n in enumerate(wide)))  # fmt: skip
    sizes: list[int | Tensor] = [-1 if k == axis else graph.size(x, k) if n is None else n
                                 for k, n in enumerate(x.shape)]  # fmt: skip
    return (graph.reshape(y, sizes, shape),)


@lower.register
def tile(layer: Tile, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """TILE."""
    return (graph.op("TILE", present(inputs[0]), graph.const(list(layer.times)), shape=result(node)[1]),)


@lower.register
def pad(layer: Pad, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """PADV2, MIRROR_PAD; none copies the edge, so that GATHER does."""
    dtype, shape = result(node)
    x, pads = graph.cast(present(inputs[0]), dtype), graph.const([list(pair) for pair in layer.pads])
    if layer.mode == "edge":
        return (_edges(graph, x, layer.pads),)
    if layer.mode == "reflect":
        return (graph.op("MIRROR_PAD", x, pads, shape=shape, mode=REFLECT),)
    return (graph.op("PADV2", x, pads, graph.const([layer.value], dtype), shape=shape),)


def _edges(graph: Graph, x: Tensor, pads: Sequence[tuple[int, int]]) -> Tensor:
    """x with copies of its edges around it.

    Raises:
        Unsupported: along an open axis.
    """
    for axis, (before, after) in enumerate(pads):
        if before or after:
            length = x.shape[axis]
            if length is None:
                raise Unsupported("padding an open axis with the edge cannot be exported to TFLite")
            index = np.clip(np.arange(-before, length + after), 0, length - 1)
            shape = (*x.shape[:axis], len(index), *x.shape[axis + 1 :])
            x = graph.op("GATHER", x, graph.const(index), shape=shape, axis=axis)
    return x


@lower.register
def slice_(layer: Slice, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """STRIDED_SLICE."""
    cuts = {axis: (start, stop, step) for axis, start, stop, step
            in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True)}  # fmt: skip
    return (graph.slices(present(inputs[0]), cuts, result(node)[1]),)


@lower.register
def gather(layer: Gather, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """GATHER, which knows no negative indices: they become what they mean."""
    x, index = present(inputs[0]), present(inputs[1])
    index = index if index.dtype in ("int32", "int64") else graph.cast(index, "int32")
    known = graph.constants.get(index)
    if known is None or np.any(known.read() < 0):
        length = graph.cast(graph.size(x, layer.axis), index.dtype)
        index = graph.pair("FLOOR_MOD", index, length)
    return (graph.op("GATHER", x, index, shape=result(node)[1], axis=layer.axis),)


@lower.register
def gather_nd(layer: GatherND, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """GATHER_ND."""
    if layer.batch_axes:
        raise Unsupported("GatherND along batch axes cannot be exported to TFLite")
    return (graph.op("GATHER_ND", present(inputs[0]), present(inputs[1]), shape=result(node)[1]),)


@lower.register
def argsort(layer: ArgSort, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """The indices of TOPK_V2 along the last axis, which puts the lower index first among equals."""
    x, dtype = present(inputs[0]), result(node)[0]
    axes = list(range(x.rank))
    axes[layer.axis], axes[-1] = axes[-1], axes[layer.axis]
    x = graph.transpose(x if layer.descending else graph.op("NEG", x), axes)
    count = x.shape[-1] if layer.count is None else layer.count
    if count is None:
        raise Unsupported("sorting along an open axis cannot be exported to TFLite", hint="fix it with --steps")
    found = (*x.shape[:-1], count)
    _, index = graph.ops_("TOPK_V2", (x, graph.const(count)), [(x.dtype, found), ("int32", found)])
    return (graph.cast(graph.transpose(index, axes), dtype),)


@lower.register
def size(layer: Size, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """One element of SHAPE."""
    x = present(inputs[0])
    found = graph.op("SQUEEZE", graph.size(x, layer.axis), shape=(), squeezeDims=[0])
    graph.sizes[found] = (x, layer.axis)
    return (graph.cast(found, result(node)[0]),)


@lower.register
def range_(layer: Range, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """How many ones came before, along an axis of that size; RANGE from 0 by 1 where it is of another.

    LiteRT knows the size of what RANGE makes when it runs alone, and does not make room for variables behind it.
    """
    dtype, shape = result(node)
    limit = present(inputs[0])
    if limit not in graph.sizes:
        limit = graph.cast(limit, "int32")
        return (graph.cast(graph.op("RANGE", graph.const(0), limit, graph.const(1), shape=shape), dtype),)
    x, axis = graph.sizes[limit]
    zeros = graph.cast(graph.reshape(graph.zeros_along(x, [axis]), [-1], shape), "float32")
    ones = graph.op("ADD", zeros, graph.scalar(1, zeros))
    # MINIMUM changes nothing; the size stays in the file, where the proof looks at it.
    before = graph.op("CUMSUM", ones, graph.const(0), exclusive=True)
    return (graph.cast(graph.pair("MINIMUM", before, graph.cast(limit, "float32")), dtype),)
