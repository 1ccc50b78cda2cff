"""Activations by arithmetic that ONNX and TFLite both have, so that nothing overflows where the result does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Arithmetic(Generic[T]):
    """The operators of a format, by their names in ONNX; tensors are `T`."""

    def op(self, kind: str, *operands: T) -> T:
        """An operator whose result has the type of its operands."""
        raise NotImplementedError

    def scalar(self, value: float, like: T) -> T:
        """A 0-d constant of the type of `like`."""
        raise NotImplementedError

    def compare(self, kind: str, x: T, bound: float) -> T:
        """Whether x is Greater or Less than a number."""
        raise NotImplementedError

    def pick(self, condition: T, then: T, otherwise: T) -> T:
        """Values of one tensor or another."""
        raise NotImplementedError

    def clip(self, x: T, low: float | None, high: float | None) -> T:
        """x within bounds."""
        raise NotImplementedError

    def elu(self, x: T, alpha: float) -> T:
        """x, below 0 alpha·(exp(x) - 1)."""
        raise NotImplementedError

    def times(self, x: T, factor: float) -> T:
        """x multiplied by a number."""
        return x if factor == 1 else self.op("Mul", x, self.scalar(factor, x))

    def plus(self, x: T, term: float) -> T:
        """x and a number."""
        return x if term == 0 else self.op("Add", x, self.scalar(term, x))


def operator(kind: str) -> Callable[[Arithmetic[T], T], T]:
    """An activation that is an operator."""
    return lambda o, x: o.op(kind, x)


def hard_sigmoid(o: Arithmetic[T], x: T, alpha: float, beta: float) -> T:
    """alpha·x + beta within 0 and 1."""
    return o.clip(o.plus(o.times(x, alpha), beta), 0, 1)


def relu(o: Arithmetic[T], x: T, slope: float, maximum: float, threshold: float) -> T:
    """x above the threshold, at most the maximum; below it a slope."""
    above = o.pick(o.compare("Greater", x, threshold), x, o.scalar(0, x)) if threshold else x
    if maximum != math.inf:
        above = o.clip(above, 0, maximum)
    elif not threshold:
        above = o.op("Relu", x)
    if slope == 0:
        return above
    below = o.clip(o.plus(x, -threshold), None, 0)
    return o.op("Add", above, o.times(below, slope))


def _elu(o: Arithmetic[T], x: T, alpha: float) -> T:
    return o.elu(x, alpha)


def _selu(o: Arithmetic[T], x: T) -> T:  # Klambauer et al. 2017; TensorFlow's selu has the same constants
    return o.times(o.elu(x, 1.6732632423543772848170429916717), 1.0507009873554804934193349852946)


def _celu(o: Arithmetic[T], x: T, alpha: float) -> T:
    return o.times(o.elu(o.times(x, 1 / alpha), 1), alpha)


def _softplus(o: Arithmetic[T], x: T) -> T:
    decay = o.op("Exp", o.op("Neg", o.op("Abs", x)))  # at most 1, so nothing overflows
    return o.op("Add", o.op("Relu", x), o.op("Log", o.plus(decay, 1)))


def _softsign(o: Arithmetic[T], x: T) -> T:
    return o.op("Div", x, o.plus(o.op("Abs", x), 1))


def _silu(o: Arithmetic[T], x: T) -> T:
    return o.op("Mul", x, o.op("Sigmoid", x))


def _hard_tanh(o: Arithmetic[T], x: T) -> T:
    return o.clip(x, -1, 1)


def _hard_shrink(o: Arithmetic[T], x: T, threshold: float) -> T:
    return o.pick(o.compare("Greater", o.op("Abs", x), threshold), x, o.scalar(0, x))


def _soft_shrink(o: Arithmetic[T], x: T, threshold: float) -> T:
    return o.op("Sub", x, o.clip(x, -threshold, threshold))


def _tanh_shrink(o: Arithmetic[T], x: T) -> T:
    return o.op("Sub", x, o.op("Tanh", x))


def _threshold(o: Arithmetic[T], x: T, threshold: float, value: float) -> T:
    return o.pick(o.compare("Greater", x, threshold), x, o.scalar(value, x))


def _thresholded_relu(o: Arithmetic[T], x: T, theta: float) -> T:
    return _threshold(o, x, theta, 0)


def _mish(o: Arithmetic[T], x: T) -> T:
    return o.op("Mul", x, o.op("Tanh", _softplus(o, x)))


def _log_sigmoid(o: Arithmetic[T], x: T) -> T:
    return o.op("Neg", _softplus(o, o.op("Neg", x)))


def _squareplus(o: Arithmetic[T], x: T, b: float) -> T:
    root = o.op("Sqrt", o.plus(o.op("Mul", x, x), b))
    left = o.op("Div", o.scalar(b / 2, x), o.op("Sub", root, x))  # the same number without the loss of digits
    right = o.times(o.op("Add", x, root), 0.5)
    return o.pick(o.compare("Less", x, 0), left, right)


def _sparse_plus(o: Arithmetic[T], x: T) -> T:
    middle = o.plus(o.clip(x, -1, 1), 1)
    rest = o.op("Relu", o.plus(x, -1))  # (x+1)²/4 is 1 at x = 1, from where on the function is x
    return o.op("Add", o.times(o.op("Mul", middle, middle), 0.25), rest)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "linear": lambda o, x: x,
    "tanh": operator("Tanh"),
    "sigmoid": operator("Sigmoid"),
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": operator("Exp"),
    "silu": _silu,
    "hard_tanh": _hard_tanh,
    "hard_shrink": _hard_shrink,
    "soft_shrink": _soft_shrink,
    "tanh_shrink": _tanh_shrink,
    "threshold": _threshold,
    "thresholded_relu": _thresholded_relu,
    "mish": _mish,
    "log_sigmoid": _log_sigmoid,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
}
"""Those that both formats say in one way, by name; the rest are with each format."""
