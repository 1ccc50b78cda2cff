"""LAYERS: every Keras layer class that can be converted, by its Keras 3 name."""

from __future__ import annotations

from converter.keras.layers import cells, core, recurrent, wrappers
from converter.keras.spec import LayerType

LAYERS: dict[str, LayerType] = {
    **core.TYPES,
    **cells.TYPES,
    **recurrent.TYPES,
    **wrappers.TYPES,
}
