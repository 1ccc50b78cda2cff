"""Every layer class, without Keras: the model of its sample is proved as `convert` proves any."""

from __future__ import annotations

from pathlib import Path

import pytest
from layer_samples import sample, samples

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
