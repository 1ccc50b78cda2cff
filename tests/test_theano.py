"""What Theano cannot do, or does otherwise in some versions of Keras, is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from converter import load
from converter.errors import Unsupported

GOOD = Path(__file__).parents[1] / "fixtures" / "good"


def copied(name: str, folder: Path) -> Path:
    return Path(shutil.copy(GOOD / name / "model.h5", folder / "model.h5"))


def test_an_even_window_with_padding_same(tmp_path: Path) -> None:
    path = copied("k200th_deconv", tmp_path)
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        text = text.decode() if isinstance(text, bytes) else text
        assert '"kernel_size": [3, 3]' in text
        file.attrs["model_config"] = text.replace('"kernel_size": [3, 3]', '"kernel_size": [2, 3]')
        group = file["model_weights/a"]
        name = group.attrs["weight_names"][0]
        shape = group[name].shape
        del group[name]
        group[name] = np.zeros((2, *shape[1:]), "float32")
    with pytest.raises(Unsupported, match="even window on Theano"):
        load(path)


def test_pooling_of_one_axis_before_keras_1_2_2(tmp_path: Path) -> None:
    path = copied("k122th_deconv", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "1.2.1"
    with pytest.raises(Unsupported, match="pads by -1"):
        load(path)
