"""Operations as functions on tensors and constants: arithmetic, functions, reductions, products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from converter import layers
from converter.activations import Activation
from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.layers.einsum import einsum as emit_einsum
from converter.keras.layers.op_values import (
    Operand,
    axis_in,
    common_dtype,
    floating,
    number,
    one_integer,
    tensor,
    to_value,
    together,
)
from converter.keras.ops import FLOATS, Ops
from converter.layers import ElementwiseOp, UnaryOp
from converter.model import Value

Function = Callable[..., Any]  # (Ops, *operands) -> a Value, or a tuple of them
ON_FLOATS = frozenset({"exp", "log", "sqrt", "rsqrt", "sin", "cos", "tan", "erf", "reciprocal"})


def binary(op: ElementwiseOp) -> Function:
    """Arithmetic or a comparison of two operands."""

    def function(o: Ops, a: Operand, b: Operand) -> Value:
        return o.elementwise(op, *together(o, a, b))

    return function


def divide(o: Ops, a: Operand, b: Operand) -> Value:
    """True division; Keras divides integers as float32."""
    dtype = common_dtype([a, b])
    if dtype not in FLOATS:
        dtype = "float32"
    return o.elementwise("divide", to_value(o, a, dtype), to_value(o, b, dtype))


def divide_floats(o: Ops, a: Operand, b: Operand) -> Value:
    """tf.truediv; of integers it gives float64, which is refused."""
    if common_dtype([a, b]) not in FLOATS:
        raise Unsupported("tf.truediv of integers")
    return divide(o, a, b)


def divide_no_nan(o: Ops, a: Operand, b: Operand) -> Value:
    """a / b, and 0 where b is 0."""
    x, y = together(o, a, b)
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
        given = axis[0] if isinstance(axis, list) and len(axis) == 1 else -1 if axis is None else axis
        return o.activate(value, Activation(name, (axis_in(given, len(value.shape)),)))

    return function


softmax, log_softmax = _along("softmax"), _along("log_softmax")


def relu(o: Ops, x: Operand, slope: Any = 0.0, maximum: Any = None, threshold: Any = 0.0) -> Value:
    """keras.activations.relu."""
    bound = float("inf") if maximum is None else number(maximum, "a maximum")
    parameters = (number(slope, "a slope"), bound, number(threshold, "a threshold"))
    return o.activate(floating(o, x), Activation("relu", parameters))


def gelu(o: Ops, x: Operand, approximate: Any) -> Value:
    """Gaussian error linear unit, exact or by tanh."""
    return o.activate(floating(o, x), Activation("gelu", (float(bool(approximate)),)))


def clip(o: Ops, x: Operand, low: Operand, high: Operand) -> Value:
    """x bounded below and above."""
    value = tensor(x)
    if low is not None:
        value = o.elementwise("maximum", *together(o, value, low))
    return value if high is None else o.elementwise("minimum", *together(o, value, high))


def axes_of(x: Value, axis: Any) -> list[int]:
    """The axes of a reduction; None means all."""
    if axis is None:
        return list(range(len(x.shape)))
    found = [axis_in(a, len(x.shape)) for a in (axis if isinstance(axis, list | tuple) else [axis])]
    if len(set(found)) != len(found):
        raise InvalidModel(f"an axis twice in {clean(axis)}")
    return found


def reduction(op: str) -> Function:
    """A reduction over axes. Truth values are counted; means and log-sums of integers are floating."""

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        value = tensor(x)
        if op in {"any", "all"}:
            value = o.cast(value, "bool")
        elif op in {"mean", "logsumexp"}:
            value = floating(o, value)
        elif value.dtype == "bool":
            value = o.cast(value, "int32")
        axes = axes_of(value, axis)
        return o.reduce(op, value, axes, bool(keepdims)) if axes else value

    return function


def variance(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The mean squared distance from the mean."""
    value = floating(o, x)
    axes = axes_of(value, axis)
    centred = o.elementwise("subtract", value, o.reduce("mean", value, axes, keepdims=True))
    return o.reduce("mean", o.unary("square", centred), axes, bool(keepdims))


def deviation(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """The square root of `variance`."""
    return o.unary("sqrt", variance(o, x, axis, keepdims))


def average(o: Ops, x: Operand, weights: Operand = None, axis: Any = None) -> Value:
    """The mean; weights are not supported."""
    if weights is not None:
        raise Unsupported("a weighted average")
    mean: Value = reduction("mean")(o, x, axis)
    return mean


def arg(op: str, dtype: str) -> Function:
    """The place of an extreme along one axis, as `dtype`."""

    def function(o: Ops, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        if axis is None:
            raise Unsupported(f"{op} over all axes at once")
        value = tensor(x)
        return o.cast(o.reduce(op, value, [axis_in(axis, len(value.shape))], bool(keepdims)), dtype)

    return function


def cumulative_sum(o: Ops, x: Operand, axis: Any = 0, exclusive: Any = False, reverse: Any = False) -> Value:
    """Running sums along one axis."""
    value = tensor(x)
    if exclusive or reverse or axis is None:
        raise Unsupported("a cumulative sum that is exclusive, reversed or over all axes")
    return o.one(layers.CumSum(axis_in(axis, len(value.shape))), [value], value.shape, value.dtype)


def l2_normalize(o: Ops, x: Operand, axis: Any = None, epsilon: Any = 1e-12) -> Value:
    """x / sqrt(max(sum(x²), epsilon)) (tf.math.l2_normalize)."""
    value = floating(o, x)
    squares = o.reduce("sum", o.unary("square", value), axes_of(value, axis), keepdims=True)
    return o.elementwise(
        "multiply", value, o.unary("rsqrt", o.with_scalar("maximum", squares, number(epsilon, "epsilon")))
    )


def normalize(o: Ops, x: Operand, axis: Any = -1, order: Any = 2, epsilon: Any = None) -> Value:
    """keras.ops.normalize of order 2: the norm is at least epsilon."""
    if one_integer(order, "order") != 2:
        raise Unsupported(f"normalize with order {clean(order)}")
    return l2_normalize(o, x, axis, (1e-7 if epsilon is None else number(epsilon, "epsilon")) ** 2)


def matmul(o: Ops, a: Operand, b: Operand, transpose_a: Any = False, transpose_b: Any = False) -> Value:
    """Matrix product over the last two axes."""
    x, y = together(o, a, b)
    if min(len(x.shape), len(y.shape)) < 2:
        raise Unsupported(f"a matrix product of shapes {x.shape} and {y.shape}")
    return o.matmul(x, y, bool(transpose_a), bool(transpose_b))


def dot(o: Ops, a: Operand, b: Operand) -> Value:
    """np.dot, where it is a matrix product."""
    x, y = together(o, a, b)
    if len(y.shape) != 2 or len(x.shape) < 2:
        raise Unsupported(f"a dot product of shapes {x.shape} and {y.shape}")
    return o.matmul(x, y)


def einsum(o: Ops, *arguments: Any) -> Value:
    """np.einsum(equation, *operands)."""
    equation, *operands = arguments
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    if not isinstance(equation, str):
        raise InvalidModel(f"{clean(equation)} is no einsum equation")
    return emit_einsum(o, equation, together(o, *operands))


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
    name = dtype if isinstance(dtype, str) else ""
    if name not in {*FLOATS, "bool", "uint8", "int8", "int16", "int32", "int64"}:
        raise Unsupported(f"a cast to {clean(dtype, 40)}")
    return o.cast(tensor(x), name)


def converted(o: Ops, x: Operand, dtype: Any = None) -> Value:
    """To another dtype, or none."""
    return tensor(x) if dtype is None else cast(o, x, dtype)


def bias_add(o: Ops, x: Operand, bias: Operand, data_format: Any = None) -> Value:
    """tf.nn.bias_add with the channels last."""
    if data_format not in (None, "NHWC", "channels_last", "N...C"):
        raise Unsupported(f"bias_add with data_format {clean(data_format)}")
    return o.elementwise("add", *together(o, x, bias))
