"""Poolings over windows and over everything, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.layer_type import Keras1, LayerType, Takes
from converter.keras.layers.convolution import RANKS, rank_of
from converter.keras.schema import Config, DataFormat, Ints, each
from converter.keras.shared.keras1 import IMAGE, ORDERING
from converter.keras.shared.masks import call_mask
from converter.keras.shared.windows import replaced, spatial_axes, window_length
from converter.keras.spec import Call
from converter.model import Shape, Value, layers

Kind = Literal["max", "average"]


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
    window = each(config.pool_size, rank, "pool_size")
    strides = window if config.strides is None else each(config.strides, rank, "strides")
    axes = spatial_axes(x.shape, rank, data_format)
    sizes = [window_length(x.shape[a], w, s, config.padding) for a, w, s in zip(axes, window, strides, strict=True)]
    kind: Kind = "max" if call.spec.class_name.startswith("Max") else "average"
    shape = replaced(x.shape, axes, sizes)
    if config.padding == "same" and call.era.switch("theano_windows"):
        return (Tensor(_pool_as_theano(call, x, kind, window, strides, axes, shape)),)
    layer = layers.Pool(rank, kind, window, strides, config.padding, data_format)
    return (Tensor(call.emit(layer, [x], shape, x.dtype)),)


def _pool_as_theano(
    call: Call, x: Value, kind: Kind, window: tuple[int, ...], strides: tuple[int, ...], axes: range, shape: Shape
) -> Value:
    """Padding "same" of Theano: windows start size - 1 before their place, of odd sizes size - 2.

    Source: pool2d and pool3d of keras/backend/theano_backend.py, 1.2.2 to 2.3.1. The padding counts for nothing: a
    border value again does not change a maximum, and a mean is set right by how much of its window lies inside.
    """
    rank, ops = len(window), call.ops
    before = [size - 2 if size % 2 and size > 1 else size - 1 for size in window]
    if (rank == 3 or not call.era.switch("theano_pads_window_of_1")) and (rank == 1 or 1 in window):
        raise Unsupported(f"pooling with padding same and a window of 1 on Theano, which {call.era} pads by -1")
    pads, sizes = [(0, 0)] * len(x.shape), []
    for axis, size, start in zip(axes, window, before, strict=True):
        pads[axis] = (start, size - 1 - start)
        known = x.shape[axis]
        sizes.append(None if known is None else known + size - 1)
    pad = layers.Pad(tuple(pads), mode="edge" if kind == "max" else "constant")
    wide = ops.one(pad, [x], replaced(x.shape, axes, sizes), x.dtype)
    layer = layers.Pool(rank, kind, window, strides, "valid", call.config.data_format or "channels_last")
    y = call.emit(layer, [wide], shape, x.dtype)
    if kind == "max":
        return y
    share = np.ones(())
    for axis, size, stride, start in zip(axes, window, strides, before, strict=True):
        share = share[..., None] * _share_inside(x.shape[axis], size, stride, start)
    share = share.reshape(replaced((1,) * len(x.shape), axes, share.shape))
    return ops.elementwise("divide", y, ops.constant(share, x.dtype))


def _share_inside(size: int | None, window: int, stride: int, before: int) -> np.ndarray[Any, Any]:
    """How much of each window along one axis lies inside it."""
    if size is None:
        raise Unsupported("average pooling with padding same of an open size on Theano")
    refuse_constant(size // stride)
    starts = np.arange(0, size, stride) - before
    return (np.minimum(starts + window, size) - np.maximum(starts, 0)) / window


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
    if call.era.switch("masked_steps_left_out"):
        present = ops.where(kept, x, ops.constant(0.0, x.dtype))
    else:
        present = ops.elementwise("multiply", x, counted)
    total = ops.reduce("sum", present, [axis], config.keepdims)
    return (Tensor(ops.elementwise("divide", total, ops.reduce("sum", counted, [axis], config.keepdims))),)


KINDS = ("Max", "Average")

_SHORT = {"Max": "MaxPool", "Average": "AvgPool"}
_KERAS1 = Keras1(ORDERING | {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"})


def _global(kind: str, rank: str, call: Callable[[Call], tuple[Tensor, ...]] = _global_pool) -> LayerType:
    takes: Takes = "floats" if kind == "Average" else "numbers"
    return LayerType(
        GlobalPoolConfig, call, takes=takes, aliases=(f"Global{_SHORT[kind]}{rank}",), keras1=IMAGE, **_shape(rank)
    )


def _shape(rank: str) -> dict[str, Any]:
    """Of pools over one axis, which are for sequences."""
    return {"input_rank": 3, "keeps_features": True} if rank == "1D" else {}


TYPES: dict[str, LayerType] = {
    **{
        f"{kind}Pooling{rank}": LayerType(
            PoolConfig, _pool, aliases=(f"{_SHORT[kind]}{rank}",), keras1=_KERAS1, **_shape(rank)
        )
        for kind in KINDS
        for rank in RANKS
    },
    **{f"Global{kind}Pooling{rank}": _global(kind, rank) for kind in KINDS for rank in RANKS},
    "GlobalAveragePooling1D": _global("Average", "1D", _global_average_1d),
}
