"""Which Keras wrote a file, by its version and, where that does not say enough, by signs of each release."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.eras.switches import Era, parse
from converter.keras.source import FlatWeights, PathWeights, Source


def era_of(source: Source) -> Era:
    """The Keras that wrote a file: by its version; failing that, by how the architecture is written.

    Raises:
        InvalidModel: a version no Keras has.
    """
    version, backend = source.provenance.keras_version, source.provenance.backend
    if not version:
        version = guess_version(source.architecture)
    try:
        era = parse(version, backend)
    except ValueError as problem:
        raise InvalidModel(str(problem)) from None
    if era.major > 3:
        raise Unsupported(f"the file says Keras {clean(version)}, which is newer than this program knows")
    if era.major == 1 and not backend:
        era = Era(era.family, era.version, keras1_backend(source))
    if era.family == "tf.keras" and era.version in LATER:
        era = Era(era.family, era.version, era.backend, LATER[era.version](source), says_ragged(source))
    return era


def keras1_backend(source: Source) -> str:
    """Keras 1 does not say its backend, but TensorFlow's names of arrays end in ":0"."""
    names = _array_names(source)
    return "tensorflow" if not names or any(name.endswith(":0") for name in names) else "theano"


def guess_version(architecture: Mapping[str, Any]) -> str:
    """A version for architectures that state none: Keras 3's to_json(), and weights files of Keras 1."""
    text = {key for key, _ in _fields(architecture)}
    if {"batch_shape", "registered_name", "module"} & text:
        return "3.0.0"
    if {"inner_activation", "output_dim", "consume_less", "border_mode", "nb_filter"} & (
        text - {"input_dim"}
    ) and "units" not in text:
        return "1.2.2"
    return "2.4.0" if "time_major" in text or architecture.get("class_name") == "Functional" else "2.2.4"


def shows_tensorflow2(source: Source) -> bool:
    """For "2.2.4-tf": initializers state their dtype in TF 1.13 and 1.15, not in TF 2.0 and 2.1.0."""
    version = _tensorflow(source)
    if version:
        return version >= (2, 0)
    fields = list(_fields(source.architecture))
    made = [value["config"] for key, value in fields if key.endswith("_initializer") and _has_config(value)]
    if made:
        return not any("dtype" in config for config in made)
    return ("implementation", 2) in fields  # the default of TF 2's LSTM and GRU


def shows_tensorflow22(source: Source) -> bool:
    """For "2.3.0-tf": arrays of cells are called lstm/lstm_cell/kernel in TF 2.2, lstm/kernel in TF 2.1.4."""
    version = _tensorflow(source)
    if version:
        return version >= (2, 2)
    return any(re.search(r"_cell(_\d+)?/", name) for name in _array_names(source))


def says_ragged(source: Source) -> bool | None:
    """Whether InputLayers have an argument `ragged`, as they do since TF 1.15; None where there is no InputLayer."""
    layers = (item.get("config") for item in _objects(source.architecture) if item.get("class_name") == "InputLayer")
    return next(("ragged" in config for config in layers if isinstance(config, Mapping)), None)


# Versions that two releases of TensorFlow write, and how the later one shows.
LATER = {(2, 2, 4): shows_tensorflow2, (2, 3, 0): shows_tensorflow22}


def _tensorflow(source: Source) -> tuple[int, ...]:
    """The TensorFlow that a SavedModel names; () elsewhere."""
    found = re.search(r"TensorFlow (\d+)\.(\d+)", source.provenance.format)
    return (int(found[1]), int(found[2])) if found else ()


def _array_names(source: Source) -> list[str]:
    """What the variables themselves are called, where the container tells."""
    weights = source.weights
    if isinstance(weights, FlatWeights):
        return [weight.name for arrays in weights.layers.values() for weight in arrays]
    return [] if weights is None or isinstance(weights, PathWeights) else list(weights.variable_names())


def _has_config(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("config"), Mapping)


def _fields(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of the objects in a tree."""
    return ((str(key), value) for item in _objects(tree) for key, value in item.items())


def _objects(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a tree."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
