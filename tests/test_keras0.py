"""Architectures and weights of Keras 0.3; tests/test_fixtures.py runs the genuine ones."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from converter import ConversionError, Unsupported, load
from converter.keras.architecture import keras0

GOOD = Path(__file__).resolve().parent.parent / "fixtures" / "good"
MODELS = sorted(folder.name for folder in GOOD.glob("k033_*"))


def changed(case: str, tmp_path: Path, change: Any) -> Path:
    raw = json.loads((GOOD / case / "model.json").read_text())
    change(raw)
    (tmp_path / "model.json").write_text(json.dumps(raw))
    return tmp_path / "model.json"


@pytest.mark.parametrize("kind", [*sorted(keras0.REFUSED), "Convolution9D"])
def test_what_computes_otherwise_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = changed("k033_stack", tmp_path, lambda raw: raw["layers"][1].update(name=kind))
    with pytest.raises(Unsupported, match=f"{kind} of Keras 0.3"):
        load(GOOD / "k033_stack" / "weights.h5", path)


@pytest.mark.parametrize("mode", ["dot", "cos", "join", None, 3])
def test_merges_that_number_axes_otherwise_are_refused(mode: object, tmp_path: Path) -> None:
    path = changed("k033_merged", tmp_path, lambda raw: raw["layers"][0].update(mode=mode))
    with pytest.raises(Unsupported, match="merging by"):
        load(GOOD / "k033_merged" / "weights.h5", path)


def test_layers_of_one_name_are_told_apart() -> None:
    model = load(GOOD / "k033_stack" / "weights.h5", GOOD / "k033_stack" / "model.json")
    names = [node.name for node in model.nodes]
    assert {"lstm_1", "lstm_5"} <= set(names), names


def paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, value in items for found in ((*at, key), *paths(value, (*at, key)))]


@pytest.mark.parametrize("case", MODELS)
def test_every_value_of_another_form_is_refused_or_read(case: str, tmp_path: Path) -> None:
    raw = json.loads((GOOD / case / "model.json").read_text())
    for place in paths(raw):
        for wrong in (None, [], {}, 7, "x"):
            broken = json.loads(json.dumps(raw))
            owner = broken
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = wrong
            with suppress(ConversionError):
                assert not keras0.fits(broken) or keras0.rewritten(broken)["class_name"]
