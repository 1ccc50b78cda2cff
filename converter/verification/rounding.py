"""How far a right evaluation in some precision may be from the exact one: what rounding and kernels add, never more.

u is the unit roundoff of the type computed in. A sum of n products is off by at most about u·√n of the products' norms
(the errors of n roundings are independent; Higham and Mary 2019, "A new approach to probabilistic rounding error
analysis"). An activation adds what its kernel is off by, and carries on what its argument was off by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import reference_lstm
from converter.model import Array
from converter.model.activations import FUNCTIONS, Activation
from converter.verification.coverage import observe

# A little more than 2^-p: a result that is rounded twice, through a wider type, may be off by so much.
UNIT = {"float16": 2.0**-11 * 1.001, "float32": 2.0**-24 * 1.001, "float64": 2.0**-53 * 1.001,
        "bfloat16": 2.0**-24 * 1.001}  # fmt: skip
# What becomes zero on its way: onnxruntime may take numbers below the normal ones as zeros.
TINY = {"float16": 2.0**-23, "float32": 2.0**-125, "float64": 2.0**-1000, "bfloat16": 2.0**-125}


@dataclass(frozen=True)
class Kernels:
    """What a runtime's kernels do otherwise than onnxruntime's.

    Attributes:
        bias_first: products are added to the bias, one by one, where it is not added to their sum.
        flushes: any operator may take numbers below the normal ones as zeros, those that only compare or pick too.
        unary: by operator what it is off by at most, of its argument and its result, in units of u.
    """

    bias_first: bool = False
    flushes: bool = False
    unary: Mapping[str, Callable[[Array, Array], Any]] = field(default_factory=dict)


ONNXRUNTIME = Kernels()
KERNELS_OF: ContextVar[Kernels] = ContextVar("KERNELS_OF", default=ONNXRUNTIME)
"""Of the runtime whose results are compared."""


@dataclass(frozen=True)
class Near:
    """Exact values, and by how much those of a right evaluation may differ from each."""

    value: Array
    error: Array | float = 0.0

    def plus(self, other: Near, u: float) -> Near:
        """The sum, rounded."""
        total = self.value + other.value
        return Near(total, _in_range(total, self.error + other.error + u * np.abs(total), u))

    def times(self, other: Near, u: float) -> Near:
        """The product, rounded."""
        product = self.value * other.value
        carried = np.abs(self.value) * other.error + np.abs(other.value) * self.error + self.error * other.error
        return Near(product, _in_range(product, carried + 2 * u * np.abs(product), u))


def _in_range(value: Array, error: Array, u: float) -> Array:
    """The error, infinite where the value may leave the type's range: 0 times that, say, may be anything."""
    limit = np.finfo(np.float16 if u > UNIT["float32"] else np.float32).max / 2 if u > UNIT["float64"] else np.inf
    inside: Array = np.where(np.abs(value) + error > limit, np.inf, error)
    return inside


def terms(n: int, u: float) -> float:
    """What a sum of n products is off by, as a share of the norms of its operands."""
    return u * (4 + min(n, 3 * math.sqrt(n)))


def product_error(matrix: Array, bias: Array | None, u: float) -> Callable[[Array], Array]:
    """What x [..., n]·matrix [n, m] + bias may be off by before it is rounded, with the bias as one more product."""
    columns, count, first = column_norms(matrix), len(matrix), KERNELS_OF.get().bias_first
    if bias is not None and first:
        columns, count = np.hypot(columns, bias), count + 1

    def error(x: Array) -> Array:
        norms = row_norms(x)
        made: Array = terms(count, u) * (np.hypot(norms, 1) if bias is not None and first else norms) * columns
        return made

    return error


def shares(have: Array, want: Array, allowed: Array | float) -> tuple[Array, Array, Array]:
    """Of each element the error as a share of what is allowed, the error, and what is allowed.

    Both not a number, or infinite alike (where the smaller type overflows too), is no error; one alone is an infinite.
    Where a right evaluation may leave the type's range nothing can be said: what overflows on its way (half of the
    largest number is near enough) may become infinite, inf - inf is not a number, and a relu makes 0 of that.
    """
    bound = np.broadcast_to(np.asarray(allowed, np.float64), want.shape)
    with np.errstate(all="ignore"):
        rounded, given = want.astype(have.dtype).astype(np.float64), have.astype(np.float64)
        same = (given == want) | (given == rounded) & ~np.isfinite(given) | np.isnan(given) & np.isnan(want)
        same |= np.isfinite(want) & (np.abs(want) + bound > _largest(have.dtype) / 2)
        off = np.where(same, 0.0, np.abs(given - want))
        off = np.where(np.isnan(off), np.inf, off)
        share = np.where(same | ~np.isfinite(bound), 0.0, off / bound)  # beyond an overflow nothing can be said
    return share, off, bound


def _largest(dtype: Any) -> float:
    return float(np.finfo(dtype).max) if dtype.kind == "f" else np.inf


def column_norms(matrix: Array) -> Array:
    """Of [n, m], the Euclidean norm of each column."""
    squares: Array = np.einsum("ij,ij->j", matrix, matrix)
    return np.sqrt(squares)


def row_norms(x: Array) -> Array:
    """Of [..., n], the Euclidean norm over the last axis, which stays with size 1."""
    norms: Array = np.sqrt(np.sum(np.square(x), axis=-1, keepdims=True))
    return norms


def activated(activation: Activation, z: Near, u: float) -> Near:
    """An activation of z, with what its kernel and z's own error add."""
    observe(activation, z.value)
    named = (activation.name, activation.parameters)
    y = reference_lstm.activate(named, z.value)
    carry = CARRIED.get(activation.name)
    if carry is not None:
        carried = carry(activation, z, y, u)
    elif not np.any(z.error):
        carried = np.zeros(())
    else:
        sides = [reference_lstm.activate(named, z.value + sign * z.error) for sign in (1, -1)]
        carried = np.maximum(*(np.abs(side - y) for side in sides))
    own = KERNELS_OF.get().unary.get(ACTIVATION_OPERATORS.get(activation.name, ""))
    kernel = KERNELS[activation.name](activation, z.value, y) if own is None else own(z.value, y)
    return Near(y, carried + u * kernel)


ACTIVATION_OPERATORS = {"exponential": "exp"}


def _axis(activation: Activation) -> int:
    return int(activation.parameters[FUNCTIONS[activation.name].index("axis")])


def _spread(activation: Activation, z: Near) -> Any:
    """Twice the largest error along the activation's axis."""
    error = np.broadcast_to(z.error, z.value.shape)
    return 2 * np.max(error, axis=_axis(activation), keepdims=True, initial=0.0)


def _softmax_kernel(activation: Activation, z: Array, y: Array) -> Any:
    axis = _axis(activation)
    below = np.max(z, axis=axis, keepdims=True) - z
    return y * (16 + 2 * below + 3 * math.sqrt(z.shape[axis]))


def _log_softmax_kernel(activation: Activation, z: Array, y: Array) -> Any:
    axis = _axis(activation)
    return 16 + 2 * np.abs(y) + 2 * np.max(np.abs(z), axis=axis, keepdims=True) + 3 * math.sqrt(z.shape[axis])


def _sparsemax_kernel(activation: Activation, z: Array, y: Array) -> Any:
    axis = _axis(activation)
    return 4 * (z.shape[axis] + 2) * (1 + np.max(np.abs(z), axis=axis, keepdims=True))


def _sparsemax_carried(activation: Activation, z: Near, y: Array, u: float) -> Any:
    """Keras' sums of partial sums jump where one more element is supported; who is that close may go either way."""
    axis = _axis(activation)
    descending = -np.sort(-z.value, axis=axis)
    rank = np.expand_dims(np.arange(1, y.shape[axis] + 1), tuple(k for k in range(y.ndim) if k != axis % y.ndim))
    margins = descending - (np.cumsum(descending, axis=axis) - 1) / rank
    slack = _spread(activation, z) + u * _sparsemax_kernel(activation, z.value, y)
    either = np.any(np.abs(margins) <= slack, axis=axis, keepdims=True)
    return np.where(either, np.inf, _spread(activation, z)) * np.ones_like(y)


def _glu_kernel(activation: Activation, z: Array, y: Array) -> Any:
    return 10 * np.abs(np.split(z, 2, axis=_axis(activation))[0])


def _glu_carried(activation: Activation, z: Near, y: Array, u: float) -> Any:
    axis = _axis(activation)
    error = np.broadcast_to(z.error, z.value.shape)
    (value, gate), (e_value, e_gate) = (np.split(a, 2, axis=axis) for a in (z.value, error))
    return e_value * reference_lstm.activate(("sigmoid", ()), gate) + np.abs(value) * e_gate / 4


Carried = Callable[[Activation, Near, Array, float], Any]
# What an error of the argument becomes, for activations of which one output reads many arguments.
CARRIED: Mapping[str, Carried] = {
    "softmax": lambda a, z, y, u: y * np.expm1(np.minimum(_spread(a, z), 100.0)),
    "log_softmax": lambda a, z, y, u: _spread(a, z) + 0 * y,
    "sparsemax": _sparsemax_carried,
    "glu": _glu_carried,
}

Kernel = Callable[[Activation, Array, Array], Any]


def _share(factor: float) -> Kernel:
    """Of the result."""
    return lambda a, z, y: factor * np.abs(y)


def _flat(factor: float) -> Kernel:
    """Of 1, the largest that the function's parts become."""
    return lambda a, z, y: factor * np.ones_like(y)


def _of_argument(factor: float) -> Kernel:
    """Of the argument."""
    return lambda a, z, y: factor * np.abs(z)


# What the kernels of onnxruntime and the compositions of our exporter are off by at most, in units of u. Its tanh is
# off by 4.5 ulp (3 u near 1), its sigmoid by 3 u anywhere, so that sigmoid(-18) is 0.
KERNELS: Mapping[str, Kernel] = {
    "linear": _flat(0), "tanh": _share(12), "sigmoid": _flat(6), "relu": _share(2),
    "hard_sigmoid": lambda a, z, y: np.where(np.abs(a.parameters[0] * z + a.parameters[1] - 0.5) > 0.51, 0.0, 4.0),
    "elu": lambda a, z, y: np.where(z > 0, 0.0, 6 * abs(a.parameters[0])),
    "selu": lambda a, z, y: np.where(z > 0, 2 * np.abs(y), 12.0),
    "celu": lambda a, z, y: 6 * np.abs(y) + np.where(z > 0, 0.0, 8 * abs(a.parameters[0])),
    "leaky_relu": _share(2), "softplus": lambda a, z, y: 4 + 2 * np.abs(y), "softsign": _share(4),
    "exponential": _share(8), "gelu": _of_argument(12), "silu": _of_argument(10), "swish": _of_argument(12),
    "hard_silu": _of_argument(6),
    "hard_tanh": _flat(0), "hard_shrink": _flat(0), "soft_shrink": _of_argument(2),
    "tanh_shrink": lambda a, z, y: 14 * np.minimum(np.abs(z), 1) + np.abs(y), "threshold": _flat(0),
    "thresholded_relu": _flat(0), "mish": _of_argument(24),
    "log_sigmoid": lambda a, z, y: 4 + 2 * np.abs(y), "squareplus": _share(16),
    "sparse_plus": lambda a, z, y: 6 + 2 * np.abs(y), "softmax": _softmax_kernel, "log_softmax": _log_softmax_kernel,
    "sparsemax": _sparsemax_kernel, "glu": _glu_kernel,
}  # fmt: skip
