"""Activation functions, each `f(x, *parameters)` of an array, in the array's own dtype.

Names, parameters and formulas are Keras' (keras/src/activations/activations.py), with the differences between Keras
versions turned into parameters: `hard_sigmoid` has slope 0.2 in Keras 1 and 2 and 1/6 in Keras 3. None overflows on
its way to a finite result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Activation = tuple[str, tuple[float, ...]]
"""A name of `FUNCTIONS` and the parameters after x."""

# Klambauer et al. 2017, "Self-Normalizing Neural Networks".
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def linear(x: Array) -> Array:
    """Return x."""
    return x


def sigmoid(x: Array) -> Array:
    """1/(1 + exp(-x)), from exp(-|x|) so that nothing overflows."""
    tail: Array = np.exp(-np.abs(x))
    y: Array = np.where(x < 0, tail, np.ones_like(tail)) / (1 + tail)
    return y


def hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    """alpha·x + beta, clipped to [0, 1]."""
    return np.clip(alpha * x + beta, 0, 1)


def relu(x: Array, negative_slope: float, max_value: float, threshold: float) -> Array:
    """Keras' ReLU layer: x above the threshold, at most max_value; negative_slope·(x - threshold) below."""
    above = np.maximum(x, 0) if threshold == 0 else np.where(x <= threshold, 0, x)
    if max_value < math.inf:
        above = np.clip(above, 0, max_value)
    if negative_slope == 0:
        return above.astype(x.dtype, copy=False)
    return (above + negative_slope * np.minimum(x - threshold, 0)).astype(x.dtype, copy=False)


def elu(x: Array, alpha: float) -> Array:
    """x above 0, alpha·(exp(x) - 1) below."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x: Array) -> Array:
    """A scaled elu whose constants keep mean 0 and variance 1."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def celu(x: Array, alpha: float) -> Array:
    """max(x, 0) + alpha·(exp(min(x, 0)/alpha) - 1)."""
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def leaky_relu(x: Array, alpha: float) -> Array:
    """x above 0, alpha·x below."""
    return np.where(x > 0, x, alpha * x)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softsign(x: Array) -> Array:
    """x/(1 + |x|)."""
    y: Array = x / (1 + np.abs(x))
    return y


def exponential(x: Array) -> Array:
    """exp(x), infinite where it exceeds the dtype."""
    with np.errstate(over="ignore"):
        return np.exp(x)


def erf(x: Array) -> Array:
    """The error function, by the C library in double precision."""
    values = [math.erf(value) for value in np.ravel(x).tolist()]
    return np.asarray(values, dtype=x.dtype).reshape(x.shape)


def gelu(x: Array, approximate: float) -> Array:
    """x times the normal distribution function at x; by a tanh if `approximate`."""
    if not approximate:
        y: Array = 0.5 * x * (1 + erf(x / math.sqrt(2)))
        return y
    with np.errstate(over="ignore"):
        y = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
        return y


def silu(x: Array) -> Array:
    """x·sigmoid(x)."""
    return x * sigmoid(x)


def swish(x: Array, beta: float) -> Array:
    """x·sigmoid(beta·x)."""
    return x * sigmoid(beta * x)


def hard_silu(x: Array) -> Array:
    """x·relu6(x + 3)/6."""
    y: Array = x * (np.clip(x + 3, 0, 6) / 6)
    return y


def hard_tanh(x: Array) -> Array:
    """x, clipped to [-1, 1]."""
    return np.clip(x, -1, 1)


def hard_shrink(x: Array, threshold: float) -> Array:
    """x where |x| > threshold, else 0."""
    return np.where(np.abs(x) > threshold, x, np.zeros_like(x))


def soft_shrink(x: Array, threshold: float) -> Array:
    """x moved toward 0 by threshold, 0 within it."""
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def tanh_shrink(x: Array) -> Array:
    """x - tanh(x)."""
    return x - np.tanh(x)


def threshold(x: Array, threshold: float, value: float) -> Array:
    """x where x > threshold, else value."""
    return np.where(x > threshold, x, np.full_like(x, value))


def thresholded_relu(x: Array, theta: float) -> Array:
    """x where x > theta, else 0."""
    return threshold(x, theta, 0.0)


def mish(x: Array) -> Array:
    """x·tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -softplus(-x)


def squareplus(x: Array, b: float) -> Array:
    """(x + sqrt(x² + b))/2."""
    return (x + np.hypot(x, math.sqrt(b))) / 2


def sparse_plus(x: Array) -> Array:
    """0 below -1, x above 1, (x + 1)²/4 between."""
    return np.where(x <= -1, 0, np.where(x < 1, 0.25 * np.square(np.clip(x, -1, 1) + 1), x)).astype(x.dtype, copy=False)


def softmax(x: Array, axis: float) -> Array:
    """exp(x), normalized to sum 1 along the axis."""
    powers: Array = np.exp(x - np.max(x, axis=int(axis), keepdims=True))
    total: Array = np.sum(powers, axis=int(axis), keepdims=True)
    return powers / total


def log_softmax(x: Array, axis: float) -> Array:
    """log(softmax(x)) along the axis."""
    shifted: Array = x - np.max(x, axis=int(axis), keepdims=True)
    total: Array = np.sum(np.exp(shifted), axis=int(axis), keepdims=True)
    return shifted - np.log(total)


def sparsemax(x: Array, axis: float) -> Array:
    """Keras' sparsemax: max(x - tau, 0), where tau = (sum of the supported partial sums - 1)/(size of the support).

    Martins and Astudillo 2016 take the last supported partial sum alone; where the support holds more than one
    element, Keras 3 (keras/src/backend/tensorflow/nn.py) computes this instead, and its models were trained so.
    """
    last = np.moveaxis(x, int(axis), -1)
    descending = -np.sort(-last, axis=-1)
    partial = np.cumsum(descending, axis=-1)
    rank = np.arange(1, last.shape[-1] + 1, dtype=x.dtype)
    supported = descending - (partial - 1) / rank > 0
    size = np.sum(supported, axis=-1, keepdims=True, dtype=x.dtype)
    total: Array = np.sum(np.where(supported, partial, np.zeros_like(partial)), axis=-1, keepdims=True)
    return np.moveaxis(np.maximum(last - (total - 1) / size, 0), -1, int(axis))


def glu(x: Array, axis: float) -> Array:
    """The first half along the axis times the sigmoid of the second."""
    value, gate = np.split(x, 2, axis=int(axis))
    return value * sigmoid(gate)


FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "linear": linear,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
    "elu": elu,
    "selu": selu,
    "celu": celu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
    "softsign": softsign,
    "exponential": exponential,
    "gelu": gelu,
    "silu": silu,
    "swish": swish,
    "hard_silu": hard_silu,
    "hard_tanh": hard_tanh,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
    "tanh_shrink": tanh_shrink,
    "threshold": threshold,
    "thresholded_relu": thresholded_relu,
    "mish": mish,
    "log_sigmoid": log_sigmoid,
    "squareplus": squareplus,
    "sparse_plus": sparse_plus,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "sparsemax": sparsemax,
    "glu": glu,
}

LINEAR: Activation = ("linear", ())
TANH: Activation = ("tanh", ())
SIGMOID: Activation = ("sigmoid", ())


def activate(activation: Activation, x: Array) -> Array:
    """The activation of x.

    Raises:
        KeyError: no function has that name.
    """
    name, parameters = activation
    return FUNCTIONS[name](x, *parameters)
