"""Reshape of ONNX: one implementation for each kind of tensor, as in shapes.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import singledispatch
from math import prod

import numpy as np

from converter.errors import Unsupported
from converter.model import Shape, Value, layers
from converter.readers.onnx.counted import Dim
from converter.readers.onnx.origins import folded_from, inferred, origin, same, size_of
from converter.readers.onnx.shapes import in_shape, own_sizes, sizes_of
from converter.readers.onnx.tensors import Const, Dims, Filled, Spread, Tensor, Val, Zeros, widened
from converter.readers.onnx.values import Builder, Call


@singledispatch
def reshaped(tensor: Tensor, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    """A tensor in another shape: any neutral value becomes a Reshape node.

    The cases that leave no such node, with their places below:

    1. sizes, zeros and a repeated size are what they were;
    2. an array of the file is reshaped when read;
    3. [time, batch, directions, units] with the last two axes merged: the directions side by side;
    4. a target that is the tensor's own shape: nothing (our guard against empty inputs);
    5. all steps merged, [time·batch, units], and back to three axes: the value before;
    6. three axes with the first two merged: remembered, since a Dense does not care;
    7. the first two of three axes exchanged, one of which is 1.
    """
    return _by_node(builder.value(tensor, call.name), target, builder, call)


@reshaped.register(Zeros)
@reshaped.register(Filled)
def _(tensor: Zeros | Filled, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    return replace(tensor, shape=None)  # 1


@reshaped.register
def _(tensor: Dims, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    if len(target) < 2:
        return replace(tensor, scalar=not target)  # 1
    return reshaped.dispatch(object)(tensor, target, builder, call)


@reshaped.register
def _(tensor: Const, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    sizes = [size for size in target if isinstance(size, int)]
    if len(sizes) == len(target) and sizes.count(-1) < 2 and 0 not in sizes:
        rest = prod(size for size in sizes if size > 0)
        return in_shape(tensor, [tensor.weight.size // rest if size == -1 else size for size in sizes])  # 2
    return _by_node(builder.value(tensor, call.name), target, builder, call)


@reshaped.register
def _(tensor: Spread, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    width, lead = sum(y.shape[2] or 0 for y in tensor.ys), sizes_of(tensor)[:2]
    pairs = zip(target, lead, strict=False)
    kept = all(asked in (0, -1) or same(builder, asked, size) for asked, size in pairs)
    if len(target) == 3 and target[2] in (-1, width) and kept and target.count(-1) < 2:
        return joined(builder, call, tensor.ys, tensor.time_first)  # 3
    return reshaped.dispatch(object)(tensor, target, builder, call)


@reshaped.register
def _(tensor: Val, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    if not tensor.flat and target == own_sizes(tensor):
        return tensor  # 4
    if not tensor.flat and _exchanges(tensor.shape, target):
        return Val(tensor.value, not tensor.swapped)  # 7
    if tensor.flat and len(target) == 3 and _is_whole(builder, tensor, target):
        return Val(tensor.value, tensor.swapped)  # 5
    if not tensor.flat and len(tensor.shape) == 3 and len(target) == 2 and target[1] == tensor.shape[2]:
        return Val(tensor.value, tensor.swapped, tensor.value.name)  # 6
    if tensor.flat:
        return reshaped(Val(builder.value(tensor, call.name)), target, builder, call)
    return _by_node(builder.value(tensor, call.name), target, builder, call)


def _exchanges(shape: Shape, target: tuple[Dim, ...]) -> bool:
    """Whether a Reshape does what a Transpose of the first two axes does, as tf2onnx writes it."""
    if len(shape) != 3 or len(target) != 3 or target[2] != shape[2] or 1 not in shape[:2] or shape[:2] == (1, 1):
        return False
    return all(size == 1 if n == 1 else size in (-1, n) for n, size in zip((shape[1], shape[0]), target, strict=False))


def _is_whole(builder: Builder, tensor: Val, target: tuple[Dim, ...]) -> bool:
    """Whether a target is the shape that a flat tensor had before its first two axes were merged."""
    y = tensor.value
    axes = (1, 0) if tensor.swapped else (0, 1)
    first = all(size == -1 or same(builder, size, size_of(y, axis)) for size, axis in zip(target, axes, strict=False))
    return first and target.count(-1) < 2 and target[2] in (-1, y.shape[2])


def joined(builder: Builder, call: Call, ys: tuple[Value, ...], swapped: bool) -> Val:
    """The directions side by side on the last axis."""
    if len(ys) == 1:
        return Val(ys[0], swapped)
    shape = (*ys[0].shape[:2], sum(y.shape[2] or 0 for y in ys))
    return Val(builder.node(call.name, layers.Concatenate(2), ys, shape)[0], swapped)


def _by_node(x: Value, target: tuple[Dim, ...], builder: Builder, call: Call) -> Val:
    """A Reshape node, where at most one size is left to be inferred, or the others are those of the input."""
    sizes = [size_of(x, k) for k in range(len(x.shape))]
    target = tuple(sizes[k] if size == 0 and k < len(sizes) else size for k, size in enumerate(target))
    if target.count(-1) == 1 and (rest := inferred(builder, sizes, target)) is not None:
        target = tuple(rest if size == -1 else size for size in target)
    pairs = list(zip(target, sizes, strict=False))
    kept = [k for k, (size, own) in enumerate(pairs) if not isinstance(size, int) and same(builder, size, own)]
    target = tuple(size if k in kept else origin(builder, size) for k, size in enumerate(target))
    asked = tuple(0 if k in kept else size if isinstance(size, int) else -1 for k, size in enumerate(target))
    if asked.count(-1) > 1:
        if 1 in target or 1 in x.shape:
            return _without_ones(x, target, builder, call)
        return _in_the_middle(x, target, builder, call) or _unfolded(x, target, builder, call)
    asked = tuple(x.shape[k] or 0 if n == 0 else n for k, n in enumerate(asked))
    shape: Shape = tuple(x.shape[k] if n == 0 else n if n > 0 else None for k, n in enumerate(asked))
    others = [size for k, size in enumerate(x.shape) if not (k < len(asked) and asked[k] == 0)]
    if -1 in asked and None not in others:
        rest = prod(n for n in asked if n > 0)
        number = prod(size for size in others if size is not None) // max(1, rest)
        shape = tuple(number if n == -1 else size for n, size in zip(asked, shape, strict=True))
    (made,) = builder.node(call.name, layers.Reshape(asked), (x,), shape)
    left = [k for k in range(len(x.shape)) if x.shape[k] is None and not (k < len(asked) and asked[k] == 0)]
    if len(left) == 1 and prod(n for n in others if n is not None) == prod(n for n in asked if n > 0):
        target = tuple((x.name, left[0]) if n == -1 else size for n, size in zip(asked, target, strict=True))
    _tell(builder, made, target)
    return Val(made)


def _without_ones(x: Value, target: tuple[Dim, ...], builder: Builder, call: Call) -> Val:
    """A Reshape between the axes that are not 1; the others are taken away before and put in afterwards."""
    gone = tuple(k for k, size in enumerate(x.shape) if size == 1)
    if gone:
        shape = tuple(size for size in x.shape if size != 1)
        (x,) = builder.node(f"{call.name}/squeeze", layers.Squeeze(gone), (x,), shape)
    made = _by_node(x, tuple(size for size in target if size != 1), builder, call)
    new = tuple(k for k, size in enumerate(target) if size == 1)
    if not new:
        return made
    value = builder.value(made, call.name)
    return Val(builder.node(f"{call.name}/expand", layers.ExpandDims(new), (value,), widened(value.shape, new))[0])


def _in_the_middle(x: Value, target: tuple[Dim, ...], builder: Builder, call: Call) -> Val | None:
    """A Reshape whose last axes stay: they are put in front of those that change, where a 0 keeps them."""
    sizes = [size_of(x, k) for k in range(len(x.shape))]
    most = min(len(sizes), len(target))
    first = next((k for k in range(most) if not same(builder, sizes[k], target[k])), most)
    last = next((k for k in range(most - first) if not same(builder, sizes[-1 - k], target[-1 - k])), most - first)
    middle = tuple(size if isinstance(size, int) else -1 for size in target[first : len(target) - last])
    if not last or middle.count(-1) > 1 or 0 in middle:
        return None
    order = (*range(first), *range(len(sizes) - last, len(sizes)), *range(first, len(sizes) - last))
    turned = builder.transposed(x, order, f"{call.name}/turned")
    (made,) = builder.node(
        call.name, layers.Reshape((*[0] * (first + last), *middle)), (turned,),
        (*turned.shape[: first + last], *(None if n == -1 else n for n in middle)),
    )  # fmt: skip
    _tell(builder, made, (*target[:first], *target[len(target) - last :], *target[first : len(target) - last]))
    back = (*range(first), *range(first + last, len(target)), *range(first, first + last))
    return Val(builder.transposed(made, back, f"{call.name}/back"))


def _tell(builder: Builder, made: Value, target: tuple[Dim, ...]) -> None:
    """Keeps of which other value the open sizes are."""
    pairs = ((k, size) for k, size in enumerate(target) if made.shape[k] is None and not isinstance(size, int))
    builder.known_sizes |= {(made.name, k): size for k, size in pairs}


def _unfolded(x: Value, target: tuple[Dim, ...], builder: Builder, call: Call) -> Val:
    """x with its first two sizes open, and the others known: rows, which a tensor of these two sizes spreads."""
    lead, rest, source = target[:2], target[2:], folded_from(builder, x)
    if source is not None and rest == x.shape[1:]:
        places = [size_of(source, k) for k in (0, 1)]
        fits = [size == -1 or same(builder, size, place) for size, place in zip(lead, places, strict=True)]
        if all(fits) and lead.count(-1) < 2:
            return Val(builder.node(call.name, layers.UnfoldTime(), (x, source), (*source.shape[:2], *x.shape[1:]))[0])
    if -1 in target or 0 in lead or not all(isinstance(n, int) and n > 0 for n in rest):
        raise Unsupported("Reshape with two open sizes")
    sizes = tuple(n for n in rest if isinstance(n, int))
    (rows,) = builder.node(f"{call.name}/rows", layers.Reshape((-1, *sizes)), (x,), (None, *sizes))
    like = builder.stretched(builder.number(f"{call.name}/zero", np.float32(0)), lead, call.name)
    shape: Shape = (*(size if isinstance(size, int) else None for size in lead), *sizes)
    (made,) = builder.node(call.name, layers.UnfoldTime(), (rows, like), shape)
    _tell(builder, made, target)
    return Val(made)


def _reshape(builder: Builder, call: Call) -> list[Tensor]:
    tensor, target = call.tensor(0), builder.dims(call.tensor(1))
    if target is None and isinstance(tensor, Zeros | Filled):
        return [replace(tensor, shape=None)]
    if target is None or (call.integer("allowzero", 0) and 0 in target):
        raise Unsupported("Reshape to a computed shape")
    return [reshaped(tensor, target, builder, call)]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"Reshape": _reshape}
