"""Genuine files of PyTorch (fixtures/make/make_torch.py): right, or refused by name, never silently wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converter import api, interpret
from converter.errors import Unsupported
from converter.model import Model

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
