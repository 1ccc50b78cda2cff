"""EinsumDense: a product by any equation, a bias along some axes of the output, an activation."""

from __future__ import annotations

from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.schema import ActivationField, Quantizable, Sizes
from converter.keras.shared.activating import activated, activation_layer
from converter.keras.shared.biases import refuse_misplaced
from converter.keras.shared.einsum import einsum, explicit
from converter.keras.shared.quantized import inputs_of
from converter.keras.spec import Call
from converter.model import Value


class EinsumDenseConfig(Quantizable, frozen=True, kw_only=True):
    """https://keras.io/api/layers/core_layers/einsum_dense/"""

    equation: str
    output_shape: int | Sizes
    activation: ActivationField = None
    bias_axes: str | None = None


def _variables(config: Any, era: Era) -> tuple[Variable, ...]:
    bias = [Variable("bias")] * bool(config.bias_axes)
    if not config.quantized:
        return Variable("kernel"), *bias
    return Variable("kernel", trainable=False, floating=False), *bias, Variable("kernel_scale", trainable=False)


def _einsum_dense(call: Call) -> tuple[Tensor, ...]:
    config: EinsumDenseConfig = call.config
    x, ops, kernel, bias = call.x.value, call.ops, call.need("kernel"), call.weight("bias")
    y = _int8_product(call) if config.quantized else einsum(ops, config.equation, [x, ops.weight(kernel)])
    if bias is not None:
        if len(bias.shape) > len(y.shape):
            raise InvalidModel(f"a bias of shape {bias.shape} for an output of shape {y.shape}")
        refuse_misplaced(call, y.shape, bias.shape)
        y = ops.elementwise("add", y, ops.weight(bias))
    return (activated(call, y),)


def _int8_product(call: Call) -> Value:
    """The product of whole numbers, each input's scale along what is summed; Keras stores the kernel's as y has it."""
    config, ops, x, kernel, scales = call.config, call.ops, call.x.value, call.need("kernel"), call.need("kernel_scale")
    left, _, out = explicit(config.equation, [len(x.shape), len(kernel.shape)]).partition("->")
    letters, others = left.split(",")
    summed = [axis for axis, letter in enumerate(letters) if letter not in out]
    if not summed:
        raise Unsupported(f"int8 of {config.equation}, which sums over nothing")
    whole, scale = inputs_of(ops, config, x, summed)
    y = einsum(ops, config.equation, [whole, ops.weight(kernel)])
    sizes = dict(zip(others, kernel.shape, strict=True))
    call.check(scales, "kernel_scale", *(sizes.get(letter, 1) for letter in out))
    divisor = ops.weight(scales)
    if scale is not None:
        for axis in reversed(summed):
            scale = ops.squeeze(scale, axis)
        kept = [letter for letter in letters if letter in out]
        scale = ops.transpose(scale, [kept.index(letter) for letter in out if letter in kept])
        for axis, letter in enumerate(out):
            scale = scale if letter in kept else ops.expand_dims(scale, axis)
        divisor = ops.elementwise("multiply", scale, divisor)
    return ops.elementwise("divide", y, divisor)


TYPES: dict[str, LayerType] = {
    "EinsumDense": LayerType(EinsumDenseConfig, _einsum_dense, _variables, activation_layer, takes="floats")
}
