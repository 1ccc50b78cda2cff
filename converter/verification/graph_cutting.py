"""An exported graph cut into the parts that stand for the model's nodes, each to be run on values of our choice.

Every tensor that holds a value of the model becomes an input (`<tensor>@in`) for those that read it, and an output of
what makes it. One run then computes every node of the model by itself. What a node's part reads of the node's own
results stays as it is: a part may be made of several operators.

Recurrent operators also show the sequence of their states: LSTM, GRU and RNN their Y
(https://onnx.ai/onnx/operators/onnx__LSTM.html), a Scan the states after each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import onnx
from onnx import helper

from converter.errors import clean
from converter.model import Value, dtype_of

# Operators and their states: an own copy, a proof must not share a table with what it judges.
NATIVE = {"LSTM": 2, "GRU": 1, "RNN": 1}
GIVEN = "@in"
_STATES = "@states"
NOTHING: Mapping[str, Sequence[Value]] = MappingProxyType({})


@dataclass(frozen=True)
class Operator:
    """A recurrent operator of the main graph.

    Attributes:
        owner: the name of the model's node that it is a part of, as far as its own name says.
        native: whether `shown` is its one Y, [time, directions, batch, units]; else the states of a Scan.
        shown: the tensors that show its states, h first.
        inside: of a Scan of the model's own, the tensors that show those of its body after each step, by these.
    """

    owner: str
    native: bool
    shown: tuple[str, ...]
    inside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """An operator of the main graph as it is in the file: what it is a part of, its kind, its tensors by name."""

    name: str
    owner: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """A graph in parts.

    Attributes:
        model: the graph with its new inputs and outputs; weights as they were.
        given: the inputs by the tensor they stand for.
        made: the tensors that some operator makes, all of them outputs.
        operators: the recurrent ones.
    """

    model: onnx.ModelProto
    given: Mapping[str, str]
    made: frozenset[str]
    operators: tuple[Operator, ...]


def owner_of(name: str) -> str:
    """The model's node (as `clean` writes it) that an operator of this name is a part of."""
    return name.rpartition("/")[0]


def cut(model: onnx.ModelProto, tensors: Mapping[str, Iterable[Value]], inside: Mapping[str, Sequence[Value]]) -> Cut:
    """Cuts a graph at these tensors, each with the values of the model that it holds; changes `model`.

    `inside`: the tensors of the bodies of Scans that are to be shown after each step.
    """
    graph = model.graph
    makers = {name: owner_of(node.name) for node in graph.node for name in node.output if name}
    inputs = {value.name for value in graph.input}
    given = {name: name for name in tensors if name in inputs}
    given |= {name: f"{name}{GIVEN}" for name in tensors if name in makers}
    for node in graph.node:
        _redirect(node, given, makers, owner_of(node.name))
    for name, new in given.items():
        if new != name:
            graph.input.append(_typed(new, next(iter(tensors[name]))))
    operators = tuple(_shown(node, inside) for node in graph.node if node.op_type in NATIVE or node.op_type == "Scan")
    outputs = [*(name for name in tensors if name in makers), *(name for one in operators for name in one.shown)]
    known = {value.name for value in graph.output}
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(outputs) if name not in known)
    del graph.value_info[:]
    return Cut(model, given, frozenset(name for name in tensors if name in makers), operators)


def _redirect(node: onnx.NodeProto, given: Mapping[str, str], makers: Mapping[str, str], owner: str) -> None:
    """The inputs for what a node and the graphs inside it read of tensors that other owners' operators make."""
    node.input[:] = [given.get(n, n) if makers.get(n, owner) != owner else n for n in node.input]
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _redirect(inner, given, makers, owner)


def _typed(name: str, value: Value) -> onnx.ValueInfoProto:
    """A graph input for a value of the model."""
    dtype = "float32" if value.dtype == "bfloat16" else value.dtype
    kind = onnx.TensorProto.STRING if dtype == "string" else helper.np_dtype_to_tensor_dtype(dtype_of(dtype))
    return helper.make_tensor_value_info(name, kind, list(value.shape))


def _shown(node: onnx.NodeProto, inside: Mapping[str, Sequence[Value]]) -> Operator:
    """The operator, made to show its states, or what is inside."""
    owner = owner_of(node.name)
    if node.op_type in NATIVE:
        if not node.output[0]:
            node.output[0] = f"{node.name}{_STATES}"
        return Operator(owner, True, (node.output[0],))
    attributes = {attribute.name: attribute for attribute in node.attribute}
    body = attributes["body"].g
    there = [*(value.name for value in body.input), *(name for inner in body.node for name in inner.output)]
    own = {name: _typed(name, _worked(inside[name][0])) for name in there if name in inside}
    states = {value.name: value for value in body.output[: len(node.input) - attributes["num_scan_inputs"].i]}
    names = [_show(node, body, name, own.get(name) or states[name]) for name in own or states]
    for name in ("scan_output_axes", "scan_output_directions"):
        if name in attributes:
            attributes[name].ints.extend([0] * len(names))
    shown = dict(zip(own, names, strict=True)) if own else {}
    return Operator(owner, False, tuple(names), shown)


def _worked(value: Value) -> Value:
    """As a Scan computes it."""
    return replace(value, dtype="float32") if value.dtype == "float16" else value


def _show(node: onnx.NodeProto, body: onnx.GraphProto, name: str, like: onnx.ValueInfoProto) -> str:
    """The output of a Scan that is a tensor of its body in each step."""
    info = onnx.ValueInfoProto()
    info.CopyFrom(like)
    info.name = f"{name}{_STATES}"
    body.node.append(helper.make_node("Identity", [name], [info.name], info.name))
    body.output.append(info)
    node.output.append(f"{node.name}{_STATES}{len(node.output)}")
    return str(node.output[-1])


def owners(names: Iterable[str]) -> dict[str, str]:
    """The model's nodes by the names that their operators bear."""
    return {clean(name): name for name in names}
