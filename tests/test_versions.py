"""The versions of Keras that the tables give a layer class are those that have it."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from docs_tables import majors

from converter.keras.architecture.ownership import ANY_LAYER
from converter.keras.eras import existence
from converter.keras.eras.switches import Era, Family
from converter.keras.layers import LAYERS
from converter.model.activations import NAMES

CLASSES = {name for name in LAYERS if not name.startswith("ops.")}
# Not in the public module of layers: serialized names, and what tf.keras keeps elsewhere.
HIDDEN = {
    2: {"CuDNNGRU", "CuDNNLSTM", "PeepholeLSTMCell", "SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer"},
    3: {"GroupedQueryAttention"},
}


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "major"), [("tf_keras", 2), ("keras", 3)])
def test_each_version_has_the_classes_the_table_says(package: str, major: int) -> None:
    public = set(dir(importlib.import_module(package).layers))
    assert {name for name in CLASSES if major in majors(name)} - HIDDEN[major] == CLASSES & public


# Not in the table: what is no layer, or wraps another framework's.
FOREIGN = {"FlaxLayer", "InputSpec", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "family"), [("tf_keras", "tf.keras"), ("keras", "keras3")])
def test_the_newest_versions_have_the_names_the_table_says(package: str, family: Family) -> None:
    """Public layers are in existence.json up to its last version, and what it has up to there is in the package."""
    library, last = importlib.import_module(package), existence.versions(family)[-1]
    table = existence._table()[family]
    layers, activations = (
        {name for name, rows in table[section].items() if rows[-1][1] == existence.text(last)}
        for section in ("layers", "activations")
    )
    public = {name for name, kind in vars(library.layers).items() if inspect.isclass(kind)}
    assert public - FOREIGN <= layers
    functions = {name for name, made in vars(library.activations).items() if inspect.isfunction(made)}
    assert functions <= activations
    for name in sorted(activations & set(NAMES)):  # tf_keras finds some in tf.nn
        assert callable(library.activations.get(name)), name


# What layers and initializers cannot be made without; a wrapped layer is made anew each time.
NEEDED: dict[str, Any] = {
    "units": 2, "filters": 2, "kernel_size": 2, "rate": 0.5, "n": 2, "dims": (1,), "target_shape": (-1,), "axes": 1,
    "input_dim": 3, "output_dim": 2, "num_heads": 2, "key_dim": 2, "head_dim": 2, "num_query_heads": 2, "height": 2,
    "num_key_value_heads": 1, "width": 2, "stddev": 0.1, "factor": 0.1, "scale": 0.1, "num_bins": 3, "max_number": 2,
    "equation": "ab,bc->ac", "output_shape": 2, "activation": "tanh", "layers": [], "height_factor": 0.1,
    "width_factor": 0.1, "output_size": 2, "pool_size": 2,
}  # fmt: skip
# What a class asks for by itself.
ASKED: dict[str, dict[str, Any]] = {
    "CategoryEncoding": {"num_tokens": 3}, "Discretization": {"num_bins": 3}, "RandomPosterization": {"factor": 1},
}  # fmt: skip
# Made of more than numbers, or abstract; an InputLayer writes what its shape's argument was called.
BY_HAND = {"AbstractRNNCell", "DenseFeatures", "InputLayer", "InputSpec", "Lambda", "Layer", "Wrapper"}
# Keras 3 writes the arguments of a class that has no get_config of its own.
AUTOMATIC = {"ELU": {"alpha"}}


def configuration(library: Any, kind: type[Any], name: str) -> set[str]:
    """The keys of get_config of an instance with no more than it needs."""
    layers = library.layers
    made = {
        "layer": lambda: layers.LSTM(2, return_sequences=True) if name == "Bidirectional" else layers.Dense(2),
        "cell": lambda: layers.LSTMCell(2), "cells": lambda: [layers.LSTMCell(2)],
    }  # fmt: skip
    given = {}
    for key, parameter in inspect.signature(kind.__init__).parameters.items():
        plain = parameter.kind is parameter.POSITIONAL_OR_KEYWORD and key != "self"
        if plain and parameter.default is parameter.empty:
            given[key] = made[key]() if key in made else NEEDED[key]
    return {*kind(**{**given, **ASKED.get(name, {})}).get_config()}


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("package", "family"), [("tf_keras", "tf.keras"), ("keras", "keras3")])
@pytest.mark.parametrize("section", ["layers", "initializers"])
def test_the_newest_versions_write_the_keys_the_table_says(
    package: str, family: Family, section: existence.Section
) -> None:
    """What get_config writes is what the table says it always does, and nothing that it never does."""
    library = importlib.import_module(package)
    newest = Era(family, existence.versions(family)[-1])  # type: ignore[arg-type]
    checked, base = 0, library.layers.Layer if section == "layers" else library.initializers.Initializer
    for name, kind in vars(getattr(library, section)).items():
        if not (inspect.isclass(kind) and issubclass(kind, base)) or kind is base or name in BY_HAND | FOREIGN:
            continue
        span = existence.had(section, kind.__name__, newest)
        assert span is not None, name
        keys = configuration(library, kind, name)
        assert span.always <= keys, f"{name} does not write {span.always - keys}"
        unknown = keys - span.always - span.ever - (ANY_LAYER if section == "layers" else frozenset())
        unknown -= AUTOMATIC.get(name, set()) if family == "keras3" else set()
        assert not unknown, f"{name} writes {unknown}"
        checked += 1
    assert checked > (90 if section == "layers" else 10)
