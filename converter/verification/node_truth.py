"""What one node makes of given inputs, in float64 by `reference_lstm`, and how far a right runtime may be from it.

Layers that only move, compare or choose values are exact: their bound is zero. Recurrent nodes are in `recurrence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from msgspec import structs

from converter import interpret
from converter.holding import optional
from converter.model import Array, Node, Weight, layers
from converter.model.activations import LINEAR
from converter.verification.rounding import KERNELS_OF, TINY, UNIT, Near, activated, product_error, terms

FLOAT = "float64"
Inputs = tuple[Any, ...]


def truth_of(node: Node, inputs: Inputs) -> Near:
    """The output of a node that is not recurrent, its weights read already (`with_values`)."""
    value = node.outputs[0]
    if value.dtype not in UNIT:
        return Near(interpret.compute(node.layer, inputs, FLOAT))
    near = near_of(node.layer, inputs, _unit(node))
    if np.any(near.error) or KERNELS_OF.get().flushes:
        return Near(near.value, near.error + TINY[value.dtype])
    return near


def _unit(node: Node) -> float:
    """Of the type computed in; onnxruntime has no float64 of some operators, which then are float32."""
    dtype = node.outputs[0].dtype
    if dtype == "float64" and isinstance(node.layer, SINGLE):
        return UNIT["float32"]
    return UNIT[dtype]


SINGLE = (
    layers.Conv,
    layers.ConvTranspose,
    layers.Pool,
    layers.Unary,
    layers.Activate,
    layers.Dense,
    layers.Elementwise,
)


@singledispatch
def near_of(layer: layers.Layer, inputs: Inputs, u: float) -> Near:
    """The output and its bound, for computations with unit roundoff u."""
    return Near(interpret.compute(layer, inputs, FLOAT))


def _exact(layer: Any, inputs: Inputs) -> Array:
    return interpret.compute(layer, inputs, FLOAT)


def _magnitude(weight: Weight) -> Weight:
    return Weight(weight.name, weight.shape, weight.dtype, lambda: np.abs(weight.read()))


@near_of.register
def _(layer: layers.Dense, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    z = _exact(structs.replace(layer, activation=LINEAR), inputs)
    kernel, bias = layer.kernel.read(), optional(layer.bias, FLOAT)
    error = product_error(kernel, bias, u)(x) + u * (np.abs(z) + (0 if bias is None else np.abs(bias)))
    return activated(layer.activation, Near(z, error), u)


@near_of.register(layers.Conv)
@near_of.register(layers.ConvTranspose)
def _(layer: Any, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    linear = structs.replace(layer, activation=LINEAR)
    bias = None if layer.bias is None else _magnitude(layer.bias)
    magnitudes = structs.replace(linear, kernel=_magnitude(layer.kernel), bias=bias)
    count = layer.kernel.size // max(1, layer.kernel.shape[-1])
    z = _exact(linear, inputs)
    return activated(layer.activation, Near(z, terms(count, u) * _exact(magnitudes, (np.abs(x),))), u)


@near_of.register
def _(layer: layers.BatchNormalization, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    bare = structs.replace(layer, beta=None)
    shape = [-1 if a == layer.axis else 1 for a in range(x.ndim)]
    mean = np.abs(layer.mean.read().reshape(shape))
    scale = 1 / np.sqrt(layer.variance.read() + layer.epsilon)
    scale = scale if layer.gamma is None else scale * layer.gamma.read()
    y, part = _exact(layer, inputs), _exact(bare, inputs)
    spread = (np.abs(x) + mean) * np.abs(scale.reshape(shape))
    return Near(y, 2 * u * spread + 4 * u * np.abs(part) + 2 * u * np.abs(y))


@near_of.register
def _(layer: layers.LayerNormalization, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    u = max(u, UNIT["float32"]) if u > UNIT["float64"] else u
    count = int(np.prod([x.shape[axis] for axis in layer.axes]))
    keep: dict[str, Any] = {"axis": layer.axes, "keepdims": True}
    share = terms(count, u)
    centered = x if layer.rms else x - np.mean(x, **keep)
    off = 0 if layer.rms else share * np.mean(np.abs(x), **keep) + 2 * u * np.abs(x)  # of a centered element
    variance = np.mean(np.square(centered), **keep) + layer.epsilon
    # (c + e)²: 2·c·e averages out where e is the mean's own, but for what the centered ones are off by in sum
    off_variance = share * variance + np.mean(2 * np.abs(centered) * off + np.square(off), **keep)
    root = np.sqrt(variance)
    normal = off / root + np.abs(centered) / root * np.minimum(off_variance / variance, 1e3)
    gamma = 1.0 if layer.gamma is None else np.abs(_along(layer.gamma, layer.axes, x.ndim))
    y = _exact(layer, inputs)
    part = y if layer.beta is None else _exact(structs.replace(layer, beta=None), inputs)
    return Near(y, gamma * normal + 8 * u * np.abs(part) + 2 * u * np.abs(y))


def _along(weight: Weight, axes: tuple[int, ...], rank: int) -> Array:
    sizes = dict(zip(sorted(axes), weight.shape, strict=True))
    return weight.read().reshape([sizes.get(axis, 1) for axis in range(rank)])


@near_of.register
def _(layer: layers.Pool, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    if layer.kind == "max":
        return Near(y)
    return Near(y, terms(int(np.prod(layer.window)), u) * _exact(layer, (np.abs(inputs[0]),)))


@near_of.register
def _(layer: layers.Activate, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    return activated(layer.activation, Near(np.asarray(x)), u)


@near_of.register
def _(layer: layers.Cast, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    share = max(u, 2.0**-8 * 1.001 if layer.dtype == "bfloat16" else 0.0)
    return Near(y, share * np.abs(y))


@near_of.register
def _(layer: layers.Embedding, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    return Near(y, u * np.abs(y) if u > UNIT["float32"] else 0.0)


@near_of.register
def _(layer: layers.Constant, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    return Near(y, u * np.abs(y) if u > UNIT["float32"] else 0.0)


@near_of.register(layers.MatMul)
@near_of.register(layers.Einsum)
def _(layer: Any, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    sizes = inputs[0].size if isinstance(layer, layers.Einsum) else inputs[0].shape[-2 if layer.transpose_a else -1]
    return Near(y, terms(max(sizes, 1), u) * _exact(layer, tuple(np.abs(x) for x in inputs)))


@near_of.register
def _(layer: layers.CumSum, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    return Near(_exact(layer, inputs), terms(x.shape[layer.axis], u) * _exact(layer, (np.abs(x),)))


@near_of.register
def _(layer: layers.Reduce, inputs: Inputs, u: float) -> Near:
    (x,) = inputs
    y = _exact(layer, inputs)
    count = int(np.prod([x.shape[axis] for axis in layer.axes]))
    if layer.op in ("sum", "mean"):
        return Near(y, terms(count, u) * _exact(layer, (np.abs(x),)))
    if layer.op == "prod":
        return Near(y, 2 * count * u * np.abs(y))
    if layer.op == "logsumexp":
        top = np.max(np.abs(x), axis=layer.axes, keepdims=layer.keepdims)
        return Near(y, terms(count, u) + 4 * u * (np.abs(y) + top))
    return Near(y)


def _folded(step: Callable[[Near, Near, float], Near]) -> Callable[[Inputs, float], Near]:
    def fold(inputs: Inputs, u: float) -> Near:
        total = Near(np.asarray(inputs[0]))
        for other in inputs[1:]:
            total = step(total, Near(np.asarray(other)), u)
        return total

    return fold


def _subtract(a: Near, b: Near, u: float) -> Near:
    return a.plus(Near(-b.value, b.error), u)


def _divide(a: Near, b: Near, u: float) -> Near:
    quotient = a.value / b.value
    return Near(quotient, a.error / np.abs(b.value) + 2 * u * np.abs(quotient))


def _mod(a: Near, b: Near, u: float) -> Near:
    return Near(np.mod(a.value, b.value), 2 * u * np.abs(b.value))


def _floor_divide(a: Near, b: Near, u: float) -> Near:
    quotient, whole = a.value / b.value, np.floor_divide(a.value, b.value)
    sides = [np.floor(quotient * (1 + sign * 4 * u)) for sign in (1, -1)]
    return Near(whole, np.maximum(*(np.abs(side - whole) for side in sides)))


def _kernel(function: Callable[[Array, Array], Array], factor: float) -> Callable[[Near, Near, float], Near]:
    def step(a: Near, b: Near, u: float) -> Near:
        y = function(a.value, b.value)
        return Near(y, factor * u * np.abs(y))

    return step


ARITHMETIC: Mapping[str, Callable[[Inputs, float], Near]] = {
    "add": _folded(Near.plus), "subtract": _folded(_subtract), "multiply": _folded(Near.times),
    "divide": _folded(_divide), "mod": _folded(_mod), "floor_divide": _folded(_floor_divide),
    "power": _folded(_kernel(np.power, 8)), "arctan2": _folded(_kernel(np.arctan2, 16)),
}  # fmt: skip


@near_of.register
def _(layer: layers.Elementwise, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    if layer.op not in ARITHMETIC:
        return Near(y)
    return Near(y, ARITHMETIC[layer.op](inputs, u).error)


# What operators of one input are off by at most, in units of u: a share of the result, and of 1.
UNARY: Mapping[str, tuple[float, float]] = {
    "exp": (8, 0), "log": (4, 1), "sqrt": (2, 0), "rsqrt": (6, 0), "square": (2, 0), "sin": (4, 4), "cos": (4, 4),
    "tan": (8, 0), "reciprocal": (2, 0), "erf": (16, 0), "sinh": (8, 0), "cosh": (8, 0), "arcsin": (8, 0),
    "arccos": (8, 4), "arctan": (8, 0), "arcsinh": (8, 0), "arccosh": (16, 4), "arctanh": (16, 0), "expm1": (24, 0),
    "log1p": (16, 0),
}  # fmt: skip


@near_of.register
def _(layer: layers.Unary, inputs: Inputs, u: float) -> Near:
    y = _exact(layer, inputs)
    own = KERNELS_OF.get().unary.get(layer.op)
    if own is not None:
        return Near(y, u * own(np.asarray(inputs[0]), y))
    share, flat = UNARY.get(layer.op, (0, 0))
    return Near(y, u * (share * np.abs(y) + flat) if share else 0.0)
