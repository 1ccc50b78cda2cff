"""UpSampling2D by interpolation: TensorFlow 1.13 to 1.15 write one version of Keras and compute two results."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from converter import load
from converter.errors import Unsupported
from converter.interpret import run
from converter.keras.eras.switches import parse
from converter.keras.layers.up_sampling import legacy_resize

GOOD = Path(__file__).parents[1] / "fixtures" / "good"


def edited(target: Path, old: str, new: str) -> Path:
    """The fixture of TF 1.15 with another text in its configuration."""
    shutil.copy(GOOD / "tf115_images" / "model.h5", target)
    with h5py.File(target, "r+") as file:
        text = file.attrs["model_config"]
        text = text.decode() if isinstance(text, bytes) else text
        assert old in text
        file.attrs["model_config"] = text.replace(old, new)
    return target


def outputs(name: str) -> np.ndarray:
    with np.load(GOOD / name / "expected.npz") as expected:
        return expected["out0"]


def test_without_ragged_it_is_of_an_older_tensorflow(tmp_path: Path) -> None:
    """Cases have the same weights and inputs in every era, and Keras 2.3.1 resizes as TensorFlow 1.14 does."""
    model = load(edited(tmp_path / "model.h5", '"ragged": false, ', ""))
    with np.load(GOOD / "k231_images" / "inputs.npz") as inputs:
        made = run(model, {model.inputs[0].name: inputs["in0"]})
    np.testing.assert_allclose(made[model.outputs[0].name], outputs("k231_images"), atol=1e-6)
    assert np.abs(outputs("tf115_images") - outputs("k231_images")).max() > 1e-3


@pytest.mark.parametrize("backend", ["theano", "cntk"])
def test_other_backends_are_refused(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "model.h5"
    shutil.copy(GOOD / "k231_images" / "model.h5", path)
    with h5py.File(path, "r+") as file:
        file.attrs["backend"] = backend
    with pytest.raises(Unsupported, match=f"interpolation on {backend}"):
        load(path)


def test_a_file_that_could_be_of_both_is_refused() -> None:
    assert legacy_resize(parse("2.1.6-tf"))
    assert not legacy_resize(replace(parse("2.2.4-tf"), later=True))
    with pytest.raises(Unsupported, match="two versions"):
        legacy_resize(parse("2.2.4-tf"))
