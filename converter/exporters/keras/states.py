"""States that a model carries from call to call: Keras keeps them inside one layer each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from converter.errors import Unsupported
from converter.exporters.keras.graph import HINT
from converter.model import Model, Node, State, Value
from converter.model.layers import Recurrent, Transpose


def check(model: Model) -> None:
    """Every state must be what one recurrent layer begins with, and what that layer ends with.

    Raises:
        Unsupported: a layer that is called twice hands it on, or something else computes with it.
    """
    for state in model.states:
        readers = [
            node for node in model.nodes if any(v is not None and v.name == state.input.name for v in node.inputs)
        ]
        if len(readers) != 1 or not _keeps(readers[0], state):
            raise Unsupported(
                "a state that no layer alone begins and ends with cannot be written for Keras 3",
                where=state.input.name, hint=HINT,
            )  # fmt: skip


def _keeps(node: Node, state: State) -> bool:
    starts = [None if value is None else value.name for value in node.inputs[2:]]
    if not isinstance(node.layer, Recurrent) or starts.count(state.input.name) != 1:
        return False
    ends = node.outputs[len(node.outputs) - len(starts) :]
    return ends[starts.index(state.input.name)].name == state.output.name


def inside(model: Model) -> Model:
    """The same model, where a state that is only ever transposed is carried as what that gives."""
    nodes, states = model.nodes, model.states
    outside = {value.name for value in (*model.outputs, *(state.output for state in states))}
    makers = {value.name: node for node in nodes for value in node.outputs}
    renamed: dict[str, Value] = {}
    made: list[State] = []
    for state in states:
        into, out = [node for node in nodes if state.input in node.inputs], makers.get(state.output.name)
        turn = into[0] if len(into) == 1 and state.input.name not in outside else None
        both = turn is not None and out is not None and _undo(turn, out)
        if both and turn is not None and out is not None and out.inputs[0] is not None:
            renamed[turn.outputs[0].name] = replace(turn.outputs[0], name=state.input.name)
            state = State(renamed[turn.outputs[0].name], out.inputs[0])
        made.append(state)
    kept = (node for node in nodes if not any(value.name in renamed for value in node.outputs))
    swapped = (replace(node, inputs=tuple(_swapped(value, renamed) for value in node.inputs)) for node in kept)
    return replace(model, nodes=tuple(swapped), states=tuple(made))


def _undo(first: Node, second: Node) -> bool:
    a, b = first.layer, second.layer
    if not isinstance(a, Transpose) or not isinstance(b, Transpose) or len(a.axes) != len(b.axes):
        return False
    return [a.axes[axis] for axis in b.axes] == list(range(len(a.axes)))


def _swapped(value: Value | None, renamed: Mapping[str, Value]) -> Value | None:
    return None if value is None else renamed.get(value.name, value)
