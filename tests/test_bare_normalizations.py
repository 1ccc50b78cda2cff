"""Normalizations without gamma or beta: PyTorch writes ones and zeros, and both are the same layer."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from neutral_models import Builder
from safetensors.numpy import load_file, save_file

from converter.exporters import EXPORTERS
from converter.model import Model, layers
from converter.verification.read_back import arrays

SHAPE = (None, 5, 4)


def model(kind: str, scale: bool, center: bool) -> Model:
    b = Builder()
    x = b.input("x", SHAPE)
    gamma, beta = (b.weight(4) if wanted else None for wanted in (scale, center))
    norm = (
        layers.BatchNormalization(2, gamma, beta, b.weight(4), b.weight(4), 1e-3)
        if kind == "batch"
        else layers.LayerNormalization((2,), gamma, beta, 1e-3)
    )
    (y,) = b.node("norm", norm, [x], SHAPE)
    return b.model(b.node("dense", layers.Dense(b.weight(4, 2), b.weight(2)), [y], (None, 5, 2)))


@pytest.mark.parametrize(
    ("to", "kind", "scale", "center"),
    [*product(("torch", "flax", "npz", "safetensors"), ("batch", "layer"), (False, True), (False, True))],
)
def test_its_weights_are_compared(to: str, kind: str, scale: bool, center: bool, tmp_path: Path) -> None:
    made = model(kind, scale, center)
    path = tmp_path / f"m{EXPORTERS[to].suffix}"
    EXPORTERS[to].export(made, path)
    assert arrays(made, path).passed


@pytest.mark.parametrize("field", ["weight", "bias"])
def test_what_is_not_one_or_zero_there_is_another_layer(field: str, tmp_path: Path) -> None:
    made = model("batch", False, False)
    EXPORTERS["torch"].export(made, tmp_path / "m.safetensors")
    tensors = load_file(tmp_path / "m.safetensors")
    tensors[f"norm.{field}"] = np.full(4, 0.5, np.float32)
    save_file(tensors, tmp_path / "m.safetensors")
    assert not arrays(made, tmp_path / "m.safetensors").passed
