"""A Sequential whose file states no input shape, as Keras before 2.3 writes one with an InputLayer of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converter import load
from converter.errors import Unsupported

LSTM = ("LSTM", {"units": 2, "return_sequences": True}, [(3, 8), (2, 8), (8,)])
DENSE = ("Dense", {"units": 4}, [(3, 4), (4,)])
NORM = ("BatchNormalization", {"axis": -1}, [(3,)] * 4)
POOL = ("MaxPooling1D", {"pool_size": 2}, [])
# The layers, and the shape that they imply.
IMPLIED: dict[str, tuple[list[tuple[str, dict[str, Any], list[tuple[int, ...]]]], tuple[int | None, ...]]] = {
    "recurrent": ([LSTM], (None, None, 3)),
    "masked": ([("Masking", {"mask_value": 0.0}, []), LSTM], (None, None, 3)),
    "noise": ([("GaussianNoise", {"stddev": 0.1}, []), ("Dropout", {"rate": 0.1}, []), LSTM], (None, None, 3)),
    "activation": ([("Activation", {"activation": "relu"}, []), LSTM], (None, None, 3)),
    "normalized": ([NORM, LSTM], (None, None, 3)),
    "pooled": ([POOL, NORM], (None, None, 3)),
    "repeated": ([("RepeatVector", {"n": 4}, []), LSTM], (None, 3)),
    "averaged": ([("GlobalAveragePooling1D", {}, []), DENSE], (None, None, 3)),
    "dense": ([DENSE], (None, 3)),
    "dense over time": ([DENSE, ("LSTM", {"units": 2}, [(4, 8), (2, 8), (8,)])], (None, None, 3)),
    "words": ([("Embedding", {"input_dim": 9, "output_dim": 3}, [(9, 3)]), LSTM], (None, None)),
    "images": ([("Conv2D", {"filters": 4, "kernel_size": [2, 2]}, [(2, 2, 3, 4), (4,)])], (None, None, None, 3)),
    "channels first": (
        [("Conv1D", {"filters": 4, "kernel_size": [2], "data_format": "channels_first"}, [(2, 3, 4), (4,)])],
        (None, 3, None),
    ),
}
OPEN = {
    "no arrays": [("Masking", {"mask_value": 0.0}, [])],
    "another axis": [("Permute", {"dims": [2, 1]}, []), LSTM],
    "no rank": [NORM],
    "steps": [("BatchNormalization", {"axis": 1}, [(3,)] * 4), LSTM],
}


def written(path: Path, layers: list[tuple[str, dict[str, Any], list[tuple[int, ...]]]]) -> Path:
    rng, listed = np.random.default_rng(0), []
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.2.4", "tensorflow"
        root = file.create_group("model_weights")
        for k, (kind, config, shapes) in enumerate(layers):
            name = f"layer_{k}"
            listed.append({"class_name": kind, "config": {"name": name, **config}})
            group, names = root.create_group(name), [f"{name}/w{place}:0" for place in range(len(shapes))]
            group.attrs["weight_names"] = [text.encode() for text in names]
            for text, shape in zip(names, shapes, strict=True):
                group.create_dataset(text, data=np.abs(rng.normal(size=shape)).astype("float32"))
        root.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in listed]
        model = {"class_name": "Sequential", "config": {"name": "model", "layers": listed}}
        file.attrs["model_config"] = json.dumps(model)
    return path


@pytest.mark.parametrize("name", IMPLIED)
def test_layers_imply_it(name: str, tmp_path: Path) -> None:
    layers, shape = IMPLIED[name]
    (value,) = load(written(tmp_path / "m.h5", layers)).inputs
    assert value.shape == shape


@pytest.mark.parametrize("name", OPEN)
def test_what_they_leave_open_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="does not say the model's input shape, nor do its first layers"):
        load(written(tmp_path / "m.h5", OPEN[name]))
