"""LAYERS: every Keras layer class that can be converted, by its Keras 3 name."""

from __future__ import annotations

from converter.keras.layers import (
    activations,
    attention,
    cells,
    conv_lstm,
    convolution,
    core,
    dot,
    einsum_dense,
    legacy,
    local,
    lookup,
    merge,
    multi_head,
    normalization,
    normalization_more,
    operations,
    pooling,
    preprocessing,
    recurrent,
    reshaping,
    text,
    wrappers,
)
from converter.keras.spec import LayerType

LAYERS: dict[str, LayerType] = {
    **core.TYPES,
    **activations.TYPES,
    **normalization.TYPES,
    **normalization_more.TYPES,
    **multi_head.TYPES,
    **einsum_dense.TYPES,
    **attention.TYPES,
    **convolution.TYPES,
    **pooling.TYPES,
    **local.TYPES,
    **preprocessing.TYPES,
    **lookup.TYPES,
    **text.TYPES,
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
