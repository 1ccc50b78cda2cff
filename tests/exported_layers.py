"""A layer that genuine Keras 3 exports alone, read by its function graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter import convert
from converter.interpret import run

Layer = tuple[tuple[int | None, ...], Callable[[Any], Any]]
"""The shape of its input without the batch, and what makes it of keras.layers."""


def check_exported(layer: Layer, sizes: Sequence[int], tolerance: float, folder: Path) -> None:
    """Converts it with a proof, and compares it with Keras for each of the sizes that open axes may have."""
    keras = pytest.importorskip("keras")
    shape, make = layer
    given = keras.Input(shape)
    model = keras.Model(given, make(keras.layers)(given))
    model.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in model.get_weights()])
    model.export(folder / "m", format="tf_saved_model", verbose=False)
    done = convert(folder / "m", folder / "m.onnx")
    assert done.reports[0].passed
    for size in sizes if None in shape else (1,):
        x = np.random.default_rng(2).normal(size=(2, *(n or size for n in shape))).astype("f4")
        (have,) = run(done.model, {done.model.inputs[0].name: x}).values()
        np.testing.assert_allclose(have, model(x).numpy(), rtol=0, atol=tolerance)
