"""Each neutral activation as ONNX operators, written so that no intermediate overflows where the result does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from converter.exporters.onnx.graph import Graph, Tensor
from converter.model.activations import Activation

# SELU's constants, Klambauer et al. 2017; TensorFlow's selu uses the same.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def activate(graph: Graph, x: Tensor, activation: Activation) -> Tensor:
    """activation(x), of x's type; see `converter.model.activations.FUNCTIONS`."""
    return FUNCTIONS[activation.name](graph, x, *activation.parameters)


def single(graph: Graph, kind: str, x: Tensor, **attributes: Any) -> Tensor:
    """An operator that onnxruntime has for float32 only: float64 goes through float32."""
    inner = graph.cast(x, "float32") if x.dtype == "float64" else x
    return graph.cast(graph.op(kind, inner, **attributes), x.dtype)


def _linear(g: Graph, x: Tensor) -> Tensor:
    return x


def _operator(kind: str) -> Callable[[Graph, Tensor], Tensor]:
    return lambda g, x: g.op(kind, x)


def _times(g: Graph, x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else g.op("Mul", x, g.scalar(factor, x))


def _plus(g: Graph, x: Tensor, term: float) -> Tensor:
    return x if term == 0 else g.op("Add", x, g.scalar(term, x))


def _clip(g: Graph, x: Tensor, low: float | None, high: float | None) -> Tensor:
    bounds = [None if bound is None else g.scalar(bound, x) for bound in (low, high)]
    if x.dtype == "float64":  # onnxruntime 1.32 cannot load Relu, Clip of it: its fusion of the two knows no float64
        for kind, bound in zip(("Max", "Min"), bounds, strict=True):
            x = x if bound is None else g.op(kind, x, bound)
        return x
    return g.op("Clip", x, *bounds)


def _above(g: Graph, x: Tensor, bound: float) -> Tensor:
    return g.op("Greater", x, g.scalar(bound, x), dtype="bool")


def _pick(g: Graph, condition: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
    return g.op("Where", condition, then, otherwise, dtype=then.dtype)


def _hard_sigmoid(g: Graph, x: Tensor, alpha: float, beta: float) -> Tensor:
    return _clip(g, _plus(g, _times(g, x, alpha), beta), 0, 1)


def _relu(g: Graph, x: Tensor, slope: float, maximum: float, threshold: float) -> Tensor:
    above = _pick(g, _above(g, x, threshold), x, g.scalar(0, x)) if threshold else x
    if maximum != math.inf:
        above = _clip(g, above, 0, maximum)
    elif not threshold:
        above = g.op("Relu", x)
    if slope == 0:
        return above
    below = _clip(g, _plus(g, x, -threshold), None, 0)
    return g.op("Add", above, _times(g, below, slope))


def _elu(g: Graph, x: Tensor, alpha: float) -> Tensor:
    below = _plus(g, g.op("Exp", _clip(g, x, None, 0)), -1)
    return _pick(g, _above(g, x, 0), x, _times(g, below, alpha))


def _selu(g: Graph, x: Tensor) -> Tensor:
    return _times(g, _elu(g, x, SELU_ALPHA), SELU_SCALE)


def _celu(g: Graph, x: Tensor, alpha: float) -> Tensor:
    return _times(g, _elu(g, _times(g, x, 1 / alpha), 1), alpha)


def _leaky_relu(g: Graph, x: Tensor, alpha: float) -> Tensor:
    return _pick(g, _above(g, x, 0), x, _times(g, x, alpha))


def _softplus(g: Graph, x: Tensor) -> Tensor:
    decay = g.op("Exp", g.op("Neg", g.op("Abs", x)))  # at most 1, so nothing overflows
    return g.op("Add", g.op("Relu", x), g.op("Log", _plus(g, decay, 1)))


def _softsign(g: Graph, x: Tensor) -> Tensor:
    return g.op("Div", x, _plus(g, g.op("Abs", x), 1))


def _gelu(g: Graph, x: Tensor, approximate: float) -> Tensor:
    if approximate:
        cubed = _times(g, g.op("Mul", g.op("Mul", x, x), x), 0.044715)
        inner = g.op("Tanh", _times(g, g.op("Add", x, cubed), math.sqrt(2 / math.pi)))
    else:
        inner = single(g, "Erf", _times(g, x, math.sqrt(0.5)))
    return g.op("Mul", _times(g, x, 0.5), _plus(g, inner, 1))


def _silu(g: Graph, x: Tensor) -> Tensor:
    return g.op("Mul", x, g.op("Sigmoid", x))


def _swish(g: Graph, x: Tensor, beta: float) -> Tensor:
    return g.op("Mul", x, g.op("Sigmoid", g.op("Mul", x, g.scalar(beta, x))))


def _hard_silu(g: Graph, x: Tensor) -> Tensor:
    return g.op("Mul", x, _hard_sigmoid(g, x, 1 / 6, 0.5))


def _hard_tanh(g: Graph, x: Tensor) -> Tensor:
    return _clip(g, x, -1, 1)


def _hard_shrink(g: Graph, x: Tensor, threshold: float) -> Tensor:
    return _pick(g, _above(g, g.op("Abs", x), threshold), x, g.scalar(0, x))


def _soft_shrink(g: Graph, x: Tensor, threshold: float) -> Tensor:
    return g.op("Sub", x, _clip(g, x, -threshold, threshold))


def _tanh_shrink(g: Graph, x: Tensor) -> Tensor:
    return g.op("Sub", x, g.op("Tanh", x))


def _threshold(g: Graph, x: Tensor, threshold: float, value: float) -> Tensor:
    return _pick(g, _above(g, x, threshold), x, g.scalar(value, x))


def _thresholded_relu(g: Graph, x: Tensor, theta: float) -> Tensor:
    return _threshold(g, x, theta, 0)


def _mish(g: Graph, x: Tensor) -> Tensor:
    return g.op("Mul", x, g.op("Tanh", _softplus(g, x)))


def _log_sigmoid(g: Graph, x: Tensor) -> Tensor:
    return g.op("Neg", _softplus(g, g.op("Neg", x)))


def _squareplus(g: Graph, x: Tensor, b: float) -> Tensor:
    root = g.op("Sqrt", _plus(g, g.op("Mul", x, x), b))
    left = g.op("Div", g.scalar(b / 2, x), g.op("Sub", root, x))  # the same number without the loss of digits
    right = _times(g, g.op("Add", x, root), 0.5)
    return _pick(g, g.op("Less", x, g.scalar(0, x), dtype="bool"), left, right)


def _sparse_plus(g: Graph, x: Tensor) -> Tensor:
    middle = _plus(g, _clip(g, x, -1, 1), 1)
    rest = g.op("Relu", _plus(g, x, -1))  # (x+1)²/4 is 1 at x = 1, from where on the function is x
    return g.op("Add", _times(g, g.op("Mul", middle, middle), 0.25), rest)


def _softmax(kind: str) -> Callable[[Graph, Tensor, float], Tensor]:
    return lambda g, x, axis: g.op(kind, x, axis=int(axis))


def _sparsemax(g: Graph, x: Tensor, axis: float) -> Tensor:
    """Keras' (keras/src/backend/tensorflow/nn.py): x - tau with tau from the *sum* of the supported partial sums.

    Martins and Astudillo 2016 take the last partial sum alone; models were trained with Keras' form.
    """
    given = x.dtype
    x = g.cast(x, "float32" if given == "float16" else given)  # CumSum has no float16 before opset 14
    count = g.op("Unsqueeze", g.size(x, int(axis)), g.const([0]))
    ordered, _ = g.ops("TopK", (x, count), (x.dtype, "int64"), axis=int(axis))
    assert ordered is not None
    along = g.const(int(axis))
    sums = g.op("CumSum", ordered, along)
    rank = g.op("CumSum", _plus(g, g.zeros(g.op("Shape", x, dtype="int64"), x.dtype), 1), along)
    margin = g.op("Sub", ordered, g.op("Div", _plus(g, sums, -1), rank))
    support = g.cast(_above(g, margin, 0), x.dtype)
    size = g.with_axes("ReduceSum", support, [int(axis)], keepdims=1)
    total = g.with_axes("ReduceSum", g.op("Mul", support, sums), [int(axis)], keepdims=1)
    return g.cast(g.op("Relu", g.op("Sub", x, g.op("Div", _plus(g, total, -1), size))), given)


def _glu(g: Graph, x: Tensor, axis: float) -> Tensor:
    attributes = {"num_outputs": 2} if g.store.opset >= 18 else {}  # Split-18
    value, gate = g.ops("Split", (x,), (x.dtype, x.dtype), axis=int(axis), **attributes)
    assert gate is not None
    return g.op("Mul", value, g.op("Sigmoid", gate))


FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "linear": _linear,
    "tanh": _operator("Tanh"),
    "sigmoid": _operator("Sigmoid"),
    "hard_sigmoid": _hard_sigmoid,
    "relu": _relu,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "leaky_relu": _leaky_relu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": _operator("Exp"),
    "gelu": _gelu,
    "silu": _silu,
    "swish": _swish,
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
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "sparsemax": _sparsemax,
    "glu": _glu,
}
