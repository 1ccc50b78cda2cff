"""Sizes of what a neutral node makes, from the sizes of what it reads: one rule per layer; None where none knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from converter.model import layers
from converter.tensorflow_graph.sizes import Axis, Dim, product

Rule = Callable[..., Sequence[Axis | None]]


def _same(layer: Any, x: Sequence[Axis], *rest: Any) -> Sequence[Axis | None]:
    return x


def _broadcast(layer: Any, *xs: Sequence[Axis]) -> Sequence[Axis | None]:
    rank = max(map(len, xs))
    wide = [(*[1] * (rank - len(x)), *x) for x in xs]
    found: list[Axis | None] = []
    for sizes in zip(*wide, strict=True):
        other = [n for n in sizes if n != 1]
        numbers = [n for n in other if isinstance(n, int)]
        found.append(numbers[0] if numbers else other[0] if other else 1)
    return found


def _slice(layer: layers.Slice, x: Sequence[Axis]) -> Sequence[Axis | None]:
    found: list[Axis | None] = list(x)
    for axis, start, stop, step in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True):
        size = x[axis]
        if isinstance(size, int):
            found[axis] = len(range(*slice(start, stop, step).indices(size)))
        elif (start, stop) == (None, None) and abs(step) == 1:
            found[axis] = size
        elif step == 1 and _one(start, stop):
            found[axis] = 1
        else:
            found[axis] = None
    return found


def _one(start: int | None, stop: int | None) -> bool:
    """Whether exactly one element lies between."""
    if start == -1:
        return stop is None
    return start is not None and stop == start + 1 and stop != 0


def _concatenate(layer: layers.Concatenate, *xs: Sequence[Axis]) -> Sequence[Axis | None]:
    found = list(_broadcast(layer, *[(*x[: layer.axis], 1, *x[layer.axis + 1 :]) for x in xs]))
    found[layer.axis] = sum((x[layer.axis] for x in xs[1:]), xs[0][layer.axis])
    return found


def _expand(layer: layers.ExpandDims, x: Sequence[Axis]) -> Sequence[Axis | None]:
    found = list(x)
    for axis in sorted(layer.axes):
        found.insert(axis, 1)
    return found


def _reduce(layer: layers.Reduce, x: Sequence[Axis]) -> Sequence[Axis | None]:
    kept = [1 if k in layer.axes else n for k, n in enumerate(x)]
    return kept if layer.keepdims else [n for k, n in enumerate(x) if k not in layer.axes]


def _matmul(layer: layers.MatMul, a: Sequence[Axis], b: Sequence[Axis]) -> Sequence[Axis | None]:
    rows, columns = a[-1 if layer.transpose_a else -2], b[-2 if layer.transpose_b else -1]
    return [*_broadcast(layer, a[:-2], b[:-2]), rows, columns] if len(a) + len(b) > 4 else [rows, columns]


def _window(layer: Any, x: Sequence[Axis]) -> Sequence[Axis | None]:
    """Convolutions and pooling: padding "same" in steps of one keeps the sizes."""
    found: list[Axis | None] = [x[0], *[None] * (len(x) - 1)]
    first = 2 if layer.data_format == "channels_first" else 1
    for k, step in enumerate(layer.strides):
        if layer.padding in ("same", "causal") and step == 1:
            found[first + k] = x[first + k]
    return found


def _einsum(layer: layers.Einsum, *xs: Sequence[Axis]) -> Sequence[Axis | None]:
    read, made = layer.equation.split("->")
    sizes = {c: n for term, x in zip(read.split(","), xs, strict=True) for c, n in zip(term, x, strict=True)}
    return [sizes.get(c) for c in made]


def _repeat(layer: layers.Repeat, x: Sequence[Axis]) -> Sequence[Axis | None]:
    return [n * layer.times if k == layer.axis else n for k, n in enumerate(x)]


def _reshape(layer: layers.Reshape, x: Sequence[Axis]) -> Sequence[Axis | None]:
    found: list[Axis | None] = [x[k] if n == 0 else None if n == -1 else n for k, n in enumerate(layer.target)]
    if None in found:
        known = product(tuple(n for n in found if n is not None))
        total = product(tuple(x))
        if isinstance(total, Dim) or isinstance(known, int):
            found[found.index(None)] = total // known if known else None
    return found


RULES: Mapping[type[Any], Rule] = {
    **dict.fromkeys((layers.Activate, layers.Unary, layers.Cast, layers.CumSum, layers.LayerNormalization,
                     layers.BatchNormalization), _same),
    **dict.fromkeys((layers.Elementwise, layers.Where), _broadcast),
    **dict.fromkeys((layers.Conv, layers.Pool), _window),
    layers.Dense: lambda layer, x: [*x[:-1], layer.kernel.shape[1]],
    layers.Embedding: lambda layer, x: [*x, layer.table.shape[1]],
    layers.Gather: lambda layer, x, i: [*x[: layer.axis], *i, *x[layer.axis + 1 :]],
    layers.TakeAlong: lambda layer, x, i: i,
    layers.GatherND: lambda layer, x, i: [*i[:-1], *x[layer.batch_axes + i[-1] :]],
    layers.Transpose: lambda layer, x: [x[a] for a in layer.axes],
    layers.Concatenate: _concatenate, layers.Slice: _slice, layers.ExpandDims: _expand, layers.Reduce: _reduce,
    layers.Squeeze: lambda layer, x: [n for k, n in enumerate(x) if k not in layer.axes],
    layers.MatMul: _matmul, layers.Einsum: _einsum, layers.Repeat: _repeat, layers.Reshape: _reshape,
    layers.Tile: lambda layer, x: [n * t for n, t in zip(x, layer.times, strict=True)],
    layers.Pad: lambda layer, x: [n + sum(p) for n, p in zip(x, layer.pads, strict=True)],
    layers.OneHot: lambda layer, x: [*x, layer.depth],
    layers.FoldTime: lambda layer, x: [x[0] * x[1], *x[2:]],
    layers.UnfoldTime: lambda layer, y, like: [*like[:2], *y[1:]],
    layers.ArgSort: lambda layer, x: [layer.count if k == layer.axis and layer.count is not None else n
                                      for k, n in enumerate(x)],
}  # fmt: skip


def sizes_after(layer: Any, inputs: Sequence[Sequence[Axis]]) -> Sequence[Axis | None]:
    """The sizes of what a layer makes of inputs of these sizes; empty if no rule says."""
    rule = RULES.get(type(layer))
    return () if rule is None else rule(layer, *inputs)
