"""Each neutral activation as builtin operators, written so that nothing overflows where the result does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converter.errors import Unsupported
from converter.exporters import arithmetic
from converter.exporters.arithmetic import Arithmetic, relu
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.operators import NO_ACTIVATION, RELU, RELU6, TANH
from converter.exporters.tflite.tensors import Tensor
from converter.model.activations import LINEAR, NAMES, Activation
from converter.model.activations import TANH as TANH_ACTIVATION

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
    made: Tensor = FUNCTIONS[activation.name](_Operators(graph), x, *activation.parameters)
    return made


class _Operators(Arithmetic[Tensor]):
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def op(self, kind: str, *operands: Tensor) -> Tensor:
        kind = "LOGISTIC" if kind == "Sigmoid" else kind.upper()
        return self.graph.pair(kind, *operands) if len(operands) == 2 else self.graph.op(kind, *operands)

    def scalar(self, value: float, like: Tensor) -> Tensor:
        return self.graph.scalar(value, like)

    def compare(self, kind: str, x: Tensor, bound: float) -> Tensor:
        return self.graph.op(kind.upper(), x, self.scalar(bound, x), dtype="bool")

    def pick(self, condition: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
        return self.graph.op("SELECT_V2", condition, then, otherwise, dtype=then.dtype)

    def clip(self, x: Tensor, low: float | None, high: float | None) -> Tensor:
        for kind, bound in (("MAXIMUM", low), ("MINIMUM", high)):
            x = x if bound is None else self.graph.op(kind, x, self.scalar(bound, x))
        return x

    def elu(self, x: Tensor, alpha: float) -> Tensor:
        if alpha == 1:
            return self.graph.op("ELU", x)
        below = self.graph.op("ELU", self.clip(x, None, 0))
        return self.pick(self.compare("Greater", x, 0), x, self.times(below, alpha))


def _relu(o: _Operators, x: Tensor, slope: float, maximum: float, threshold: float) -> Tensor:
    if (slope, maximum, threshold) == (0, 6, 0):
        return o.graph.op("RELU6", x)
    return relu(o, x, slope, maximum, threshold)


def _leaky_relu(o: _Operators, x: Tensor, alpha: float) -> Tensor:
    return o.graph.op("LEAKY_RELU", x, alpha=alpha)


def _gelu(o: _Operators, x: Tensor, approximate: float) -> Tensor:
    return o.graph.op("GELU", x, approximate=bool(approximate))


def _hard_silu(o: _Operators, x: Tensor) -> Tensor:
    return o.graph.op("HARD_SWISH", x)


def _softmax(kind: str, **options: Any) -> Callable[[_Operators, Tensor, float], Tensor]:
    """Along the last axis, which is all that the operators know."""

    def along(o: _Operators, x: Tensor, axis: float) -> Tensor:
        axes = list(range(x.rank))
        axes[int(axis)], axes[-1] = axes[-1], axes[int(axis)]
        return o.graph.transpose(o.graph.op(kind, o.graph.transpose(x, axes), **options), axes)

    return along


def _glu(o: _Operators, x: Tensor, axis: float) -> Tensor:
    value, gate = o.graph.split(x, int(axis), 2)
    return o.graph.op("MUL", value, o.graph.op("LOGISTIC", gate))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **arithmetic.FUNCTIONS,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    "hard_silu": _hard_silu,
    "softmax": _softmax("SOFTMAX", beta=1.0),
    "log_softmax": _softmax("LOG_SOFTMAX"),
    "glu": _glu,
}
