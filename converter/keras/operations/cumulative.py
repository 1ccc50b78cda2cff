"""Running sums and products along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from converter.errors import Unsupported
from converter.keras.building.ops import Ops
from converter.keras.operations.arithmetic import nan_to_number
from converter.keras.operations.values import Operand, axis_in, flattened, tensor
from converter.keras.shared.windows import replaced
from converter.model import Value, layers

Function = Callable[..., Any]


def cumulative_sum(o: Ops, x: Operand, axis: Any = 0, exclusive: Any = False, reverse: Any = False) -> Value:
    """Running sums along one axis, or over all elements in a row."""

    def total(value: Value, at: int) -> Value:
        return o.one(layers.CumSum(at), [value], value.shape, value.dtype)

    return _running(o, x, axis, bool(exclusive), bool(reverse), 0.0, total)


def cumulative_product(o: Ops, x: Operand, axis: Any = 0, exclusive: Any = False, reverse: Any = False) -> Value:
    """Running products along one axis of known size, by doubling strides."""

    def total(value: Value, at: int) -> Value:
        size, stride = value.shape[at], 1
        if size is None:
            raise Unsupported("a cumulative product along an axis of open size")
        while stride < size:
            value = o.elementwise("multiply", value, _later(o, value, at, stride, 1.0))
            stride *= 2
        return value

    return _running(o, x, axis, bool(exclusive), bool(reverse), 1.0, total)


def cumulative_without_nan(function: Function) -> Function:
    """A running total of what `nan_to_num` makes of the elements."""
    return lambda o, x, axis=None: function(o, nan_to_number(o, x), axis)


def _running(
    o: Ops, x: Operand, axis: Any, exclusive: bool, reverse: bool, first: float, total: Callable[[Value, int], Value]
) -> Value:
    value = o.cast(tensor(x), "int32") if tensor(x).dtype == "bool" else tensor(x)
    value = flattened(o, value) if axis is None else value
    at = 0 if axis is None else axis_in(axis, len(value.shape))
    value = o.reverse(value, at) if reverse else value
    value = total(_later(o, value, at, 1, first) if exclusive else value, at)
    return o.reverse(value, at) if reverse else value


def _later(o: Ops, x: Value, axis: int, steps: int, first: float) -> Value:
    """x moved along the axis by so many places, `first` in those that come free."""
    pads = tuple((steps if k == axis else 0, 0) for k in range(len(x.shape)))
    size = x.shape[axis]
    shape = replaced(x.shape, [axis], [None if size is None else size + steps])
    return o.slice(o.one(layers.Pad(pads, first), [x], shape, x.dtype), axis, None, -steps)
