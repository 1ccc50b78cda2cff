"""Weights that a file lists by name alone, grouped by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from converter.errors import InvalidModel, clean
from converter.keras.source import FlatWeights
from converter.model import Weight


def by_first_name(weights: Iterable[Weight]) -> FlatWeights:
    """Grouped by what is before the first "/" of their names, for files without an architecture."""
    grouped: dict[str, tuple[Weight, ...]] = {}
    for weight in weights:
        first, slash, _ = weight.name.partition("/")
        layer = first if slash else ""
        grouped[layer] = (*grouped.get(layer, ()), weight)
    return FlatWeights(grouped)


def by_layer(weights: Iterable[Weight], architecture: Mapping[str, Any]) -> FlatWeights:
    """Grouped by the top-level layers of the architecture, in its order; each layer's weights in the order given.

    A weight's name begins with its layer's, or, in Keras 3, with the model's or the wrapped layer's; one of a nested
    model with the inner layer's.

    Raises:
        InvalidModel: a weight's name leads to no layer, or to several.
    """
    owners = _owners(architecture)
    grouped: dict[str, list[Weight]] = {}
    for weight in weights:
        found = next((owners[part] for part in weight.name.split("/")[:-1] if part in owners), set[str]())
        if len(found) != 1:
            which = "more than one layer" if found else "no layer"
            raise InvalidModel(f"the weight {clean(weight.name)!r} belongs to {which} of the model")
        grouped.setdefault(next(iter(found)), []).append(weight)
    ordered = sorted(grouped, key=list(owners).index)
    return FlatWeights({name: tuple(grouped[name]) for name in ordered})


def _owners(architecture: Mapping[str, Any]) -> dict[str, set[str]]:
    """Name of a layer at any depth -> the top-level layer of that name, or else those that hold one."""
    config = architecture.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    top: dict[str, set[str]] = {}
    inner: dict[str, set[str]] = {}
    for layer in layers if isinstance(layers, list) else []:
        name, *below = _names(layer) or [""]
        top[name] = {name}
        for each in below:
            inner.setdefault(each, set()).add(name)
    return top | {name: holders for name, holders in inner.items() if name not in top}


def _names(tree: Any) -> list[str]:
    """Names of a layer and of all layers that its configuration holds, outermost first."""
    if isinstance(tree, list):
        return [name for item in tree for name in _names(item)]
    if not isinstance(tree, dict):
        return []
    config = tree["config"] if isinstance(tree.get("config"), dict) else {}
    name = config.get("name", tree.get("name"))
    nested = [
        name for key in ("layers", "layer", "backward_layer", "cell", "cells") for name in _names(config.get(key))
    ]
    if tree.get("class_name") == "Bidirectional" and nested:
        nested += [f"forward_{nested[0]}", f"backward_{nested[0]}"]
    return ([name] if isinstance(name, str) else []) + nested
