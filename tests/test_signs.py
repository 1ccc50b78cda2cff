"""What a file shows of the Keras that wrote it, where its version does not say enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from converter import load
from converter.errors import Unsupported
from converter.keras.architecture import dialects
from converter.keras.eras.signs import era_of
from converter.keras.eras.switches import parse
from converter.keras.layers import LAYERS
from converter.readers import read_source

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
KERAS1 = parse("1.2.2")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("tf115_nested", (2, 2, 4)),
        ("tf20_nested", (2, 2, 5)),
        ("tf21_maskfused", (2, 3, 0)),
        ("tf22_maskfused", (2, 3, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["model.h5", "ckpt/w"])
def test_releases_under_one_version_are_told_apart(name, key, kind):
    folder = GOOD / name
    architecture = None if kind == "model.h5" else folder / "model.json"
    assert era_of(read_source(folder / kind, architecture)).key == key


UNORDERED = ("Cropping2D", "Cropping3D", "UpSampling2D", "UpSampling3D", "ZeroPadding2D", "ZeroPadding3D")


@pytest.mark.parametrize("name", UNORDERED)
def test_what_keras1_left_out_is_taken_from_the_other_layers_or_refused(name):
    assert dialects.config(name, LAYERS[name], {}, KERAS1, "th")["data_format"] == "channels_first"
    assert dialects.config(name, LAYERS[name], {"dim_ordering": "tf"}, KERAS1, "th")["data_format"] == "channels_last"
    with pytest.raises(Unsupported, match="does not write the dim_ordering"):
        dialects.config(name, LAYERS[name], {}, KERAS1)


@pytest.mark.parametrize(
    ("stated", "found"), [([], ""), (["th"], "th"), (["tf", "tf"], "tf"), (["tf", "th"], ""), ([["th"]], ""), ([1], "")]
)
def test_the_ordering_is_the_one_that_layers_agree_on(stated, found):
    layers = [{"class_name": "Wrapper", "config": {"layer": {"config": {"dim_ordering": one}}}} for one in stated]
    assert dialects.ordering_of({"config": layers}) == found


def test_masks_are_kept_where_the_file_shows_that_no_tensorflow_lost_them(tmp_path):
    """What TF 1.13 and 1.14 write alike is refused (tf113_masklost); 1.15 says whether an input is ragged."""
    path = tmp_path / "model.h5"
    shutil.copy(GOOD / "tf113_masklost" / "model.h5", path)
    with h5py.File(path, "r+") as file:
        text = str(np.asarray(file.attrs["model_config"]).astype(str))
        file.attrs["model_config"] = text.replace('"sparse": false', '"sparse": false, "ragged": false')
    assert any(value is not None for node in load(path).nodes for value in node.inputs[1:])  # the LSTM has its mask


@pytest.mark.parametrize("name", ["GRUCell", "LSTMCell", "SimpleRNNCell"])
def test_cells_without_arguments_are_refused(name):
    assert dialects.config(name, LAYERS[name], {"units": 2}, parse("2.1.2")) == {"units": 2}
    with pytest.raises(Unsupported, match="--architecture"):
        dialects.config(name, LAYERS[name], {}, parse("2.1.2"))
