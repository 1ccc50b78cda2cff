"""Preprocessing of numbers: Rescaling, Normalization, Discretization, CategoryEncoding."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.building.ops import FLOATS
from converter.keras.eras.switches import Era
from converter.keras.layer_type import NO_EFFECT, LayerType, Variable
from converter.keras.layers.core import identity
from converter.keras.layers.normalization import along, axis_of
from converter.keras.schema import Config, DenseOutput, Positive
from converter.keras.spec import Call
from converter.model import Array, Value, Weight, constant

EPSILON = 1e-7  # keras.backend.epsilon()
OutputMode = Literal["int", "one_hot", "multi_hot", "count", "binary", "tf_idf"]
Number = float | list[float]


def floats(call: Call) -> str:
    """The floating dtype a layer computes in, whatever its inputs are."""
    return call.dtype if call.dtype in FLOATS else "float32"


def carried(call: Call, y: Value) -> tuple[Tensor, ...]:
    """y with the input's mask, where the era passes it on here."""
    return (Tensor(y, call.x.mask if call.era.switch("preprocessing_passes_mask") else None),)


class RescalingConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/"""

    scale: Number
    offset: Number = 0.0


def _rescaling(call: Call) -> tuple[Tensor, ...]:
    ops, dtype = call.ops, floats(call)
    x = ops.cast(call.x.value, dtype)
    scaled = ops.elementwise("multiply", x, ops.constant(call.config.scale, dtype))
    return carried(call, ops.elementwise("add", scaled, ops.constant(call.config.offset, dtype)))


class NormalizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/numerical/normalization/"""

    axis: int | list[int] | None = -1
    mean: Any = None
    variance: Any = None
    invert: bool = False


def _normalization_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    if config.mean is not None:
        return ()
    statistics = (Variable("adapt_mean", trainable=False), Variable("adapt_variance", trainable=False))
    return (*statistics, Variable("count", trainable=False, floating=False))


def _normalization(call: Call) -> tuple[Tensor, ...]:
    config: NormalizationConfig = call.config
    ops, dtype = call.ops, floats(call)
    x = ops.cast(call.x.value, dtype)
    given = [] if config.axis is None else [config.axis] if isinstance(config.axis, int) else config.axis
    axes = tuple(sorted(axis_of(axis, len(x.shape)) for axis in given))
    mean, variance = (_statistic(call, name, axes, x) for name in ("mean", "variance"))
    deviation = ops.with_scalar("maximum", ops.unary("sqrt", variance), EPSILON)
    if config.invert:
        return carried(call, ops.elementwise("add", mean, ops.elementwise("multiply", x, deviation)))
    return carried(call, ops.elementwise("divide", ops.elementwise("subtract", x, mean), deviation))


def _statistic(call: Call, name: str, axes: tuple[int, ...], x: Value) -> Value:
    """A mean or variance, given in the configuration or learned, shaped to stand against x."""
    sizes = tuple(x.shape[axis] for axis in axes)
    given = getattr(call.config, name)
    if given is None:
        weight = call.bound.variables[f"adapt_{name}"]
        call.check(weight, name, *sizes)
        weight = weight.astype(x.dtype)
    elif None in sizes:
        raise InvalidModel(f"normalization along an open axis of {x.shape}")
    else:
        weight = _spread(name, given, tuple(n for n in sizes if n is not None)).astype(x.dtype)
    return along(call, weight, axes, len(x.shape))


def _spread(name: str, given: Any, sizes: tuple[int, ...]) -> Weight:
    try:
        values = np.asarray(given, np.float32)
        values = values.reshape(values.shape[values.ndim - len(sizes) :]) if values.ndim > len(sizes) else values
        return constant(name, np.broadcast_to(values, sizes))
    except ValueError:
        raise InvalidModel(f"the {name} of a Normalization does not fit sizes {sizes}") from None


class DiscretizationConfig(DenseOutput, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/numerical/discretization/"""

    bin_boundaries: list[float] | None = None
    num_bins: int | None = None
    epsilon: float = 0.01
    output_mode: OutputMode = "int"

    @property
    def compute_dtype(self) -> None:
        """`dtype` is of the output: integers that keep their input from being cast."""
        return None


def _discretization_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    """tf.keras keeps a summary of what adapt() saw; Keras 3 puts the boundaries into the configuration."""
    kept = config.bin_boundaries is None and era.switch("discretization_summary")
    return (Variable("summary", trainable=False),) if kept else ()


def _discretization(call: Call) -> tuple[Tensor, ...]:
    """How many boundaries are at or below x."""
    config: DiscretizationConfig = call.config
    ops = call.ops
    x = call.x.value
    x = x if x.dtype in FLOATS else ops.cast(x, "float32")
    boundaries = _boundaries(call)
    above = ops.elementwise("greater_equal", ops.expand_dims(x, -1), ops.constant(boundaries, x.dtype))
    index = ops.reduce("sum", ops.cast(above, "int32"), [-1])
    return (Tensor(encode(call, index, config.output_mode, len(boundaries) + 1)),)


def _boundaries(call: Call) -> Array:
    """Boundaries given or learned [bins - 1], float32.

    Those learned are found in the summary [2, any] of values and their weights as tf.keras finds them whenever it loads
    a model: `get_bin_boundaries` in tf_keras/src/layers/preprocessing/discretization.py.
    """
    config: DiscretizationConfig = call.config
    if config.bin_boundaries is not None:
        return np.asarray(config.bin_boundaries, np.float32)
    weight = call.bound.variables.get("summary")
    if weight is None or config.num_bins is None:
        raise Unsupported("Discretization without boundaries: adapt() was not called before the model was saved")
    call.check(weight, "summary", 2, None)
    summary, share = weight.read().astype(np.float32), 1.0 / max(1, config.num_bins)
    if summary.shape[1] * share < 1:
        return summary[0, :-1]
    refuse_constant(config.num_bins)
    wanted = share + np.arange(0.0, 1.0, share)
    seen = summary[1].cumsum()
    found: Array = np.interp(wanted, seen / seen[-1], summary[0]).astype(np.float32)
    return found[:-1]


class CategoryEncodingConfig(DenseOutput, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/categorical/category_encoding/"""

    num_tokens: Positive
    output_mode: OutputMode = "multi_hot"


def _category_encoding(call: Call) -> tuple[Tensor, ...]:
    config: CategoryEncodingConfig = call.config
    given = [each for each in (*call.args, call.kwargs.get("count_weights")) if each is not None]
    if not 1 <= len(given) <= 2 or not all(isinstance(each, Tensor) for each in given):
        raise Unsupported("CategoryEncoding is called on something else than a tensor, and one of weights")
    index, *weights = (each.value for each in given)
    if weights and config.output_mode != "count":
        raise InvalidModel(f"count_weights with output_mode {config.output_mode}")
    return (Tensor(encode(call, index, config.output_mode, config.num_tokens, *weights)),)


def encode(call: Call, index: Value, mode: OutputMode, depth: int, weights: Value | None = None) -> Value:
    """Indices as they are, as unit vectors, or as the set or the count of those in a row, each counted as weighted.

    Raises:
        Unsupported: tf_idf, or rows of other than one axis.
    """
    ops = call.ops
    named = call.config.dtype if isinstance(call.config.dtype, str) else None
    if mode == "int":
        wide = named if named in {"int32", "int64"} else "int64"
        return ops.cast(index, "int32" if call.era.switch("encoded_as_int32") else str(wide))
    dtype = named if named in FLOATS else "float32"
    index = ops.cast(index, "int64")
    if mode == "one_hot":
        if len(index.shape) > 1 and index.shape[-1] == 1:
            index = ops.squeeze(index, -1)
        return ops.one_hot(index, depth, dtype)
    if mode == "tf_idf" or len(index.shape) != 2:
        raise Unsupported(f"output_mode {mode} of an input of shape {index.shape}")
    vectors = ops.one_hot(index, depth, dtype)
    if weights is not None:
        vectors = ops.elementwise("multiply", vectors, ops.expand_dims(ops.cast(weights, dtype), -1))
    return ops.reduce("sum" if mode == "count" else "max", vectors, [1])


class IdentityConfig(Config, frozen=True):
    """https://keras.io/api/layers/core_layers/identity/"""


def _identity(call: Call) -> tuple[Tensor, ...]:
    passes = call.era.switch("preprocessing_passes_mask")
    return tuple(Tensor(t.value, t.mask if passes else None) for t in identity(call))


TYPES: dict[str, LayerType] = {
    "Rescaling": LayerType(RescalingConfig, _rescaling, masking="own", stepwise=True),
    "Normalization": LayerType(NormalizationConfig, _normalization, _normalization_variables, masking="own"),
    "Discretization": LayerType(DiscretizationConfig, _discretization, _discretization_variables),
    "CategoryEncoding": LayerType(CategoryEncodingConfig, _category_encoding),
    "Identity": LayerType(IdentityConfig, _identity, masking="own", stepwise=True, note=NO_EFFECT),
}
