"""What is no model of Keras is named; every array of genuine files is found; hostile files are read or refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sampling import some

from converter.errors import ConversionError, InvalidModel
from converter.keras.source import FlatWeights
from converter.model import Weight
from converter.readers import read_source, read_weights
from converter.readers.path_weights import StoredPaths

ARCHITECTURE = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
SHARED = Path(__file__).parents[2] / "shared"
ERAS, EVIL = SHARED / "corpus" / "eras", SHARED / "evil"
NAMES = ("model.h5", "weights.h5", "model.keras", "model.weights.h5", "model_hdf5.keras", "unzipped")

# --- what is no model -------------------------------------------------------------------------------------------------

NO_MODELS = {
    b"": "empty file",
    b"\x89HDF\r\n": "truncated HDF5",
    b"PK\x03": "truncated ZIP",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00": "git lfs pull",
    b"\n<!DOCTYPE html><html>": "web page",
    b"\x80\x04\x95": "pickle",
    b"\x93NUMPY\x01": "NumPy array",
    b"\x08\x08\x12\x07pytorch": "ONNX",
    b"\n\x10\n\x01x\x12\x0bPlaceholder\x00": "TensorFlow graph",
    b"\x1c\0\0\0TFL3": "TensorFlow Lite",
    b'\x40\0\0\0\0\0\0\0{"w":': "safetensors",
    b"\x1f\x8b\x08": "gzip",
    json.dumps(ARCHITECTURE).encode(): "architecture without weights",
    b"hello\nworld": "text file",
    b"\x01\x02\x03\x04": "no kind of file",
}


@pytest.mark.parametrize("content", NO_MODELS)
def test_what_is_no_model_is_named(tmp_path, content):
    (tmp_path / "m.h5").write_bytes(content)
    with pytest.raises(ConversionError, match=NO_MODELS[content]):
        read_source(tmp_path / "m.h5")


def test_folders_missing_files_and_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in ((".", "folder without a model"), ("none.h5", "no such file"), ("pipe", "not a regular file")):
        with pytest.raises(InvalidModel, match=message):
            read_source(tmp_path / name)


# --- files of others --------------------------------------------------------------------------------------------------


def arrays(weights: object) -> list[Weight]:
    """All arrays of a model, without those of the optimizer."""
    if isinstance(weights, FlatWeights):
        return [weight for layer in weights.layers.values() for weight in layer]
    assert isinstance(weights, StoredPaths)
    return list(below(weights))


def below(group: StoredPaths) -> Iterator[Weight]:
    yield from group.variables()
    for name in group.children():
        child = group.group(name)
        if child is not None and name not in {"optimizer", "metrics"}:
            yield from below(child)


def keys(values: list[np.ndarray]) -> Counter:
    return Counter((v.shape, v.dtype.name, np.ascontiguousarray(v).tobytes()) for v in values)


@pytest.mark.corpus
@pytest.mark.skipif(not ERAS.is_dir(), reason="needs ../shared/corpus")
@pytest.mark.parametrize("era", ["k122", "k224", "tf115", "tf26", "tf215", "k3151"])
def test_every_array_of_genuine_files(era):
    checked = 0
    for case in some(sorted((ERAS / era).iterdir()), 3):
        with np.load(case / "weights.npz") as expected:
            wanted = keys([expected[k] for k in expected.files])
        for path in (case / name for name in NAMES if (case / name).exists()):
            assert keys([w.read() for w in arrays(read_weights(path))]) == wanted, path
            if "weights" not in path.name:
                assert read_source(path).provenance.keras_version
            checked += 1
    assert checked >= 30


@pytest.mark.corpus
@pytest.mark.skipif(not EVIL.is_dir(), reason="needs ../shared/evil")
@pytest.mark.parametrize("folder", ["h5", "keras"])
def test_hostile_files_are_read_or_refused(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = 0
    for path in sorted((EVIL / folder).iterdir()):
        try:
            sum(weight.read().size for weight in arrays(read_source(path).weights))
        except ConversionError as error:
            assert str(error)
            refused += 1
    assert refused > 15
    assert not list(tmp_path.iterdir())
