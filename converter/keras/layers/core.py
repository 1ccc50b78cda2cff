"""Dense, Embedding, Masking, and the layers that do nothing at inference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from converter.errors import InvalidModel
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import NO_EFFECT, Keras1, LayerType, Variable, always
from converter.keras.schema import ActivationField, Config, Positive, Quantizable, Sizes
from converter.keras.shared.activating import activated, activation_layer
from converter.keras.shared.keras1 import ORDERING
from converter.keras.shared.quantized import inputs_of
from converter.keras.spec import Call
from converter.model import Shape, Value, layers


class InputConfig(Config, frozen=True):
    """InputLayer; the shape has become `batch_input_shape` in every dialect."""

    sparse: bool = False
    ragged: bool = False
    optional: bool = False


def _input(call: Call) -> tuple[Tensor, ...]:
    raise InvalidModel("an InputLayer is called on a tensor")


class DenseConfig(Quantizable, frozen=True):
    """https://keras.io/api/layers/core_layers/dense/"""

    units: Positive
    activation: ActivationField = None
    use_bias: bool = True


def bias_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    """kernel, and bias if the layer has one."""
    return (Variable("kernel"), Variable("bias")) if config.use_bias else (Variable("kernel"),)


def _dense_variables(config: DenseConfig, era: Era) -> tuple[Variable, ...]:
    """kernel, bias, and the scales of an int8 kernel, which training leaves alone."""
    if not config.quantized:
        return bias_variables(config, era)
    kernel, *bias = bias_variables(config, era)
    return replace(kernel, trainable=False, floating=False), *bias, Variable("kernel_scale", trainable=False)


def _dense(call: Call) -> tuple[Tensor, ...]:
    config: DenseConfig = call.config
    x, kernel, bias = call.x, call.need("kernel"), call.weight("bias")
    call.check(kernel, "kernel", x.shape[-1], config.units)
    call.check(bias, "bias", config.units)
    shape = (*x.shape[:-1], config.units)
    y = _int8_dense(call, shape) if config.quantized else call.emit(layers.Dense(kernel, bias), [x.value], shape)
    return (activated(call, y),)


def _int8_dense(call: Call, shape: Shape) -> Value:
    config, ops, bias, scales = call.config, call.ops, call.weight("bias"), call.need("kernel_scale")
    call.check(scales, "kernel_scale", config.units)
    x, scale = inputs_of(ops, config, call.x.value, [-1])
    y = call.emit(layers.Dense(call.need("kernel"), None), [x], shape)
    divisor = ops.weight(scales) if scale is None else ops.elementwise("multiply", ops.weight(scales), scale)
    y = ops.elementwise("divide", y, divisor)
    return y if bias is None else ops.elementwise("add", y, ops.weight(bias))


class EmbeddingConfig(Quantizable, frozen=True):
    """https://keras.io/api/layers/core_layers/embedding/"""

    input_dim: Positive
    output_dim: Positive
    mask_zero: bool = False
    input_length: int | Sizes | None = None


def _embedding_variables(config: EmbeddingConfig, era: Era) -> tuple[Variable, ...]:
    if not config.quantized:
        return (Variable("embeddings"),)
    return Variable("embeddings", trainable=False, floating=False), Variable("embeddings_scale", trainable=False)


def embedding(call: Call) -> tuple[Tensor, ...]:
    """Rows of the table, and the mask of words that are not 0 if asked for."""
    config: EmbeddingConfig = call.config
    x, table = call.x, call.bound.variables["embeddings"]
    call.check(table, "embeddings", config.input_dim, config.output_dim)
    # Keras <= 2.0 writes the dtype of the *input* as the layer's ("int32"); the table is floating all the same.
    dtype = config.compute_dtype if config.compute_dtype not in {None, "int32", "int64"} else table.dtype
    ids = x.value if x.dtype.startswith(("int", "uint")) else call.ops.cast(x.value, "int32")
    y = call.emit(layers.Embedding(table.astype(str(dtype))), [ids], (*x.shape, config.output_dim), str(dtype))
    if config.quantized:
        scales = call.need("embeddings_scale")
        call.check(scales, "embeddings_scale", config.input_dim)
        scale = call.ops.one(layers.Gather(0), [call.ops.weight(scales), ids], x.shape, scales.dtype)
        y = call.ops.elementwise("divide", y, call.ops.expand_dims(scale, -1))
    mask = call.ops.with_scalar("not_equal", x.value, 0) if config.mask_zero else None
    return (Tensor(y, mask),)


class MaskingConfig(Config, frozen=True):
    """https://keras.io/api/layers/core_layers/masking/"""

    mask_value: float = 0.0


def _masking(call: Call) -> tuple[Tensor, ...]:
    """A step is masked where every feature equals mask_value; its features become zero."""
    x, value = call.x.value, call.config.mask_value
    differs = call.ops.against_single if call.era.switch("mask_value_single") else call.ops.with_scalar
    kept = call.ops.reduce("any", differs("not_equal", x, value), [-1], keepdims=True)
    y = call.ops.elementwise("multiply", x, call.ops.cast(kept, x.dtype))
    return (Tensor(y, call.ops.squeeze(kept, -1)),)


class DropoutConfig(Config, frozen=True):
    """Any layer that only acts during training: its arguments have no effect at inference."""

    rate: float | None = None
    stddev: float | None = None
    noise_shape: Sizes | None = None
    data_format: str | None = None
    l1: float | None = None
    l2: float | None = None


def identity(call: Call) -> tuple[Tensor, ...]:
    """The inputs, as they are: no node is emitted."""
    return tuple(call.tensors)


def _zero_rate(config: DropoutConfig) -> bool:
    return not config.rate


def _training_only(**fields: Any) -> LayerType:
    return LayerType(DropoutConfig, identity, masking="pass", training_only=True, note=NO_EFFECT, **fields)


_RATE = Keras1({"p": "rate"})
_SPATIAL = Keras1({"p": "rate"} | ORDERING)

TYPES: dict[str, LayerType] = {
    "InputLayer": LayerType(InputConfig, _input),
    "Dense": LayerType(
        DenseConfig, _dense, _dense_variables, activation_layer, masking="pass", stepwise=True, input_rank=2,
        aliases=("TimeDistributedDense",),  # of 3-D inputs, which Dense takes today
        keras1=Keras1({"output_dim": "units", "bias": "use_bias"}),
    ),
    "Embedding": LayerType(
        EmbeddingConfig, embedding, _embedding_variables, masking="own", takes="indices",
        input_rank=2, keras1=Keras1(inert=frozenset({"dropout"})),
    ),
    "Masking": LayerType(MaskingConfig, _masking, masking="own", input_rank=3, keeps_features=True),
    "Dropout": _training_only(stepwise=True, keras1=_RATE),
    "SpatialDropout1D": _training_only(keras1=_RATE, input_rank=3, keeps_features=True),
    "SpatialDropout2D": _training_only(keras1=_SPATIAL),
    "SpatialDropout3D": _training_only(keras1=_SPATIAL),
    "GaussianNoise": _training_only(stepwise=True, acts_in_training=always, keras1=Keras1({"sigma": "stddev"})),
    "GaussianDropout": _training_only(stepwise=True, returns_input=_zero_rate, keras1=_RATE),
    "AlphaDropout": _training_only(stepwise=True, returns_input=_zero_rate),
    "ActivityRegularization": _training_only(returns_input=always, keeps_features=True),
}  # fmt: skip
