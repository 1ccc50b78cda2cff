"""Model -> Model: what no output and no carried state needs disappears."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from converter.model import Model, Node
from converter.model.layers import Recurrent, Scan, every_node


def prune(model: Model) -> Model:
    """The same model without the nodes that nothing reads; inputs, outputs and states stay as they are."""
    needed = needed_values(model)
    kept = tuple(node for node in model.nodes if any(value.name in needed for value in node.outputs))
    return model if len(kept) == len(model.nodes) else replace(model, nodes=kept)


def needed_values(model: Model) -> frozenset[str]:
    """Names of the values on which an output or a state depends."""
    needed = {value.name for value in (*model.outputs, *(state.output for state in model.states))}
    for node in reversed(model.nodes):
        if any(value.name in needed for value in node.outputs):
            needed.update(value.name for value in node.inputs if value is not None)
            if isinstance(node.layer, Scan):  # whose body makes nothing in vain
                needed.update(value.name for inner in every_node(node.layer.nodes) for value in inner.outputs)
    return frozenset(needed)


def directions_read(node: Node, needed: Collection[str]) -> tuple[bool, ...]:
    """Whether a needed value comes from each direction of a recurrent node; those that none reads are not exported."""
    layer = node.layer
    assert isinstance(layer, Recurrent)
    apart = layer.merge is None
    wanted = [value.name in needed for value in node.outputs]
    ys = wanted[: len(layer.directions)] if apart else [wanted[0]] * len(layer.directions)
    states = iter(wanted[len(layer.directions) if apart else 1 :])
    of_states = [[next(states) for _ in range(direction.cell.states)] for direction in layer.directions]
    return tuple(y or any(own) for y, own in zip(ys, of_states, strict=True))
