"""Scan or Loop of any body as a neutral Scan: the body is translated by the rules of all other operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.model import Node, Shape, Value
from converter.model.layers import Scan
from converter.readers.onnx.tensors import Tensor, Val
from converter.readers.onnx.values import Builder, Call

_MAX_NODES = 2000
_OPTIONS = ("scan_input_axes", "scan_output_axes", "scan_input_directions", "scan_output_directions")


def plain_scan(call: Call) -> bool:
    """Whether a Scan goes forwards along first axes, as those of our exports do that are no cells."""
    return not any(any(call.attributes[name].ints) for name in _OPTIONS if name in call.attributes)


def over_time(builder: Builder, call: Call) -> list[Tensor]:
    """Final states, then sequences, of a plain Scan.

    Raises:
        InvalidModel: the body is broken. Unsupported: it holds operators that are not read back.
    """
    graph, count = _body(call)
    given = [builder.value(call.tensor(k), call.name) for k in range(len(call.inputs))]
    names, after = [info.name for info in graph.input], [info.name for info in graph.output]
    return body_as_scan(builder, call, (names, graph.node, after), given, len(given) - count, {})


def body_as_scan(
    builder: Builder,
    call: Call,
    body: tuple[Sequence[str], Sequence[Any], Sequence[str]],
    given: Sequence[Value],
    states: int,
    outer: Mapping[str, Tensor],
) -> list[Tensor]:
    """Final states and sequences of a Scan.

    Args:
        body: names of states and elements, operators, names of what they make: states, then elements.
        given: initial states, then sequences [time, ...].
        states: how many states.
        outer: what the body reads besides what the builder knows.
    """
    names, nodes, results = body
    inner = builder.inside()
    inner.tensors |= outer
    inputs = [_input(inner, name, value, place >= states) for place, (name, value) in
              enumerate(zip(names, given, strict=True))]  # fmt: skip
    for k, node in enumerate(nodes):
        inner.run(node, k, inner, call.folder)
    outputs = [_made(inner, name) for name in results]
    steps = _needed(inner.nodes, outputs)
    own = {value.name for value in (*inputs, *(value for node in steps for value in node.outputs))}
    read = [value for node in steps for value in node.inputs if value is not None] + outputs
    captured = list({value.name: value for value in read if value.name not in own}.values())
    layer = Scan(states, len(given) - states, (*inputs, *captured), steps, tuple(outputs))
    time = given[states].shape[0]
    shapes: list[Shape] = [v.shape if k < states else (time, *v.shape) for k, v in enumerate(outputs)]
    made = builder.node(call.name, layer, (*given, *captured), *shapes, dtypes=[v.dtype for v in outputs])
    return [Val(value) for value in made]


def _needed(nodes: Sequence[Node], outputs: Sequence[Value]) -> tuple[Node, ...]:
    """The nodes on which the outputs depend: a body makes nothing in vain."""
    wanted, kept = {value.name for value in outputs}, []
    for node in reversed(nodes):
        if any(value.name in wanted for value in node.outputs):
            kept.append(node)
            wanted.update(value.name for value in node.inputs if value is not None)
    return tuple(reversed(kept))


def _body(call: Call) -> tuple[Any, int]:
    """The body, and how many inputs are taken step by step."""
    if "body" not in call.attributes:
        raise InvalidModel("Scan without a body")
    graph, count = call.attributes["body"].g, call.integer("num_scan_inputs", 0)
    fits = 1 <= count <= len(call.inputs) == len(graph.input) and len(graph.output) >= len(call.inputs) - count
    if not fits or len(graph.node) > _MAX_NODES or graph.initializer:
        raise Unsupported("Scan of this form")
    return graph, count


def _input(inner: Builder, name: str, outer: Value, scanned: bool) -> Value:
    shape = outer.shape[1:] if scanned else outer.shape
    if scanned and not outer.shape:
        raise InvalidModel("Scan over a number")
    value = Value(inner.unique(name), shape, outer.dtype)
    inner.given(name, value)
    return value


def _made(inner: Builder, name: str) -> Value:
    if name not in inner.tensors:
        raise InvalidModel("nothing makes this tensor", where=name)
    return inner.value(inner.tensors[name], name)
