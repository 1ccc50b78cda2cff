"""Elementwise operators, reductions and products; types are widened to what ONNX and onnxruntime take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from converter.exporters.onnx import functions
from converter.exporters.onnx.activations import activate
from converter.exporters.onnx.graph import WIDER, Graph, Tensor, computed
from converter.exporters.onnx.lower import Inputs, Outputs, lower, present, rank, result_type
from converter.exporters.onnx.rounding import REDUCED, equals
from converter.model import Node
from converter.model.layers import (
    Activate,
    Cast,
    CumSum,
    Einsum,
    Elementwise,
    MatMul,
    OneHot,
    Reduce,
    Unary,
    Where,
)

ARITHMETIC = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max", "minimum": "Min",
    "power": "Pow",
}  # fmt: skip
COMPARISONS = {
    "equal": "Equal", "not_equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}  # fmt: skip
LOGICAL = {"and": "And", "or": "Or", "xor": "Xor"}
UNARY = {
    "abs": "Abs", "negative": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos",
    "sign": "Sign", "floor": "Floor", "ceil": "Ceil", "round": "Round", "reciprocal": "Reciprocal",
}  # fmt: skip
REDUCTIONS = {
    "sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
}  # fmt: skip


def _is_integer(dtype: str) -> bool:
    return dtype.startswith(("int", "uint"))


@lower.register
def activation(layer: Activate, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """The activation's operators."""
    return (activate(graph, graph.cast(present(inputs[0]), result_type(node)), layer.activation),)


@lower.register
def elementwise(layer: Elementwise, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Pairs from left to right."""
    operands = [present(x) for x in inputs]
    out = result_type(node)
    if layer.op in LOGICAL:
        return (graph.cast(_fold(graph, LOGICAL[layer.op], [graph.cast(x, "bool") for x in operands]), out),)
    if layer.op in COMPARISONS:
        return (graph.cast(_compared(graph, layer.op, node, operands), out),)
    work = WIDER.get(out, out)
    operands = [graph.cast(x, work) for x in operands]
    if layer.op == "mod":
        result = _pairwise(graph, operands, _mod)
    elif layer.op == "arctan2":
        result = _pairwise(graph, operands, functions.arctan2)
    elif layer.op == "floor_divide":
        result = _pairwise(graph, operands, _floor_divide)
    else:
        result = _fold(graph, ARITHMETIC[layer.op], operands)
    return (graph.cast(result, out),)


def _fold(graph: Graph, kind: str, operands: list[Tensor]) -> Tensor:
    return _pairwise(graph, operands, lambda g, a, b: g.op(kind, a, b))


def _pairwise(graph: Graph, operands: list[Tensor], combine: Callable[[Graph, Tensor, Tensor], Tensor]) -> Tensor:
    result = operands[0]
    for operand in operands[1:]:
        result = combine(graph, result, operand)
    return result


def _compared(graph: Graph, op: str, node: Node, operands: list[Tensor]) -> Tensor:
    """A comparison; with a constant in reduced precision by the values that round to it."""
    value = node.inputs[0]
    assert value is not None
    constants = [graph.known(x) for x in operands]
    known = next((c for c in constants if c is not None and not np.isnan(c)), None)
    if op in ("equal", "not_equal") and value.dtype in REDUCED and known is not None and None in constants:
        place = constants.index(None)
        found = equals(graph, operands[place], operands[1 - place], known, value.dtype)
        return graph.op("Not", found) if op == "not_equal" else found
    return _compare(graph, op, *operands)


def _compare(graph: Graph, op: str, a: Tensor, b: Tensor) -> Tensor:
    common = np.result_type(a.dtype, b.dtype).name
    if not (common == "bool" and op in ("equal", "not_equal")):
        common = WIDER.get(common, common)
    result = graph.op(COMPARISONS[op], graph.cast(a, common), graph.cast(b, common), dtype="bool")
    return graph.op("Not", result) if op == "not_equal" else result


def _mod(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The remainder with the divisor's sign, as NumPy and TensorFlow have it; ONNX' own has it for integers only."""
    if _is_integer(a.dtype):
        return graph.op("Mod", a, b)
    remainder = graph.op("Mod", a, b, fmod=1)
    zero = graph.scalar(0, a)
    signs = [graph.op("Less", x, zero, dtype="bool") for x in (remainder, b)]
    wrong = graph.op("And", graph.op("Xor", *signs), graph.op("Not", graph.op("Equal", remainder, zero, dtype="bool")))
    return graph.op("Where", wrong, graph.op("Add", remainder, b), remainder, dtype=a.dtype)


def _floor_divide(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    if _is_integer(a.dtype):  # ONNX' Div truncates
        return graph.op("Div", graph.op("Sub", a, _mod(graph, a, b)), b)
    return graph.op("Floor", graph.op("Div", a, b))


@lower.register
def unary(layer: Unary, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """One operator, or a few."""
    x, out = present(inputs[0]), result_type(node)
    if layer.op == "not":
        return (graph.cast(graph.op("Not", graph.cast(x, "bool")), out),)
    if layer.op == "isnan":
        is_float = x.dtype.startswith("float")
        found = graph.op("IsNaN", x if is_float else graph.cast(x, "float32"), dtype="bool")
        return (graph.cast(found, out),)
    x = graph.cast(x, WIDER.get(out, out))
    if layer.op in ("floor", "ceil", "round") and _is_integer(x.dtype):
        result = x
    elif layer.op in functions.UNARY:
        result = functions.UNARY[layer.op](graph, x)
    else:
        result = graph.op(UNARY[layer.op], x)
    return (graph.cast(result, out),)


@lower.register
def where(layer: Where, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Where."""
    condition, a, b = (present(x) for x in inputs)
    out = result_type(node)
    work = WIDER.get(out, out)
    a, b = graph.cast(a, work), graph.cast(b, work)
    return (graph.cast(graph.op("Where", graph.cast(condition, "bool"), a, b, dtype=work), out),)


@lower.register
def cast(layer: Cast, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Cast; through bfloat16 and back where that is asked for, so that its rounding takes place."""
    x = present(inputs[0])
    if layer.dtype != computed(layer.dtype):
        x = graph.cast(x, layer.dtype)
    return (graph.cast(x, computed(layer.dtype)),)


@lower.register
def reduce(layer: Reduce, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Reduce*, ArgMax, ArgMin; "any" and "all" are the maximum and minimum of 0 and 1."""
    x, out, keep = present(inputs[0]), result_type(node), int(layer.keepdims)
    if layer.op in ("argmax", "argmin"):
        x = graph.cast(x, "float32" if x.dtype == "float16" else WIDER.get(x.dtype, x.dtype))
        kind = "ArgMax" if layer.op == "argmax" else "ArgMin"
        (axis,) = layer.axes
        return (graph.cast(graph.op(kind, x, dtype="int64", axis=axis, keepdims=keep), out),)
    if layer.op in ("any", "all"):
        ones = graph.cast(graph.cast(x, "bool"), "int32")
        kind = "ReduceMax" if layer.op == "any" else "ReduceMin"
        return (graph.cast(graph.cast(graph.with_axes(kind, ones, layer.axes, keepdims=keep), "bool"), out),)
    x = graph.cast(x, WIDER.get(out, out))
    return (graph.cast(graph.with_axes(REDUCTIONS[layer.op], x, layer.axes, keepdims=keep), out),)


@lower.register
def cumsum(layer: CumSum, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """CumSum; it has no float16 before opset 14."""
    out = result_type(node)
    x = graph.cast(present(inputs[0]), "float32" if out == "float16" else WIDER.get(out, out))
    return (graph.cast(graph.op("CumSum", x, graph.const(layer.axis)), out),)


@lower.register
def matmul(layer: MatMul, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """MatMul, after Transposes of the last two axes."""
    out = result_type(node)
    operands = []
    for index, swap in enumerate((layer.transpose_a, layer.transpose_b)):
        axes = list(range(rank(node, index)))
        if swap:
            axes[-2:] = axes[-1], axes[-2]
        operands.append(graph.transpose(graph.cast(present(inputs[index]), out), axes))
    return (graph.op("MatMul", *operands),)


@lower.register
def einsum(layer: Einsum, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Einsum."""
    out = result_type(node)
    return (graph.op("Einsum", *(graph.cast(present(x), out) for x in inputs), equation=layer.equation),)


@lower.register
def one_hot(layer: OneHot, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Equality with 0, 1, ..., as ONNX' OneHot counts negative indices from the end."""
    index = graph.with_axes("Unsqueeze", graph.cast(present(inputs[0]), "int64"), [rank(node)])
    equal = graph.op("Equal", index, graph.const(np.arange(layer.depth)), dtype="bool")
    return (graph.cast(equal, result_type(node)),)
