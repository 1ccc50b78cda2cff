"""safetensors: the weights in Keras' packing under neutral names, with the convention of each in the metadata."""

from __future__ import annotations

from pathlib import Path

from converter.exporters.weights import describe, named
from converter.formats import safetensors
from converter.model import Model


def export(model: Model, path: Path) -> None:
    """Writes every weight of `model`, read one at a time; the same model gives the same bytes.

    Raises:
        Unsupported: a dtype that the format cannot hold.
        InvalidModel: a weight's values do not fit its shape.
    """
    safetensors.write(path, named(model), describe(model))
