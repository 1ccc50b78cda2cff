"""Where an open size comes from: the size of which axis of which earlier value it is, through layers that keep it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from converter.model import Node, Value, layers
from converter.readers.onnx.counted import COMPUTED, Dim
from converter.readers.onnx.values import Builder

_Place = tuple[int, int] | None  # which input of a node, which of its axes


def origin(builder: Builder, size: Dim, known: dict[Dim, Dim] | None = None) -> Dim:
    """The same size, said of the earliest value that is known to have it; a number where that value knows it."""
    known = {} if known is None else known
    passed = []
    while not isinstance(size, int) and size[1] != COMPUTED and size not in known:
        passed.append(size)
        number = builder.values[size[0]].shape[size[1]]
        before = _before(builder, size, known) if number is None else number
        if before is None:
            break
        size = before
    size = known.get(size, size)
    known.update(dict.fromkeys(passed, size))
    return size


def folded_from(builder: Builder, x: Value) -> Value | None:
    """The value whose first two axes are merged in the first of x, if there is one."""
    size = origin(builder, size_of(x, 0))
    return None if isinstance(size, int) or size[1] != 0 else _merged(builder, builder.values[size[0]])


def _merged(builder: Builder, x: Value) -> Value | None:
    """What x is, before a Reshape merged its first two axes and no others."""
    node = builder.producer(x)
    source = None if node is None else node.inputs[0]
    if node is None or source is None or not isinstance(node.layer, layers.Reshape):
        return None
    rest = source.shape[2:]
    return source if len(source.shape) > 2 and None not in rest and node.layer.target == (-1, *rest) else None


def _before(builder: Builder, size: tuple[str, int], known: dict[Dim, Dim]) -> Dim | None:
    """What gave a value this size, where its producer did not make it."""
    if size in builder.known_sizes:
        return builder.known_sizes[size]
    value = builder.values[size[0]]
    node = builder.producer(value)
    if node is None:
        return None
    if isinstance(node.layer, layers.Elementwise | layers.Where):
        found = {origin(builder, place, known) for place in _broadcast(node, value, size[1])}
        return found.pop() if len(found) == 1 else None  # of different ones nobody knows which is 1
    if isinstance(node.layer, layers.Range) and node.inputs[0] is not None:
        return number(builder, node.inputs[0])
    rule = _RULES.get(type(node.layer))
    place = None if rule is None else rule(node, value, size[1])
    source = None if place is None else node.inputs[place[0]]
    return None if source is None or place is None else (source.name, place[1])


def number(builder: Builder, x: Value) -> Dim | None:
    """The size that a value of one number is, if it is one."""
    while not any(size != 1 for size in x.shape):
        node = builder.producer(x)
        before = node.inputs[0] if node is not None and node.inputs else None
        if node is None or before is None:
            return None
        if isinstance(node.layer, layers.Size):
            return size_of(before, node.layer.axis)
        if not isinstance(node.layer, layers.Cast | layers.Squeeze | layers.ExpandDims):
            return None
        x = before
    return None


def _broadcast(node: Node, value: Value, axis: int) -> list[tuple[str, int]]:
    """The inputs of an elementwise operation that are not known to be 1 on an axis of its result."""
    places = [(x, axis - len(value.shape) + len(x.shape)) for x in node.inputs if x is not None]
    return [(x.name, at) for x, at in places if at >= 0 and x.shape[at] != 1]


def same(builder: Builder, a: Dim, b: Dim) -> bool:
    """Whether two sizes are the same, whatever the model is given."""
    return a == b or product(builder, [a]) == product(builder, [b])


def product(builder: Builder, sizes: Iterable[Dim]) -> tuple[int, Counter[Dim]]:
    """A product of sizes: the number in it, and how often each open size is."""
    number, opened, left = 1, Counter[Dim](), list(sizes)
    while left:
        size = origin(builder, left.pop())
        if isinstance(size, int):
            number *= size
        elif size[0] in builder.factors and size[1] == COMPUTED:
            left += builder.factors[size[0]]
        elif size[1] == 0 and (source := _merged(builder, builder.values[size[0]])) is not None:
            left += [size_of(source, 0), size_of(source, 1)]
        else:
            opened[size] += 1
    return number, opened


def inferred(builder: Builder, sizes: Sequence[Dim], target: Sequence[Dim]) -> Dim | None:
    """What the -1 of a Reshape is, where it is a number, or one size, whatever the open sizes are."""
    whole, opened = product(builder, sizes)
    others, asked = product(builder, (size for size in target if size != -1))
    if not others or whole % others or asked - opened:
        return None
    left = list((opened - asked).elements())
    if not left:
        return whole // others
    return left[0] if len(left) == 1 and whole == others else None


def size_of(value: Value, axis: int) -> Dim:
    """The size of an axis of a value."""
    known = value.shape[axis]
    return (value.name, axis) if known is None else known


def _kept(node: Node, value: Value, axis: int) -> _Place:
    return 0, axis


def _before_last(node: Node, value: Value, axis: int) -> _Place:
    return (0, axis) if axis < len(value.shape) - 1 else None


def _slice(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    for at, start, stop, step in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True):
        if at == axis and (start, stop, abs(step)) != (None, None, 1):
            return None
    return 0, axis


def _concatenate(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    return None if axis == layer.axis else (0, axis)


def _tile(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    return (0, axis) if layer.times[axis] == 1 else None


def _repeat(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    return (0, axis) if layer.axis != axis else None


def _gather(node: Node, value: Value, axis: int) -> _Place:
    """Of places in one row."""
    layer: Any = node.layer
    places = node.inputs[1]
    if places is None or len(places.shape) != 1:
        return None
    return (1, 0) if axis == layer.axis else (0, axis)


def _expand(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    return None if axis in layer.axes else (0, axis - sum(a < axis for a in layer.axes))


def _squeeze(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    rank = len(value.shape) + len(layer.axes)
    return 0, [k for k in range(rank) if k not in layer.axes][axis]


def _reduce(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    if layer.keepdims:
        return None if axis in layer.axes else (0, axis)
    return _squeeze(node, value, axis)


def _reshape(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    if layer.target[axis] == 0:
        return 0, axis
    x = node.inputs[0]
    wide = [k for k, size in enumerate(x.shape) if size != 1] if x is not None else []
    alone = all(size == 1 for k, size in enumerate(layer.target) if k != axis)
    return (0, wide[0]) if layer.target[axis] == -1 and alone and len(wide) == 1 else None


def _recurrent(node: Node, value: Value, axis: int) -> _Place:
    """Of sequences batch and time, of anything else the batch."""
    x = node.inputs[0]
    sequence = x is not None and len(value.shape) == len(x.shape)
    return (0, axis) if axis < (2 if sequence else 1) else None


def _matmul(node: Node, value: Value, axis: int) -> _Place:
    """Rows of the first, columns of the second; of the axes before them, those of the one that has as many."""
    rank = len(value.shape)
    of = 1 if axis == rank - 1 else 0
    x = node.inputs[of]
    return (of, axis - rank + len(x.shape)) if axis >= rank - 2 and x is not None else None


def _scan(node: Node, value: Value, axis: int) -> _Place:
    """States keep their shape; sequences are as long as those that were read."""
    layer: Any = node.layer
    place = [output.name for output in node.outputs].index(value.name)
    if place < layer.states:
        return place, axis
    return (layer.states, 0) if axis == 0 else None


def _conv(node: Node, value: Value, axis: int) -> _Place:
    layer: Any = node.layer
    same_size = layer.padding in ("same", "causal") and set(layer.strides) == {1}
    return (0, axis) if axis == 0 or (same_size and axis < len(value.shape) - 1) else None


_RULES: Mapping[type, Callable[[Node, Value, int], _Place]] = {
    layers.Activate: _kept, layers.Unary: _kept, layers.Cast: _kept, layers.CumSum: _kept,
    layers.Lookup: _kept, layers.LowerCase: _kept, layers.RemoveCharacters: _kept, layers.SplitWords: _before_last,
    layers.BatchNormalization: _kept, layers.LayerNormalization: _kept, layers.Embedding: _before_last,
    layers.Dense: _before_last, layers.Slice: _slice, layers.Gather: _gather,
    layers.Concatenate: _concatenate, layers.Tile: _tile, layers.Repeat: _repeat, layers.ExpandDims: _expand,
    layers.Squeeze: _squeeze, layers.Reduce: _reduce, layers.Reshape: _reshape, layers.Recurrent: _recurrent,
    layers.Conv: _conv, layers.MatMul: _matmul, layers.Scan: _scan,
    layers.UnfoldTime: lambda node, value, axis: (1, axis) if axis < 2 else (0, axis - 1),
    layers.Transpose: lambda node, value, axis: (0, node.layer.axes[axis]),  # type: ignore[union-attr]
}  # fmt: skip
