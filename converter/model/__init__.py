"""The neutral model: what every reader makes and every exporter takes. Imports nothing of the packages above it.

`graph` has the model itself, `layers` what a node can compute, `activations` the functions, `prune` the removal of
nodes that no output needs, `likeness` compares two models, `non_finite` what is said of weights that are not numbers.
"""

from __future__ import annotations

from converter.model.graph import (
    Array,
    LayerInfo,
    Model,
    Node,
    Provenance,
    Shape,
    State,
    Value,
    Weight,
    constant,
    dtype_of,
    join,
)

__all__ = [
    "Array",
    "LayerInfo",
    "Model",
    "Node",
    "Provenance",
    "Shape",
    "State",
    "Value",
    "Weight",
    "constant",
    "dtype_of",
    "join",
]
