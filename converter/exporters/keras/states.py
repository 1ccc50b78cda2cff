"""States that a model carries from call to call: Keras keeps them inside one layer each."""

from __future__ import annotations

from converter.errors import Unsupported
from converter.exporters.keras.graph import HINT
from converter.model import Model, Node, State
from converter.model.layers import Recurrent


def check(model: Model) -> None:
    """Every state must be what one recurrent layer begins with, and what that layer ends with.

    Raises:
        Unsupported: a layer that is called twice hands it from call to call, or something else computes with it.
    """
    for state in model.states:
        readers = [
            node for node in model.nodes if any(v is not None and v.name == state.input.name for v in node.inputs)
        ]
        if len(readers) != 1 or not _keeps(readers[0], state):
            raise Unsupported(
                "a state that more than one call of a layer reads cannot be written for Keras 3",
                where=state.input.name, hint=HINT,
            )  # fmt: skip


def _keeps(node: Node, state: State) -> bool:
    starts = [None if value is None else value.name for value in node.inputs[2:]]
    if not isinstance(node.layer, Recurrent) or starts.count(state.input.name) != 1:
        return False
    ends = node.outputs[len(node.outputs) - len(starts) :]
    return ends[starts.index(state.input.name)].name == state.output.name
