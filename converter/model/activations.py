"""Activations: a table from Keras' names, by era, to neutral functions, and from those to native ONNX activations.

A neutral `Activation` is a function name and its parameters with no era left in it: `hard_sigmoid` carries the slope
that the file's Keras gives it (clip(alpha·x + beta, 0, 1): 0.2 and 0.5 in Keras 1 and 2, 1/6 and 0.5 in Keras 3).
`reference_lstm.activations` and `converter.exporters.onnx.activations` implement the same names, each on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from converter.errors import Unsupported


@dataclass(frozen=True)
class Activation:
    """A function by its neutral name, and its parameters in the order of `FUNCTIONS[name]`."""

    name: str
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in FUNCTIONS:
            raise ValueError(f"there is no activation {self.name!r}; there are {', '.join(FUNCTIONS)}")
        if len(self.parameters) != len(FUNCTIONS[self.name]):
            raise ValueError(f"{self.name} takes {FUNCTIONS[self.name]}, got {self.parameters}")

    @property
    def arguments(self) -> dict[str, float]:
        """Parameter values by name."""
        return dict(zip(FUNCTIONS[self.name], self.parameters, strict=True))


# Neutral functions and the names of their parameters. x is the input.
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "linear": (),
    "tanh": (),
    "sigmoid": (),
    "hard_sigmoid": ("alpha", "beta"),  # clip(alpha·x + beta, 0, 1)
    "relu": ("negative_slope", "max_value", "threshold"),  # Keras ReLU; max_value may be inf
    "elu": ("alpha",),
    "selu": (),
    "celu": ("alpha",),
    "leaky_relu": ("alpha",),
    "softplus": (),
    "softsign": (),
    "exponential": (),
    "gelu": ("approximate",),  # 0: erf form; 1: tanh form
    "silu": (),
    "swish": ("beta",),  # x·sigmoid(beta·x)
    "hard_silu": (),  # x·relu6(x + 3)/6
    "hard_tanh": (),  # clip(x, -1, 1)
    "hard_shrink": ("threshold",),  # x where |x| > threshold, else 0
    "soft_shrink": ("threshold",),
    "tanh_shrink": (),
    "threshold": ("threshold", "value"),  # x where x > threshold, else value
    "thresholded_relu": ("theta",),  # x where x > theta, else 0
    "mish": (),
    "log_sigmoid": (),
    "squareplus": ("b",),  # (x + sqrt(x² + b))/2
    "sparse_plus": (),
    "softmax": ("axis",),  # axes count the batch; -1, the last, only in a cell
    "log_softmax": ("axis",),
    "sparsemax": ("axis",),
    "glu": ("axis",),
}

LINEAR = Activation("linear")
TANH = Activation("tanh")
SIGMOID = Activation("sigmoid")

_INF = float("inf")
# What a Keras name means in every version, unless BY_MAJOR says otherwise. Axis -1 is resolved by the layer.
NAMES: Mapping[str, Activation] = {
    "linear": LINEAR,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "relu": Activation("relu", (0.0, _INF, 0.0)),
    "relu6": Activation("relu", (0.0, 6.0, 0.0)),
    "elu": Activation("elu", (1.0,)),
    "selu": Activation("selu"),
    "celu": Activation("celu", (1.0,)),
    "softplus": Activation("softplus"),
    "softsign": Activation("softsign"),
    "exponential": Activation("exponential"),
    "gelu": Activation("gelu", (0.0,)),
    "swish": Activation("silu"),
    "silu": Activation("silu"),
    "mish": Activation("mish"),
    "log_sigmoid": Activation("log_sigmoid"),
    "hard_silu": Activation("hard_silu"),
    "hard_swish": Activation("hard_silu"),
    "hard_tanh": Activation("hard_tanh"),
    "hard_shrink": Activation("hard_shrink", (0.5,)),
    "soft_shrink": Activation("soft_shrink", (0.5,)),
    "tanh_shrink": Activation("tanh_shrink"),
    "squareplus": Activation("squareplus", (4.0,)),
    "sparse_plus": Activation("sparse_plus"),
    "sparse_sigmoid": Activation("hard_sigmoid", (0.5, 0.5)),
    "leaky_relu": Activation("leaky_relu", (0.2,)),
    "softmax": Activation("softmax", (-1,)),
    "log_softmax": Activation("log_softmax", (-1,)),
    "sparsemax": Activation("sparsemax", (-1,)),
    "glu": Activation("glu", (-1,)),
}
# Same name, other function: keras/src/activations/activations.py of 3.x against keras/activations.py of 1.x and 2.x.
BY_MAJOR: Mapping[int, Mapping[str, Activation]] = {
    1: {"hard_sigmoid": Activation("hard_sigmoid", (0.2, 0.5))},
    2: {"hard_sigmoid": Activation("hard_sigmoid", (0.2, 0.5))},
    3: {"hard_sigmoid": Activation("hard_sigmoid", (1 / 6, 0.5))},
}

# Parameters at which a function jumps, or bends as one operand of a sum does and not the other.
JUMPS: Mapping[str, frozenset[str]] = {
    "relu": frozenset({"threshold"}),
    "threshold": frozenset({"threshold"}),
    "thresholded_relu": frozenset({"theta"}),
    "hard_shrink": frozenset({"threshold"}),
}


def in_type(activation: Activation, dtype: str) -> Activation:
    """The function, comparing x with what that type has: 0.2 is no float32, and x may be the float32 next to it."""
    jumps = JUMPS.get(activation.name, frozenset())
    if not jumps or dtype not in ("float16", "float32"):
        return activation
    rounded = (float(np.dtype(dtype).type(value)) if name in jumps else value
               for name, value in activation.arguments.items())  # fmt: skip
    return Activation(activation.name, tuple(rounded))


# The function as an ONNX LSTM/GRU/RNN activation: operator name, then the attributes it takes from our parameters.
# https://onnx.ai/onnx/operators/onnx__LSTM.html. Softplus is left out: onnxruntime's overflows above 88.
NATIVE: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "linear": ("Affine", ()),  # with alpha 1: onnxruntime's own default is 0
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "hard_sigmoid": ("HardSigmoid", ("alpha", "beta")),
    "relu": ("Relu", ()),  # only the plain one, see `native`
    "elu": ("Elu", ("alpha",)),
    "celu": ("Elu", ("alpha",)),  # only alpha 1, where the two are one
    "leaky_relu": ("LeakyRelu", ("alpha",)),
    "softsign": ("Softsign", ()),
}


@dataclass(frozen=True)
class NativeActivation:
    """One entry of an ONNX recurrent operator's `activations`; alpha and beta are None where it takes none."""

    name: str
    alpha: float | None = None
    beta: float | None = None


def native(activation: Activation) -> NativeActivation | None:
    """The exact native form, or None where there is none and the layer becomes a Scan."""
    row = NATIVE.get(activation.name)
    if row is None:
        return None
    if activation.name == "linear":
        return NativeActivation("Affine", 1.0, 0.0)
    if activation.name == "relu" and activation != NAMES["relu"]:
        slope, maximum, threshold = activation.parameters
        plain_leak = maximum == _INF and threshold == 0.0
        return NativeActivation("LeakyRelu", slope) if plain_leak else None
    if activation.name == "celu" and activation.parameters != (1.0,):
        return None
    arguments = activation.arguments
    return NativeActivation(row[0], *(arguments[name] for name in row[1]))


def by_name(name: str | None, keras_major: int) -> Activation:
    """The neutral activation of a Keras name.

    Args:
        name: as in a configuration; None is linear.
        keras_major: 1, 2 or 3: the major version of the Keras that wrote the file.

    Raises:
        Unsupported: no such activation is known.
    """
    if name is None:
        return LINEAR
    found = BY_MAJOR[keras_major].get(name) or NAMES.get(name)
    if found is None:
        raise Unsupported(f"unknown activation {name!r}", hint="only Keras' own activations can be converted")
    return found
