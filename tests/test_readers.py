"""Readers: the kind is found by content, architecture and arrays are found, and what is broken is named."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.keras.source import FlatWeights
from converter.readers import read_source, read_weights
from converter.readers.containers import find
from converter.readers.path_weights import StoredPaths

ARCHITECTURE = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
KERNEL, BIAS = np.arange(12, dtype="f4").reshape(3, 4), np.arange(4, dtype="f4")


def legacy(path: Path, layers=("lstm_1",), whole=True, version: str | None = "2.2.4", **attributes) -> Path:
    """A file as Keras 1 and 2 write it, with two arrays in each layer."""
    with h5py.File(path, "w") as file:
        if whole:
            file.attrs["model_config"] = json.dumps(ARCHITECTURE)
        group = file.create_group("model_weights") if whole else file
        if version is not None:
            file.attrs["keras_version"] = version
            file.attrs["backend"] = "theano"
        group.attrs["layer_names"] = np.array([name.encode() for name in layers])
        for name in layers:
            layer = group.require_group(name)
            layer.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            if f"{name}/kernel:0" not in layer:
                layer[f"{name}/kernel:0"], layer[f"{name}/bias:0"] = KERNEL, BIAS
        for name, value in attributes.items():
            group.attrs[name] = value
    return path


def v3(target, groups: dict[str, list[np.ndarray]]) -> None:
    """A file as Keras 3 writes it."""
    with h5py.File(target, "w") as file:
        for name, arrays in groups.items():
            variables = file.create_group(f"{name}/vars")
            variables.attrs["name"] = name.rsplit("/", 1)[-1]
            for k, array in enumerate(arrays):
                variables[str(k)] = array


def archive(path: Path, method=zipfile.ZIP_STORED, **changes: bytes | None) -> Path:
    """A `.keras` file; `changes` replaces members (None leaves one out)."""
    weights = io.BytesIO()
    v3(weights, {"layers/lstm/cell": [KERNEL, BIAS], "layers/dense": [BIAS] * 12})
    members = {
        "metadata.json": json.dumps({"keras_version": "3.6.0"}).encode(),
        "config.json": json.dumps(ARCHITECTURE).encode(),
        "model.weights.h5": weights.getvalue(),
    }
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in {**members, **{k.replace("__", "."): v for k, v in changes.items()}}.items():
            if data is not None:
                file.writestr(name, data)
    return path


# --- HDF5 -------------------------------------------------------------------------------------------------------------


def test_a_whole_model(tmp_path):
    source = read_source(legacy(tmp_path / "m.bin", ("b/nested", "a")))
    assert source.architecture == ARCHITECTURE
    assert isinstance(source.weights, FlatWeights)
    assert list(source.weights.layers) == ["b/nested", "a"]
    kernel, bias = source.weights.layers["a"]
    assert kernel.name == "a/kernel:0"
    np.testing.assert_array_equal(kernel.read(), KERNEL)
    np.testing.assert_array_equal(bias.read(), BIAS)
    told = source.provenance
    assert (told.keras_version, told.backend, told.format, len(told.sha256)) == (
        "2.2.4",
        "theano",
        "HDF5 whole model",
        64,
    )


def test_arrays_of_the_model_itself(tmp_path):
    path = legacy(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        top = file.create_group("model_weights/top_level_model_weights")
        top.attrs["weight_names"] = [b"scale:0"]
        top["scale:0"] = BIAS
    weights = read_source(path).weights
    assert isinstance(weights, FlatWeights)
    np.testing.assert_array_equal(weights.layers["top_level_model_weights"][0].read(), BIAS)


def test_a_configuration_split_over_attributes(tmp_path):
    path = legacy(tmp_path / "m.h5")
    text = json.dumps(ARCHITECTURE)
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
        file.attrs["model_config0"], file.attrs["model_config1"] = text[:20], text[20:]
    assert read_source(path).architecture == ARCHITECTURE
    with h5py.File(path, "r+") as file:
        file.attrs["model_config3"] = "x"
    with pytest.raises(InvalidModel, match="model_config2"):
        read_source(path)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_weights_alone_need_an_architecture(tmp_path, suffix):
    path = legacy(tmp_path / "w.h5", whole=False, version=None)
    given = tmp_path / f"model{suffix}"
    stated = {**ARCHITECTURE, "keras_version": "1.2.2"}
    given.write_text(json.dumps(json.dumps(stated)) if suffix == ".json" else
                     "class_name: Sequential\nconfig: {name: s, layers: []}\nkeras_version: 1.2.2\n")  # fmt: skip
    with pytest.raises(Unsupported, match=r"weights only.*--architecture"):
        read_source(path)
    source = read_source(path, given)
    assert (source.architecture, source.provenance.keras_version) == (stated, "1.2.2")
    weights = read_weights(path)
    assert isinstance(weights, FlatWeights)
    np.testing.assert_array_equal(weights.layers["lstm_1"][0].read(), KERNEL)


@pytest.mark.parametrize(
    ("given", "written", "expected"),
    [
        ({}, "2.2.4", "2.2.4"),
        ({"keras_version": "2.1.6"}, "2.2.4", "2.1.6"),
        ({"registered_name": None}, "2.15.0", ""),
        ({"registered_name": None}, "3.1.0", "3.1.0"),
    ],
)
def test_a_given_architecture_counts_with_its_own_version(tmp_path, given, written, expected):
    model = tmp_path / "model.json"
    model.write_text(json.dumps({**ARCHITECTURE, "note": 1, **given}))
    source = read_source(legacy(tmp_path / "m.h5", version=written), model)
    assert (source.architecture.get("note"), source.provenance.keras_version) == (1, expected)
    assert source.provenance.backend == "theano"


BROKEN_LEGACY = {
    "twice": (lambda p: legacy(p, ("a", "a")), "twice"),
    "unknown layer": (lambda p: legacy(p, layer_names=[b"ghost"]), "group is missing"),
    "absolute": (lambda p: legacy(p, layer_names=[b"/model_weights/lstm_1"]), "not a path below"),
    "upwards": (lambda p: legacy(p, layer_names=[b"../lstm_1"]), "not a path below"),
    "not Keras": (lambda p: h5py.File(p, "w").close(), "not one of Keras"),
}


@pytest.mark.parametrize("kind", BROKEN_LEGACY)
def test_broken_legacy_files(tmp_path, kind):
    write, message = BROKEN_LEGACY[kind]
    write(tmp_path / "m.h5")
    with pytest.raises(ConversionError, match=message) as caught:
        read_source(tmp_path / "m.h5")
    assert str(caught.value).startswith("m.h5: ")


@pytest.mark.parametrize(("names", "message"), [
    ([b"/model_weights/lstm_1/lstm_1/kernel:0"], "not a path below"),
    ([b"lstm_1/kernel:0"] * 2, "twice"),
    ([b"lstm_1/none:0"], "no array"),
    ([b"lstm_1"], "not an array"),
])  # fmt: skip
def test_broken_weight_names(tmp_path, names, message):
    path = legacy(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights/lstm_1"].attrs["weight_names"] = names
    with pytest.raises(InvalidModel, match=f"layer 'lstm_1'.*{message}"):
        read_source(path)


# --- .keras and .weights.h5 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["stored", "deflated", "folder"])
def test_a_keras_archive(tmp_path, form):
    path = archive(tmp_path / "m", zipfile.ZIP_DEFLATED if form == "deflated" else zipfile.ZIP_STORED)
    if form == "folder":
        with zipfile.ZipFile(path) as file:
            file.extractall(tmp_path / "unzipped")
        path = tmp_path / "unzipped"
    assert find(path) == "keras_zip"
    source = read_source(path)
    assert (source.architecture, source.provenance.keras_version) == (ARCHITECTURE, "3.6.0")
    weights = source.weights
    assert isinstance(weights, StoredPaths)
    assert weights.children() == ("layers",)
    layers = weights.group("layers")
    assert layers is not None
    assert set(layers.children()) == {"lstm", "dense"}
    cell = weights.group("layers", "lstm", "cell")
    assert cell is not None
    np.testing.assert_array_equal(cell.variables()[0].read(), KERNEL)
    assert (cell.name(), cell.children(), layers.variables()) == ("cell", (), ())
    assert weights.group("layers", "gru") is None
    dense = layers.group("dense")
    assert dense is not None
    assert [w.name for w in dense.variables()] == [f"layers/dense/vars/{k}" for k in range(12)]


def test_weights_of_keras_3_alone(tmp_path):
    v3(tmp_path / "m.weights.h5", {"layers/lstm/cell": [KERNEL]})
    (tmp_path / "a.json").write_text(json.dumps(ARCHITECTURE))
    assert isinstance(read_source(tmp_path / "m.weights.h5", tmp_path / "a.json").weights, StoredPaths)
    with pytest.raises(Unsupported, match="weights only"):
        read_source(tmp_path / "m.weights.h5")


def sharded(folder: Path, files: object = ("s_0.h5", "s_1.h5")) -> Path:
    """Three arrays of one layer, spread over two shards."""
    for shard, present in (("s_0.h5", (0, 2)), ("s_1.h5", (1,))):
        with h5py.File(folder / shard, "w") as file:
            for k in present:
                file[f"layers/dense/vars/{k}"] = BIAS + k
    index = folder / "m.weights.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"/layers/dense/vars": files}}))
    return index


def test_sharded_weights(tmp_path):
    weights = read_weights(sharded(tmp_path))
    assert isinstance(weights, StoredPaths)
    dense = weights.group("layers", "dense")
    assert dense is not None
    np.testing.assert_array_equal(np.stack([w.read() for w in dense.variables()]), np.stack([BIAS, BIAS + 1, BIAS + 2]))


@pytest.mark.parametrize("files", [["s_0.h5", "s_9.h5"], ["../s_0.h5"], [7], [], ["/etc/passwd"], ["..\\a"]])
def test_broken_shard_lists(tmp_path, files):
    with pytest.raises(InvalidModel):
        read_weights(sharded(tmp_path, files))


def test_a_shard_left_out_leaves_a_gap(tmp_path):
    weights = read_weights(sharded(tmp_path, ["s_0.h5"]))
    with pytest.raises(InvalidModel, match="array 1 is missing"):
        weights.group("layers", "dense").variables()


BROKEN_ARCHIVES = {
    "no weights": ({"model__weights__h5": None}, "without weights"),
    "pickles": ({"model__weights__h5": None, "model__weights__npz": b""}, "NumPy archive"),
    "no configuration": ({"config__json": None}, "no config.json"),
    "not JSON": ({"config__json": b"import os"}, "not JSON"),
    "not a model": ({"config__json": b"[1]"}, "not the architecture"),
    "weights are not HDF5": ({"model__weights__h5": b"hello"}, "model.weights.h5: HDF5 cannot"),
    "PyTorch": ({"config__json": None, "model__weights__h5": None, "archive/data__pkl": b""}, "pickle is broken"),
    "NumPy": ({"config__json": None, "model__weights__h5": None, "a__npy": b""}, "NumPy archive"),
    "in a folder": ({"config__json": None, "model__weights__h5": None, "m/config__json": b"{}"}, "in a folder"),
    "upwards": ({"config__json": None, "model__weights__h5": None, "../config__json": b"{}"}, "without config.json"),
}


@pytest.mark.parametrize("kind", BROKEN_ARCHIVES)
def test_broken_archives(tmp_path, kind):
    changes, message = BROKEN_ARCHIVES[kind]
    with pytest.raises(ConversionError, match=message) as caught:
        read_source(archive(tmp_path / "m.keras", **changes))
    assert str(caught.value).startswith("m.keras: ")


def test_an_archive_whose_weights_stand_where_hdf5_may_start_is_an_archive(tmp_path: Path) -> None:
    """HDF5 allows a user block of 512, 1024, 2048, ... bytes, and archives store their weights as they are."""
    path, weights, start = tmp_path / "model.keras", io.BytesIO(), 4096
    v3(weights, {"layers/dense": [KERNEL]})
    with zipfile.ZipFile(path, "w") as target:
        headers = len("config.json") + len("model.weights.h5") + 2 * 30
        target.writestr("config.json", json.dumps(ARCHITECTURE).ljust(start - headers))
        target.writestr("model.weights.h5", weights.getvalue())
    assert path.read_bytes()[start:].startswith(b"\x89HDF")
    assert find(path) == "keras_zip"
