"""Text and lookups as nodes: in ONNX, in other targets, in the proof. No TensorFlow is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import Builder
from onnx_files import run_onnx

from converter import interpret
from converter.errors import ConversionError
from converter.exporters import keras, torch
from converter.exporters.onnx import export
from converter.formats import safetensors
from converter.model import Model, layers
from converter.readers import load
from converter.verification.text_inputs import Words


def text_model(layer: Any, open_axis: bool = False) -> Model:
    b = Builder()
    x = b.input("x", (None, 2), "string")
    shape = (None, 2, None) if open_axis else (None, 2)
    return b.model(b.node("layer", layer, [x], shape, dtype="string"))


TRICKY = np.array(
    [
        ["", " "],
        ["a!b", "!!"],
        ["!a!!b!c!d!e!", "\u00c9t\u00e9 AZ[az{"],
        ["\t a\n\nb ", "x\x0by\x0cz\r"],
        ["a" * 99, "q w " * 40],
    ],
    object,
)


@pytest.mark.parametrize(
    ("layer", "opset"),
    [
        (layers.LowerCase(), 13),
        (layers.RemoveCharacters("!a\\]"), 20),
        (layers.SplitWords(), 20),
        (layers.SplitWords(), 26),
    ],
)
@pytest.mark.parametrize("rows", [[0], [1, 2], [0, 1, 2, 3, 4]])
def test_text_as_onnx(tmp_path: Path, layer: Any, opset: int, rows: list[int]) -> None:
    model = text_model(layer, isinstance(layer, layers.SplitWords))
    export(model, tmp_path / "model.onnx", opset=opset)
    (got,) = run_onnx(tmp_path, {"x": TRICKY[rows]})
    want = interpret.run(model, {"x": TRICKY[rows]})["layer:0"]
    assert got.shape == want.shape
    assert got.tolist() == want.tolist()


NUMBERS_AT = layers.Lookup((5, -(2**63), 7, 0), (2, 3, 4, 0), 1)
ASKED = np.array([[5, 7, 0], [6, -(2**63), 2**62]])


def number_model(layer: layers.Lookup) -> Model:
    b = Builder()
    x = b.input("x", (None, 3), "int64")
    return b.model(b.node("layer", layer, [x], (None, 3), dtype="int64"))


def test_numbers_for_keras3(tmp_path: Path) -> None:
    """Written as operations, and read back as such."""
    model = number_model(NUMBERS_AT)
    keras.export(model, tmp_path / "m.keras")
    again = load(tmp_path / "m.keras")
    made = interpret.run(again, {again.inputs[0].name: ASKED})[again.outputs[0].name]
    assert made.tolist() == interpret.run(model, {"x": ASKED})["layer:0"].tolist() == [[2, 4, 0], [1, 3, 1]]


def test_numbers_for_pytorch(tmp_path: Path) -> None:
    """A binary search: the keys are written in order, each value at its key's place."""
    torch.export(number_model(NUMBERS_AT), tmp_path / "m.safetensors")
    stored = safetensors.read(tmp_path / "m.safetensors").tensors
    written = {name: weight.read().tolist() for name, weight in stored.items()}
    assert sorted(written.values()) == [[-(2**63), 0, 5, 7], [3, 0, 2, 4]]
    text = (tmp_path / "m_torch.py").read_text()
    assert "torch.searchsorted(self.layer_keys, v_x.contiguous()).clamp(max=3)" in text


@pytest.mark.parametrize(("target", "name"), [(keras, "Keras 3"), (torch, "PyTorch")])
def test_lookups_of_text_elsewhere(tmp_path: Path, target: Any, name: str) -> None:
    b = Builder()
    x = b.input("x", (None, 3), "string")
    model = b.model(b.node("layer", layers.Lookup(("a",), (0,), 1), [x], (None, 3), dtype="int64"))
    with pytest.raises(ConversionError, match=f"a lookup of text.*{name}"):
        target.export(model, tmp_path / "m.out")


def test_text_and_numbers_are_not_confused() -> None:
    model = text_model(layers.LowerCase())
    with pytest.raises(ValueError, match="dtype"):
        interpret.run(model, {"x": np.zeros((1, 2))})


def test_words_for_the_proof() -> None:
    words = Words()
    words.note(layers.Lookup(("", *map(str, range(50))), (0, *range(2, 52)), 1))
    drawn = set(words.values((40, 5), 9, np.random.default_rng(0), np.dtype(object)).reshape(-1))
    assert {"", "0", "49", "no such word"} <= drawn
    known_only = Words()
    known_only.note(layers.Lookup((4, 5), (0, 1), None))
    assert set(known_only.values((40,), 9, np.random.default_rng(0), np.dtype("int64"))) == {4, 5}
