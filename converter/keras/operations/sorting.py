"""Operations that order values: sorting, the greatest, quantiles, places in a sorted list.

Equal elements keep the order they are in, as TensorFlow's TopK and ONNX's have it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import Ops
from converter.keras.operations.arithmetic import NAN
from converter.keras.operations.indexing import take
from converter.keras.operations.reductions import axes_of
from converter.keras.operations.shapes import move_axes
from converter.keras.operations.values import (
    Operand,
    array_of,
    axis_in,
    flattened,
    floating,
    one_integer,
    tensor,
    together,
)
from converter.keras.shared.windows import replaced
from converter.model import Value, layers


def order(o: Ops, x: Value, axis: int, descending: bool, count: int | None = None) -> Value:
    """The indices that sort along an axis, int64."""
    size = x.shape[axis]
    if count is not None and (count < 1 or (size is not None and count > size)):
        raise InvalidModel(f"the first {count} of {size} elements")
    shape = replaced(x.shape, [axis], [size if count is None else count])
    return o.one(layers.ArgSort(axis, descending, count), [x], shape, "int64")


def _direction(direction: Any) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise InvalidModel(f"sorting {clean(direction)}")
    return bool(direction == "DESCENDING")


def argsort(o: Ops, x: Operand, axis: Any = -1, direction: Any = "ASCENDING") -> Value:
    """The places of the elements in order, int32."""
    value = flattened(o, tensor(x)) if axis is None else tensor(x)
    at = 0 if axis is None else axis_in(axis, len(value.shape))
    return o.cast(order(o, value, at, _direction(direction)), "int32")


def sort(o: Ops, x: Operand, axis: Any = -1, direction: Any = "ASCENDING") -> Value:
    """The elements in order."""
    value = flattened(o, tensor(x)) if axis is None else tensor(x)
    at = 0 if axis is None else axis_in(axis, len(value.shape))
    return o.one(layers.TakeAlong(at), [value, order(o, value, at, _direction(direction))], value.shape, value.dtype)


def top_k(o: Ops, x: Operand, k: Any = 1, in_order: Any = True) -> tuple[Value, Value]:
    """The k greatest along the last axis, and their places."""
    if not in_order:
        raise Unsupported("top_k in no order (sorted=False)")
    value = tensor(x)
    if not value.shape:
        raise InvalidModel("top_k of a scalar")
    at = len(value.shape) - 1
    places = order(o, value, at, True, one_integer(k, "k"))
    return o.one(layers.TakeAlong(at), [value, places], places.shape, value.dtype), o.cast(places, "int32")


def quantile(o: Ops, x: Operand, q: Operand, axis: Any = None, method: Any = "linear", keepdims: Any = False) -> Value:
    """What lies so far up the sorted elements, as keras/src/backend/tensorflow/numpy.py computes it."""
    return _quantile(o, x, array_of(q).astype(np.float32), axis, method, bool(keepdims))


def percentile(
    o: Ops, x: Operand, q: Operand, axis: Any = None, method: Any = "linear", keepdims: Any = False
) -> Value:
    """`quantile` of hundredths."""
    return _quantile(o, x, array_of(q).astype(np.float32) / np.float32(100), axis, method, bool(keepdims))


def median(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The middle of the sorted elements, or the mean of the two there."""
    return _quantile(o, x, np.asarray(0.5, np.float32), axis, "linear", bool(keepdims))


def _quantile(o: Ops, x: Operand, q: Any, axis: Any, method: Any, keepdims: bool) -> Value:
    value = floating(o, x)
    axes = axes_of(value, axis)
    rest = [k for k in range(len(value.shape)) if k not in axes]
    sizes = [value.shape[k] for k in axes]
    if None in sizes or len(q.shape) > 1:
        raise Unsupported(f"quantiles of a tensor of shape {value.shape} over axes {axes}")
    total = int(np.prod([n for n in sizes if n is not None]))
    moved = o.transpose(value, [*rest, *axes])
    shape = (*(value.shape[k] for k in rest), total)
    flat = o.reshape(moved, [*[0] * len(rest), total], shape) if len(axes) > 1 else moved
    found = _between(o, sort(o, flat), total, q.astype(np.float64), str(method))
    nan = o.reduce("any", o.unary("isnan", flat), [len(rest)], keepdims=bool(q.shape))
    found = o.where(nan, o.constant(NAN, found.dtype), found)
    if keepdims:
        for k in sorted(axes):
            found = o.expand_dims(found, k)
    return move_axes(o, found, [-1], [0]) if q.shape else found


def _between(o: Ops, ordered: Value, total: int, q: Any, method: str) -> Value:
    """The elements, or what lies between two of them, at q·(total - 1) of the last axis."""
    exact = (total - 1) * q
    places = {"lower": np.floor(exact), "higher": np.ceil(exact), "nearest": np.round(exact)}

    def at(places: Any) -> Value:
        return take(o, ordered, np.clip(places, 0, total - 1).astype(np.int64), -1)

    if method in places:
        return at(places[method])
    if method == "midpoint":
        both = o.elementwise("add", at(places["lower"]), at(places["higher"]))
        return o.with_scalar("multiply", both, 0.5)
    if method != "linear":
        raise Unsupported(f"quantiles by method {clean(method)}")
    below = np.maximum(np.clip(places["higher"], 0, total - 1) - 1, 0)
    above = np.minimum(below + 1, total - 1)
    fraction = o.constant(above - exact, ordered.dtype)
    share = o.elementwise("subtract", o.constant(1.0, ordered.dtype), fraction)
    upper, lower = o.elementwise("multiply", at(above), share), o.elementwise("multiply", at(below), fraction)
    return o.elementwise("add", upper, lower)


def _count(o: Ops, found: Value) -> Value:
    return o.reduce("sum", o.cast(found, "int32"), [-1])


def digitize(o: Ops, x: Operand, bins: Operand) -> Value:
    """How many of the ascending `bins` are not above each element."""
    value = tensor(x) if tensor(x).dtype == "float64" else o.cast(tensor(x), "float32")
    edges = o.constant(array_of(bins).astype(np.float32), value.dtype)
    return _count(o, o.elementwise("greater_equal", o.expand_dims(value, -1), edges))


def search_sorted(o: Ops, ordered: Operand, values: Operand, side: Any = "left") -> Value:
    """Where each value would be in an ascending vector."""
    sequence, value = together(o, ordered, values)
    if len(sequence.shape) != 1:
        raise Unsupported("searchsorted in more than a vector")
    op = {"left": "less", "right": "less_equal"}.get(str(side))
    if op is None:
        raise InvalidModel(f"searchsorted on side {clean(side)}")
    return _count(o, o.elementwise(op, sequence, o.expand_dims(value, -1)))  # type: ignore[arg-type]


def is_in(o: Ops, x: Operand, members: Operand, unique: Any = False, invert: Any = False) -> Value:
    """Whether each element is among the members."""
    value, among = together(o, x, members)
    same = o.elementwise("equal", o.expand_dims(value, -1), flattened(o, among))
    found = o.reduce("any", same, [-1])
    return o.unary("not", found) if invert else found
