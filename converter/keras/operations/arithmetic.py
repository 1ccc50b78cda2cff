"""Further elementwise operations, by the formulas of keras/src/backend/tensorflow and of TensorFlow's kernels."""

from __future__ import annotations

import math
from typing import Any

from converter.errors import Unsupported, clean
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.operations.values import (
    Operand,
    common_dtype,
    floating,
    floats_together,
    limits,
    number,
    one_integer,
    tensor,
    to_value,
    together,
)
from converter.model import Value
from converter.model.layers import ElementwiseOp, UnaryOp

INF, NAN = float("inf"), float("nan")


def logarithm(base: float) -> Any:
    """log(x) / log(base)."""
    return lambda o, x: o.with_scalar("divide", o.unary("log", floating(o, x)), math.log(base))


def exp2(o: Ops, x: Operand) -> Value:
    """2 to the power of x."""
    value = floating(o, x)
    return o.elementwise("power", o.constant(2.0, value.dtype), value)


def cube_root(o: Ops, x: Operand) -> Value:
    """sign(x)·|x|^(1/3)."""
    value = wide_floating(o, x)
    root = o.with_scalar("power", o.unary("abs", value), 1 / 3)
    return o.elementwise("multiply", o.unary("sign", value), root)


def wide_floating(o: Ops, x: Operand) -> Value:
    """`floating`, for operations that turn int64 into float64."""
    value = tensor(x)
    return o.cast(value, "float64") if value.dtype == "int64" else floating(o, value)


def arctan2(o: Ops, y: Operand, x: Operand) -> Value:
    """The angle of (x, y)."""
    return o.elementwise("arctan2", *floats_together(o, y, x))


def scaled(factor: float) -> Any:
    """x·factor, of degrees and radians."""
    return lambda o, x: o.with_scalar("multiply", wide_floating(o, x), factor)


def truncate(o: Ops, x: Operand) -> Value:
    """Toward zero."""
    value = tensor(x)
    if value.dtype not in FLOATS:
        return value
    below = o.with_scalar("less", value, 0)
    return o.where(below, o.unary("ceil", value), o.unary("floor", value))


def remainder(o: Ops, a: Operand, b: Operand) -> Value:
    """The remainder with the sign of the dividend: sign(a)·mod(|a|, |b|)."""
    x, y = _numbers(o, *together(o, a, b))
    size = o.elementwise("mod", o.unary("abs", x), o.unary("abs", y))
    return o.elementwise("multiply", o.unary("sign", x), size)


def modulo(o: Ops, a: Operand, b: Operand) -> Value:
    """The remainder with the sign of the divisor."""
    return o.elementwise("mod", *_numbers(o, *together(o, a, b)))


def _numbers(o: Ops, *xs: Value) -> list[Value]:
    return [o.cast(x, "int32") if x.dtype == "bool" else x for x in xs]


def hypotenuse(o: Ops, a: Operand, b: Operand) -> Value:
    """max·sqrt(1 + (min/max)²) of |a| and |b|, which does not overflow."""
    x, y = (o.unary("abs", v) for v in _wide_together(o, a, b))
    most, least = o.elementwise("maximum", x, y), o.elementwise("minimum", x, y)
    zero = o.constant(0.0, most.dtype)
    ratio = o.where(o.elementwise("equal", most, zero), zero, o.elementwise("divide", least, most))
    root = o.unary("sqrt", o.with_scalar("add", o.unary("square", ratio), 1))
    return o.elementwise("multiply", most, root)


def _wide_together(o: Ops, a: Operand, b: Operand) -> list[Value]:
    dtype = "float64" if common_dtype(o, [a, b]) == "int64" else None
    x, y = floats_together(o, a, b) if dtype is None else (to_value(o, v, dtype) for v in (a, b))
    return [x, y]


def heaviside(o: Ops, a: Operand, b: Operand) -> Value:
    """0 below zero, 1 above, b at it."""
    x, y = _wide_together(o, a, b)
    zero, one = o.constant(0.0, x.dtype), o.constant(1.0, x.dtype)
    above = o.where(o.elementwise("greater", x, zero), one, y)
    return o.where(o.elementwise("less", x, zero), zero, above)


def sinc(o: Ops, x: Operand) -> Value:
    """sin(πx)/(πx), 1 at 0."""
    value = floating(o, x)
    angle = o.with_scalar("multiply", value, math.pi)
    ratio = o.elementwise("divide", o.unary("sin", angle), angle)
    return o.where(o.with_scalar("equal", value, 0), o.constant(1.0, value.dtype), ratio)


def log_add(base: float = math.e) -> Any:
    """log(baseˣ + baseʸ) from the greater of the two down."""

    def function(o: Ops, a: Operand, b: Operand) -> Value:
        x, y = floats_together(o, a, b)
        delta = o.elementwise("subtract", x, y)
        fall = o.unary("negative", o.unary("abs", delta))
        if base == math.e:
            more = o.unary("log1p", o.unary("exp", fall))
        else:
            fall = o.with_scalar("multiply", fall, math.log(base))
            more = o.with_scalar("divide", o.unary("log1p", o.unary("exp", fall)), math.log(base))
        total = o.elementwise("add", o.elementwise("maximum", x, y), more)
        return o.where(o.unary("isnan", delta), o.elementwise("add", x, y), total)

    return function


def nan_aside(op: ElementwiseOp) -> Any:
    """The maximum or minimum; of NaN and a number it is the number."""

    def function(o: Ops, a: Operand, b: Operand) -> Value:
        x, y = together(o, a, b)
        if x.dtype not in FLOATS:
            return o.elementwise(op, x, y)
        rest = o.where(o.unary("isnan", y), x, o.elementwise(op, x, y))
        return o.where(o.unary("isnan", x), y, rest)

    return function


def infinite(sign: int = 0) -> Any:
    """Whether an element is infinite, of either sign or of one."""

    def function(o: Ops, x: Operand) -> Value:
        value = floating(o, x)
        value = value if sign else o.unary("abs", value)
        return o.with_scalar("equal", value, -INF if sign < 0 else INF)

    return function


def finite(o: Ops, x: Operand) -> Value:
    """Whether an element is neither infinite nor NaN."""
    return o.with_scalar("less", o.unary("abs", floating(o, x)), INF)


def is_close(
    o: Ops, a: Operand, b: Operand, relative: Any = 1e-5, absolute: Any = 1e-8, equal_nan: Any = False
) -> Value:
    """|a - b| <= absolute + relative·|b|; equality of whole numbers."""
    x, y = together(o, a, b)
    if x.dtype not in FLOATS:
        return o.elementwise("equal", x, y)
    far = o.unary("abs", o.elementwise("subtract", x, y))
    share = o.with_scalar("multiply", o.unary("abs", y), number(relative, "rtol"))
    close = o.elementwise("less_equal", far, o.with_scalar("add", share, number(absolute, "atol")))
    if not equal_nan:
        return close
    return o.elementwise("or", close, o.elementwise("and", o.unary("isnan", x), o.unary("isnan", y)))


def all_close(o: Ops, a: Operand, b: Operand, relative: Any, absolute: Any, equal_nan: Any) -> Value:
    """Whether every pair is close."""
    close = is_close(o, a, b, relative, absolute, equal_nan)
    return o.reduce("all", close, range(len(close.shape)))


def nan_to_number(o: Ops, x: Operand, nan: Any = 0.0, above: Any = None, below: Any = None) -> Value:
    """NaN and infinities replaced by numbers: 0 and the greatest and smallest of the dtype."""
    value = tensor(x)
    if value.dtype not in FLOATS:
        return value
    least, most = limits(value.dtype)
    high = most if above is None else number(above, "posinf")
    low = least if below is None else number(below, "neginf")
    value = o.where(o.unary("isnan", value), o.constant(number(nan, "nan"), value.dtype), value)
    value = o.where(o.with_scalar("equal", value, INF), o.constant(high, value.dtype), value)
    return o.where(o.with_scalar("equal", value, -INF), o.constant(low, value.dtype), value)


def sign_bit(o: Ops, x: Operand) -> Value:
    """Whether an element is negative, -0 included."""
    value = o.cast(tensor(x), "int32") if tensor(x).dtype == "bool" else tensor(x)
    below = o.with_scalar("less", value, 0)
    return o.elementwise("or", below, negative_zero(o, value)) if value.dtype in FLOATS else below


def negative_zero(o: Ops, x: Value) -> Value:
    """Whether an element is -0."""
    signed = o.with_scalar("less", o.unary("reciprocal", x), 0)
    return o.elementwise("and", o.with_scalar("equal", x, 0), signed)


def rounded(o: Ops, x: Operand, decimals: Any = 0) -> Value:
    """To so many decimals, halves to even."""
    value, places = tensor(x), one_integer(decimals, "decimals")
    if places == 0 or (value.dtype not in FLOATS and places > 0):
        return o.unary("round", value)
    scale = float(10.0**places)
    large = o.with_scalar("multiply", floating(o, value), scale)
    return o.cast(o.with_scalar("divide", o.unary("round", large), scale), value.dtype)


def invert(o: Ops, x: Operand) -> Value:
    """Every bit turned: -1 - x, or not."""
    value = tensor(x)
    if value.dtype == "bool":
        return o.unary("not", value)
    if not value.dtype.startswith("int"):
        raise Unsupported(f"bitwise not of {clean(value.dtype)}")
    return o.elementwise("subtract", o.constant(-1, value.dtype), value)


def product_no_nan(op: ElementwiseOp, function: UnaryOp | None = None) -> Any:
    """tf.math.xlogy and its kin, a op function(b): 0 where a is 0, whatever b is."""

    def emit(o: Ops, a: Operand, b: Operand) -> Value:
        x, y = together(o, a, b)
        y = y if function is None else o.unary(function, y)
        zero = o.constant(0.0, x.dtype)
        return o.where(o.elementwise("equal", x, zero), zero, o.elementwise(op, x, y))

    return emit


def multiply_no_nan(o: Ops, a: Operand, b: Operand) -> Value:
    """a·b, and 0 where b is 0."""
    x, y = together(o, a, b)
    zero = o.constant(0.0, x.dtype)
    return o.where(o.elementwise("equal", y, zero), zero, o.elementwise("multiply", x, y))


def reciprocal_no_nan(o: Ops, x: Operand) -> Value:
    """1/x, and 0 where x is 0."""
    value = tensor(x)
    zero = o.constant(0.0, value.dtype)
    return o.where(o.elementwise("equal", value, zero), zero, o.unary("reciprocal", value))


def absolute(o: Ops, x: Operand) -> Value:
    """|x|; truth values stay."""
    value = tensor(x)
    return value if value.dtype == "bool" else o.unary("abs", value)


def square(o: Ops, x: Operand) -> Value:
    """x², of truth values as whole numbers."""
    return o.unary("square", *_numbers(o, tensor(x)))
