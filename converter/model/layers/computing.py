"""Constants, and operators that compute: elementwise, reductions, products."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from converter.model import Weight
from converter.model.activations import Activation


class Activate(Struct, frozen=True):
    """activation(x), elementwise but for softmax and its kin, which work along activation's "axis" (never negative)."""

    activation: Activation


class Constant(Struct, frozen=True, eq=False):
    """No inputs; one output with the weight's values."""

    weight: Weight


ElementwiseOp = Literal[
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "mod", "floor_divide",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor", "arctan2",
]  # fmt: skip


class Elementwise(Struct, frozen=True):
    """`op` of two or more inputs from left to right, broadcast as NumPy does."""

    op: ElementwiseOp


UnaryOp = Literal[
    "abs", "negative", "exp", "log", "sqrt", "rsqrt", "square", "sin", "cos", "tan", "sign", "floor", "ceil",
    "round", "reciprocal", "not", "erf", "isnan", "sinh", "cosh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh",
    "arctanh", "expm1", "log1p",
]  # fmt: skip


class Unary(Struct, frozen=True):
    """`op` of one input, elementwise."""

    op: UnaryOp


class Where(Struct, frozen=True):
    """Inputs condition, a, b: a where condition holds, else b; broadcast."""


class Reduce(Struct, frozen=True):
    """`op` over `axes`. "any" and "all" take and give bool; "argmax", "argmin" (one axis) give int64."""

    op: Literal["sum", "mean", "max", "min", "prod", "any", "all", "argmax", "argmin", "logsumexp"]
    axes: tuple[int, ...]
    keepdims: bool = False


class CumSum(Struct, frozen=True):
    """Cumulative sum along one axis."""

    axis: int


class MatMul(Struct, frozen=True):
    """np.matmul of two inputs (after swapping the last two axes of either, if asked)."""

    transpose_a: bool = False
    transpose_b: bool = False


class Einsum(Struct, frozen=True):
    """np.einsum(equation, *inputs); explicit form ("abc,cd->abd"), no ellipsis."""

    equation: str


class OneHot(Struct, frozen=True):
    """Integer x -> [..., depth] of the output's dtype; zeros where x is out of range."""

    depth: int
