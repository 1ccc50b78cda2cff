"""LAYERS: every Keras layer class that can be converted, by its Keras 3 name."""

from __future__ import annotations

from converter.keras.layers import (
    activations,
    cells,
    conv_lstm,
    convolution,
    core,
    dot,
    legacy,
    merge,
    normalization,
    operations,
    pooling,
    recurrent,
    reshaping,
    wrappers,
)
from converter.keras.spec import LayerType

LAYERS: dict[str, LayerType] = {
    **core.TYPES,
    **activations.TYPES,
    **normalization.TYPES,
    **convolution.TYPES,
    **pooling.TYPES,
    **reshaping.TYPES,
    **merge.TYPES,
    **dot.TYPES,
    **legacy.TYPES,
    **operations.TYPES,
    **cells.TYPES,
    **recurrent.TYPES,
    **conv_lstm.TYPES,
    **wrappers.TYPES,
}
