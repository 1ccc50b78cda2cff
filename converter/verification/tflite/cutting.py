"""A TFLite graph cut into the parts that stand for the model's nodes, each to be run on values of our choice.

Every tensor that holds a value of the model becomes an input (`<tensor>@in`) for those that read it, and an output of
what makes it, as `converter.verification.graph_cutting` does with ONNX.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from converter.formats.tflite import Contents, read_tables, schema
from converter.verification.graph_cutting import GIVEN

# Operators of which an output is the sequence of h in the order of the steps, and which one: of a WHILE the last, if it
# has three axes; of steps that are written out what PACK makes of them.
SHOWING = {"UNIDIRECTIONAL_SEQUENCE_LSTM": 0, "UNIDIRECTIONAL_SEQUENCE_RNN": 0, "WHILE": -1, "PACK": -1}


@dataclass(frozen=True)
class Shown:
    """A recurrent operator: its owner, the tensor that shows its states, and how that lies."""

    owner: str
    tensor: str
    time_major: bool


def cut(contents: Contents, tensors: Iterable[str]) -> tuple[Any, list[Shown]]:
    """The cut model, of the schema's classes, and its recurrent operators."""
    model = read_tables(contents.data)
    graph = model.subgraphs[0]
    places = {name: place for place, name in enumerate(contents.names)}
    owners = contents.owners()
    makers = {place: owner for op, owner in zip(graph.operators, owners, strict=True) for place in op.outputs}
    given: dict[int, int] = {}
    for name in tensors:
        place = places[name]
        if place in makers:
            given[place] = len(graph.tensors)
            graph.tensors.append(_copy(graph.tensors[place], f"{name}{GIVEN}"))
    for op, owner in zip(graph.operators, owners, strict=True):
        op.inputs = [given[p] if p in given and makers[p] != owner else p for p in op.inputs]
    shown = _shown(contents, owners)
    graph.inputs = [*(p for p in graph.inputs if contents.names[p] in set(tensors)), *given.values()]
    graph.outputs = list(dict.fromkeys([*given, *(places[one.tensor] for one in shown), *graph.outputs]))
    model.signatureDefs = None
    return model, shown


def _shown(contents: Contents, owners: list[str]) -> list[Shown]:
    """The recurrent operators; none of an owner that has one more whose states are not to be seen."""
    graph = contents.graph
    found: list[Shown] = []
    hidden: set[str] = set()
    for op, owner in zip(graph.operators, owners, strict=True):
        kind = contents.kind(op)
        if kind in SHOWING:
            place = op.outputs[SHOWING[kind]]
            time_major = bool(getattr(op.builtinOptions, "timeMajor", True))
            found.append(Shown(owner, contents.names[place], time_major))
            if kind == "WHILE" and _hides(contents, op):
                hidden.add(owner)
    return [one for one in found if one.owner not in hidden]


def _hides(contents: Contents, op: Any) -> bool:
    """Whether a WHILE keeps no outputs of its steps."""
    body = contents.model.subgraphs[op.builtinOptions.bodySubgraphIndex]
    return all(contents.kind(inner) != "DYNAMIC_UPDATE_SLICE" for inner in body.operators)


def _copy(tensor: Any, name: str) -> Any:
    made = schema().TensorT()
    made.name, made.type, made.shape, made.buffer = name.encode(), tensor.type, tensor.shape, 0
    made.shapeSignature = tensor.shapeSignature
    return made
