"""Rules for ONNX' Slice and Split: one implementation for each kind of tensor, as in shapes.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Value, constant, layers
from converter.readers.onnx.origins import same, size_of
from converter.readers.onnx.tensors import Const, Dims, Spread, Stack, States, Tensor, Val, Zeros
from converter.readers.onnx.values import Builder, Call, plain

FAR = 1 << 31  # ONNX writes "to the end" as a huge number


@dataclass(frozen=True)
class Cut:
    """Where a Slice begins and ends on each of some axes, as ONNX says it."""

    axes: tuple[int, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]

    def ends(self) -> list[tuple[int | None, int | None]]:
        """Starts and stops as Python's: clamped to "from the beginning" and "to the end"."""
        return [_ends(*three) for three in zip(self.starts, self.stops, self.steps, strict=True)]


def _ends(start: int, stop: int, step: int) -> tuple[int | None, int | None]:
    if step > 0:
        return (None if start == 0 or start <= -FAR else start), (None if stop >= FAR - 1 else stop)
    return (None if start >= FAR - 1 or start == -1 else start), (None if stop <= -FAR else stop)


@singledispatch
def cut(tensor: Tensor, where: Cut, builder: Builder, call: Call) -> Tensor:
    """A part of a tensor: of any neutral value."""
    x = tensor if isinstance(tensor, Val) and not tensor.flat else Val(builder.value(tensor, call.name))
    ends, inner = where.ends(), tuple(x.axis(axis) for axis in where.axes)
    shape = list(x.value.shape)
    for axis, (start, stop), step in zip(inner, ends, where.steps, strict=True):
        shape[axis] = _length(shape[axis], start, stop, step)
    layer = layers.Slice(inner, tuple(e[0] for e in ends), tuple(e[1] for e in ends), where.steps)
    return Val(builder.node(call.name, layer, (x.value,), tuple(shape))[0], x.swapped)


def _length(size: int | None, start: int | None, stop: int | None, step: int) -> int | None:
    if size is not None:
        return len(range(size)[start:stop:step])
    return 1 if (start, stop, step) == (-1, None, 1) else None


@cut.register
def _(tensor: Zeros, where: Cut, builder: Builder, call: Call) -> Tensor:
    if tensor.shape is None:
        return tensor
    shape = list(tensor.shape)
    for axis, (start, stop), step in zip(where.axes, where.ends(), where.steps, strict=True):
        size = shape[axis]
        if isinstance(size, int):
            shape[axis] = len(range(size)[start:stop:step])
        elif (start, stop, abs(step)) != (None, None, 1):
            return replace(tensor, shape=None)
    return replace(tensor, shape=tuple(shape))


@cut.register
def _(tensor: Dims, where: Cut, builder: Builder, call: Call) -> Tensor:
    return replace(tensor, items=tensor.items[where.starts[0] : where.stops[0] : where.steps[0]])


@cut.register
def _(tensor: Const, where: Cut, builder: Builder, call: Call) -> Tensor:
    picked = [slice(None)] * len(tensor.weight.shape)
    for axis, (start, stop), step in zip(where.axes, where.ends(), where.steps, strict=True):
        picked[axis] = slice(start, stop, step)
    return Const(constant(call.name, tensor.array[tuple(picked)]))


@cut.register
def _(tensor: Stack, where: Cut, builder: Builder, call: Call) -> Tensor:
    if where.axes == (1,) and where.steps == (1,):
        return Stack(tensor.ys[where.starts[0] : where.stops[0]])
    return cut.dispatch(object)(tensor, where, builder, call)


@cut.register
def _(tensor: Spread, where: Cut, builder: Builder, call: Call) -> Tensor:
    if where.axes == (2,) and where.steps == (1,):
        return Spread(tensor.ys[where.starts[0] : where.stops[0]], tensor.time_first)
    return cut.dispatch(object)(tensor, where, builder, call)


@cut.register
def _(tensor: States, where: Cut, builder: Builder, call: Call) -> Tensor:
    if where.axes == (0,) and where.steps == (1,):
        return States(tensor.hs[where.starts[0] : where.stops[0]])
    return cut.dispatch(object)(tensor, where, builder, call)


def _slice(builder: Builder, call: Call) -> list[Tensor]:
    if (open_end := _up_to(builder, call)) is not None:
        return [open_end]
    starts, stops = call.integers("starts", 1), _whole(builder, call) or call.integers("ends", 2)
    if starts is None or stops is None:
        raise InvalidModel("Slice without starts and ends")
    axes = call.integers("axes", 3) or list(range(len(starts)))
    steps = call.integers("steps", 4) or [1] * len(starts)
    if not len(starts) == len(stops) == len(axes) == len(steps) or 0 in steps:
        counts = ", ".join(map(str, map(len, (starts, stops, axes, steps))))
        raise InvalidModel(
            f"Slice with {counts} starts, ends, axes and steps, which do not fit each other, or a step of 0"
        )
    return [cut(call.tensor(0), Cut(tuple(axes), tuple(starts), tuple(stops), tuple(steps)), builder, call)]


def _up_to(builder: Builder, call: Call) -> Tensor | None:
    """x[:n] along one axis, n computed from sizes: that many places from the first on, as a Gather takes them."""
    x, ends = call.tensor(0), call.tensor(2) if call.has(2) else None
    computed = isinstance(ends, Dims) and len(ends.items) == 1 and not isinstance(ends.items[0], int)
    if not isinstance(x, Val) or not isinstance(ends, Dims) or not computed or _whole(builder, call) is not None:
        return None
    axes, steps = call.integers("axes", 3), call.integers("steps", 4) or [1]
    if call.integers("starts", 1) != [0] or axes is None or steps != [1]:
        return None
    value = builder.value(x, call.name)
    at, name = axes[0] % len(value.shape), f"{call.name}/end"
    end, size = builder.size(ends.items[0], name), builder.size((value.name, at), name)
    zero = builder.number(f"{name}/zero", np.int64(0))

    def both(op: layers.ElementwiseOp, a: Value, b: Value) -> Value:
        return builder.node(name, layers.Elementwise(op), (a, b), (), dtype="bool" if op == "less" else "")[0]

    below = both("less", end, zero)  # counts from behind, then
    (end,) = builder.node(name, layers.Where(), (below, both("add", end, size), end), (), dtype="int64")
    count = both("maximum", both("minimum", end, size), zero)
    (places,) = builder.node(f"{name}/places", layers.Range(), (count,), (None,), dtype="int64")
    shape = (*value.shape[:at], None, *value.shape[at + 1 :])
    return Val(builder.node(call.name, layers.Gather(at), (value, places), shape)[0])


def _whole(builder: Builder, call: Call) -> list[int] | None:
    """The end of a Slice that is the size of its axis, said by a Shape."""
    x, ends, axes = call.tensor(0), call.tensor(2) if call.has(2) else None, call.integers("axes", 3)
    if not isinstance(x, Val) or x.flat or not isinstance(ends, Dims) or axes is None or len(axes) != len(ends.items):
        return None
    sizes = [size_of(x.value, x.axis(axis)) for axis in axes]
    pairs = list(zip(ends.items, sizes, strict=True))
    if not all(isinstance(end, int) or same(builder, end, size) for end, size in pairs):
        return None
    return [end if isinstance(end, int) else FAR for end, _ in pairs]


def _split(builder: Builder, call: Call) -> list[Tensor]:
    """As several Slices; equal parts where no sizes are said."""
    tensor, axis, count = call.tensor(0), call.integer("axis", 0), len(call.outputs)
    sizes = call.integers("split", 1)
    if sizes is None:
        shape = tensor.weight.shape if isinstance(tensor, Const) else plain(builder, call).shape
        size = shape[axis]
        if size is None:
            raise Unsupported("Split of an open size")
        each = -(-size // count)
        sizes = [min(each, size - k * each) for k in range(count)]
    if len(sizes) != count:
        raise InvalidModel(f"Split into {len(sizes)} sizes and {count} outputs")
    starts = [sum(sizes[:k]) for k in range(count)]
    return [
        cut(tensor, Cut((axis,), (start,), (start + size,), (1,)), builder, call)
        for start, size in zip(starts, sizes, strict=True)
    ]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"Slice": _slice, "Split": _split}
