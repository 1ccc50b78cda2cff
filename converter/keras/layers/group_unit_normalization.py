"""GroupNormalization, RMSNormalization, UnitNormalization, SpectralNormalization."""

from __future__ import annotations

from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor, product
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable, always
from converter.keras.layers.dot import l2_normalize
from converter.keras.layers.normalization import axis_of, scale_and_center, stored, wide
from converter.keras.schema import Config, Ints, Positive
from converter.keras.spec import Call
from converter.model import Shape, Value, layers


class GroupNormalizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/normalization_layers/group_normalization/"""

    groups: int = 32
    axis: int = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True


def _group_normalization(call: Call) -> tuple[Tensor, ...]:
    """Each group of channels by its own mean and variance over all axes but the batch."""
    config: GroupNormalizationConfig = call.config
    x, dtype = wide(call)
    rank = len(x.shape)
    axis = axis_of(config.axis, rank)
    channels = x.shape[axis]
    groups = channels if config.groups == -1 else config.groups
    if channels is None or groups is None or groups < 1 or channels % groups:
        raise InvalidModel(f"{config.groups} groups of {channels} channels")
    if call.x.mask is not None and not call.era.switch("group_normalization_ignores_mask"):
        raise Unsupported("GroupNormalization of a masked input in tf.keras")
    gamma, beta = stored(call, "gamma", dtype, channels), stored(call, "beta", dtype, channels)
    ops = call.ops
    first = ops.transpose(x, [0, axis, *(k for k in range(1, rank) if k != axis)]) if axis != 1 else x
    rest = first.shape[2:]
    total = product(rest)
    size = None if total is None else channels // groups * total
    grouped = ops.reshape(first, [0, groups, -1], (x.shape[0], groups, size))
    normal = ops.one(layers.LayerNormalization((2,), None, None, config.epsilon), [grouped], grouped.shape, dtype)
    y = _ungroup(call, normal, first.shape)
    if axis != 1:
        y = ops.transpose(y, [0, *range(2, axis + 1), 1, *range(axis + 1, rank)])
    shape = tuple(channels if k == axis else 1 for k in range(rank))
    if gamma is not None:
        y = ops.elementwise("multiply", y, ops.weight(gamma.map(lambda v: v.reshape(shape), shape)))
    if beta is not None:
        y = ops.elementwise("add", y, ops.weight(beta.map(lambda v: v.reshape(shape), shape)))
    return (Tensor(ops.cast(y, call.dtype)),)


def _ungroup(call: Call, normal: Value, shape: Shape) -> Value:
    """[batch, group, rest] back to [batch, channels, *spatial]; one spatial size may be open."""
    if sum(n is None for n in shape[2:]) > 1:
        raise Unsupported(f"GroupNormalization of a shape with several open sizes {shape}")
    target = [0, *(-1 if n is None else n for n in shape[1:])]
    return call.ops.reshape(normal, target, shape)


class RMSNormalizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/normalization_layers/rms_normalization/"""

    axis: Ints = -1
    epsilon: float = 1e-6


def _rms_normalization(call: Call) -> tuple[Tensor, ...]:
    config: RMSNormalizationConfig = call.config
    x, dtype = wide(call)
    given = [config.axis] if isinstance(config.axis, int) else config.axis
    axes = tuple(sorted(axis_of(axis, len(x.shape)) for axis in given))
    scale = stored(call, "scale", dtype, *(x.shape[axis] for axis in axes))
    trailing = axes == tuple(range(len(x.shape) - len(axes), len(x.shape)))
    layer = layers.LayerNormalization(axes, scale if trailing else None, None, config.epsilon, rms=True)
    y = call.ops.one(layer, [x], x.shape, dtype)
    if scale is not None and not trailing:  # Keras lets it stand against the last axes
        y = call.ops.elementwise("multiply", y, call.ops.weight(scale))
    return (Tensor(call.ops.cast(y, call.dtype)),)


class UnitNormalizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/normalization_layers/unit_normalization/"""

    axis: Ints = -1


def _unit_normalization(call: Call) -> tuple[Tensor, ...]:
    """Vectors along the axes scaled to length 1."""
    x, axis = call.x.value, call.config.axis
    given = [axis] if isinstance(axis, int) else axis
    axes = [axis_of(a, len(x.shape)) for a in given]
    return (Tensor(l2_normalize(call, x, axes, call.era.switch("unit_norm_epsilon"))),)


class SpectralNormalizationConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/normalization_layers/spectral_normalization/; kernels are stored normalized."""

    layer: dict[str, Any]
    power_iterations: Positive = 1


def _spectral_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    vector = Variable("vector_u", trainable=False)
    return (Variable("kernel", kind="alias"), vector) if era.switch("kernel_stored_twice") else (vector,)


def _spectral(call: Call) -> tuple[Tensor, ...]:
    """The layer as it is, with the mask that it gives its output.

    Keras 3 casts back to the input's dtype, so that an Embedding's numbers become whole; its mask is lost in that.
    """
    if getattr(call.spec.children["layer"].config, "quantized", False):
        raise Unsupported("SpectralNormalization around a quantized layer")
    outputs = call.wrapped("layer", call.x)
    if not call.era.switch("spectral_casts_back"):
        return outputs
    dtype = call.x.dtype
    return tuple(t if t.dtype == dtype else Tensor(call.ops.cast(t.value, dtype)) for t in outputs)


TYPES: dict[str, LayerType] = {
    "GroupNormalization": LayerType(
        GroupNormalizationConfig, _group_normalization, scale_and_center, masking="pass"
    ),
    "RMSNormalization": LayerType(
        RMSNormalizationConfig, _rms_normalization, lambda config, era: (Variable("scale"),)
    ),
    "UnitNormalization": LayerType(UnitNormalizationConfig, _unit_normalization, masking="pass"),
    "SpectralNormalization": LayerType(
        SpectralNormalizationConfig, _spectral, _spectral_variables, lambda config, era: {"layer": config.layer},
        masking="own",
        acts_in_training=always,
    ),
}  # fmt: skip
