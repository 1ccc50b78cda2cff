"""Every layer class in TFLite: the model of its sample is proved, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from layer_samples import sample, samples
from lite_files import exported

from converter.errors import Unsupported
from converter.verification import verify

# Layers that no builtin operators compute exactly, as far as we know.
REFUSED = {
    "AveragePooling3D", "Conv3D", "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "IntegerLookup",
    "MaxPooling3D", "StringLookup", "TextVectorization",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(samples()) - REFUSED))
def test_sample(name: str, tmp_path: Path) -> None:
    model = sample(name)
    report = verify(model, exported(model, tmp_path / "model.tflite"))
    assert report.passed, report.failures


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="cannot be exported to TFLite"):
        exported(sample(name), tmp_path / "model.tflite")
