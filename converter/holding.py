"""Weights read in the dtype that is computed in, and layers that hold theirs, for whoever runs one more than once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from converter.model import Array, Node, Weight, layers

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def resolved(name: str, dtype: str) -> str:
    """The dtype something is computed in: every float in `dtype`, the others as they are."""
    return dtype if name in FLOATS else name


def read(weight: Weight, dtype: str) -> Array:
    """The weight's values in the dtype computed in."""
    return weight.read().astype(resolved(weight.dtype, dtype), copy=False)


def optional(weight: Weight | None, dtype: str) -> Array | None:
    """The same, or None for an absent weight."""
    return None if weight is None else read(weight, dtype)


def with_values(layer: Any, dtype: str = "float64") -> Any:
    """The layer with its weights read, in `dtype`; an Embedding's table, which may be large, stays where it is."""
    if isinstance(layer, layers.Embedding | layers.Constant):
        return layer
    changed = {name: _held(getattr(layer, name), dtype) for name in layer.__struct_fields__}
    changed = {name: value for name, value in changed.items() if value is not None}
    return structs.replace(layer, **changed) if changed else layer


def _held(field: Any, dtype: str) -> Any:
    """The field with its weights read, or None where it holds none."""
    if isinstance(field, Weight):
        values = read(field, dtype)
        return Weight(field.name, field.shape, resolved(field.dtype, dtype), lambda: values)
    if isinstance(field, layers.LSTMCell | layers.GRUCell | layers.SimpleRNNCell | layers.ConvLSTMCell):
        return with_values(field, dtype)
    if isinstance(field, tuple) and field and isinstance(field[0], layers.Direction):
        return tuple(structs.replace(side, cell=with_values(side.cell, dtype)) for side in field)
    if isinstance(field, tuple) and field and isinstance(field[0], Node):
        return tuple(replace(node, layer=with_values(node.layer, dtype)) for node in field)
    return None
