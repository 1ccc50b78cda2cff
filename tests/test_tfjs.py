"""TensorFlow.js layers models: weights over files, quantized or not; what is broken is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tf_files import ARCHITECTURE, KERNEL, LAYERS, tfjs_model

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.readers import read_source
from converter.readers.containers import find


def entry(name: str, shape: list, dtype: str = "float32", quantization: dict | None = None) -> dict:
    return {"name": name, "shape": shape, "dtype": dtype, **({"quantization": quantization} if quantization else {})}


def test_tfjs_weights_span_files(tmp_path: Path) -> None:
    data = KERNEL.tobytes() + np.float32(5).tobytes()
    path = tfjs_model(
        tmp_path, [entry("lstm/lstm_cell/kernel", [2, 12]), entry("lstm/x", [])], [data[:33], b"", data[33:]]
    )
    assert find(path) == "tfjs" == find(tmp_path)
    source = read_source(path)
    kernel, scalar = source.weights.layers["lstm"]
    assert (kernel.read() == KERNEL).all()
    assert (np.concatenate(list(kernel.rows(50))) == KERNEL).all()
    assert scalar.read() == 5
    assert source.provenance.keras_version == "2.15.0"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tfjs_quantized(tmp_path: Path, dtype: str) -> None:
    stored = np.array([0, 1, 7, 255], dtype)
    scale, low = 0.0123456789, -1.5
    weights = [
        entry("lstm/a", [4], dtype=d, quantization={"dtype": dtype, "scale": scale, "min": low})
        for d in ("float32", "int32")
    ]
    weights[1]["name"] = "lstm/b"
    a, b = read_source(tfjs_model(tmp_path, weights, [stored.tobytes() * 2])).weights.layers["lstm"]
    assert a.dtype == "float32"
    assert (a.read() == np.array([v * scale + low for v in stored.tolist()], "f4")).all()
    assert b.read().tolist() == [-1, -1, -1, 2]  # -1.5, -1.49, -1.41 and 1.65, rounded as JavaScript does


def test_tfjs_float16(tmp_path: Path) -> None:
    half = np.array([0.1, -3, 65504], "f2")
    path = tfjs_model(tmp_path, [entry("lstm/a", [3], quantization={"dtype": "float16"})], [half.tobytes()])
    (weight,) = read_source(path).weights.layers["lstm"]
    assert weight.read().dtype == "f4"
    assert (weight.read() == half).all()


def test_tfjs_names_lead_to_layers(tmp_path: Path) -> None:
    lstm = {"class_name": "LSTM", "config": {"name": "lstm_3"}}
    inner = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [{"class_name": "Dense", "config": {"name": "d"}}]},
    }
    wrapped = {"class_name": "Bidirectional", "config": {"name": "bi", "layer": lstm}}
    architecture = {"class_name": "Sequential", "config": {"name": "seq", "layers": [wrapped, inner, *LAYERS]}}
    names = ["bi/forward_lstm_3/kernel", "forward_lstm_3/lstm_cell/kernel", "d/kernel", "seq/lstm/lstm_cell/kernel"]
    layers = read_source(tfjs_model(tmp_path, [entry(n, []) for n in names], [bytes(16)], architecture)).weights.layers
    assert {k: [w.name for w in ws] for k, ws in layers.items()} == {
        "bi": names[:2],
        "inner": names[2:3],
        "lstm": names[3:],
    }
    twice = {
        "class_name": "Sequential",
        "config": {"layers": [inner, {**inner, "config": {**inner["config"], "name": "b"}}]},
    }
    with pytest.raises(InvalidModel, match="more than one layer"):
        read_source(tfjs_model(tmp_path, [entry("d/kernel", [])], [bytes(4)], twice))
    with pytest.raises(InvalidModel, match="no layer"):
        read_source(tfjs_model(tmp_path, [entry("ghost/kernel", [])], [bytes(4)]))


@pytest.mark.parametrize(
    "weights",
    [
        [entry("lstm/a", [1 << 20, 1 << 20])],
        [entry("lstm/a", [-1])],
        [entry("lstm/a", [1 << 40, 1 << 40, 0])],
        [entry("lstm/a", [2.0])],
        [entry("lstm/a", [True])],
        [entry("lstm/a", [2])],
        [entry("lstm/a", [2]), entry("lstm/a", [2])],
        [entry("lstm/a", [4], dtype="string")],
        [entry("lstm/a", [4], quantization={"dtype": "int4"})],
        [entry("lstm/a", [16], quantization={"dtype": "uint8", "scale": "1"})],
        [{"name": "lstm/a"}],
        ["x"],
    ],
)
def test_tfjs_broken_weights(tmp_path: Path, weights: list) -> None:
    with pytest.raises(ConversionError, match=r"model\.json"):
        read_source(tfjs_model(tmp_path, weights, [bytes(16)]))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "C:x", "a\\b", "missing.bin", 3])
def test_tfjs_paths(tmp_path: Path, name: object) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    manifest = [{"paths": [name], "weights": [entry("lstm/a", [4])]}]
    with pytest.raises(InvalidModel):
        read_source(tfjs_model(tmp_path / "m", [], [], weightsManifest=manifest))


def test_tfjs_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="graph model"):
        read_source(tfjs_model(tmp_path, [], [], format="graph-model"))
    with pytest.raises(Unsupported, match=r"TensorFlow\.js itself \(tfjs-layers 4\.1\)"):
        read_source(tfjs_model(tmp_path, [], [], modelTopology={**ARCHITECTURE, "keras_version": "tfjs-layers 4.1"}))
