"""Each neutral activation as builtin operators, written so that nothing overflows where the result does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from converter.errors import Unsupported
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.operators import NO_ACTIVATION, RELU, RELU6, TANH
from converter.exporters.tflite.tensors import Tensor
from converter.model.activations import LINEAR, NAMES, Activation
from converter.model.activations import TANH as TANH_ACTIVATION

# SELU's constants, Klambauer et al. 2017; TensorFlow's selu uses the same.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
# What an operator with `fusedActivationFunction` computes itself; the recurrent ones also tanh.
FUSED: Mapping[Activation, int] = {LINEAR: NO_ACTIVATION, NAMES["relu"]: RELU, NAMES["relu6"]: RELU6}
FUSED_RECURRENT: Mapping[Activation, int] = {**FUSED, TANH_ACTIVATION: TANH}


def activate(graph: Graph, x: Tensor, activation: Activation) -> Tensor:
    """activation(x), of x's type; see `converter.model.activations.FUNCTIONS`.

    Raises:
        Unsupported: no builtin operators compute it.
    """
    if activation.name not in FUNCTIONS:
        raise Unsupported(f"the activation {activation.name} cannot be exported to TFLite")
    return FUNCTIONS[activation.name](graph, x, *activation.parameters)


def _operator(kind: str) -> Callable[[Graph, Tensor], Tensor]:
    return lambda g, x: g.op(kind, x)


def _scaled(g: Graph, kind: str, x: Tensor, value: float, nothing: float) -> Tensor:
    return x if value == nothing else g.op(kind, x, g.scalar(value, x))


def _times(g: Graph, x: Tensor, factor: float) -> Tensor:
    return _scaled(g, "MUL", x, factor, 1)


def _plus(g: Graph, x: Tensor, term: float) -> Tensor:
    return _scaled(g, "ADD", x, term, 0)


def _clip(g: Graph, x: Tensor, low: float | None, high: float | None) -> Tensor:
    for kind, bound in (("MAXIMUM", low), ("MINIMUM", high)):
        x = x if bound is None else g.op(kind, x, g.scalar(bound, x))
    return x


def _above(g: Graph, x: Tensor, bound: float) -> Tensor:
    return g.op("GREATER", x, g.scalar(bound, x), dtype="bool")


def _choose(g: Graph, condition: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
    return g.op("SELECT_V2", condition, then, otherwise, dtype=then.dtype)


def _hard_sigmoid(g: Graph, x: Tensor, alpha: float, beta: float) -> Tensor:
    return _clip(g, _plus(g, _times(g, x, alpha), beta), 0, 1)


def _relu(g: Graph, x: Tensor, slope: float, maximum: float, threshold: float) -> Tensor:
    if (slope, maximum, threshold) == (0, 6, 0):
        return g.op("RELU6", x)
    above = _choose(g, _above(g, x, threshold), x, g.scalar(0, x)) if threshold else x
    if maximum != math.inf:
        above = _clip(g, above, 0, maximum)
    elif not threshold:
        above = g.op("RELU", x)
    if slope == 0:
        return above
    below = _clip(g, _plus(g, x, -threshold), None, 0)
    return g.op("ADD", above, _times(g, below, slope))


def _elu(g: Graph, x: Tensor, alpha: float) -> Tensor:
    if alpha == 1:
        return g.op("ELU", x)
    below = g.op("ELU", _clip(g, x, None, 0))
    return _choose(g, _above(g, x, 0), x, _times(g, below, alpha))


def _selu(g: Graph, x: Tensor) -> Tensor:
    return _times(g, _elu(g, x, SELU_ALPHA), SELU_SCALE)


def _celu(g: Graph, x: Tensor, alpha: float) -> Tensor:
    return _times(g, _elu(g, _times(g, x, 1 / alpha), 1), alpha)


def _leaky_relu(g: Graph, x: Tensor, alpha: float) -> Tensor:
    return g.op("LEAKY_RELU", x, alpha=alpha)


def _softplus(g: Graph, x: Tensor) -> Tensor:
    decay = g.op("EXP", g.op("NEG", g.op("ABS", x)))  # at most 1, so nothing overflows
    return g.op("ADD", g.op("RELU", x), g.op("LOG", _plus(g, decay, 1)))


def _softsign(g: Graph, x: Tensor) -> Tensor:
    return g.op("DIV", x, _plus(g, g.op("ABS", x), 1))


def _gelu(g: Graph, x: Tensor, approximate: float) -> Tensor:
    return g.op("GELU", x, approximate=bool(approximate))


def _silu(g: Graph, x: Tensor) -> Tensor:
    return g.op("MUL", x, g.op("LOGISTIC", x))


def _hard_silu(g: Graph, x: Tensor) -> Tensor:
    return g.op("HARD_SWISH", x)


def _hard_tanh(g: Graph, x: Tensor) -> Tensor:
    return _clip(g, x, -1, 1)


def _hard_shrink(g: Graph, x: Tensor, threshold: float) -> Tensor:
    return _choose(g, _above(g, g.op("ABS", x), threshold), x, g.scalar(0, x))


def _soft_shrink(g: Graph, x: Tensor, threshold: float) -> Tensor:
    return g.op("SUB", x, _clip(g, x, -threshold, threshold))


def _tanh_shrink(g: Graph, x: Tensor) -> Tensor:
    return g.op("SUB", x, g.op("TANH", x))


def _threshold(g: Graph, x: Tensor, threshold: float, value: float) -> Tensor:
    return _choose(g, _above(g, x, threshold), x, g.scalar(value, x))


def _thresholded_relu(g: Graph, x: Tensor, theta: float) -> Tensor:
    return _threshold(g, x, theta, 0)


def _mish(g: Graph, x: Tensor) -> Tensor:
    return g.op("MUL", x, g.op("TANH", _softplus(g, x)))


def _log_sigmoid(g: Graph, x: Tensor) -> Tensor:
    return g.op("NEG", _softplus(g, g.op("NEG", x)))


def _squareplus(g: Graph, x: Tensor, b: float) -> Tensor:
    root = g.op("SQRT", _plus(g, g.op("MUL", x, x), b))
    left = g.pair("DIV", g.scalar(b / 2, x), g.op("SUB", root, x))  # the same number without the loss of digits
    right = _times(g, g.op("ADD", x, root), 0.5)
    return _choose(g, g.op("LESS", x, g.scalar(0, x), dtype="bool"), left, right)


def _sparse_plus(g: Graph, x: Tensor) -> Tensor:
    middle = _plus(g, _clip(g, x, -1, 1), 1)
    rest = g.op("RELU", _plus(g, x, -1))  # (x+1)²/4 is 1 at x = 1, from where on the function is x
    return g.op("ADD", _times(g, g.op("MUL", middle, middle), 0.25), rest)


def _softmax(kind: str, **options: Any) -> Callable[[Graph, Tensor, float], Tensor]:
    """Along the last axis, which is all that the operators know."""

    def along(g: Graph, x: Tensor, axis: float) -> Tensor:
        axes = list(range(x.rank))
        axes[int(axis)], axes[-1] = axes[-1], axes[int(axis)]
        return g.transpose(g.op(kind, g.transpose(x, axes), **options), axes)

    return along


def _glu(g: Graph, x: Tensor, axis: float) -> Tensor:
    value, gate = g.split(x, int(axis), 2)
    return g.op("MUL", value, g.op("LOGISTIC", gate))


FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "linear": lambda g, x: x,
    "tanh": _operator("TANH"),
    "sigmoid": _operator("LOGISTIC"),
    "hard_sigmoid": _hard_sigmoid,
    "relu": _relu,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "leaky_relu": _leaky_relu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": _operator("EXP"),
    "gelu": _gelu,
    "silu": _silu,
    "hard_silu": _hard_silu,
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
    "softmax": _softmax("SOFTMAX", beta=1.0),
    "log_softmax": _softmax("LOG_SOFTMAX"),
    "glu": _glu,
}
