"""Operations that reduce tensors along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.operations.arithmetic import INF, NAN, negative_zero
from converter.keras.operations.values import (
    Keras3Ops,
    Operand,
    axis_in,
    flattened,
    floating,
    floats_together,
    number,
    one_integer,
    tensor,
)
from converter.keras.shared.windows import replaced
from converter.model import Value

Function = Callable[..., Any]
# keras.ops.sum and prod widen small integers (keras/src/backend/tensorflow/numpy.py); TensorFlow's own keep them.
WIDENED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}
EMPTY = {"sum": 0.0, "prod": 1.0, "max": -INF, "min": INF}  # what a reduction starts from


def axes_of(x: Value, axis: Any) -> list[int]:
    """The axes of a reduction; None means all."""
    if axis is None:
        return list(range(len(x.shape)))
    given = axis.tolist() if isinstance(axis, np.ndarray) else axis
    found = [axis_in(a, len(x.shape)) for a in (given if isinstance(given, list | tuple) else [given])]
    if len(set(found)) != len(found):
        raise InvalidModel(f"an axis twice in {clean(axis)}")
    return found


def reduced(o: Ops, op: str, x: Value, axis: Any, keepdims: Any) -> Value:
    """The reduction, or x itself where there is no axis to reduce."""
    axes = axes_of(x, axis)
    return o.reduce(op, x, axes, bool(keepdims)) if axes else x


def reduction(op: str) -> Function:
    """A reduction over axes, from an initial value if one is given. Means and log-sums of integers are floating."""

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False, initial: Any = None) -> Value:
        value, kind = tensor(x), op
        if value.dtype == "bool" and op in {"max", "min"} and initial is None:
            kind = {"max": "any", "min": "all"}[op]
        if kind in {"any", "all"}:
            value = o.cast(value, "bool")
        elif kind in {"mean", "logsumexp"}:
            value = floating(o, value)
        elif kind in {"sum", "prod"} and isinstance(o, Keras3Ops):
            value = o.cast(value, WIDENED.get(value.dtype, value.dtype))
        result = reduced(o, kind, value, axis, keepdims)
        if initial is None:
            return result
        if value.dtype == "bool" or op not in {"max", "min"}:
            raise Unsupported(f"{op} of {value.dtype} with an initial value")
        more = o.constant(number(initial, "an initial value"), result.dtype)
        return o.elementwise("maximum" if op == "max" else "minimum", result, more)

    return function


def typed(op: str) -> Function:
    """`reduction` in a dtype that is named."""

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False, dtype: Any = None) -> Value:
        result: Value = reduction(op)(o, x, axis, keepdims)
        if dtype not in (None, result.dtype):
            raise Unsupported(f"{op} as {clean(dtype)}")
        return result

    return function


def variance(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The mean squared distance from the mean."""
    value = floating(o, x)
    axes = axes_of(value, axis)
    centered = o.elementwise("subtract", value, o.reduce("mean", value, axes, keepdims=True))
    return o.reduce("mean", o.unary("square", centered), axes, bool(keepdims))


def deviation(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The square root of `variance`."""
    return o.unary("sqrt", variance(o, x, axis, keepdims))


def moments(o: Ops, x: Operand, axis: Any, keepdims: Any = False, *unused: Any) -> tuple[Value, Value]:
    """Mean and variance."""
    value = floating(o, x)
    return reduced(o, "mean", value, axis, keepdims), variance(o, value, axis, keepdims)


def average(o: Ops, x: Operand, weights: Operand = None, axis: Any = None) -> Value:
    """The mean, or the weighted mean, by weights of x's shape or of the size of the one axis."""
    if weights is None:
        return reduced(o, "mean", floating(o, x), axis, False)
    value, weight = floats_together(o, x, weights)
    if len(weight.shape) != len(value.shape):
        if len(weight.shape) != 1 or axis is None:
            raise Unsupported(f"weights of shape {weight.shape} for a tensor of shape {value.shape}")
        shape = replaced((1,) * len(value.shape), [axis_in(axis, len(value.shape))], weight.shape)
        weight = o.reshape(weight, [-1 if n is None else n for n in shape], shape)
    total = reduced(o, "sum", o.elementwise("multiply", value, weight), axis, False)
    return o.elementwise("divide", total, reduced(o, "sum", weight, axis, False))


def arg(op: str, dtype: str) -> Function:
    """The place of the first extreme along one axis, or of all elements in a row, as `dtype`.

    keras.ops takes -0 as less than 0 (keras/src/backend/tensorflow/numpy.py).
    """

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False, output: Any = None) -> Value:
        value = tensor(x)
        rank = len(value.shape)
        if isinstance(o, Keras3Ops) and value.dtype in FLOATS:
            tiny = o.constant(-float(np.finfo(np.float32).tiny), value.dtype)
            value = o.where(negative_zero(o, value), tiny, value)
        value = flattened(o, value) if axis is None else value
        at = 0 if axis is None else axis_in(axis, rank)
        found = o.cast(o.reduce(op, value, [at], bool(keepdims) and axis is not None), output or dtype)
        return o.reshape(found, [1] * rank, (1,) * rank) if axis is None and keepdims else found

    return function


def count_nonzero(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False, dtype: Any = "int32") -> Value:
    """How many elements are not 0."""
    return reduced(o, "sum", o.cast(o.cast(tensor(x), "bool"), str(dtype)), axis, keepdims)


def span(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Maximum minus minimum."""
    value = tensor(x)
    most, least = (reduced(o, op, value, axis, keepdims) for op in ("max", "min"))
    return o.elementwise("subtract", most, least)


# --- where NaN does not count -----------------------------------------------------------------------------------------


def without_nan(op: str) -> Function:
    """A sum, product, maximum or minimum of the elements that are not NaN; an extreme of none is NaN."""

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        value = tensor(x)
        if value.dtype not in FLOATS:
            plain: Value = reduction(op)(o, value, axis, keepdims)
            return plain
        missing = o.unary("isnan", value)
        filled = o.where(missing, o.constant(EMPTY[op], value.dtype), value)
        result = reduced(o, op, filled, axis, keepdims)
        if op in {"sum", "prod"}:
            return result
        return o.where(reduced(o, "all", missing, axis, keepdims), o.constant(NAN, result.dtype), result)

    return function


def mean_without_nan(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The mean of the elements that are not NaN; 0/0 of none."""
    value = floating(o, x)
    present = o.cast(o.unary("not", o.unary("isnan", value)), value.dtype)
    total: Value = without_nan("sum")(o, value, axis, keepdims)
    return o.elementwise("divide", total, reduced(o, "sum", present, axis, keepdims))


def variance_without_nan(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The mean squared distance of the elements that are not NaN from their mean."""
    value = floating(o, x)
    missing = o.unary("isnan", value)
    centered = o.elementwise("subtract", value, mean_without_nan(o, value, axis, True))
    squares = o.unary("square", o.where(missing, o.constant(0.0, value.dtype), centered))
    present = o.cast(o.unary("not", missing), value.dtype)
    total = reduced(o, "sum", squares, axis, keepdims)
    return o.elementwise("divide", total, reduced(o, "sum", present, axis, keepdims))


def deviation_without_nan(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The square root of `variance_without_nan`."""
    return o.unary("sqrt", variance_without_nan(o, x, axis, keepdims))


def arg_without_nan(op: str) -> Function:
    """The place of an extreme among what is not NaN; -1 where all is."""

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        value = tensor(x)
        if value.dtype not in FLOATS:
            plain: Value = arg(op, "int32")(o, value, axis, keepdims)
            return plain
        missing = o.unary("isnan", value)
        filled = o.where(missing, o.constant(-INF if op == "argmax" else INF, value.dtype), value)
        found = arg(op, "int32")(o, filled, axis, keepdims)
        return o.where(reduced(o, "all", missing, axis, keepdims), o.constant(-1, "int32"), found)

    return function


# --- norms ------------------------------------------------------------------------------------------------------------


def l2_normalize(o: Ops, x: Operand, axis: Any = None, epsilon: Any = 1e-12) -> Value:
    """x / sqrt(max(sum(x²), epsilon)) (tf.math.l2_normalize)."""
    value = floating(o, x)
    squares = o.reduce("sum", o.unary("square", value), axes_of(value, axis), keepdims=True)
    return o.elementwise(
        "multiply", value, o.unary("rsqrt", o.with_scalar("maximum", squares, number(epsilon, "epsilon")))
    )


def normalize(o: Ops, x: Operand, axis: Any = -1, order: Any = 2, epsilon: Any = None) -> Value:
    """keras.ops.normalize: x / max(norm, epsilon)."""
    power, least = one_integer(order, "order"), 1e-7 if epsilon is None else number(epsilon, "epsilon")
    if power == 2:
        return l2_normalize(o, x, axis, least**2)
    value = floating(o, x)
    return o.elementwise("divide", value, o.with_scalar("maximum", norm(o, value, power, axis, True), least))


def norm(o: Ops, x: Operand, order: Any = None, axis: Any = None, keepdims: Any = False) -> Value:
    """np.linalg.norm of vectors of any finite order, and of matrices by their elements or columns."""
    value = floating(o, x)
    axes = axes_of(value, axis)
    if order in (None, "fro", "euclidean") or (order == 2 and len(axes) == 1):
        return o.unary("sqrt", o.reduce("sum", o.unary("square", value), axes, bool(keepdims)))
    size = o.unary("abs", value)
    power = number(order, "a norm's order")
    if len(axes) == 1:
        return _vector_norm(o, size, power, axes, bool(keepdims))
    if len(axes) != 2 or abs(power) != 1:
        raise Unsupported(f"a norm of order {clean(order)} over axes {clean(axis)}")
    sums = o.reduce("sum", size, axes[:1], keepdims=True)
    extreme = o.reduce("max" if power > 0 else "min", sums, axes[1:], keepdims=True)
    return extreme if keepdims else squeezed(o, extreme, axes)


def _vector_norm(o: Ops, size: Value, power: float, axes: list[int], keepdims: bool) -> Value:
    if power == 0:
        return o.reduce("sum", o.cast(o.with_scalar("not_equal", size, 0), size.dtype), axes, keepdims)
    return o.with_scalar("power", o.reduce("sum", o.with_scalar("power", size, power), axes, keepdims), 1 / power)


def squeezed(o: Ops, x: Value, axes: list[int]) -> Value:
    """Without these axes of size 1."""
    for axis in sorted(axes, reverse=True):
        x = o.squeeze(x, axis)
    return x
