"""What an argument `activation` names: a function by its name, a serialized one, or an activation layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converter.errors import Unsupported, clean
from converter.keras.eras.existence import anywhere, had
from converter.keras.eras.switches import Era
from converter.keras.schema import ActivationField, Config, Ints, validate
from converter.model.activations import Activation, by_name

SUPPLY = "say which function it is with --plugin FILE, in ACTIVATIONS"


class ActivationConfig(Config, frozen=True):
    """https://keras.io/api/layers/core_layers/activation/"""

    activation: ActivationField = None


class ReLUConfig(Config, frozen=True):
    """https://keras.io/api/layers/activation_layers/relu/"""

    max_value: float | None = None
    negative_slope: float | None = 0.0
    threshold: float | None = 0.0


class LeakyReLUConfig(Config, frozen=True):
    """https://keras.io/api/layers/activation_layers/leaky_relu/; the slope is `alpha` before Keras 3."""

    alpha: float | None = None
    negative_slope: float | None = None


class ELUConfig(Config, frozen=True):
    """https://keras.io/api/layers/activation_layers/elu/"""

    alpha: float = 1.0


class ThresholdedReLUConfig(Config, frozen=True):
    """Keras 1 and 2: x where x > theta, else 0."""

    theta: float = 1.0


class SoftmaxConfig(Config, frozen=True):
    """https://keras.io/api/layers/activation_layers/softmax/"""

    axis: Ints = -1
    robust_masking: bool = False


def _relu(config: ReLUConfig) -> Activation:
    maximum = float("inf") if config.max_value is None else config.max_value
    return Activation("relu", (config.negative_slope or 0.0, maximum, config.threshold or 0.0))


def _leaky_relu(config: LeakyReLUConfig) -> Activation:
    given = [slope for slope in (config.negative_slope, config.alpha) if slope is not None]
    return Activation("leaky_relu", (given[0] if given else 0.3,))


def _softmax(config: SoftmaxConfig) -> Activation:
    axes = [config.axis] if isinstance(config.axis, int) else config.axis
    if len(axes) != 1:
        raise Unsupported("a Softmax over several axes is no activation function")
    return Activation("softmax", (axes[0],))


# Layers that are one function of their input: the configuration, and the function it means.
FUNCTIONS: Mapping[str, tuple[type[Config], Callable[[Any], Activation]]] = {
    "ReLU": (ReLUConfig, _relu),
    "LeakyReLU": (LeakyReLUConfig, _leaky_relu),
    "ELU": (ELUConfig, lambda config: Activation("elu", (config.alpha,))),
    "ThresholdedReLU": (ThresholdedReLUConfig, lambda config: Activation("thresholded_relu", (config.theta,))),
    "Softmax": (SoftmaxConfig, _softmax),
}


def layer_activation(class_name: str, config: Mapping[str, Any], era: Era) -> Activation:
    """The function of an activation layer given as another layer's activation argument.

    Raises:
        Unsupported: it is no activation layer, or keeps weights. InvalidModel: its configuration is broken.
    """
    if class_name == "Activation":
        return activation_of(validate(ActivationConfig, config).activation, era)
    row = FUNCTIONS.get(class_name)
    if row is None:
        raise Unsupported(f"a {clean(class_name)} layer as an activation is not supported")
    kind, meaning = row
    return meaning(validate(kind, config))


def function_name(value: Any) -> str:
    """The name of the function that an argument names, without the package it is registered in; "" if it names none."""
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        value = value.get("config")
    return value.rpartition(">")[2] if isinstance(value, str) else ""


def activation_of(value: ActivationField, era: Era) -> Activation:
    """The activation an argument names: a string, None, or a serialized function or layer.

    Raises:
        Unsupported: custom code, or a name no Keras has.
    """
    if value is None or isinstance(value, str):
        return _own(value, era)
    kind, config = value.get("class_name"), value.get("config")
    if isinstance(config, Activation):  # of a plugin; no file can hold one
        return config
    module = str(value.get("module") or "keras")
    if kind == "function" and isinstance(config, str) and module.split(".")[0] in {"keras", "builtins", "tf_keras"}:
        return _own(config, era)
    if isinstance(config, Mapping) and module.split(".")[0] in {"keras", "tf_keras"}:
        return layer_activation(str(kind), config, era)
    raise Unsupported(f"activation {clean(kind)} {clean(config, 60)} of module {clean(module)} is custom code",
                      hint=SUPPLY)  # fmt: skip


def _own(name: str | None, era: Era) -> Activation:
    """Keras' own function of a name.

    Raises:
        Unsupported: that version had none, so it is the author's, whatever later versions call so.
    """
    if name is not None and had("activations", name, era) is None:
        some = anywhere("activations", name)
        why = f"{era} has none of that name" + (f" ({some} did)" if some else "")
        raise Unsupported(f"the activation {clean(name)} is not Keras' own: {why}", hint=SUPPLY)
    return by_name(name, era.major)
