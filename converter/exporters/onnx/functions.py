"""Elementwise functions that ONNX has no operator for, or onnxruntime one for float32 alone.

Every composition is as exact as its result's type: near 0, where log1p and expm1 are x itself, and at infinities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from converter.exporters.onnx.activations import single
from converter.exporters.onnx.graph import Graph, Tensor

Function = Callable[[Graph, Tensor], Tensor]


def _single(kind: str) -> Function:
    return lambda graph, x: single(graph, kind, x)


def _expm1(graph: Graph, x: Tensor) -> Tensor:
    """tanh(x/2)·(eˣ + 1), which is the same number: nothing cancels, and nothing overflows before the result."""
    half = graph.op("Tanh", graph.op("Mul", x, graph.scalar(0.5, x)))
    return graph.op("Mul", half, graph.op("Add", graph.op("Exp", x), graph.scalar(1, x)))


def _log1p(graph: Graph, x: Tensor) -> Tensor:
    """log(u)·x/(u - 1) with u = 1 + x as rounded: the two errors of rounding cancel (Goldberg 1991, theorem 4)."""
    one = graph.scalar(1, x)
    u = graph.op("Add", x, one)
    log = graph.op("Log", u)
    small = graph.op("Less", x, one, dtype="bool")  # above, log(u) itself is exact, and infinity stays
    same = graph.op("Equal", u, one, dtype="bool")
    ratio = graph.op("Div", x, graph.op("Where", same, one, graph.op("Sub", u, one), dtype=x.dtype))
    near = graph.op("Where", same, x, graph.op("Mul", log, ratio), dtype=x.dtype)
    return graph.op("Where", small, near, log, dtype=x.dtype)


def _is_negative(graph: Graph, x: Tensor) -> Tensor:
    """Whether the sign is set, of -0 too."""
    zero = graph.scalar(0, x)
    below = graph.op("Less", x, zero, dtype="bool")
    signed = graph.op("Less", graph.op("Div", graph.scalar(1, x), x), zero, dtype="bool")
    return graph.op("Or", below, graph.op("And", graph.op("Equal", x, zero, dtype="bool"), signed))


def arctan2(graph: Graph, y: Tensor, x: Tensor) -> Tensor:
    """The angle of (x, y): atan(|y|/|x|) put into its quadrant; equal sizes, 0 and infinity too, are 45 degrees."""
    high, wide = graph.op("Abs", y), graph.op("Abs", x)
    zero, one = graph.scalar(0, x), graph.scalar(1, x)
    nowhere = graph.op("Where", graph.op("Equal", wide, zero, dtype="bool"), zero, one, dtype=x.dtype)
    same = graph.op("Equal", high, wide, dtype="bool")
    ratio = graph.op("Where", same, nowhere, graph.op("Div", high, wide), dtype=x.dtype)
    angle = single(graph, "Atan", ratio)
    left = graph.op("Sub", graph.scalar(math.pi, x), angle)
    angle = graph.op("Where", _is_negative(graph, x), left, angle, dtype=x.dtype)
    sign = graph.op("Where", _is_negative(graph, y), graph.scalar(-1, x), one, dtype=x.dtype)
    return graph.op("Mul", angle, sign)  # onnxruntime's Where makes 0 of -0


UNARY: Mapping[str, Function] = {
    "rsqrt": lambda graph, x: graph.op("Reciprocal", graph.op("Sqrt", x)),
    "square": lambda graph, x: graph.op("Mul", x, x),
    "expm1": _expm1,
    "log1p": _log1p,
    **{name: _single(kind) for name, kind in {
        "tan": "Tan", "erf": "Erf", "sinh": "Sinh", "cosh": "Cosh", "arcsin": "Asin", "arccos": "Acos",
        "arctan": "Atan", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh",
    }.items()},
}  # fmt: skip
