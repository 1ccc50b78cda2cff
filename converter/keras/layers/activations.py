"""Activation and the activation layers: ReLU, LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax."""

from __future__ import annotations

from converter.errors import InvalidModel, Unsupported
from converter.keras.activation_argument import FUNCTIONS, ActivationConfig, ReLUConfig, SoftmaxConfig
from converter.keras.building.graph import Tensor
from converter.keras.layer_type import LayerType, Variable
from converter.keras.schema import Config, Ints
from converter.keras.shared.activating import activated, activation_layer
from converter.keras.shared.masks import call_mask
from converter.keras.spec import Call
from converter.model import Value
from converter.model.activations import NAMES, Activation

LARGE_NEGATIVE = -1e9  # what Keras adds to, or puts for, masked scores


class PReLUConfig(Config, frozen=True):
    """https://keras.io/api/layers/activation_layers/prelu/"""

    shared_axes: Ints | None = None


def _activation(call: Call) -> tuple[Tensor, ...]:
    return (activated(call, call.x.value),)


def _function(call: Call) -> tuple[Tensor, ...]:
    _, meaning = FUNCTIONS[call.spec.class_name]
    return (Tensor(call.ops.activate(call.x.value, meaning(call.config))),)


def _relu_layer(call: Call) -> tuple[Tensor, ...]:
    (y,) = _function(call)
    return (Tensor(y.value, call.x.mask if call.era.switch("relu_passes_mask") else None),)


def masked_softmax(call: Call, x: Value, axes: list[int], mask: Value | None) -> Value:
    """softmax of x over axes where mask holds.

    Keras lowers masked scores by 1e9, which leaves exactly -1e9 of any float32 score below 32; so they are set to it,
    and a row that is masked throughout comes out the same in every precision. Only float64 keeps the sum.
    """
    ops = call.ops
    if mask is not None and x.dtype == "float64" and not call.era.switch("softmax_sets_masked"):
        lowered = ops.with_scalar("multiply", ops.cast(ops.unary("not", mask), x.dtype), LARGE_NEGATIVE)
        x = ops.elementwise("add", x, lowered)
    elif mask is not None:
        x = ops.where(mask, x, ops.constant(large_negative(call), x.dtype))
    if len(axes) == 1:
        y = ops.activate(x, Activation("softmax", (axes[0],)))
    else:
        y = ops.unary("exp", ops.elementwise("subtract", x, ops.reduce("logsumexp", x, axes, keepdims=True)))
    if mask is not None and call.era.switch("softmax_zeroes_masked"):
        y = ops.where(mask, y, ops.constant(0.0, y.dtype))
    return y


def large_negative(call: Call) -> float:
    """The score of a masked position in the dtype the layer computes in (float16 cannot hold -1e9)."""
    if call.dtype != "float16":
        return LARGE_NEGATIVE
    return float(call.era.switch("masked_score_float16"))


def _softmax_layer(call: Call) -> tuple[Tensor, ...]:
    x, axis = call.x.value, call.config.axis
    axes = [axis] if isinstance(axis, int) else list(axis)
    if not axes or any(not -len(x.shape) <= a < len(x.shape) for a in axes):
        raise InvalidModel(f"a Softmax along axis {axis} of an input with {len(x.shape)} axes")
    mask = call_mask(call)
    takes = call.era.switch("softmax_takes_mask")
    if mask is not None and takes is None:
        raise Unsupported("Softmax of a masked input: TensorFlow 2.3 and 2.4 differ in it under one version number")
    mask = mask if takes else None
    if mask is not None:
        mask = call.ops.cast(mask, "bool") if mask.dtype != "bool" else mask
        if len(mask.shape) < len(x.shape):
            what = f"Softmax of an input of shape {x.shape} with a mask of shape {mask.shape}"
            raise Unsupported(f"{what}: Keras takes the rows of one for steps of the other, so it runs by accident")
        if len(mask.shape) > len(x.shape):
            raise InvalidModel(f"the mask {mask.shape} of a Softmax has more axes than its input {x.shape}")
    return (Tensor(masked_softmax(call, x, axes, mask)),)


def _prelu(call: Call) -> tuple[Tensor, ...]:
    """max(x, 0) - alpha·max(-x, 0)."""
    x, alpha, shared = call.x, call.need("alpha"), call.config.shared_axes
    axes = [shared] if isinstance(shared, int) else (shared or [])
    if not call.era.switch("shared_axes_written"):
        axes = [k for k, n in enumerate(alpha.shape, 1) if n == 1]
    expected = [1 if k in axes else n for k, n in enumerate(x.shape)][1:]
    call.check(alpha, "alpha", *expected)
    relu = NAMES["relu"]
    positive = call.ops.activate(x.value, relu)
    negative = call.ops.activate(call.ops.unary("negative", x.value), relu)
    scaled = call.ops.elementwise("multiply", negative, call.ops.weight(alpha))
    return (Tensor(call.ops.elementwise("subtract", positive, scaled)),)


def _linear(config: ActivationConfig) -> bool:
    return config.activation in (None, "linear")


TYPES: dict[str, LayerType] = {
    "Activation": LayerType(
        ActivationConfig, _activation, children=activation_layer, masking="pass", returns_input=_linear, stepwise=True
    ),
    **{
        name: LayerType(FUNCTIONS[name][0], _function, masking="pass", stepwise=True)
        for name in ("LeakyReLU", "ELU", "ThresholdedReLU")
    },
    "ReLU": LayerType(ReLUConfig, _relu_layer, masking="own", stepwise=True),
    "Softmax": LayerType(SoftmaxConfig, _softmax_layer, masking="pass"),
    "PReLU": LayerType(PReLUConfig, _prelu, lambda config, era: (Variable("alpha"),), masking="pass"),
}
