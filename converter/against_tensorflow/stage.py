"""TensorFlow and the Keras whose layers are used, and the neutral activations as their functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converter.model import Array, Weight
from converter.model.activations import Activation

Tensor = Any
FLOAT = "float64"


class Stage:
    """TensorFlow, the layers to use, and the layers already built (a layer is built once for all calls)."""

    def __init__(self, tf: Any, layers: Any, activations: Any) -> None:
        self.tf, self.layers, self.activations = tf, layers, activations
        self._built: dict[int, tuple[object, Any]] = {}

    def dtype(self, name: str) -> str:
        """What a neutral dtype is computed in."""
        return FLOAT if "float" in name else name

    def tensor(self, array: Array) -> Tensor:
        """An array as a tensor; every float becomes float64."""
        real = array.dtype.kind not in "iubO"
        return self.tf.constant(array.astype(FLOAT) if real else array)

    def weight(self, weight: Weight | None) -> Tensor | None:
        """A weight as a tensor, or None."""
        return None if weight is None else self.tensor(weight.read())

    def layer(self, owner: object, kind: str, x: Tensor, weights: list[Weight | None], **options: Any) -> Any:
        """A Keras layer of this class with these weights, built for x."""
        if id(owner) not in self._built:
            made = getattr(self.layers, kind)(dtype=FLOAT, **options)
            made.build(tuple(x.shape))
            made.set_weights([weight.read().astype(FLOAT) for weight in weights if weight is not None])
            self._built[id(owner)] = (owner, made)
        return self._built[id(owner)][1]

    def activation(self, activation: Activation) -> Callable[[Tensor], Tensor]:
        """A neutral activation as a function of a tensor."""
        function = ACTIVATIONS[activation.name]
        return lambda x: function(self, x, *activation.parameters)


def _named(name: str) -> Callable[..., Tensor]:
    """Keras' own function of this name; parameters, if any, are passed on."""
    return lambda stage, x, *parameters: getattr(stage.activations, name)(x, *parameters)


def _along(name: str) -> Callable[[Stage, Tensor, float], Tensor]:
    return lambda stage, x, axis: getattr(stage.activations, name)(x, axis=int(axis))


def _relu(stage: Stage, x: Tensor, slope: float, maximum: float, threshold: float) -> Tensor:
    limit = None if maximum == float("inf") else maximum
    return stage.activations.relu(x, negative_slope=slope, max_value=limit, threshold=threshold)


ACTIVATIONS: Mapping[str, Callable[..., Tensor]] = {
    "linear": lambda stage, x: x,
    "hard_sigmoid": lambda stage, x, alpha, beta: stage.tf.clip_by_value(alpha * x + beta, 0.0, 1.0),
    "relu": _relu,
    "gelu": lambda stage, x, approximate: stage.activations.gelu(x, approximate=bool(approximate)),
    "leaky_relu": lambda stage, x, alpha: stage.tf.where(x > 0, x, alpha * x),
    "thresholded_relu": lambda stage, x, theta: stage.tf.where(x > theta, x, stage.tf.zeros_like(x)),
    **{name: _along(name) for name in ("softmax", "log_softmax", "sparsemax", "glu")},
    **{
        name: _named(name)
        for name in (
            "tanh", "sigmoid", "elu", "selu", "celu", "softplus", "softsign", "exponential", "silu", "hard_silu",
            "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "threshold", "mish", "log_sigmoid", "squareplus",
            "sparse_plus",
        )
    },
}  # fmt: skip
