"""The variables of a model.export() next to an architecture that the user gives: by order, grouped by layers' names.

An ExportArchive of Keras 3 tracks `variables` in the order of the model's (keras/src/export/saved_model.py), each under
the path that Keras gave it, "sequential/lstm/lstm_cell/kernel"; no layer is among its objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.source import FlatWeights
from converter.model import Weight
from converter.readers.object_graph import TrackedObject

_FLOATS = ("float", "bfloat")


def is_exported(root: TrackedObject) -> bool:
    """Whether variables are all that the objects tell."""
    children = set(root.children())
    return "variables" in children and not any(name.startswith(("layer-", "layer_with_weights-")) for name in children)


def exported_weights(root: TrackedObject, architecture: Mapping[str, Any]) -> FlatWeights:
    """Arrays by the layer of the architecture that their path names; seeds of random numbers are left out.

    Raises:
        InvalidModel: a variable is missing.
        Unsupported: a path names no layer of the architecture.
    """
    listed = root.child("variables")
    assert listed is not None
    config = architecture["config"]
    layers = config.get("layers", ()) if isinstance(config, Mapping) else config
    names = [_name(layer) for layer in layers if isinstance(layer, Mapping)]
    found: dict[str, list[Weight]] = {}
    for number in sorted(int(child) for child in listed.children() if child.isdecimal() and len(child) < 10):
        place = listed.child(str(number))
        weight = None if place is None else place.variable()
        if weight is None:
            raise InvalidModel(f"variable {number} of the export is not stored")
        if not weight.dtype.startswith(_FLOATS):
            continue
        layer = next((part for part in weight.name.split("/") if part in names), None)
        if layer is None:
            raise Unsupported(f"the variable {clean(weight.name, 80)} is of no layer of the architecture")
        found.setdefault(layer, []).append(weight)
    return FlatWeights({name: tuple(arrays) for name, arrays in found.items()})


def _name(layer: Mapping[str, Any]) -> Any:
    config = layer.get("config")
    return layer.get("name") or (config.get("name") if isinstance(config, Mapping) else None)
