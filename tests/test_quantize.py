"""Smaller weights in ONNX files: what they cost is measured, and too much of it refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from neutral_models import Builder, feed
from onnx_files import exported, operators, run_onnx

from converter import convert, interpret
from converter.errors import Unsupported, VerificationFailed
from converter.exporters.onnx import export
from converter.exporters.onnx.writer import values_digest
from converter.model import Model, layers
from converter.model.activations import SIGMOID, TANH

MODEL = Path(__file__).parents[1] / "fixtures/good/k3151_share/model.keras"


def recurrent(kind: str, masked: bool = False) -> Model:
    b = Builder()
    x = b.input("x", (None, None, 16))
    mask = b.input("mask", (None, None), "bool") if masked else None
    cell = b.lstm(16, 24, TANH, SIGMOID, True) if kind == "lstm" else b.gru(16, 24, TANH, SIGMOID, True, True)
    layer = layers.Recurrent((layers.Direction(cell),), None, return_sequences=True)
    shapes = [(None, None, 24), *[(None, 24)] * cell.states]
    return b.model(b.node("rnn", layer, [x, mask, *[None] * cell.states], *shapes)[:1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("kind", "cell", "allowed"), [("int8", "lstm", 0.1), ("float16", "lstm", 2e-3), ("float16", "gru", 2e-3)]
)
def test_near_and_smaller(tmp_path: Path, kind: str, cell: str, allowed: float, masked: bool) -> None:
    model = recurrent(cell, masked)
    exported(model, tmp_path)
    before = (tmp_path / "model.onnx").stat().st_size
    export(model, tmp_path / "model.onnx", quantize=kind)
    proto = onnx.load(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size < 0.75 * before
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert properties["quantized"] == kind
    assert properties["weights.sha256"] == values_digest(proto.graph.initializer).hexdigest()
    assert ("DynamicQuantizeLSTM" in operators(proto)) == (kind == "int8")
    arrays = feed(model, 3, 5)
    truth = interpret.run(model, arrays)[model.outputs[0].name]
    error = np.abs(run_onnx(tmp_path, arrays)[0] - truth).max()
    assert 1e-7 < error < allowed


@pytest.mark.parametrize(
    ("options", "why"), [({"quantize": "int8"}, "No operator"), ({"quantize": "int4"}, "int8, float16")]
)
def test_nothing_to_make_smaller(tmp_path: Path, options: dict[str, str], why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        exported(recurrent("gru"), tmp_path, **options)


def test_int8_is_for_onnxruntime(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="openvino"):
        exported(recurrent("lstm"), tmp_path, quantize="int8", runtime="openvino")


def test_the_error_is_measured_and_bounded(tmp_path: Path) -> None:
    (report,) = convert(MODEL, tmp_path / "model.onnx", quantize="int8").reports
    assert report.verdict == "within the tolerance"
    assert 1e-4 < report.error < 0.05
    with pytest.raises(VerificationFailed, match="tolerance"):
        convert(MODEL, tmp_path / "exact.onnx", quantize="int8", tolerance=1e-4)
    with pytest.raises(Unsupported, match="no-verify"):
        convert(MODEL, tmp_path / "exact.onnx", quantize="int8", check=False)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_several_models_get_the_options_of_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "converter", MODEL, MODEL.parent.with_name("k224_embed") / "model.h5"]
    subprocess.run([*command, "-o", tmp_path, "--quantize", "int8", "--batch", "2"], check=True, capture_output=True)
    protos = [onnx.load(file) for file in tmp_path.rglob("*.onnx")]
    assert len(protos) == 2
    for proto in protos:
        assert "quantized" in {entry.key for entry in proto.metadata_props}
        assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
