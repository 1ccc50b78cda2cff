"""The inputs that a proof makes for a model: in range, with every pattern of padding, of several sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from neutral_models import Builder, lstm_model

from converter import api
from converter.model import Model, constant, layers
from converter.verification.inputs import cases_of, traits_of

GOOD = Path(__file__).parents[1] / "fixtures/good"


def masked() -> Model:
    return api.load(GOOD / "tf215_embed/model.h5")


def test_infinity_marks_no_step() -> None:
    """Where a model asks whether its input is infinite, ordinary numbers prove more."""
    b = Builder()
    x, inf = b.input("x", (None, 3)), b.node("inf", layers.Constant(constant("inf", np.float32(np.inf))), [], ())
    model = b.model(b.node("same", layers.Elementwise("equal"), [x, *inf], (None, 3), dtype="bool"))
    assert traits_of(model)["x"].markers == []


def test_indices_stay_in_range_and_reach_padding_in_every_pattern() -> None:
    model = masked()
    (name,) = [value.name for value in model.inputs]
    limit = traits_of(model)[name].limit
    tables = [node.layer.table.shape[0] for node in model.nodes if isinstance(node.layer, layers.Embedding)]
    assert limit == min(tables)
    assert 0.0 in traits_of(model)[name].markers
    many = [case.calls[0][name] for seed in range(20) for case in cases_of(model, seed)]
    values = np.concatenate([array.ravel() for array in many])
    assert set(values) == set(range(limit))
    used = np.concatenate([(array != 0).reshape(-1, array.shape[-1])[:, [0, -1]] for array in many])
    assert {tuple(row) for row in used.tolist()} == {(True, True), (True, False), (False, True), (False, False)}


def test_cases_are_seeded_and_differ_in_batch_and_length() -> None:
    model = lstm_model(Builder())
    first, again, other = (cases_of(model, seed) for seed in (0, 0, 1))
    assert [case.calls[0]["x"].shape[:2] for case in first] == [(1, 1), (2, 2), (8, 7)]
    np.testing.assert_array_equal(first[0].calls[0]["x"], again[0].calls[0]["x"])
    assert (first[0].calls[0]["x"] != other[0].calls[0]["x"]).any()
