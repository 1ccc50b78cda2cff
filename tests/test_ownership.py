"""Whose class it is: every name of some Keras, in versions that lack it, with other keys, and from other modules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from layer_samples import samples

from converter.errors import Unsupported
from converter.keras.activation_argument import activation_of
from converter.keras.architecture.context import Context
from converter.keras.architecture.ownership import is_complete, refuse_strangers, stranger
from converter.keras.eras.existence import FAMILIES, had, versions
from converter.keras.eras.switches import Era, parse
from converter.keras.layers.index import ALIASES, MODULES
from converter.model.activations import BY_MAJOR, NAMES

CLASSES = sorted({*ALIASES, *(name for names in MODULES.values() for name in names.split())})
ERAS = [Era(family, version) for family in FAMILIES for version in versions(family)]  # type: ignore[arg-type]
PLAIN = {"name": "own", "trainable": True, "dtype": "float32"}


def layers_of(tree: Any) -> Iterator[dict[str, Any]]:
    """The serialized layers of a model's JSON."""
    listed = tree["config"] if isinstance(tree["config"], list) else tree["config"]["layers"]
    for layer in listed:
        yield from layers_of(layer) if layer["class_name"] in {"Sequential", "Functional", "Model"} else [layer]


GENUINE = sorted(name for name, sample in samples().items() if is_complete(sample["architecture"]))


@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_layer_is_keras_own_and_without_a_key_it_is_not(name: str) -> None:
    raw = samples()[name]
    context = Context(parse(raw["version"]))
    for layer in layers_of(raw["architecture"]):
        refuse_strangers(layer, context)
        span = had("layers", layer["class_name"], context.era)
        if span is None or isinstance(layer.get("module"), str):
            continue
        for key in span.always:
            poorer = {**layer, "config": {k: v for k, v in layer["config"].items() if k != key}}
            with pytest.raises(Unsupported, match=f"not Keras' own: .* always writes .*{key}"):
                refuse_strangers(poorer, context)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_that_a_version_lacks_is_the_authors(name: str) -> None:
    for era in ERAS:
        raw = {"class_name": name, "config": PLAIN}
        span = had("layers", name, era)
        if span is None:
            assert "has none of that name" in stranger(raw, era), f"{name} in {era}"
        elif span.always:
            assert "always writes" in stranger(raw, era), f"{name} in {era}"
        else:
            assert not stranger(raw, era)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "marks",
    [
        {"module": None, "registered_name": ""},
        {"module": "my_layers", "registered_name": ""},
        {"module": "my_layers", "registered_name": "Own>"},
        {"module": "keras_hub.src.layers", "registered_name": "Hub>"},
    ],
)
def test_a_class_of_another_module_is_the_authors(name: str, marks: dict[str, Any]) -> None:
    from converter.keras.architecture.parse import parse_layer

    told = {**marks, "registered_name": f"{marks['registered_name']}{name}"}
    with pytest.raises(Unsupported, match=f"the class {name}.* is not Keras' own") as refusal:
        parse_layer({"class_name": name, "config": PLAIN, **told}, Context(parse("3.15.1")))
    assert "--plugin" in str(refusal.value)


@pytest.mark.parametrize("name", sorted({*NAMES, *BY_MAJOR[2]}))
def test_an_activation_that_a_version_lacks_is_the_authors(name: str) -> None:
    for era in ERAS:
        if had("activations", name, era) is None:
            with pytest.raises(Unsupported, match=f"the activation {name} is not Keras' own"):
                activation_of(name, era)
            told = {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
            with pytest.raises(Unsupported, match="is not Keras' own"):
                activation_of(told, era)
        else:
            activation_of(name, era)


def test_a_wrapped_class_is_looked_at_too() -> None:
    cell = {"class_name": "LSTMCell", "config": {**PLAIN, "units": 3}}
    rnn = {"class_name": "RNN", "config": {**PLAIN, "cell": cell}}
    with pytest.raises(Unsupported, match="wrapped LSTMCell: the class LSTMCell is not Keras' own"):
        refuse_strangers(rnn | {"module": "keras.layers"}, Context(parse("2.3.1")))


def test_initializers_that_are_called_like_layers_are_none() -> None:
    raw = json.loads(json.dumps(next(layers_of(samples()["Dense"]["architecture"]))))
    identity = {"class_name": "Identity", "config": {"gain": 1.0}}
    raw["config"]["kernel_initializer"] = identity
    refuse_strangers({**raw, "module": "keras.layers"}, Context(parse("2.2.4")))
