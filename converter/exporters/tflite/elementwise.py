"""Elementwise operators, reductions and products."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce as fold

import numpy as np

from converter.errors import Unsupported
from converter.exporters.tflite.activations import activate
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.lower import Inputs, Outputs, lower, present, result
from converter.exporters.tflite.tensors import Tensor, element_type
from converter.model import Node
from converter.model.layers import Activate, Cast, CumSum, Elementwise, MatMul, OneHot, Reduce, Unary, Where

ARITHMETIC = {
    "add": "ADD", "subtract": "SUB", "multiply": "MUL", "divide": "DIV", "maximum": "MAXIMUM", "minimum": "MINIMUM",
    "power": "POW", "mod": "FLOOR_MOD", "floor_divide": "FLOOR_DIV",
}  # fmt: skip
COMPARISONS = {
    "equal": "EQUAL", "not_equal": "NOT_EQUAL", "less": "LESS", "less_equal": "LESS_EQUAL", "greater": "GREATER",
    "greater_equal": "GREATER_EQUAL",
}  # fmt: skip
LOGICAL = {"and": "LOGICAL_AND", "or": "LOGICAL_OR", "xor": "NOT_EQUAL"}
UNARY = {
    "abs": "ABS", "negative": "NEG", "exp": "EXP", "log": "LOG", "sqrt": "SQRT", "rsqrt": "RSQRT", "sin": "SIN",
    "cos": "COS", "sign": "SIGN", "floor": "FLOOR", "ceil": "CEIL", "round": "ROUND",
}  # fmt: skip
REDUCTIONS = {
    "sum": "SUM", "mean": "MEAN", "max": "REDUCE_MAX", "min": "REDUCE_MIN", "prod": "REDUCE_PROD",
    "any": "REDUCE_ANY", "all": "REDUCE_ALL",
}  # fmt: skip


@lower.register
def activation(layer: Activate, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """The activation's operators."""
    return (activate(graph, graph.cast(present(inputs[0]), result(node)[0]), layer.activation),)


@lower.register
def elementwise(layer: Elementwise, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Pairs from left to right."""
    operands, out = [present(x) for x in inputs], result(node)[0]
    if layer.op in LOGICAL:
        return (graph.cast(_pairs(graph, LOGICAL[layer.op], operands, "bool", "bool"), out),)
    if layer.op in COMPARISONS:
        common = np.result_type(*(x.dtype for x in operands)).name
        common = "int32" if common == "bool" and layer.op not in ("equal", "not_equal") else common
        return (graph.cast(_pairs(graph, COMPARISONS[layer.op], operands, common, "bool"), out),)
    if layer.op not in ARITHMETIC:
        raise Unsupported(f"{layer.op} cannot be exported to TFLite")
    return (_pairs(graph, ARITHMETIC[layer.op], operands, out, out),)


def _pairs(graph: Graph, kind: str, operands: list[Tensor], work: str, out: str) -> Tensor:
    return fold(lambda a, b: graph.pair(kind, a, b, out), (graph.cast(x, work) for x in operands))


@lower.register
def unary(layer: Unary, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """One operator, or a few."""
    x, out = present(inputs[0]), result(node)[0]
    if layer.op == "not":
        return (graph.cast(graph.op("LOGICAL_NOT", graph.cast(x, "bool")), out),)
    if layer.op == "isnan":
        return (graph.cast(graph.op("NOT_EQUAL", x, x, dtype="bool"), out),)
    x = graph.cast(x, out)
    if layer.op in ("floor", "ceil", "round") and not x.dtype.startswith("float"):
        return (x,)
    if layer.op in COMPOSED:
        return (COMPOSED[layer.op](graph, x),)
    if layer.op not in UNARY:
        raise Unsupported(f"{layer.op} cannot be exported to TFLite")
    return (graph.op(UNARY[layer.op], x),)


COMPOSED: dict[str, Callable[[Graph, Tensor], Tensor]] = {
    "square": lambda g, x: g.op("MUL", x, x),
    "reciprocal": lambda g, x: g.pair("DIV", g.scalar(1, x), x),
}


@lower.register
def where(layer: Where, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """SELECT_V2."""
    condition, a, b = (present(x) for x in inputs)
    out, shape = result(node)
    picked = (graph.cast(condition, "bool"), graph.cast(a, out), graph.cast(b, out))
    return (graph.op("SELECT_V2", *picked, shape=shape, dtype=out),)


@lower.register
def cast(layer: Cast, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """CAST."""
    element_type(layer.dtype)
    return (graph.cast(present(inputs[0]), layer.dtype),)


@lower.register
def reduce(layer: Reduce, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """A reduction over constant axes; ARG_MAX and ARG_MIN drop their axis."""
    x, (out, shape) = present(inputs[0]), result(node)
    kept = tuple(1 if k in layer.axes else n for k, n in enumerate(x.shape))
    bare = tuple(n for k, n in enumerate(x.shape) if k not in layer.axes)
    if layer.op in ("argmax", "argmin"):
        kind = "ARG_MAX" if layer.op == "argmax" else "ARG_MIN"
        (axis,) = layer.axes
        place = graph.op(kind, x, graph.const(axis), shape=bare, dtype="int64", outputType=element_type("int64"))
        if layer.keepdims:
            place = graph.op("EXPAND_DIMS", place, graph.const(axis), shape=shape)
        return (graph.cast(place, out),)
    axes, shape = graph.const(list(layer.axes)), kept if layer.keepdims else bare
    if layer.op == "logsumexp":
        top = graph.op("REDUCE_MAX", x, axes, shape=kept, keepDims=True)
        total = graph.op("SUM", graph.op("EXP", graph.op("SUB", x, top)), axes, shape=kept, keepDims=True)
        found = graph.op("ADD", graph.op("LOG", total), top)
        return (found if layer.keepdims else graph.reshape(found, _sizes(graph, found, bare, layer.axes), bare),)
    work = "bool" if layer.op in ("any", "all") else out
    found = graph.op(REDUCTIONS[layer.op], graph.cast(x, work), axes, shape=shape, keepDims=layer.keepdims)
    return (graph.cast(found, out),)


def _sizes(graph: Graph, x: Tensor, shape: tuple[int | None, ...], axes: tuple[int, ...]) -> list[int | Tensor]:
    left = [k for k in range(x.rank) if k not in axes]
    return [graph.size(x, k) if n is None else n for k, n in zip(left, shape, strict=True)]


@lower.register
def cumsum(layer: CumSum, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """CUMSUM."""
    return (graph.op("CUMSUM", graph.cast(present(inputs[0]), result(node)[0]), graph.const(layer.axis)),)


@lower.register
def matmul(layer: MatMul, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """BATCH_MATMUL, which wants two axes at least."""
    out, shape = result(node)
    a, b = (graph.cast(present(x), out) for x in inputs)
    if min(a.rank, b.rank) < 2:
        raise Unsupported("a product of a vector cannot be exported to TFLite")
    return (graph.op("BATCH_MATMUL", a, b, shape=shape, adjX=layer.transpose_a, adjY=layer.transpose_b),)


@lower.register
def one_hot(layer: OneHot, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Equality with 0, 1, ...: right for what is out of range, too."""
    x = graph.cast(present(inputs[0]), "int32")
    index = graph.op("EXPAND_DIMS", x, graph.const(x.rank), shape=(*x.shape, 1))
    return (graph.cast(graph.pair("EQUAL", index, graph.const(np.arange(layer.depth)), "bool"), result(node)[0]),)
