"""Rules for ONNX operators that move values: Transpose, Concat, Gather, ReverseSequence.

Like those of shapes.py: one implementation for each kind of tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import singledispatch

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Value, constant, layers
from converter.readers.onnx.cutting import FAR, Cut, cut
from converter.readers.onnx.origins import same, size_of
from converter.readers.onnx.tensors import Const, Dims, Filled, Spread, Stack, States, Tensor, Val, Zeros
from converter.readers.onnx.values import Builder, Call, plain


@singledispatch
def transposed(tensor: Tensor, axes: tuple[int, ...] | None, builder: Builder, call: Call) -> Tensor:
    """A tensor with its axes in another order (None: the reverse one): any neutral value."""
    x = plain(builder, call)
    rank = len(x.shape)
    axes = axes or tuple(reversed(range(rank)))
    if sorted(axes) != list(range(rank)):
        raise InvalidModel(f"perm {axes} of {rank} axes")
    if axes == tuple(range(rank)):
        return x
    if rank == 3 and axes == (1, 0, 2):
        return Val(x.value, not x.swapped)
    return Val(builder.transposed(builder.value(x, call.name), axes, call.name))


@transposed.register
def _(tensor: Zeros, axes: tuple[int, ...] | None, builder: Builder, call: Call) -> Tensor:
    order = axes or tuple(reversed(range(len(tensor.shape or ()))))
    return tensor if tensor.shape is None else replace(tensor, shape=tuple(tensor.shape[axis] for axis in order))


@transposed.register
def _(tensor: Const, axes: tuple[int, ...] | None, builder: Builder, call: Call) -> Tensor:
    sizes = tensor.weight.shape
    order = axes or tuple(reversed(range(len(sizes))))
    if sorted(order) != list(range(len(sizes))):
        raise InvalidModel(f"perm {order} of {len(sizes)} axes")
    return Const(tensor.weight.map(lambda a: np.transpose(a, order), tuple(sizes[axis] for axis in order)))


@transposed.register
def _(tensor: Stack, axes: tuple[int, ...] | None, builder: Builder, call: Call) -> Tensor:
    if axes in ((0, 2, 1, 3), (2, 0, 1, 3)):
        return Spread(tensor.ys, axes[0] == 0)
    return transposed.dispatch(object)(tensor, axes, builder, call)


@transposed.register
def _(tensor: Spread, axes: tuple[int, ...] | None, builder: Builder, call: Call) -> Tensor:
    if axes == (1, 0, 2, 3):
        return Spread(tensor.ys, not tensor.time_first)
    return transposed.dispatch(object)(tensor, axes, builder, call)


def _transpose(builder: Builder, call: Call) -> list[Tensor]:
    axes = tuple(call.attributes["perm"].ints) if "perm" in call.attributes else None
    return [transposed(call.tensor(0), axes, builder, call)]


def _concat(builder: Builder, call: Call) -> list[Tensor]:
    """Zeros; sizes; states of directions; arrays of the file; values."""
    parts = [call.tensor(k) for k in range(len(call.inputs))]
    axis = call.integer("axis", 0)
    if all(isinstance(part, Zeros) for part in parts):
        return [Zeros(None, next(part.dtype for part in parts if isinstance(part, Zeros)))]
    sizes = [builder.dims(part) for part in parts]
    kinds = [part.dtype for part in parts if isinstance(part, Dims)]
    if all(size is not None for size in sizes) and kinds:
        return [Dims(tuple(item for size in sizes for item in size or ()), dtype=kinds[0])]
    if axis == 0 and all(isinstance(part, States | Zeros) for part in parts):
        return [States(tuple(h for part in parts for h in (part.hs if isinstance(part, States) else (None,))))]
    if all(isinstance(part, Const) for part in parts):
        arrays = [part.array for part in parts if isinstance(part, Const)]
        return [Const(constant(call.name, np.concatenate(arrays, axis)))]
    values = [plain(builder, call, k) for k in range(len(parts))]
    swapped = all(value.swapped for value in values)
    inner = [value.value if swapped else builder.value(value, call.name) for value in values]
    at = Val(inner[0], swapped).axis(axis)
    total = [value.shape[at] for value in inner]
    size = None if None in total else sum(s for s in total if s is not None)
    shape = (*inner[0].shape[:at], size, *inner[0].shape[at + 1 :])
    return [Val(builder.node(call.name, layers.Concatenate(at), tuple(inner), shape)[0], swapped)]


def _reverse(builder: Builder, call: Call) -> list[Tensor]:
    """ReverseSequence of the whole length: time reversed."""
    x, lengths = plain(builder, call), call.tensor(1)
    time = x.axis(call.integer("time_axis", 0))
    whole = isinstance(lengths, Filled) and same(builder, lengths.item, size_of(x.value, time))
    if not whole:
        raise Unsupported("ReverseSequence with lengths of its own")
    layer = layers.Slice((time,), (None,), (None,), (-1,))
    return [Val(builder.node(call.name, layer, (x.value,), x.value.shape)[0], x.swapped)]


@singledispatch
def picked(tensor: Tensor, index: int, axis: int, builder: Builder, call: Call) -> Tensor:
    """What is at one place of an axis, which is gone then: of any neutral value."""
    made = cut(tensor, _one(index, axis), builder, call)
    assert isinstance(made, Val)
    at = made.axis(axis)
    shape = tuple(s for k, s in enumerate(made.value.shape) if k != at)
    return Val(builder.node(call.name, layers.Squeeze((at,)), (made.value,), shape)[0], made.swapped and at > 1)


def _one(index: int, axis: int) -> Cut:
    return Cut((axis,), (index,), (FAR if index == -1 else index + 1,), (1,))


@picked.register
def _(tensor: Stack, index: int, axis: int, builder: Builder, call: Call) -> Tensor:
    return Val(tensor.ys[index], True) if axis == 1 else picked.dispatch(object)(tensor, index, axis, builder, call)


@picked.register
def _(tensor: Spread, index: int, axis: int, builder: Builder, call: Call) -> Tensor:
    if axis != 2:
        return picked.dispatch(object)(tensor, index, axis, builder, call)
    return Val(tensor.ys[index], tensor.time_first)


@picked.register
def _(tensor: States, index: int, axis: int, builder: Builder, call: Call) -> Tensor:
    h = tensor.hs[index] if axis == 0 else None
    return Val(h) if h is not None else picked.dispatch(object)(tensor, index, axis, builder, call)


@picked.register
def _(tensor: Const, index: int, axis: int, builder: Builder, call: Call) -> Tensor:
    return Const(constant(call.name, np.take(tensor.array, index, axis)))


def _gather(builder: Builder, call: Call) -> list[Tensor]:
    """Sizes; rows of a table; one place of an axis; else np.take of two values."""
    tensor, indices, axis = call.tensor(0), call.tensor(1), call.integer("axis", 0)
    if isinstance(tensor, Dims) and isinstance(indices, Const) and len(indices.weight.shape) < 2:
        found = tuple(tensor.items[int(i)] for i in indices.array.ravel())
        return [replace(tensor, items=found, scalar=indices.weight.shape == ())]
    if isinstance(tensor, Const) and isinstance(indices, Val) and axis == 0 and len(tensor.weight.shape) == 2:
        shape = (*indices.value.shape, tensor.weight.shape[1])
        layer = layers.Embedding(tensor.weight)
        made = builder.node(call.name, layer, (indices.value,), shape, dtype=tensor.weight.dtype)
        return [Val(made[0], indices.swapped)]
    if isinstance(indices, Const) and indices.weight.shape == ():
        return [picked(tensor, int(indices.array), axis, builder, call)]
    if isinstance(indices, Const) and indices.weight.shape == (1,) and not isinstance(tensor, Const):
        return [cut(tensor, _one(int(indices.array[0]), axis), builder, call)]
    return [_taken(builder, call, builder.value(tensor, call.name), indices, axis)]


def _taken(builder: Builder, call: Call, x: Value, indices: Tensor, axis: int) -> Val:
    at, where = axis % len(x.shape), builder.value(indices, call.name)
    shape = (*x.shape[:at], *where.shape, *x.shape[at + 1 :])
    if isinstance(indices, Const) and (times := _repeats(indices, x.shape[at])):
        return Val(builder.node(call.name, layers.Repeat(at, times), (x,), shape)[0])
    return Val(builder.node(call.name, layers.Gather(at), (x, where), shape)[0])


def _repeats(indices: Const, size: int | None) -> int:
    """How often each of `size` places is taken, if all are, one after the other; 0 otherwise."""
    count = indices.weight.size
    if not size or count % size or len(indices.weight.shape) != 1:
        return 0
    return count // size if np.array_equal(indices.array, np.repeat(np.arange(size), count // size)) else 0


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "Transpose": _transpose, "Concat": _concat, "Gather": _gather, "ReverseSequence": _reverse,
}  # fmt: skip
