"""EinsumDense: a product by any equation, a bias along some axes of the output, an activation."""

from __future__ import annotations

from typing import Any

from converter.errors import InvalidModel
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.schema import ActivationField, Config, Sizes
from converter.keras.shared.activating import activated, activation_layer
from converter.keras.shared.biases import refuse_misplaced
from converter.keras.shared.einsum import einsum
from converter.keras.spec import Call


class EinsumDenseConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/core_layers/einsum_dense/"""

    equation: str
    output_shape: int | Sizes
    activation: ActivationField = None
    bias_axes: str | None = None
    quantization_config: None = None


def _variables(config: Any, era: Era) -> tuple[Variable, ...]:
    return (Variable("kernel"), *[Variable("bias")] * bool(config.bias_axes))


def _einsum_dense(call: Call) -> tuple[Tensor, ...]:
    config: EinsumDenseConfig = call.config
    x, ops, kernel, bias = call.x.value, call.ops, call.need("kernel"), call.weight("bias")
    y = einsum(ops, config.equation, [x, ops.weight(kernel)])
    if bias is not None:
        if len(bias.shape) > len(y.shape):
            raise InvalidModel(f"a bias of shape {bias.shape} for an output of shape {y.shape}")
        refuse_misplaced(call, y.shape, bias.shape)
        y = ops.elementwise("add", y, ops.weight(bias))
    return (activated(call, y),)


TYPES: dict[str, LayerType] = {
    "EinsumDense": LayerType(EinsumDenseConfig, _einsum_dense, _variables, activation_layer, takes="floats")
}
