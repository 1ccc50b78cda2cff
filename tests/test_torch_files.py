"""Genuine files of PyTorch (fixtures/make/make_torch.py): right, or refused by name, never silently wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from neutral_models import Builder

from converter import api, interpret
from converter.comparing.compare import compare_parts
from converter.comparing.parts import parts_of, parts_of_model
from converter.errors import Unsupported
from converter.exporters import EXPORTERS
from converter.model import Model
from converter.model.layers import Direction, Recurrent

HERE = Path(__file__).parents[1] / "fixtures" / "torch"
# PyTorch's new exporter writes GRU and RNN step by step, for the one length of its example.
UNROLLED = {"dynamo_gru1_both_bf_mean", "dynamo_rnn1_both_bf_mean"}


def outputs(model: Model, given: list[np.ndarray]) -> list[np.ndarray]:
    made = interpret.run(model, {value.name: array for value, array in zip(model.inputs, given, strict=True)})
    return [made[value.name] for value in model.outputs]


def assert_right(model: Model, data: Path) -> None:
    with np.load(data) as arrays:
        given = [arrays[name] for name in arrays.files if name.startswith("in")]
        wanted = [arrays[name] for name in arrays.files if name.startswith("out")]
    for want, have in zip(wanted, outputs(model, given), strict=True):
        np.testing.assert_allclose(have, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize("path", sorted((HERE / "onnx").glob("*.onnx")), ids=lambda path: path.stem)
def test_exports_are_read_right(path: Path) -> None:
    try:
        model = api.load(path)
    except Unsupported as problem:
        assert path.stem in UNROLLED, str(problem)
        return
    assert_right(model, path.with_suffix(".npz"))


def test_a_projection_is_computed() -> None:
    model = api.load(HERE / "projection.pt")
    assert_right(model, HERE / "projection.npz")
    assert any("projection is multiplied" in text for text in model.warnings)


def test_a_convolution_needs_an_architecture(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="strides and padding"):
        api.load(HERE / "conv.pt")
    config = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, None, 3], "dtype": "float32"}},
        {"class_name": "Conv1D", "config": {"name": "conv", "filters": 6, "kernel_size": [3]}},
        {"class_name": "LSTM", "config": {"name": "lstm", "units": 5}},
        {"class_name": "Dense", "config": {"name": "fc", "units": 2}},
    ]
    model = {"class_name": "Sequential", "keras_version": "3.15.1", "config": {"name": "m", "layers": config}}
    (tmp_path / "model.json").write_text(json.dumps(model))
    assert_right(api.load(HERE / "conv.pt", tmp_path / "model.json"), HERE / "conv.npz")


def test_old_files_are_named_and_checkpoints_opened() -> None:
    with pytest.raises(Unsupported, match=r"torch.save from before PyTorch 1\.6\. In PyTorch: "):
        api.load(HERE / "old.pt")
    assert [node.keras_layer for node in api.load(HERE / "lightning.ckpt").nodes] == ["model.l0"]


@pytest.mark.parametrize("name", ["gru", "class", "torch", "1x"])
def test_a_cell_of_another_name_than_its_layer_is_compared_as_what_it_is(name: str, tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, 5, 3))
    first = Recurrent((Direction(b.lstm(3, 4)),), return_sequences=True)
    y, *_ = b.node("lstm", first, [x, None, None, None], (None, 5, 4), (None, 4), (None, 4))
    last = Recurrent((Direction(b.gru(4, 4, reset_after=False)),))
    model = b.model(b.node(name, last, [y, None, None], (None, 4), (None, 4))[:1])
    EXPORTERS["torch"].export(model, tmp_path / "m.safetensors")
    assert compare_parts(parts_of_model(model), parts_of(tmp_path / "m.safetensors")).equal
