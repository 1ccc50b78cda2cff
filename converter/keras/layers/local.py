"""Layers whose windows differ from place to place: LocallyConnected1D, adaptive poolings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from converter.errors import Unsupported
from converter.keras.graph import Tensor
from converter.keras.layers.convolution import RANKS, rank_of
from converter.keras.layers.core import bias_variables
from converter.keras.layers.einsum import einsum
from converter.keras.layers.windows import spatial_axes, window_length
from converter.keras.ops import Ops
from converter.keras.schema import ActivationField, Config, DataFormat, Ints, Positive, activation_of, each
from converter.keras.spec import Call, LayerType
from converter.model import Value


class LocallyConnectedConfig(Config, frozen=True, kw_only=True):
    """keras/layers/local.py of 2.3.1; the other implementations keep their kernels in other shapes."""

    filters: Positive
    kernel_size: Ints
    strides: Ints = 1
    padding: Literal["valid"] = "valid"
    data_format: Literal["channels_last"] | None = None
    activation: ActivationField = None
    use_bias: bool = True
    implementation: Literal[1] = 1


def _locally_connected(call: Call) -> tuple[Tensor, ...]:
    """Every window [size·channels] times a kernel of its own, of [length, size·channels, filters]."""
    config: LocallyConnectedConfig = call.config
    ops, x = call.ops, call.x.value
    (axis,) = spatial_axes(x.shape, 1, config.data_format)
    (size,), (stride,) = each(config.kernel_size, 1, "kernel_size"), each(config.strides, 1, "strides")
    length, channels = window_length(x.shape[axis], size, stride, "valid"), x.shape[2]
    if length is None or channels is None:
        raise Unsupported(f"{call.spec.class_name} of an input of open shape {x.shape}")
    kernel, bias = call.need("kernel"), call.weight("bias")
    call.check(kernel, "kernel", length, size * channels, config.filters)
    call.check(bias, "bias", length, config.filters)
    reach = (length - 1) * stride + 1
    taps = [ops.slice(x, axis, k, k + reach, stride) for k in range(size)]
    windows = taps[0] if size == 1 else ops.concatenate(taps, 2)
    y = einsum(ops, "blk,lkf->blf", [windows, ops.weight(kernel)])
    if bias is not None:
        y = ops.elementwise("add", y, ops.weight(bias))
    return (Tensor(ops.activate(y, activation_of(config.activation, call.era))),)


class AdaptivePoolConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/pooling_layers/; window k of n spans [k·size/n, (k + 1)·size/n), rounded outwards."""

    output_size: Ints
    data_format: DataFormat | None = None


def _adaptive_pool(call: Call) -> tuple[Tensor, ...]:
    """Axis by axis: the windows are boxes, whose mean is the mean of means."""
    config: AdaptivePoolConfig = call.config
    rank, y = rank_of(call), call.x.value
    op = "max" if "Max" in call.spec.class_name else "mean"
    counts = each(config.output_size, rank, "output_size")
    for axis, count in zip(spatial_axes(y.shape, rank, config.data_format), counts, strict=True):
        y = _pool_axis(call.ops, op, y, axis, _bounds(y, axis, count))
    return (Tensor(y),)


def _bounds(x: Value, axis: int, count: int) -> list[tuple[int, int]]:
    size = x.shape[axis]
    if size is None:
        raise Unsupported(f"adaptive pooling over an open axis of {x.shape}")
    return [(k * size // count, -(-(k + 1) * size // count)) for k in range(count)]


def _pool_axis(ops: Ops, op: Any, x: Value, axis: int, bounds: Sequence[tuple[int, int]]) -> Value:
    parts = [ops.reduce(op, ops.slice(x, axis, start, stop), [axis], keepdims=True) for start, stop in bounds]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis)


TYPES: dict[str, LayerType] = {
    "LocallyConnected1D": LayerType(
        LocallyConnectedConfig, _locally_connected, bias_variables, note="implementation 1, channels last"
    ),
    **{
        f"Adaptive{kind}Pooling{rank}": LayerType(AdaptivePoolConfig, _adaptive_pool, note="of known sizes")
        for kind in ("Average", "Max")
        for rank in RANKS
    },
}
