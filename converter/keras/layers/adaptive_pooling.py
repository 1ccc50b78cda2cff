"""Adaptive poolings, whose windows differ from place to place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.building.ops import Ops
from converter.keras.layer_type import LayerType
from converter.keras.layers.convolution import RANKS, rank_of
from converter.keras.schema import Config, DataFormat, Ints, each
from converter.keras.shared.windows import spatial_axes
from converter.keras.spec import Call
from converter.model import Value


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
    refuse_constant(count)
    return [(k * size // count, -(-(k + 1) * size // count)) for k in range(count)]


def _pool_axis(ops: Ops, op: Any, x: Value, axis: int, bounds: Sequence[tuple[int, int]]) -> Value:
    parts = [ops.reduce(op, ops.slice(x, axis, start, stop), [axis], keepdims=True) for start, stop in bounds]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis)


TYPES: dict[str, LayerType] = {
    f"Adaptive{kind}Pooling{rank}": LayerType(AdaptivePoolConfig, _adaptive_pool, note="of known sizes")
    for kind in ("Average", "Max")
    for rank in RANKS
}
