"""Images of open size, of whole numbers, and what is refused of layers that resize or augment them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_layers import SUFFIX, assert_equal, library, pytestmark

from converter.errors import Unsupported
from converter.readers import load

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
Make = Callable[[Any], Any]
LIBRARIES = ["keras", "tf_keras"]


def model_of(name: str, make: Make, shape: tuple[int | None, ...], dtype: str = "float32") -> Any:
    keras = library(name)
    x = keras.layers.Input(shape, dtype=dtype)
    return keras.Model(x, make(keras.layers)(x))


def refused(name: str, model: Any, folder: Path, message: str) -> None:
    path = folder / f"model{SUFFIX[name]}"
    model.save(path)
    with pytest.raises(Unsupported, match=message):
        load(path)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("size", [(2, 2), (3, 1), (1, 4)])
def test_bilinear_of_open_sizes(name: str, size: tuple[int, int]) -> None:
    model = model_of(name, lambda layers: layers.UpSampling2D(size, interpolation="bilinear"), (None, None, 2))
    rng = np.random.default_rng(0)
    assert_equal(model, [rng.normal(size=(2, 5, 4, 2)).astype("float32")], SUFFIX[name])


@pytest.mark.parametrize("name", LIBRARIES)
def test_resizing_of_open_sizes_is_refused(name: str, tmp_path: Path) -> None:
    model = model_of(name, lambda layers: layers.Resizing(4, 4), (None, 5, 2))
    refused(name, model, tmp_path, "open size")


WHOLE: dict[str, Make] = {
    "CenterCrop": lambda layers: layers.CenterCrop(2, 2),
    "nearest": lambda layers: layers.Resizing(3, 7, interpolation="nearest"),
    "repeated": lambda layers: layers.UpSampling2D(2),
}


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", WHOLE)
def test_whole_numbers(name: str, kind: str) -> None:
    model = model_of(name, WHOLE[kind], (4, 5, 3), "uint8")
    assert_equal(model, [np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype("uint8")], SUFFIX[name])


@pytest.mark.parametrize("kind", [lambda layers: layers.Resizing(2, 3), lambda layers: layers.RandomFlip()])
def test_whole_numbers_that_only_some_versions_cast_are_refused(kind: Make, tmp_path: Path) -> None:
    refused("keras", model_of("keras", kind, (4, 5, 3), "uint8"), tmp_path, "only some versions of Keras")


def test_a_bias_that_keras_3_adds_to_another_axis_on_tensorflow(tmp_path: Path) -> None:
    def convolution(layers: Any) -> Any:
        return layers.Conv2D(4, 1, data_format="channels_first")

    refused("keras", model_of("keras", convolution, (2, 3, 4)), tmp_path, "the bias of shape")
    model_of("keras", convolution, (2, 4, 3)).save(tmp_path / "model.keras")
    load(tmp_path / "model.keras")  # as many channels as rows are no reason


def test_random_crop_of_keras_3_is_refused(tmp_path: Path) -> None:
    refused("keras", model_of("keras", lambda layers: layers.RandomCrop(2, 2), (4, 5, 3)), tmp_path, "RandomCrop")


def test_augmentation_in_training_is_refused(tmp_path: Path) -> None:
    keras = library("tf_keras")
    x = keras.layers.Input((4, 5, 3))
    model = keras.Model(x, keras.layers.RandomFlip()(x, training=True))
    refused("tf_keras", model, tmp_path, "training=True")


@pytest.mark.parametrize("value_range", [(0, 255), (0, 1), (2, -1.5)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
def test_contrast_leaves_constant_channels_as_they_are(value_range: tuple[float, float], dtype: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 5, 3)).astype(dtype)
    images[1, :, :, 1], images[2], images[3, :, :, 0] = 7, 0, 255
    model = model_of("keras", lambda layers: layers.AutoContrast(value_range), (4, 5, 3), dtype)
    assert_equal(model, [images], SUFFIX["keras"])


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((4, 5), {}, "of an input of shape"),
        ((4, 5, 3), {"dtype": "int32"}, "computed in int32"),
        ((4, 5, 3), {"value_range": (1, 1)}, "value_range"),
    ],
)
def test_contrast_that_is_refused(
    shape: tuple[int, ...], arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    refused("keras", model_of("keras", lambda layers: layers.AutoContrast(**arguments), shape), tmp_path, message)


def test_equalization_leaves_images_as_they_are() -> None:
    """Keras 3 makes no functional model of it; a Sequential runs layer by layer."""
    keras = library("keras")
    layers = [keras.layers.Equalization(bins=16), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.layers.Input((4, 5, 3)), *layers])
    assert_equal(model, [np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")], SUFFIX["keras"])
