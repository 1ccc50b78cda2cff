"""One small model around each layer class, from fixtures/layers.json, with weights drawn here."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from converter.keras import build
from converter.keras.source import FlatWeights, Source
from converter.model import Model, Provenance, Weight, constant

FILE = Path(__file__).parents[1] / "fixtures/layers.json"


@cache
def samples() -> dict[str, Any]:
    """By class name."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def drawn(name: str, shape: list[int], dtype: str, rng: np.random.Generator) -> Weight:
    """An array of ordinary size; variances are positive."""
    values = rng.normal(scale=0.7, size=shape)
    return constant(name, np.abs(values) + 0.1 if "variance" in name else values, dtype)


def sample(name: str) -> Model:
    """The neutral model of a class."""
    raw, rng = samples()[name], np.random.default_rng(0)
    arrays = {layer: tuple(drawn(*array, rng) for array in listed) for layer, listed in raw["arrays"].items()}
    return build(Source(raw["architecture"], FlatWeights(arrays), Provenance(name, "sample", raw["version"])))
