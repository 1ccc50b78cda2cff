"""Mutated fixtures: whatever is in a file, reading it gives a model or a ConversionError, below the last wall."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from converter import readers
from converter.errors import ConversionError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "fuzz"))

from mutations import mutated  # noqa: E402

SEEDS = [
    "good/tf215_stack/model.h5", "good/k3151_stack/model.keras", "good/k122_bi/model.h5", "good/k3151_nested/model.h5",
    "good/tf213_maskbi/model.h5", "good/k224_functional/model.h5", "good/k3151_stack/model.weights.h5",
]  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_a_mutated_file_gives_a_model_or_one_line(name, tmp_path):
    source = ROOT / "fixtures" / name
    path, ends = tmp_path / source.name, set()
    for seed in range(25):
        path.write_bytes(mutated(source, random.Random(seed)))
        try:
            readers.load(path)
        except ConversionError as error:
            assert "\n" not in str(error)
            ends.add(str(error))
    assert len(ends) > 1
