"""Weights without an architecture: a draft of one, with what the arrays settle, and "?" for what they do not.

Weights alone are no model: an activation or `return_sequences` leaves no trace in them. What is possible in place of
each "?" is in a "comment" next to it. `unfilled` finds those that are left.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from converter.errors import Unsupported, clean
from converter.keras.arrays.recognize import Guess, is_quantized
from converter.keras.arrays.stored_layers import stored_layers
from converter.keras.layer_type import NO_EFFECT
from converter.keras.layers import LAYERS
from converter.keras.schema import INERT, ActivationField, Config
from converter.keras.source import Source

OPEN = "?"
COMMENT = "comment"
AS_LISTED = "as listed"
_ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "softmax", "softplus", "elu", "selu", "swish")
# By class: what no array shows, with what is usual first.
Choices = Mapping[str, Sequence[Any]]
_RECURRENT: Choices = {"return_sequences": (False, True), "go_backwards": (False, True), "stateful": (False, True)}
_TANH: Choices = {"activation": ("tanh", *(name for name in _ACTIVATIONS if name != "tanh"))}
_GATES: Choices = {"recurrent_activation": ("sigmoid", "hard_sigmoid")}  # the latter before Keras 2.3, TensorFlow 2.0
_ASK: Mapping[str, Choices] = {
    "LSTM": {**_TANH, **_GATES, **_RECURRENT},
    "GRU": {**_TANH, **_GATES, "reset_after": (True, False), **_RECURRENT},
    "SimpleRNN": {**_TANH, **_RECURRENT},
    "CuDNNLSTM": _RECURRENT,
    "CuDNNGRU": _RECURRENT,
    "Dense": {"activation": _ACTIVATIONS},
    "Embedding": {"mask_zero": (False, True)},
    "BatchNormalization": {"epsilon": (0.001, 1e-5), "axis": (-1,)},
    "LayerNormalization": {"epsilon": (0.001,), "axis": (-1,)},
    "Conv1D": {"activation": _ACTIVATIONS, "strides": ([1], [2]), "padding": ("valid", "same", "causal"),
               "dilation_rate": ([1], [2])},
    "Bidirectional": {"merge_mode": ("concat", "sum", "ave", "mul")},
    "InputLayer": {"batch_input_shape": ()},
}  # fmt: skip
_VERSIONS = {
    "PathWeights": "the version of Keras that saved it: 3.x, or 2.12 to 2.21",
    "FlatWeights": "the version of Keras that saved it; 1.2.2 or earlier if the arrays are called ..._W and ..._b",
}


def draft(source: Source) -> dict[str, Any]:
    """An architecture for the weights of a file, to be filled in.

    Raises:
        Unsupported: there are no arrays of layers in the file.
    """
    found = stored_layers(source.weights)
    if not found.layers:
        raise Unsupported("the file holds no arrays of layers")
    chained = found.chained and all(guess.class_name not in _MERGES for guess in found.layers)
    layers = [_layer(guess, found.layers[k + 1 :]) for k, guess in enumerate(found.layers)]
    version = source.provenance.keras_version
    version_hint = _version_hint(source.weights)
    comment: dict[str, Any] = {} if version else {"keras_version": version_hint}
    tree: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}
    tree["keras_version"] = version or OPEN
    if not chained:
        tree["class_name"] = "Functional"
        _ask_connections(tree, comment, found.layers)
    elif not found.ordered:
        tree["order"] = OPEN
        comment["order"] = f"the file does not say the order: sort the layers, then write {AS_LISTED!r}"
    if found.unplaced:
        comment["without_arrays"] = f"also in the file, at a place that it does not say: {', '.join(found.unplaced)}"
    if found.silent:
        comment["layers"] = "layers without arrays (Masking, Flatten, ...) are not in the file: add those there were"
    return tree | {COMMENT: comment}


_MERGES = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Merge"})


def _version_hint(weights: Any) -> str:
    return _VERSIONS.get(type(weights).__name__, _VERSIONS["PathWeights"])


def _ask_connections(tree: dict[str, Any], comment: dict[str, Any], guesses: Sequence[Guess]) -> None:
    """The layers do not follow one another: who feeds whom is asked for."""
    config = tree["config"]
    names = ", ".join(clean(guess.name, 40) for guess in guesses[:20])
    for layer in config["layers"]:
        layer["name"] = layer["config"]["name"]
        layer["inbound_nodes"] = OPEN
        layer.setdefault(COMMENT, {})["inbound_nodes"] = f'[[["layer", 0, 0, {{}}]]]; [] for an InputLayer: {names}'
    for key in ("input_layers", "output_layers"):
        config[key] = OPEN
        comment[key] = '[["layer", 0, 0]]; add an InputLayer for each input'


def _layer(guess: Guess, following: Sequence[Guess]) -> dict[str, Any]:
    """A serialized layer, its open arguments as "?"."""
    settled: dict[str, Any] = {"name": guess.name} | guess.config
    if not guess.class_name:
        shapes = [list(w.shape) for w in guess.arrays]
        note = f"its class; it keeps arrays of shapes {shapes}" if shapes else "its class; it keeps no arrays"
        note += ", in int8: quantized, so its dtype belongs here, too" if is_quantized(guess.arrays) else ""
        return {"class_name": OPEN, "config": settled, COMMENT: {"class_name": note, "config": "and its arguments"}}
    comment: dict[str, Any] = {}
    if guess.class_name == "Bidirectional" and "layer" not in settled:  # not twice the same layer
        shapes = [list(w.shape) for w in guess.arrays]
        settled |= {"layer": OPEN, "backward_layer": OPEN}
        comment["layer"] = f"the layer forwards, serialized; the arrays of both have the shapes {shapes}"
        comment["backward_layer"] = "the layer backwards, serialized, with go_backwards: true"
    elif guess.class_name == "Bidirectional":
        inner = settled["layer"]
        settled["layer"] = _layer(Guess(inner["config"]["name"], inner["class_name"], inner["config"]), ())
        after = next((one.features for one in following if one.arrays), None)
        if after is not None and after == guess.units:
            settled["merge_mode"] = "concat"
    for name, choices in _open_arguments(guess).items():
        if name not in settled:
            settled[name] = OPEN
            comment[name] = choices
    return {"class_name": guess.class_name, "config": settled, COMMENT: comment}


def _open_arguments(guess: Guess) -> Mapping[str, Any]:
    """What the file does not say of a layer -> what it may be."""
    asked = _ASK.get(guess.class_name)
    if asked is not None:
        return {name: " | ".join(msgspec.json.encode(value).decode() for value in values) or "a shape, [null, ...]"
                for name, values in asked.items()}  # fmt: skip
    row = LAYERS[guess.class_name]
    if row.note == NO_EFFECT:
        return {}
    common = {one.name for one in msgspec.structs.fields(Config)}
    return {
        one.name: _choices(one.type, one.default)
        for one in msgspec.structs.fields(row.config)
        if one.name not in common | INERT | row.config.inert
    }


def _choices(kind: Any, default: Any) -> str:
    usual = "" if default is msgspec.NODEFAULT or default is msgspec.UNSET else (
        f"; Keras' default is {msgspec.json.encode(default).decode()}"
    )  # fmt: skip
    if typing.get_origin(kind) is typing.Literal:
        return " | ".join(f'"{value}"' for value in typing.get_args(kind)) + usual
    if kind is bool:
        return "true | false" + usual
    return ("an activation" if kind == ActivationField else "a value") + usual


def summary(tree: Mapping[str, Any]) -> str:
    """The layers of a draft, and what is open, in one line."""
    layers = tree["config"]["layers"]
    shown = [_shown(layer) for layer in layers[:8]]
    fields = dict.fromkeys(field for _, field in unfilled(tree))
    return (
        f"{', '.join(shown)}{', ...' if len(layers) > 8 else ''}; not known: {', '.join([*fields][:12])}"
        f"{', ...' if len(fields) > 12 else ''}"
    )


def _shown(layer: Mapping[str, Any]) -> str:
    config = layer["config"]
    inner = config["layer"] if layer["class_name"] == "Bidirectional" else layer
    inner = inner["config"] if isinstance(inner, dict) else {}
    width = next((inner[key] for key in ("units", "filters", "output_dim") if isinstance(inner.get(key), int)), None)
    return f"{clean(config['name'], 60)} {layer['class_name']}{f'({width})' if width is not None else ''}"


def unfilled(tree: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """What of a draft is still "?": the layer it belongs to ("" for the model), and the argument."""
    waiting = [(tree, place)]
    while waiting:
        item, where = waiting.pop(0)
        if isinstance(item, list):
            waiting += [(one, where) for one in item]
        if not isinstance(item, dict):
            continue
        config = item.get("config")
        name = config.get("name") if isinstance(config, dict) and item is not tree else None
        where = str(name) if isinstance(name, str) else where
        asked = item.get(COMMENT)
        for key in asked if isinstance(asked, dict) else ():
            held = item if key in item else config
            if isinstance(held, dict) and held.get(key) == OPEN:
                yield where, key
        waiting += [(value, where) for key, value in item.items() if key != COMMENT]
