"""Model -> Model: what no output and no carried state needs disappears."""

from __future__ import annotations

from dataclasses import replace

from converter.model import Model


def prune(model: Model) -> Model:
    """The same model without the nodes that nothing reads; inputs, outputs and states stay as they are."""
    needed = {value.name for value in model.outputs} | {state.output.name for state in model.states}
    kept = []
    for node in reversed(model.nodes):
        if any(value.name in needed for value in node.outputs):
            kept.append(node)
            needed.update(value.name for value in node.inputs if value is not None)
    return model if len(kept) == len(model.nodes) else replace(model, nodes=tuple(reversed(kept)))
