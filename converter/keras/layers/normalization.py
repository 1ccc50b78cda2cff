"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import FLOATS, axis_in
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable, always
from converter.keras.schema import Config, Ints
from converter.keras.spec import Call
from converter.model import Value, Weight, layers

HALVES = frozenset({"float16", "bfloat16"})


def scale_and_center(config: Any, era: Era) -> tuple[Variable, ...]:
    """gamma if `scale`, beta if `center`."""
    return (*[Variable("gamma")] * config.scale, *[Variable("beta")] * config.center)


def wide(call: Call) -> tuple[Value, str]:
    """The input in the dtype that Keras normalizes in: float32 where the layer computes in a half one.

    Raises:
        Unsupported: it is of integers. Keras casts what it makes of them to integers again.
    """
    x = call.x.value
    if x.dtype not in FLOATS and call.spec.class_name != "BatchNormalization":
        raise Unsupported(f"is called on {x.dtype}, and its Keras casts what it computes to {x.dtype} again")
    dtype = "float32" if call.dtype in HALVES else call.dtype
    return call.ops.cast(x, dtype), dtype


def stored(call: Call, name: str, dtype: str, *shape: int | None) -> Weight | None:
    """An array of `shape` in `dtype`, or None where the layer has none of that name."""
    weight = call.bound.variables.get(name)
    if weight is None:
        return None
    call.check(weight, name, *shape)
    return weight.astype(dtype)


def axis_of(axis: int, rank: int) -> int:
    """`axis` counted from the front.

    Raises:
        InvalidModel: it lies outside, or is the batch.
    """
    place = axis_in(axis, rank)
    if place == 0:
        raise InvalidModel(f"axis {axis} of an input with {rank} axes is the batch")
    return place


class BatchNormalizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/normalization_layers/batch_normalization/; `mode` is Keras 1's."""

    axis: Ints = -1
    epsilon: float = 1e-3
    momentum: float = 0.99
    center: bool = True
    scale: bool = True
    mode: int = 0
    renorm: bool = False
    renorm_clipping: dict[str, Any] | None = None
    renorm_momentum: float | None = None
    fused: bool | None = None
    synchronized: bool = False
    virtual_batch_size: int | None = None


def _batch_norm_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    statistics: tuple[str, ...] = ("moving_mean", "moving_variance")
    if config.renorm:  # these only matter in training
        statistics += ("moving_stddev", "renorm_mean", "renorm_stddev")
    return (*scale_and_center(config, era), *(Variable(name, trainable=False) for name in statistics))


def _batch_normalization(call: Call) -> tuple[Tensor, ...]:
    config: BatchNormalizationConfig = call.config
    if config.virtual_batch_size is not None or config.mode not in (0, 1):
        raise Unsupported("BatchNormalization by the statistics of the batch at inference (mode=2, virtual_batch_size)")
    axes = [config.axis] if isinstance(config.axis, int) else config.axis
    if config.mode == 1:
        return _samplewise(call)
    x, dtype = wide(call)
    if len(axes) != 1:
        return _along_several(call, x, [axis_of(axis, len(x.shape)) for axis in axes])
    axis = axis_of(axes[0], len(x.shape))
    size = x.shape[axis]
    gamma, beta, mean, variance = (
        stored(call, name, dtype, size) for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    if mean is None or variance is None:
        raise InvalidModel("the moving mean or variance is missing")
    layer = layers.BatchNormalization(axis, gamma, beta, mean, variance, config.epsilon, config.momentum)
    y = call.ops.one(layer, [x], x.shape, dtype)
    return (Tensor(call.ops.cast(y, call.dtype)),)


def _along_several(call: Call, x: Value, axes: list[int]) -> tuple[Tensor, ...]:
    """tf.keras: a mean and a variance for each place on these axes, kept with as many axes as x has."""
    ops, shape = call.ops, [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    names = ("moving_mean", "moving_variance", "gamma", "beta")
    mean, variance, gamma, beta = (stored(call, name, x.dtype, *shape) for name in names)
    if mean is None or variance is None or len(set(axes)) != len(axes) or not axes:
        raise InvalidModel(f"BatchNormalization along the axes {axes}, or without a moving mean or variance")
    y = ops.elementwise("subtract", x, ops.weight(mean))
    scale = variance.map(lambda values: 1 / np.sqrt(values + values.dtype.type(call.config.epsilon)), variance.shape)
    y = ops.elementwise("multiply", y, ops.weight(scale))
    y = y if gamma is None else ops.elementwise("multiply", y, ops.weight(gamma))
    y = y if beta is None else ops.elementwise("add", y, ops.weight(beta))
    return (Tensor(ops.cast(y, call.dtype)),)


def _samplewise(call: Call) -> tuple[Tensor, ...]:
    """Keras 1, mode=1: each sample by its own statistics over the last axis; Keras 1 adds epsilon twice."""
    ops, x, epsilon = call.ops, call.x.value, call.config.epsilon
    gamma, beta = call.need("gamma"), call.need("beta")
    call.check(gamma, "gamma", x.shape[-1])
    call.check(beta, "beta", x.shape[-1])
    centered = ops.elementwise("subtract", x, ops.reduce("mean", x, [-1], keepdims=True))
    variance = ops.reduce("mean", ops.unary("square", centered), [-1], keepdims=True)
    deviation = ops.unary("sqrt", ops.with_scalar("add", variance, epsilon))
    normed = ops.elementwise("divide", centered, ops.with_scalar("add", deviation, epsilon))
    scaled = ops.elementwise("multiply", normed, ops.weight(gamma))
    return (Tensor(ops.elementwise("add", scaled, ops.weight(beta))),)


class LayerNormalizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/normalization_layers/layer_normalization/"""

    axis: Ints = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    rms_scaling: bool = False


def _layer_norm_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    if config.rms_scaling:
        return (Variable("gamma"),)
    return scale_and_center(config, era)


def _layer_normalization(call: Call) -> tuple[Tensor, ...]:
    config: LayerNormalizationConfig = call.config
    x, dtype = wide(call)
    given = [config.axis] if isinstance(config.axis, int) else list(config.axis)
    axes = tuple(axis_of(axis, len(x.shape)) for axis in given)
    if len(set(axes)) != len(axes):
        raise InvalidModel(f"LayerNormalization names an axis twice: {given}")
    in_order = call.era.switch("gamma_sorted")
    shape = [x.shape[axis] for axis in (sorted(axes) if in_order else axes)]
    if axes != tuple(sorted(axes)) and not in_order:
        raise Unsupported(f"LayerNormalization over axes that are not in order: {given}")
    gamma, beta = stored(call, "gamma", dtype, *shape), stored(call, "beta", dtype, *shape)
    ordered = tuple(sorted(axes))
    if config.rms_scaling:
        return (Tensor(call.ops.cast(_by_variance(call, x, ordered, gamma), call.dtype)),)
    y = call.ops.one(layers.LayerNormalization(ordered, gamma, beta, config.epsilon), [x], x.shape, dtype)
    return (Tensor(call.ops.cast(y, call.dtype)),)


def _by_variance(call: Call, x: Value, axes: tuple[int, ...], gamma: Weight | None) -> Value:
    """rms_scaling as Keras 3 computes it: x is divided by its standard deviation, its mean stays."""
    ops = call.ops
    centered = ops.elementwise("subtract", x, ops.reduce("mean", x, axes, keepdims=True))
    variance = ops.reduce("mean", ops.unary("square", centered), axes, keepdims=True)
    y = ops.elementwise("multiply", x, ops.unary("rsqrt", ops.with_scalar("add", variance, call.config.epsilon)))
    return y if gamma is None else ops.elementwise("multiply", y, along(call, gamma, axes, len(x.shape)))


def along(call: Call, weight: Weight, axes: tuple[int, ...], rank: int) -> Value:
    """A weight of one size per axis of `axes`, shaped to broadcast against `rank` axes."""
    sizes = dict(zip(axes, weight.shape, strict=True))
    shape = tuple(sizes.get(axis, 1) for axis in range(rank))
    return call.ops.weight(weight.map(lambda values: values.reshape(shape), shape))


TYPES: dict[str, LayerType] = {
    "BatchNormalization": LayerType(
        BatchNormalizationConfig, _batch_normalization, _batch_norm_variables, masking="pass",
        acts_in_training=always, note="not by the statistics of the batch", keeps_features=True,
        aliases=("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
    ),
    "LayerNormalization": LayerType(
        LayerNormalizationConfig, _layer_normalization, _layer_norm_variables, masking="pass"
    ),
}  # fmt: skip
