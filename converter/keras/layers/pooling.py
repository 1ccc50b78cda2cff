"""Poolings over windows and over everything, in one to three dimensions."""

from __future__ import annotations

from typing import Literal

from converter import layers
from converter.errors import Unsupported
from converter.keras.graph import Tensor
from converter.keras.layers.convolution import RANKS, rank_of
from converter.keras.layers.masks import call_mask
from converter.keras.layers.windows import replaced, spatial_axes, window_length
from converter.keras.schema import Config, DataFormat, Ints, each
from converter.keras.spec import Call, LayerType


class PoolConfig(Config, frozen=True):
    """https://keras.io/api/layers/pooling_layers/"""

    pool_size: Ints = 2
    strides: Ints | None = None
    padding: Literal["valid", "same"] = "valid"
    data_format: DataFormat | None = None


class GlobalPoolConfig(Config, frozen=True):
    """https://keras.io/api/layers/pooling_layers/global_average_pooling1d/"""

    data_format: DataFormat | None = None
    keepdims: bool = False


def _pool(call: Call) -> tuple[Tensor, ...]:
    config: PoolConfig = call.config
    rank, x = rank_of(call), call.x.value
    data_format = config.data_format or "channels_last"
    if config.padding == "same" and call.era.backend == "theano":
        raise Unsupported("pooling with padding same on Theano")
    window = each(config.pool_size, rank, "pool_size")
    strides = window if config.strides is None else each(config.strides, rank, "strides")
    axes = spatial_axes(x.shape, rank, data_format)
    sizes = [window_length(x.shape[a], w, s, config.padding) for a, w, s in zip(axes, window, strides, strict=True)]
    kind: Literal["max", "average"] = "max" if call.spec.class_name.startswith("Max") else "average"
    layer = layers.Pool(rank, kind, window, strides, config.padding, data_format)
    return (Tensor(call.emit(layer, [x], replaced(x.shape, axes, sizes), x.dtype)),)


def _global_pool(call: Call) -> tuple[Tensor, ...]:
    config: GlobalPoolConfig = call.config
    x = call.x.value
    axes = spatial_axes(x.shape, rank_of(call), config.data_format)
    op = "max" if "Max" in call.spec.class_name else "mean"
    return (Tensor(call.ops.reduce(op, x, axes, config.keepdims)),)


def _global_average_1d(call: Call) -> tuple[Tensor, ...]:
    """The mean over unmasked steps; 0/0 where a sample has none, as Keras gives it."""
    mask, ops, config = call_mask(call), call.ops, call.config
    if mask is None:
        return _global_pool(call)
    x = call.x.value
    (axis,) = spatial_axes(x.shape, 1, config.data_format)
    kept = ops.expand_dims(mask, 3 - axis)
    counted = ops.cast(kept, x.dtype)
    if call.era.version >= MASKED_STEPS_LEFT_OUT:
        present = ops.where(kept, x, ops.constant(0.0, x.dtype))
    else:
        present = ops.elementwise("multiply", x, counted)
    total = ops.reduce("sum", present, [axis], config.keepdims)
    return (Tensor(ops.elementwise("divide", total, ops.reduce("sum", counted, [axis], config.keepdims))),)


MASKED_STEPS_LEFT_OUT = (3, 0, 0)  # before, they were multiplied by zero, which NaN survives
KINDS = ("Max", "Average")

TYPES: dict[str, LayerType] = {
    **{
        f"{kind}Pooling{rank}": LayerType(PoolConfig, _pool, note="padding same: not of Theano")
        for kind in KINDS
        for rank in RANKS
    },
    **{f"Global{kind}Pooling{rank}": LayerType(GlobalPoolConfig, _global_pool) for kind in KINDS for rank in RANKS},
    "GlobalAveragePooling1D": LayerType(GlobalPoolConfig, _global_average_1d),
}
