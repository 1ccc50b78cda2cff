"""What an exported ONNX file says of itself in its metadata: `weights.sha256`, and for a proof to read, `keras.values`:
for each value of the model the tensor of the graph that holds it, as a JSON object. A proof need not trust it: it asks
of each node whether the tensor said to be its output is what the node makes of the tensors said to be its inputs. Where
that holds for all nodes, from the graph's inputs to its outputs, the graph computes the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

VALUES = "keras.values"
SHA256 = "weights.sha256"
"""Of the values of all initializers, little-endian, one after the other as the graph lists them."""


def values_property(tensors: Mapping[str, str]) -> dict[str, str]:
    """The metadata property for tensors by the name of the model's value."""
    return {VALUES: json.dumps(tensors, separators=(",", ":"), ensure_ascii=False)}


def tensors_of(properties: Mapping[str, str]) -> dict[str, str]:
    """The tensors by the name of the value they hold; none where a file says nothing, or nothing of the kind."""
    try:
        found = json.loads(properties.get(VALUES, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {value: tensor for value, tensor in found.items() if isinstance(tensor, str)}
