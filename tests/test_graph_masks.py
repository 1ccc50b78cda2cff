"""Masked loops of function graphs whose masks have axes of one: a single step, a single row, a row for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_compare import library
from test_layers import pytestmark

from converter import load
from converter.interpret import run
from converter.verification.origin import check_origin

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
Make = Callable[[Any, Any], Any]
KINDS: dict[str, tuple[tuple[int | None, int, int], Make]] = {
    "one step": ((None, 1, 2), lambda layers, x: layers.LSTM(2)(layers.Masking(0.5)(x))),
    "one row": ((1, 3, 2), lambda layers, x: layers.LSTM(2)(layers.Masking(0.5)(x))),
    "one of each": ((1, 1, 2), lambda layers, x: layers.GRU(2)(layers.Masking(0.5)(x))),
    "a row for all": ((None, 3, 2), lambda layers, x: layers.LSTM(2)(x, mask=np.array([[True, False, True]]))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_masks_with_axes_of_one(kind: str, tmp_path: Path) -> None:
    shape, make = KINDS[kind]
    keras = library("tf_keras")
    x = keras.layers.Input(batch_shape=shape)
    model = keras.Model(x, make(keras.layers, x))
    model.save(tmp_path / "model", save_format="tf")
    found = load(tmp_path / "model", route="graph")
    check_origin(found)
    given = np.random.default_rng(1).normal(size=(shape[0] or 3, *shape[1:])).astype("float32")
    given[0, 0] = 0.5
    (y,) = run(found, {found.inputs[0].name: given}).values()
    np.testing.assert_allclose(y, model(given, training=False), atol=1e-5)
