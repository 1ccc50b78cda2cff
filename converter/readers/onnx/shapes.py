"""Rules for ONNX operators that say or change the shape of a tensor: Shape, Size, Squeeze, Unsqueeze.

What an operator makes depends on what its first input stands for (values.py), so each is a function with one
implementation for each kind of tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from math import prod

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import constant, layers
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


def _size(builder: Builder, call: Call) -> list[Tensor]:
    """How many elements a tensor of known shape has."""
    sizes = sizes_of(call.tensor(0))
    if not all(isinstance(size, int) for size in sizes):
        raise Unsupported("Size of a tensor of open sizes")
    return [Const(constant(call.name, np.int64(prod(size for size in sizes if isinstance(size, int)))))]


def in_shape(tensor: Const, shape: Sequence[int]) -> Const:
    """An array of the file in another shape."""
    return Const(tensor.weight.map(lambda a: a.reshape(shape), tuple(shape)))


@singledispatch
def squeezed(tensor: Tensor, axes: list[int] | None, builder: Builder, call: Call) -> Tensor:
    """A tensor without axes of size 1: any neutral value."""
    x = plain(builder, call)
    if axes is None and None in x.shape:
        raise Unsupported("Squeeze without axes")
    axes = [k for k, size in enumerate(x.shape) if size == 1] if axes is None else axes
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
    return squeezed.dispatch(object)(tensor, axes, builder, call)


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


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "Shape": _shape, "Size": _size, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
}  # fmt: skip
