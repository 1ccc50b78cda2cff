"""Rules for ONNX operators that say or change the shape of a tensor: Shape, Squeeze, Unsqueeze, Reshape.

What an operator makes depends on what its first input stands for (values.py), so each is a function with one
implementation for each kind of tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from math import prod

from converter.errors import InvalidModel, Unsupported
from converter.model import Shape, Value, layers
from converter.readers.onnx.counted import Counting, Dim, Rows
from converter.readers.onnx.tensors import Const, Dims, Filled, Spread, Stack, States, Tensor, Val, Zeros, widened
from converter.readers.onnx.values import Builder, Call, plain


def own_sizes(tensor: Val) -> tuple[Dim, ...]:
    """The sizes of a tensor, each a number or an axis of a value."""
    name = tensor.value.name
    return tuple(size if size is not None else (name, tensor.axis(k)) for k, size in enumerate(tensor.shape))


@singledispatch
def sizes_of(tensor: Tensor) -> tuple[Dim, ...]:
    """What ONNX' Shape gives.

    Raises:
        Unsupported: the sizes of this kind of tensor are not known.
    """
    raise Unsupported("the shape of this tensor")


@sizes_of.register
def _(tensor: Val) -> tuple[Dim, ...]:
    return own_sizes(tensor)


@sizes_of.register
def _(tensor: States) -> tuple[Dim, ...]:
    h = next((h for h in tensor.hs if h is not None), None)
    if h is None:
        raise Unsupported("the shape of states that are zeros")
    return len(tensor.hs), h.shape[0] or (h.name, 0), h.shape[1] or (h.name, 1)


@sizes_of.register
def _(tensor: Stack) -> tuple[Dim, ...]:
    y = tensor.ys[0]
    first, batch = (y.shape[k] or (y.name, k) for k in (1, 0))
    return first, len(tensor.ys), batch, y.shape[2] or (y.name, 2)


@sizes_of.register
def _(tensor: Spread) -> tuple[Dim, ...]:
    y = tensor.ys[0]
    lead = own_sizes(Val(y, tensor.time_first))[:2]
    return *lead, len(tensor.ys), y.shape[2] or (y.name, 2)


@sizes_of.register
def _(tensor: Dims) -> tuple[Dim, ...]:
    return () if tensor.scalar else (len(tensor.items),)


@sizes_of.register(Zeros)
@sizes_of.register(Filled)
def _(tensor: Zeros | Filled) -> tuple[Dim, ...]:
    if tensor.shape is None:
        raise Unsupported("the shape of this tensor")
    return tensor.shape


@sizes_of.register
def _(tensor: Const) -> tuple[Dim, ...]:
    return tensor.weight.shape


def _shape(builder: Builder, call: Call) -> list[Tensor]:
    tensor = call.tensor(0)
    if isinstance(tensor, Counting | Rows) or (isinstance(tensor, Val) and tensor.flat):
        tensor = Val(builder.value(tensor, call.name))
    return [Dims(sizes_of(tensor)[call.integer("start", 0) : call.integer("end", 99)])]


def in_shape(tensor: Const, shape: Sequence[int]) -> Const:
    """An array of the file in another shape."""
    return Const(tensor.weight.map(lambda a: a.reshape(shape), tuple(shape)))


@singledispatch
def squeezed(tensor: Tensor, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    """A tensor without axes of size 1: any neutral value."""
    x = plain(builder, call)
    if axes is None:
        raise Unsupported("Squeeze without axes")
    inner = tuple(sorted(x.axis(axis) for axis in axes))
    shape = tuple(size for k, size in enumerate(x.value.shape) if k not in inner)
    swapped = x.swapped and not set(inner) & {0, 1}
    return Val(builder.node(call.name, layers.Squeeze(inner), (x.value,), shape)[0], swapped)


@squeezed.register(Zeros)
@squeezed.register(Filled)
def _(tensor: Zeros | Filled, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    shape = tensor.shape or ()
    kept = tuple(size for k, size in enumerate(shape) if axes is None or k not in (axis % len(shape) for axis in axes))
    return replace(tensor, shape=None if tensor.shape is None or axes is None else kept)


@squeezed.register
def _(tensor: Dims, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    if tensor.scalar or len(tensor.items) != 1:
        raise InvalidModel(f"Squeeze of {len(tensor.items)} sizes")
    return replace(tensor, scalar=True)


@squeezed.register
def _(tensor: Const, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    sizes = tensor.weight.shape
    gone = [k for k, size in enumerate(sizes) if size == 1] if axes is None else [axis % len(sizes) for axis in axes]
    return in_shape(tensor, [size for k, size in enumerate(sizes) if k not in gone])


@squeezed.register
def _(tensor: Stack, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    if axes == [1] and len(tensor.ys) == 1:
        return Val(tensor.ys[0], True)
    return squeezed.dispatch(object)(tensor, axes, builder, call)


@squeezed.register
def _(tensor: Spread, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    if axes == [2] and len(tensor.ys) == 1:
        return Val(tensor.ys[0], tensor.time_first)
    raise Unsupported("Squeeze of several directions")


@squeezed.register
def _(tensor: States, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    if axes == [0] and len(tensor.hs) == 1 and tensor.hs[0] is not None:
        return Val(tensor.hs[0])
    return squeezed.dispatch(object)(tensor, axes, builder, call)


def _squeeze(builder: Builder, call: Call) -> list[Tensor]:
    return [squeezed(call.tensor(0), call.integers("axes", 1), builder, call)]


@singledispatch
def unsqueezed(tensor: Tensor, axes: list[int], builder: Builder, call: Call) -> Tensor:
    """A tensor with more axes of size 1: any neutral value. [batch, units] becomes the state of one direction."""
    x = plain(builder, call)
    value = builder.value(x, call.name)
    if axes == [0] and len(x.shape) == 2:
        return States((value,))
    rank = len(value.shape) + len(axes)
    inner = tuple(sorted(axis % rank for axis in axes))
    shape = widened(value.shape, inner)
    return Val(builder.node(call.name, layers.ExpandDims(inner), (value,), shape)[0])


@unsqueezed.register(Zeros)
@unsqueezed.register(Filled)
def _(tensor: Zeros | Filled, axes: list[int], builder: Builder, call: Call) -> Tensor:
    if tensor.shape is None:
        return tensor
    rank = len(tensor.shape) + len(axes)
    return replace(tensor, shape=widened(tensor.shape, sorted(axis % rank for axis in axes)))


@unsqueezed.register
def _(tensor: Dims, axes: list[int], builder: Builder, call: Call) -> Tensor:
    if tensor.scalar and axes in ([0], [-1]):
        return replace(tensor, scalar=False)
    return unsqueezed.dispatch(object)(tensor, axes, builder, call)


@unsqueezed.register
def _(tensor: Const, axes: list[int], builder: Builder, call: Call) -> Tensor:
    rank = len(tensor.weight.shape) + len(axes)
    return in_shape(tensor, [n or 0 for n in widened(tensor.weight.shape, sorted(axis % rank for axis in axes))])


def _unsqueeze(builder: Builder, call: Call) -> list[Tensor]:
    axes = call.integers("axes", 1)
    if axes is None:
        raise InvalidModel("Unsqueeze without axes")
    return [unsqueezed(call.tensor(0), axes, builder, call)]


@singledispatch
def reshaped(tensor: Tensor, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    """A tensor in another shape: any neutral value becomes a Reshape node.

    The cases that leave no such node, with their places below:

    1. sizes, zeros and a repeated size are what they were;
    2. an array of the file is reshaped when read;
    3. [time, batch, directions, units] with the last two axes merged: the directions side by side;
    4. a target that is the tensor's own shape: nothing (our guard against empty inputs);
    5. all steps merged, [time·batch, units], and back to three axes: the value before;
    6. three axes with the first two merged: remembered, since a Dense does not care.
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
    kept = all(asked in (size, 0, -1) for asked, size in zip(target, lead, strict=False))
    if len(target) == 3 and target[2] in (-1, width) and kept and target.count(-1) < 2:
        return joined(builder, call, tensor.ys, tensor.time_first)  # 3
    raise Unsupported("Reshape of several directions")


@reshaped.register
def _(tensor: Val, target: tuple[Dim, ...], builder: Builder, call: Call) -> Tensor:
    if not tensor.flat and target == own_sizes(tensor):
        return tensor  # 4
    if tensor.flat and len(target) == 3 and _is_whole(tensor, target):
        return Val(tensor.value, tensor.swapped)  # 5
    if not tensor.flat and len(tensor.shape) == 3 and len(target) == 2 and target[1] == tensor.shape[2]:
        return Val(tensor.value, tensor.swapped, tensor.value.name)  # 6
    if tensor.flat:
        return reshaped(Val(builder.value(tensor, call.name)), target, builder, call)
    return _by_node(builder.value(tensor, call.name), target, builder, call)


def _is_whole(tensor: Val, target: tuple[Dim, ...]) -> bool:
    """Whether a target is the shape that a flat tensor had before its first two axes were merged."""
    y = tensor.value
    axes = (1, 0) if tensor.swapped else (0, 1)
    first = all(size in ((tensor.flat, axis), y.shape[axis]) for size, axis in zip(target, axes, strict=False))
    return first and target[2] in (-1, y.shape[2])


def joined(builder: Builder, call: Call, ys: tuple[Value, ...], swapped: bool) -> Val:
    """The directions side by side on the last axis."""
    if len(ys) == 1:
        return Val(ys[0], swapped)
    shape = (*ys[0].shape[:2], sum(y.shape[2] or 0 for y in ys))
    return Val(builder.node(call.name, layers.Concatenate(2), ys, shape)[0], swapped)


def _by_node(x: Value, target: tuple[Dim, ...], builder: Builder, call: Call) -> Val:
    """A Reshape node, where at most one size is left to be inferred, or the others are those of the input."""
    kept = [k for k, size in enumerate(target) if size == 0 or size == (x.name, k)]  # where a 0 says the same
    asked = tuple(0 if k in kept else size if isinstance(size, int) else -1 for k, size in enumerate(target))
    if asked.count(-1) > 1:
        raise Unsupported("Reshape with two open sizes")
    asked = tuple(x.shape[k] or 0 if n == 0 else n for k, n in enumerate(asked))
    shape: Shape = tuple(x.shape[k] if n == 0 else n if n > 0 else None for k, n in enumerate(asked))
    others = [size for k, size in enumerate(x.shape) if not (k < len(asked) and asked[k] == 0)]
    if -1 in asked and None not in others:
        rest = prod(n for n in asked if n > 0)
        inferred = prod(size for size in others if size is not None) // max(1, rest)
        shape = tuple(inferred if n == -1 else size for n, size in zip(asked, shape, strict=True))
    return Val(builder.node(call.name, layers.Reshape(asked), (x,), shape)[0])


def _reshape(builder: Builder, call: Call) -> list[Tensor]:
    tensor, target = call.tensor(0), builder.dims(call.tensor(1))
    if target is None and isinstance(tensor, Zeros | Filled):
        return [replace(tensor, shape=None)]
    if target is None or (call.integer("allowzero", 0) and 0 in target):
        raise Unsupported("Reshape to a computed shape")
    return [reshaped(tensor, target, builder, call)]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "Shape": _shape, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Reshape": _reshape,
}  # fmt: skip
