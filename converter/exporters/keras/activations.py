"""Neutral activations as Keras 3 names; what has no name is spelled out in operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from converter.errors import Unsupported
from converter.exporters.keras.graph import HINT, Graph, Ref
from converter.model import Array, Model, Weight, layers
from converter.model.activations import BY_MAJOR, LINEAR, NAMES, Activation

_NAMED = {activation: name for name, activation in (*NAMES.items(), *BY_MAJOR[3].items())}
_ALONG_LAST = ("softmax", "log_softmax", "sparsemax", "glu")


def name_of(activation: Activation, last_axis: int) -> str | None:
    """The name by which Keras 3 computes exactly this, over the last axis where there is one; or None."""
    if activation.name in _ALONG_LAST:
        return activation.name if activation.parameters in ((last_axis,), (-1,)) else None
    return _NAMED.get(activation)


def scaled(activation: Activation, last_axis: int) -> tuple[str, float] | None:
    """A Keras 3 name and the factor for its input that make it exactly this; or None.

    hard_sigmoid is clip(alpha·x + 0.5) with alpha 1/6 in Keras 3; other slopes are that of 6·alpha·x.
    """
    name = name_of(activation, last_axis)
    if name is not None:
        return name, 1.0
    if activation.name == "hard_sigmoid" and activation.parameters[1] == 0.5:
        return "hard_sigmoid", float(np.round(6 * activation.parameters[0], 12))
    return None


# Which activation each gate goes through, in Keras' order of the gates.
_GATES: Mapping[type, tuple[str, ...]] = {
    layers.LSTMCell: ("recurrent_activation", "recurrent_activation", "activation", "recurrent_activation"),
    layers.ConvLSTMCell: ("recurrent_activation", "recurrent_activation", "activation", "recurrent_activation"),
    layers.GRUCell: ("recurrent_activation", "recurrent_activation", "activation"),
    layers.SimpleRNNCell: ("activation",),
}


def factors(cell: object, last_axis: int = 1) -> tuple[float, ...]:
    """What the weights of each gate are multiplied by, see `scaled`; 1 where Keras 3 has no such activation at all."""
    found = [scaled(getattr(cell, name), last_axis) for name in _GATES.get(type(cell), ())]
    return tuple(1.0 if one is None else one[1] for one in found)


def scale(weight: Weight, by: Sequence[float]) -> Weight:
    """A weight whose last axis has one block for each factor, multiplied by it (in float64, rounded once)."""

    def transform(array: Array) -> Array:
        apart = array.reshape(*array.shape[:-1], len(by), -1).astype(np.float64)
        return np.asarray((apart * np.array(by)[:, None]).reshape(array.shape).astype(array.dtype))

    return weight.map(transform, weight.shape) if any(factor != 1 for factor in by) else weight


def layer_of(activation: Activation) -> tuple[str, dict[str, object]] | None:
    """The layer of Keras 3 that computes an activation, and its arguments; None if there is none."""
    parameters = activation.parameters
    if activation.name == "relu":
        slope, maximum, threshold = parameters
        limit = None if maximum == float("inf") else maximum
        return "ReLU", {"negative_slope": slope, "threshold": threshold, "max_value": limit}
    if activation.name == "elu":
        return "ELU", {"alpha": parameters[0]}
    if activation.name == "leaky_relu":
        return "LeakyReLU", {"negative_slope": parameters[0]}
    return None


def argument_of(activation: Activation, last_axis: int, dtype: str) -> tuple[object, float] | None:
    """A name or a layer for an activation, in the arguments of a layer of this dtype, and the factor of `scaled`."""
    named = scaled(activation, last_axis)
    if named is not None:
        return named
    found = layer_of(activation)
    if found is None:
        return None
    config = {**found[1], "dtype": dtype}  # a layer would cast what it is given to the default
    return {"module": "keras.layers", "class_name": found[0], "config": config, "registered_name": None}, 1.0


def unnamed(activation: Activation) -> str:
    """What is said of an activation that the arguments of no layer of Keras 3 can hold."""
    if activation.name == "hard_sigmoid":
        slope, offset = activation.parameters
        return f"its activation is clip({slope:g}x + {offset:g}), Keras 3's hard_sigmoid is clip(x/6 + 0.5)"
    numbers = f" with {', '.join(f'{p:g}' for p in activation.parameters)}" if activation.parameters else ""
    return f"Keras 3 has no name for activation {activation.name}{numbers}"


def apply(activation: Activation, graph: Graph, x: Ref, place: str) -> Ref:
    """The operations of an activation on a tensor.

    Raises:
        Unsupported: Keras 3 has none that is exactly this.
    """
    if activation == LINEAR:
        return x
    parameters = activation.parameters
    name = name_of(activation, len(x.shape) - 1)
    if name is not None:
        return Ref(graph.layer(f"{place}_{name}", "Activation", {"activation": name, "dtype": x.dtype}, (x,), {}), 0,
                   x.shape, x.dtype)  # fmt: skip
    if activation.name == "hard_sigmoid":
        line = graph.op("Add", (graph.op("Multiply", (x, parameters[0]), x), parameters[1]), x)
        return graph.op("Clip", (line,), x, x_min=0.0, x_max=1.0)
    found = layer_of(activation)
    if found is not None:
        made = graph.layer(f"{place}_{activation.name}", found[0], {**found[1], "dtype": x.dtype}, (x,), {})
        return Ref(made, 0, x.shape, x.dtype)
    operations: Mapping[str, tuple[str, tuple[str, ...]]] = {
        "softmax": ("Softmax", ("axis",)), "log_softmax": ("LogSoftmax", ("axis",)), "glu": ("Glu", ("axis",)),
        "sparsemax": ("Sparsemax", ("axis",)), "hard_shrink": ("HardShrink", ("threshold",)),
        "soft_shrink": ("SoftShrink", ("threshold",)), "threshold": ("Threshold", ("threshold", "default_value")),
        "squareplus": ("Squareplus", ("b",)),
    }  # fmt: skip
    if activation.name in operations:
        class_name, keys = operations[activation.name]
        values = [int(p) if key == "axis" else p for key, p in zip(keys, parameters, strict=True)]
        return graph.op(class_name, (x,), x, **dict(zip(keys, values, strict=True)))
    if activation.name == "thresholded_relu":
        return graph.op("Threshold", (x,), x, threshold=parameters[0], default_value=0.0)
    raise Unsupported(unnamed(activation), where=place, hint=HINT)


def notes(model: Model) -> tuple[str, ...]:
    """Says which layers are scaled or written as arithmetic, because Keras 3 has another hard_sigmoid."""
    scaled_ones = sorted({node.name for node in model.nodes if any(_is_scaled(a) for a in _activations(node.layer))})
    if not scaled_ones:
        return ()
    names = f"{', '.join(scaled_ones[:3])}{', ...' if len(scaled_ones) > 3 else ''}"
    return (f"{names}: hard_sigmoid was clip(0.2x + 0.5) and is clip(x/6 + 0.5) in Keras 3: "
            "the weights before it are multiplied by 1.2, or it is written as arithmetic",)  # fmt: skip


def _activations(layer: object) -> list[Activation]:
    owners = [d.cell for d in layer.directions] if isinstance(layer, layers.Recurrent) else [layer]
    found = [getattr(owner, name, None) for owner in owners for name in ("activation", "recurrent_activation")]
    return [activation for activation in found if isinstance(activation, Activation)]


def _is_scaled(activation: Activation) -> bool:
    return activation.name == "hard_sigmoid" and activation.parameters == (0.2, 0.5)
