"""The activation that ends a layer: a function, or a layer of its own that keeps weights (PReLU)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converter.keras.activation_argument import FUNCTIONS, activation_of
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.spec import Call
from converter.model import Value

KEY = "activation"  # the attribute that Keras tracks the layer as


def activation_layer(config: Any, era: Era) -> Mapping[str, Mapping[str, Any]]:
    """The layer given as the argument `activation`, where it is more than a function: a wrapped layer."""
    raw = config.activation
    layer = isinstance(raw, Mapping) and isinstance(raw.get("config"), Mapping)
    return {KEY: raw} if layer and raw.get("class_name") not in {*FUNCTIONS, "Activation"} else {}


def activated(call: Call, y: Value) -> Tensor:
    """The layer's activation of y.

    Raises:
        Unsupported: it is the author's.
    """
    if KEY in call.spec.children:
        (made,) = call.wrapped(KEY, Tensor(y))
        return Tensor(made.value)
    return Tensor(call.ops.activate(y, activation_of(call.config.activation, call.era)))
