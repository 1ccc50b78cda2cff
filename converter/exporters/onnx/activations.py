"""Each neutral activation as ONNX operators, written so that no intermediate overflows where the result does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from converter.exporters import arithmetic
from converter.exporters.arithmetic import Arithmetic, hard_sigmoid
from converter.exporters.onnx.graph import Graph, Tensor
from converter.model.activations import Activation


def activate(graph: Graph, x: Tensor, activation: Activation) -> Tensor:
    """activation(x), of x's type; see `converter.model.activations.FUNCTIONS`."""
    made: Tensor = FUNCTIONS[activation.name](_Operators(graph), x, *activation.parameters)
    return made


class _Operators(Arithmetic[Tensor]):
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def op(self, kind: str, *operands: Tensor) -> Tensor:
        return self.graph.op(kind, *operands)

    def scalar(self, value: float, like: Tensor) -> Tensor:
        return self.graph.scalar(value, like)

    def compare(self, kind: str, x: Tensor, bound: float) -> Tensor:
        return self.graph.op(kind, x, self.scalar(bound, x), dtype="bool")

    def pick(self, condition: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
        return self.graph.op("Where", condition, then, otherwise, dtype=then.dtype)

    def clip(self, x: Tensor, low: float | None, high: float | None) -> Tensor:
        bounds = [None if bound is None else self.scalar(bound, x) for bound in (low, high)]
        # onnxruntime 1.32 cannot load Relu, Clip of float64: its fusion of the two does not know it.
        if x.dtype == "float64":
            for kind, bound in zip(("Max", "Min"), bounds, strict=True):
                x = x if bound is None else self.op(kind, x, bound)
            return x
        return self.graph.op("Clip", x, *bounds)

    def elu(self, x: Tensor, alpha: float) -> Tensor:
        below = self.plus(self.op("Exp", self.clip(x, None, 0)), -1)
        return self.pick(self.compare("Greater", x, 0), x, self.times(below, alpha))


def single(graph: Graph, kind: str, x: Tensor, **attributes: Any) -> Tensor:
    """An operator that onnxruntime has for float32 only: float64 goes through float32."""
    inner = graph.cast(x, "float32") if x.dtype == "float64" else x
    return graph.cast(graph.op(kind, inner, **attributes), x.dtype)


def _leaky_relu(o: _Operators, x: Tensor, alpha: float) -> Tensor:
    return o.pick(o.compare("Greater", x, 0), x, o.times(x, alpha))


def _gelu(o: _Operators, x: Tensor, approximate: float) -> Tensor:
    if approximate:
        cubed = o.times(o.op("Mul", o.op("Mul", x, x), x), 0.044715)
        inner = o.op("Tanh", o.times(o.op("Add", x, cubed), math.sqrt(2 / math.pi)))
    else:
        inner = single(o.graph, "Erf", o.times(x, math.sqrt(0.5)))
    return o.op("Mul", o.times(x, 0.5), o.plus(inner, 1))


def _swish(o: _Operators, x: Tensor, beta: float) -> Tensor:
    return o.op("Mul", x, o.op("Sigmoid", o.op("Mul", x, o.scalar(beta, x))))


def _hard_silu(o: _Operators, x: Tensor) -> Tensor:
    return o.op("Mul", x, hard_sigmoid(o, x, 1 / 6, 0.5))


def _softmax(kind: str) -> Callable[[_Operators, Tensor, float], Tensor]:
    return lambda o, x, axis: o.graph.op(kind, x, axis=int(axis))


def _sparsemax(o: _Operators, x: Tensor, axis: float) -> Tensor:
    """Keras' (keras/src/backend/tensorflow/nn.py): x - tau with tau from the *sum* of the supported partial sums.

    Martins and Astudillo 2016 take the last partial sum alone; models were trained with Keras' form.
    """
    g, given = o.graph, x.dtype
    x = g.cast(x, "float32" if given == "float16" else given)  # CumSum has no float16 before opset 14
    count = g.op("Unsqueeze", g.size(x, int(axis)), g.const([0]))
    ordered, _ = g.ops("TopK", (x, count), (x.dtype, "int64"), axis=int(axis))
    assert ordered is not None
    along = g.const(int(axis))
    sums = g.op("CumSum", ordered, along)
    rank = g.op("CumSum", o.plus(g.zeros(g.op("Shape", x, dtype="int64"), x.dtype), 1), along)
    margin = o.op("Sub", ordered, o.op("Div", o.plus(sums, -1), rank))
    support = g.cast(o.compare("Greater", margin, 0), x.dtype)
    size = g.with_axes("ReduceSum", support, [int(axis)], keepdims=1)
    total = g.with_axes("ReduceSum", o.op("Mul", support, sums), [int(axis)], keepdims=1)
    return g.cast(o.op("Relu", o.op("Sub", x, o.op("Div", o.plus(total, -1), size))), given)


def _glu(o: _Operators, x: Tensor, axis: float) -> Tensor:
    attributes = {"num_outputs": 2} if o.graph.store.opset >= 18 else {}  # Split-18
    value, gate = o.graph.ops("Split", (x,), (x.dtype, x.dtype), axis=int(axis), **attributes)
    assert value is not None and gate is not None
    return o.op("Mul", value, o.op("Sigmoid", gate))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **arithmetic.FUNCTIONS,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    "swish": _swish,
    "hard_silu": _hard_silu,
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "sparsemax": _sparsemax,
    "glu": _glu,
}
