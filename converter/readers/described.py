"""What a reader that knows layers by their neutral nodes alone says of them."""

from __future__ import annotations

from collections.abc import Sequence

from converter.model import LayerInfo, Node, Weight
from converter.model.layers import Layer, Recurrent


def described(node: Node, weights: Sequence[Weight]) -> LayerInfo:
    """A node as a layer of the file; a recurrent one by the name of its cell."""
    kind = type(node.layer).__name__
    if isinstance(node.layer, Recurrent):
        kind = type(node.layer.directions[0].cell).__name__.removesuffix("Cell")
        kind = f"Bidirectional({kind})" if len(node.layer.directions) == 2 else kind
    return LayerInfo(node.name, kind, (node.outputs[0].shape,), tuple(weights))


def weights_of(layer: Layer) -> tuple[Weight, ...]:
    """The weights of a layer, or of its cells, in the order of their fields."""
    owners = [d.cell for d in layer.directions] if isinstance(layer, Recurrent) else [layer]
    fields = (getattr(owner, name) for owner in owners for name in owner.__struct_fields__)
    return tuple(field for field in fields if isinstance(field, Weight))
