"""Operations as functions on tensors and constants: arithmetic, comparisons, activations, choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.operations.values import (
    Keras3Ops,
    Operand,
    axis_in,
    common_dtype,
    floating,
    floats_together,
    limits,
    number,
    tensor,
    to_value,
    together,
)
from converter.model import Value, dtype_of
from converter.model.activations import Activation
from converter.model.layers import ElementwiseOp, UnaryOp

Function = Callable[..., Any]  # (Ops, *operands) -> a Value, or a tuple of them
ON_FLOATS = frozenset({
    "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tan", "erf", "reciprocal", "sinh", "cosh", "arcsin", "arccos",
    "arctan", "arcsinh", "arccosh", "arctanh", "expm1", "log1p",
})  # fmt: skip


def binary(op: ElementwiseOp) -> Function:
    """Arithmetic or a comparison of two operands."""

    def function(o: Ops, a: Operand, b: Operand) -> Value:
        return o.elementwise(op, *together(o, a, b))

    return function


TURNED: Mapping[ElementwiseOp, ElementwiseOp] = {
    "equal": "equal", "not_equal": "not_equal", "less": "greater", "greater": "less", "less_equal": "greater_equal",
    "greater_equal": "less_equal",
}  # fmt: skip


def compared(op: ElementwiseOp) -> Function:
    """A comparison of keras.ops, which make a number a float32 tensor first, whatever it is compared with.

    Source: equal, not_equal, less, ... in keras/src/backend/tensorflow/numpy.py, the same in the other backends.
    """

    def function(o: Ops, a: Operand, b: Operand) -> Value:
        if isinstance(b, float) and isinstance(a, Value) and a.dtype in FLOATS:
            return o.against_single(op, a, b)
        if isinstance(a, float) and isinstance(b, Value) and b.dtype in FLOATS:
            return o.against_single(TURNED[op], b, a)
        return o.elementwise(op, *together(o, a, b))

    return function


def divide(o: Ops, a: Operand, b: Operand) -> Value:
    """True division; Keras divides integers as float32."""
    return o.elementwise("divide", *floats_together(o, a, b))


TRUEDIV = {**dict.fromkeys(("int8", "uint8", "int16", "uint16"), "float32"), "int32": "float64", "int64": "float64"}


def true_divide(o: Ops, a: Operand, b: Operand) -> Value:
    """tf.truediv: integers become float64, small ones float32 (tensorflow/python/ops/math_ops.py)."""
    dtype = common_dtype(o, [a, b])
    dtype = TRUEDIV.get(dtype, dtype)
    return o.elementwise("divide", to_value(o, a, dtype), to_value(o, b, dtype))


def divide_no_nan(o: Ops, a: Operand, b: Operand) -> Value:
    """a / b, and 0 where b is 0; TensorFlow takes floating numbers, keras.ops makes them of whole ones."""
    x, y = floats_together(o, a, b)
    zero = o.constant(0.0, y.dtype)
    return o.where(o.elementwise("equal", y, zero), o.constant(0.0, x.dtype), o.elementwise("divide", x, y))


def logical(op: ElementwiseOp) -> Function:
    """and, or, xor of operands as truth values."""

    def function(o: Ops, a: Operand, b: Operand) -> Value:
        return o.elementwise(op, to_value(o, a, "bool"), to_value(o, b, "bool"))

    return function


def logical_not(o: Ops, x: Operand) -> Value:
    """Negation of a truth value."""
    return o.unary("not", to_value(o, tensor(x), "bool"))


def squared_difference(o: Ops, a: Operand, b: Operand) -> Value:
    """(a - b)²."""
    return o.unary("square", o.elementwise("subtract", *together(o, a, b)))


def add_n(o: Ops, xs: Sequence[Operand]) -> Value:
    """The sum of a list."""
    return o.elementwise("add", *together(o, *xs)) if len(xs) > 1 else tensor(xs[0])


def unary(op: UnaryOp) -> Function:
    """An elementwise function."""

    def function(o: Ops, x: Operand) -> Value:
        return o.unary(op, floating(o, x) if op in ON_FLOATS else tensor(x))

    return function


def activation(name: str, *fixed: float) -> Function:
    """An activation whose parameters are fixed."""
    return lambda o, x: o.activate(floating(o, x), Activation(name, fixed))


def with_parameter(name: str, default: float | None = None) -> Function:
    """An activation of one parameter that the operation gives: a slope, a threshold."""

    def function(o: Ops, x: Operand, parameter: Any = default) -> Value:
        if not isinstance(parameter, int | float):
            raise Unsupported(f"{name} with {clean(parameter, 40)}")
        return o.activate(floating(o, x), Activation(name, (float(parameter),)))

    return function


def _along(name: str) -> Function:
    def function(o: Ops, x: Operand, axis: Any = -1) -> Value:
        value = floating(o, x)
        if axis is None and isinstance(o, Keras3Ops):  # TensorFlow takes None as -1
            return _over(o, name, value, range(len(value.shape)))
        given = [-1] if axis is None else axis if isinstance(axis, list | tuple) else [axis]
        axes = [axis_in(a, len(value.shape)) for a in given]
        if len(axes) > 1:
            return _over(o, name, value, axes)
        return o.activate(value, Activation(name, tuple(axes)))

    return function


def _over(o: Ops, name: str, x: Value, axes: Sequence[int]) -> Value:
    """Softmax or its logarithm over several axes together."""
    below = o.elementwise("subtract", x, o.reduce("max", x, axes, keepdims=True))
    powers = o.unary("exp", below)
    total = o.reduce("sum", powers, axes, keepdims=True)
    if name == "softmax":
        return o.elementwise("divide", powers, total)
    if name == "log_softmax":
        return o.elementwise("subtract", below, o.unary("log", total))
    raise Unsupported(f"{name} over several axes together")


softmax, log_softmax = _along("softmax"), _along("log_softmax")
sparsemax, glu = _along("sparsemax"), _along("glu")


def relu(o: Ops, x: Operand, slope: Any = 0.0, maximum: Any = None, threshold: Any = 0.0) -> Value:
    """keras.activations.relu."""
    bound = float("inf") if maximum is None else number(maximum, "a maximum")
    parameters = (number(slope, "a slope"), bound, number(threshold, "a threshold"))
    return o.activate(floating(o, x), Activation("relu", parameters))


def gelu(o: Ops, x: Operand, approximate: Any = False) -> Value:
    """Gaussian error linear unit, exact or by tanh."""
    return o.activate(floating(o, x), Activation("gelu", (float(bool(approximate)),)))


def clip(o: Ops, x: Operand, low: Operand, high: Operand) -> Value:
    """x bounded below and above."""
    value = tensor(x)
    if low is not None:
        value = o.elementwise("maximum", *together(o, value, low))
    return value if high is None else o.elementwise("minimum", *together(o, value, high))


def where(o: Ops, condition: Operand, a: Operand = None, b: Operand = None) -> Value:
    """a where condition holds, else b."""
    if a is None or b is None:
        raise Unsupported("where with a condition alone")
    x, y = together(o, a, b)
    return o.where(to_value(o, condition, "bool"), x, y)


def select(o: Ops, condition: Operand, a: Operand, b: Operand) -> Value:
    """TensorFlow 1's where, which takes a condition of the same shape; of one axis it would pick rows."""
    if len(tensor(condition).shape) != len(tensor(a).shape):
        raise Unsupported("Select by a condition of fewer axes")
    return where(o, condition, a, b)


def cast(o: Ops, x: Operand, dtype: Any) -> Value:
    """To another dtype."""
    return o.cast(tensor(x), dtype_name(dtype))


def dtype_name(dtype: Any) -> str:
    """A dtype that values can be cast to.

    Raises:
        Unsupported: another one.
    """
    if not isinstance(dtype, str) or dtype not in {*FLOATS, "bool", "uint8", "int8", "int16", "int32", "int64"}:
        raise Unsupported(f"a cast to {clean(dtype, 40)}")
    return dtype


def bias_add(o: Ops, x: Operand, bias: Operand, data_format: Any = None) -> Value:
    """tf.nn.bias_add with the channels last."""
    if data_format not in (None, "NHWC", "channels_last", "N...C"):
        raise Unsupported(f"bias_add with data_format {clean(data_format)}")
    return o.elementwise("add", *together(o, x, bias))


def optional_cast(o: Ops, x: Operand, dtype: Any = None) -> Value:
    """To another dtype, if one is named."""
    return tensor(x) if dtype is None else cast(o, x, dtype)


def saturate_cast(o: Ops, x: Operand, dtype: Any) -> Value:
    """To whole numbers of another dtype, or between floats, what lies outside at the nearest that fits."""
    value, target = tensor(x), dtype_name(dtype)
    if "bool" in (value.dtype, target):
        return o.cast(value, target)
    own, wanted = limits(value.dtype), limits(target)
    low = _inside(o, max(own[0], wanted[0]), wanted, value.dtype)
    high = _inside(o, min(own[1], wanted[1]), wanted, value.dtype)
    return o.cast(o.elementwise("minimum", o.elementwise("maximum", value, low), high), target)


def _inside(o: Ops, bound: Any, wanted: tuple[Any, Any], dtype: str) -> Value:
    """A bound in `dtype`, moved toward 0 where rounding took it outside of what is wanted."""
    number = np.asarray(bound).astype(dtype_of(dtype))
    if not wanted[0] <= number.item() <= wanted[1]:
        number = np.nextafter(number, np.zeros((), number.dtype))
    return o.constant(number, dtype)


def threshold(o: Ops, x: Operand, least: Any, otherwise: Any) -> Value:
    """x where it is above a number, else another number."""
    parameters = (number(least, "a threshold"), number(otherwise, "a value"))
    return o.activate(floating(o, x), Activation("threshold", parameters))


def choose(o: Ops, conditions: Sequence[Operand], choices: Sequence[Operand], default: Operand = 0) -> Value:
    """np.select: the choice of the first condition that holds."""
    if len(conditions) != len(choices) or not choices:
        raise InvalidModel(f"select with {len(conditions)} conditions and {len(choices)} choices")
    *values, result = together(o, *choices, default)
    for condition, value in zip(reversed(conditions), reversed(values), strict=True):
        result = o.where(to_value(o, condition, "bool"), value, result)
    return result
