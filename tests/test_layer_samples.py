"""Every layer class, without Keras: the model of its sample is proved as `convert` proves any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from layer_samples import sample, samples

from converter.errors import Unsupported
from converter.exporters.onnx import export
from converter.keras.layers import LAYERS
from converter.verification import verify


def test_every_class_has_a_sample() -> None:
    assert sorted(samples()) == sorted(name for name in LAYERS if not name.startswith("ops."))


@pytest.mark.parametrize("name", sorted(samples()))
def test_sample(name: str, tmp_path: Path) -> None:
    model = sample(name)
    export(model, tmp_path / "model.onnx")
    report = verify(model, tmp_path / "model.onnx")
    assert report.passed, report.failures


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("CategoryEncoding", "num_tokens", 2_000_000_000),
        ("InputLayer", "batch_shape", [None, 2_000_000_000]),
        ("RepeatVector", "n", 2_000_000_000),
        ("Resizing", "height", 2_000_000_000),
        ("UpSampling1D", "size", 2_000_000_000),
        ("ZeroPadding1D", "padding", [2_000_000_000, 1]),
    ],
)
def test_a_declared_size_fills_no_memory(name: str, argument: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = json.loads(json.dumps(samples()[name]))
    (config,) = [one["config"] for one in raw["architecture"]["config"]["layers"] if argument in one["config"]]
    config[argument] = value
    monkeypatch.setitem(samples(), name, raw)
    with pytest.raises(Unsupported, match="0000000"):
        sample(name)
