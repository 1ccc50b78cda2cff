"""Preprocessing layers that compute: Rescaling, Normalization, Discretization, CategoryEncoding, IntegerLookup."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from converter import layers
from converter.errors import InvalidModel, Unsupported
from converter.keras.era import Era
from converter.keras.graph import Tensor
from converter.keras.layers.core import identity
from converter.keras.layers.normalization import along, axis_of
from converter.keras.ops import FLOATS
from converter.keras.schema import Config, Count, Positive
from converter.keras.spec import NO_EFFECT, Call, LayerType, Variable
from converter.model import Value, Weight, constant

EPSILON = 1e-7  # keras.backend.epsilon()
OutputMode = Literal["int", "one_hot", "multi_hot", "count", "binary", "tf_idf"]
Number = float | list[float]


def floats(call: Call) -> str:
    """The floating dtype a layer computes in, whatever its inputs are."""
    return call.dtype if call.dtype in FLOATS else "float32"


def carried(call: Call, y: Value) -> tuple[Tensor, ...]:
    """y with the input's mask, which only Keras 3 hands on here."""
    return (Tensor(y, call.x.mask if call.era.major >= 3 else None),)


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
    """A mean or variance, given in the configuration or learnt, shaped to stand against x."""
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


class DiscretizationConfig(Config, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/numerical/discretization/"""

    bin_boundaries: list[float] | None = None
    num_bins: int | None = None
    epsilon: float = 0.01
    output_mode: OutputMode = "int"
    sparse: Literal[False] = False

    @property
    def compute_dtype(self) -> None:
        """`dtype` is of the output: integers that keep their input from being cast."""
        return None


def _discretization(call: Call) -> tuple[Tensor, ...]:
    """How many boundaries are at or below x."""
    config: DiscretizationConfig = call.config
    if config.bin_boundaries is None:
        raise Unsupported("Discretization whose boundaries are not in its configuration")
    ops = call.ops
    x = call.x.value
    x = x if x.dtype in FLOATS else ops.cast(x, "float32")
    bounds = ops.constant(np.asarray(config.bin_boundaries, np.float32), x.dtype)
    above = ops.cast(ops.elementwise("greater_equal", ops.expand_dims(x, -1), bounds), "int32")
    return (Tensor(encode(call, ops.reduce("sum", above, [-1]), config.output_mode, len(config.bin_boundaries) + 1)),)


class CategoryEncodingConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/categorical/category_encoding/"""

    num_tokens: Positive
    output_mode: OutputMode = "multi_hot"
    sparse: Literal[False] = False


def _category_encoding(call: Call) -> tuple[Tensor, ...]:
    x, *rest = call.tensors
    weights = call.kwargs.get("count_weights", rest[0] if rest else None)
    if len(rest) > 1 or not isinstance(weights, Tensor | None):
        raise Unsupported("CategoryEncoding with count_weights that are no single tensor")
    return (Tensor(encode(call, x.value, call.config.output_mode, call.config.num_tokens, weights)),)


def encode(call: Call, index: Value, mode: OutputMode, depth: int, weights: Tensor | None = None) -> Value:
    """Indices as they are, as unit vectors, or as the set or the count of those in a row, each by its weight.

    Raises:
        Unsupported: tf_idf, or rows of other than one axis.
    """
    ops = call.ops
    named = call.config.dtype if isinstance(call.config.dtype, str) else None
    if mode == "int":
        return ops.cast(index, "int32" if call.era.major >= 3 else named if named in {"int32", "int64"} else "int64")
    dtype = named if named in FLOATS else "float32"
    index = ops.cast(index, "int64")
    if mode == "one_hot":
        if len(index.shape) > 1 and index.shape[-1] == 1:
            index = ops.squeeze(index, -1)
        return ops.one(layers.OneHot(depth), [index], (*index.shape, depth), dtype)
    if mode == "tf_idf" or len(index.shape) != 2:
        raise Unsupported(f"output_mode {mode} of an input of shape {index.shape}")
    vectors = ops.one(layers.OneHot(depth), [index], (*index.shape, depth), dtype)
    if weights is not None:
        vectors = ops.elementwise("multiply", vectors, ops.expand_dims(ops.cast(weights.value, dtype), -1))
    return ops.reduce("sum" if mode == "count" else "max", vectors, [1])


class IntegerLookupConfig(Config, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/categorical/integer_lookup/"""

    max_tokens: int | None = None
    num_oov_indices: Count = 1
    mask_token: int | None = None
    oov_token: int | None = -1
    vocabulary: list[int] | None = None
    vocabulary_size: int | None = None
    vocabulary_dtype: Literal["int64"] = "int64"
    idf_weights: None = None
    invert: bool = False
    output_mode: OutputMode = "int"
    sparse: Literal[False] = False
    pad_to_max_tokens: bool = False
    oov_method: Literal["floormod"] | None = None
    salt: None = None

    @property
    def compute_dtype(self) -> None:
        """Integers in, and by `encode` what comes out."""
        return None


def has_mask_index(config: IntegerLookupConfig) -> bool:
    """Whether index 0 stands for masked positions; where indices are encoded, these are left out instead."""
    return config.mask_token is not None and config.output_mode == "int"


def vocabulary_of(config: IntegerLookupConfig) -> tuple[list[int], list[int]]:
    """The special tokens that come first (mask, then those out of vocabulary), and the words after them.

    Raises:
        Unsupported: the words were learnt and lie outside the configuration.
    """
    if config.vocabulary is None:
        raise Unsupported("IntegerLookup whose vocabulary is not in its configuration")
    oov = config.oov_token if config.oov_token is not None else -1
    special = [config.mask_token] * has_mask_index(config) + [oov] * config.num_oov_indices
    words = config.vocabulary
    tokens = [token for token in special if token is not None]
    return tokens, words[len(tokens) :] if tokens and words[: len(tokens)] == tokens else words


def _integer_lookup(call: Call) -> tuple[Tensor, ...]:
    config: IntegerLookupConfig = call.config
    ops, x = call.ops, call.ops.cast(call.x.value, "int64")
    special, words = vocabulary_of(config)
    if not words:
        raise InvalidModel("IntegerLookup with an empty vocabulary")
    if config.invert:
        return (Tensor(_inverse(call, x, [*special, *words])),)
    hits = ops.elementwise("equal", ops.expand_dims(x, -1), ops.constant(words, "int64"))
    place = ops.reduce("argmax", ops.cast(hits, "int32"), [-1])
    place = ops.with_scalar("add", place, len(special))
    index = ops.where(ops.reduce("any", hits, [-1]), place, _unknown(call, x))
    depth = config.max_tokens if config.pad_to_max_tokens and config.max_tokens else len(special) + len(words)
    if config.mask_token is not None:
        masked = ops.with_scalar("equal", x, config.mask_token)
        index = ops.where(masked, ops.constant(0 if has_mask_index(config) else depth, "int64"), index)
    if config.output_mode == "int":
        return (Tensor(index),)
    return (Tensor(encode(call, index, config.output_mode, depth)),)


def _unknown(call: Call, x: Value) -> Value:
    """The index of a number that is no word: one of the indices kept for those, by its remainder."""
    ops, count = call.ops, call.config.num_oov_indices
    first = int(has_mask_index(call.config))
    if count <= 1:
        return ops.constant(first if count else -1, "int64")
    return ops.with_scalar("add", ops.with_scalar("mod", x, count), first)


def _inverse(call: Call, x: Value, tokens: list[int]) -> Value:
    """The token of an index; the one for unknown words where it is out of range."""
    ops = call.ops
    oov = call.config.oov_token if call.config.oov_token is not None else -1
    last = len(tokens) - 1
    bounded = ops.with_scalar("minimum", ops.with_scalar("maximum", x, 0), last)
    table = ops.constant(tokens, "int64")
    found = ops.one(layers.Gather(0), [table, bounded], x.shape, "int64")
    inside = ops.elementwise("equal", x, bounded)
    return ops.where(inside, found, ops.constant(oov, "int64"))


class IdentityConfig(Config, frozen=True):
    """https://keras.io/api/layers/core_layers/identity/"""


def _identity(call: Call) -> tuple[Tensor, ...]:
    return tuple(Tensor(t.value, t.mask if call.era.major >= 3 else None) for t in identity(call))


TYPES: dict[str, LayerType] = {
    "Rescaling": LayerType(RescalingConfig, _rescaling, masking="own"),
    "Normalization": LayerType(NormalizationConfig, _normalization, _normalization_variables, masking="own"),
    "Discretization": LayerType(DiscretizationConfig, _discretization, note="boundaries in the configuration"),
    "CategoryEncoding": LayerType(CategoryEncodingConfig, _category_encoding),
    "IntegerLookup": LayerType(IntegerLookupConfig, _integer_lookup, note="vocabulary in the configuration"),
    "Identity": LayerType(IdentityConfig, _identity, masking="own", note=NO_EFFECT),
}
