"""Layers without arrays as expressions of JAX: text for a linen module's `__call__`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converter.errors import Unsupported
from converter.model import layers
from converter.model.activations import Activation

_ACTIVATIONS: Mapping[str, str] = {
    "linear": "{x}", "tanh": "jnp.tanh({x})", "sigmoid": "nn.sigmoid({x})", "softsign": "nn.soft_sign({x})",
    "softplus": "nn.softplus({x})", "exponential": "jnp.exp({x})", "silu": "nn.silu({x})", "selu": "nn.selu({x})",
    "elu": "nn.elu({x}, {alpha})", "celu": "nn.celu({x}, {alpha})", "leaky_relu": "nn.leaky_relu({x}, {alpha})",
    "hard_sigmoid": "jnp.clip({alpha} * {x} + {beta}, 0, 1)", "hard_tanh": "jnp.clip({x}, -1, 1)",
    "softmax": "nn.softmax({x}, {axis})", "log_softmax": "nn.log_softmax({x}, {axis})",
    "log_sigmoid": "nn.log_sigmoid({x})", "mish": "{x} * jnp.tanh(nn.softplus({x}))",
}  # fmt: skip
_BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "equal": "==", "not_equal": "!=",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
_UNARY = {"not": "~{x}", "negative": "-{x}", "rsqrt": "1 / jnp.sqrt({x})", "erf": "jax.scipy.special.erf({x})"}
_REDUCE = ("sum", "mean", "max", "min", "prod", "any", "all")


def activated(activation: Activation, x: str, place: str) -> str:
    """The expression of an activation.

    Raises:
        Unsupported: there is none that is exactly this.
    """
    if activation.name == "relu" and activation.parameters[0] == activation.parameters[2] == 0:
        top = activation.parameters[1]
        return f"nn.relu({x})" if top == float("inf") else f"jnp.clip({x}, 0, {top!r})"
    if activation.name == "gelu":
        return f"nn.gelu({x}, approximate={bool(activation.parameters[0])})"
    template = _ACTIVATIONS.get(activation.name)
    if template is None:
        raise Unsupported(f"activation {activation.name} has no counterpart in Flax here", where=place)
    arguments = {k: repr(int(v)) if k == "axis" else repr(v) for k, v in activation.arguments.items()}
    return template.format(x=x, **arguments)


def _slice(layer: layers.Slice, x: str) -> str:
    parts = [":"] * (max(layer.axes) + 1)
    for axis, start, stop, step in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True):
        parts[axis] = f"{'' if start is None else start}:{'' if stop is None else stop}:{step}"
    return f"{x}[{', '.join(parts)}]"


def _pad(layer: layers.Pad, x: str) -> str:
    if layer.mode != "constant":
        return f"jnp.pad({x}, {layer.pads}, {layer.mode!r})"
    return f"jnp.pad({x}, {layer.pads}, constant_values={_number(layer.value)})"


def _number(value: float) -> str:
    return repr(value) if abs(value) < float("inf") else f"{'-' if value < 0 else ''}jnp.inf"


def _reduce(layer: layers.Reduce, x: str) -> str:
    if layer.op not in _REDUCE:
        raise Unsupported(f"{layer.op} has no counterpart in Flax here")
    return f"jnp.{layer.op}({x}, {tuple(layer.axes)}, keepdims={layer.keepdims})"


def _reshape(layer: layers.Reshape, x: str) -> str:
    return f"{x}.reshape({', '.join(f'{x}.shape[{k}]' if n == 0 else str(n) for k, n in enumerate(layer.target))})"


def _elementwise(layer: layers.Elementwise, *xs: str) -> str:
    if layer.op in ("maximum", "minimum"):
        first, *rest = xs
        for other in rest:
            first = f"jnp.{layer.op}({first}, {other})"
        return first
    if layer.op not in _BINARY:
        raise Unsupported(f"{layer.op} has no counterpart in Flax here")
    return f" {_BINARY[layer.op]} ".join(xs)  # operators of one kind go from left to right


EXPRESSIONS: Mapping[type, Callable[..., str]] = {
    layers.Reshape: _reshape,
    layers.FoldTime: lambda layer, x: f"{x}.reshape(-1, *{x}.shape[2:])",
    layers.UnfoldTime: lambda layer, y, like: f"{y}.reshape(*{like}.shape[:2], *{y}.shape[1:])",
    layers.Transpose: lambda layer, x: f"jnp.transpose({x}, {layer.axes})",
    layers.Concatenate: lambda layer, *xs: f"jnp.concatenate([{', '.join(xs)}], {layer.axis})",
    layers.ExpandDims: lambda layer, x: f"jnp.expand_dims({x}, {layer.axes})",
    layers.Squeeze: lambda layer, x: f"jnp.squeeze({x}, {layer.axes})",
    layers.Repeat: lambda layer, x: f"jnp.repeat({x}, {layer.times}, {layer.axis})",
    layers.Tile: lambda layer, x: f"jnp.tile({x}, {layer.times})",
    layers.Slice: _slice,
    layers.Pad: _pad,
    layers.Reduce: _reduce,
    layers.Elementwise: _elementwise,
    layers.Cast: lambda layer, x: f"{x}.astype(jnp.{'bool_' if layer.dtype == 'bool' else layer.dtype})",
    layers.Where: lambda layer, c, a, b: f"jnp.where({c}, {a}, {b})",
    layers.CumSum: lambda layer, x: f"jnp.cumsum({x}, {layer.axis})",
    layers.Einsum: lambda layer, *xs: f'jnp.einsum("{layer.equation}", {", ".join(xs)})',
    layers.Unary: lambda layer, x: _UNARY.get(layer.op, f"jnp.{layer.op}({{x}})").format(x=x),
    layers.MatMul: lambda layer, a, b: f"{_swap(a, layer.transpose_a)} @ {_swap(b, layer.transpose_b)}",
}


def _swap(x: str, swapped: bool) -> str:
    return f"jnp.swapaxes({x}, -1, -2)" if swapped else x
