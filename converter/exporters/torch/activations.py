"""Activations as expressions of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from converter.errors import Unsupported
from converter.exporters.torch.source import HINT
from converter.model.activations import Activation

# {x} is the input; parameters go by the names of `activations.FUNCTIONS`.
ACTIVATIONS: Mapping[str, str] = {
    "linear": "{x}",
    "tanh": "torch.tanh({x})",
    "sigmoid": "torch.sigmoid({x})",
    "hard_sigmoid": "({alpha} * {x} + {beta}).clamp(0, 1)",
    "elu": "F.elu({x}, {alpha})",
    "selu": "F.selu({x})",
    "celu": "F.celu({x}, {alpha})",
    "leaky_relu": "F.leaky_relu({x}, {alpha})",
    "softplus": "torch.logaddexp({x}, torch.zeros_like({x}))",
    "softsign": "F.softsign({x})",
    "exponential": "torch.exp({x})",
    "silu": "F.silu({x})",
    "hard_silu": "F.hardswish({x})",
    "hard_tanh": "F.hardtanh({x})",
    "hard_shrink": "F.hardshrink({x}, {threshold})",
    "soft_shrink": "F.softshrink({x}, {threshold})",
    "tanh_shrink": "F.tanhshrink({x})",
    "threshold": "F.threshold({x}, {threshold}, {value})",
    "thresholded_relu": "F.threshold({x}, {theta}, 0)",
    "mish": "F.mish({x})",
    "log_sigmoid": "F.logsigmoid({x})",
    "softmax": "torch.softmax({x}, {axis})",
    "log_softmax": "torch.log_softmax({x}, {axis})",
    "glu": "F.glu({x}, {axis})",
    "squareplus": "({x} + torch.sqrt({x} ** 2 + {b})) / 2",
    "sparse_plus": "torch.where({x} <= -1, 0, torch.where({x} < 1, ({x} + 1) ** 2 / 4, {x}))",
}


def activated(activation: Activation, x: str, place: str) -> str:
    """The expression of an activation.

    Raises:
        Unsupported: PyTorch has none that is exactly this.
    """
    arguments = {k: repr(int(v)) if k == "axis" else repr(v) for k, v in activation.arguments.items()}
    if activation.name == "gelu":
        return f'F.gelu({x}, approximate="{"tanh" if activation.parameters[0] else "none"}")'
    if activation.name == "relu":
        slope, maximum, threshold = activation.parameters
        if threshold == 0 and slope == 0:
            return f"torch.relu({x})" if maximum == float("inf") else f"{x}.clamp(0, {maximum!r})"
        if threshold == 0 and maximum == float("inf"):
            return f"F.leaky_relu({x}, {slope!r})"
        above = x if maximum == float("inf") else f"{x}.clamp(max={maximum!r})"
        return f"torch.where({x} >= {threshold!r}, {above}, {slope!r} * ({x} - {threshold!r}))"
    template = ACTIVATIONS.get(activation.name)
    if template is None:
        raise Unsupported(f"activation {activation.name} has no counterpart in PyTorch here", where=place, hint=HINT)
    return template.format(x=x, **arguments)
