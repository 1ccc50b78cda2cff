"""A mark that two models share where they are the same graph, for files whose version is not known."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from msgspec import Struct

from converter.model.graph import Model, Node, Value, Weight

SMALL = 4096  # numbers of an array that are compared; larger ones come from the file as they are


def mark(model: Model) -> Hashable:
    """Equal for models of equal nodes over equal values, and equal warnings."""
    nodes = _key(model.nodes)
    states = tuple((state.input, state.output) for state in model.states)
    return nodes, model.inputs, model.outputs, model.output_names, states, model.warnings


def _key(part: Any) -> Hashable:
    if isinstance(part, Weight):
        return part.name, part.shape, part.dtype, part.read().tobytes() if 0 < part.size <= SMALL else b""
    if isinstance(part, Node):
        return _key(part.layer), _key(part.inputs), _key(part.outputs)
    if isinstance(part, Struct):
        return type(part).__name__, tuple(_key(getattr(part, name)) for name in part.__struct_fields__)
    if isinstance(part, tuple | list):
        return tuple(_key(item) for item in part)
    if isinstance(part, Mapping):
        return tuple((key, _key(part[key])) for key in sorted(part))
    return part if isinstance(part, Value) else repr(part)
