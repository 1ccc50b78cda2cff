"""npz, safetensors and Flax files of ours are whole models: their metadata holds the graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import feed

from converter import api, interpret
from converter.errors import ConversionError, InvalidModel
from converter.exporters import EXPORTERS
from converter.exporters.weights import named
from converter.model import Model
from converter.model.as_json import from_json, to_json

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
CASES = [
    "k122_conv",
    "k224_acts",
    "k224_bi",
    "k224_encdec",
    "k224_statemask",
    "k3151_stack",
    "tf215_maskbi",
    "k231_gru",
]
TARGETS = ["npz", "safetensors", "flax"]


def outputs(model: Model, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    made = interpret.run(model, arrays)
    return [made[value.name] for value in model.outputs]


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_a_model_comes_back_whole(name: str, to: str, tmp_path: Path) -> None:
    path, case = tmp_path / f"m{EXPORTERS[to].suffix}", GOOD / name
    model = api.load(case / "model.h5" if (case / "model.h5").exists() else case / "model.keras")
    try:
        EXPORTERS[to].export(model, path)
    except ConversionError as problem:
        assert to == "flax" and "flax" in str(problem).lower()
        return
    again = api.load(path)
    assert again.states == model.states
    arrays = feed(model, 2, 5)
    for want, have in zip(outputs(model, arrays), outputs(again, arrays), strict=True):
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-7 if to == "flax" else 0)


@pytest.mark.parametrize("to", ["keras", "onnx", "torch"])
def test_it_can_be_converted_on(to: str, tmp_path: Path) -> None:
    api.convert(GOOD / "k3151_stack" / "model.keras", tmp_path / "m.safetensors", to="safetensors")
    done = api.convert(tmp_path / "m.safetensors", tmp_path / f"again{EXPORTERS[to].suffix}", to=to)
    assert done.reports[0].passed


WRONG: list[tuple[str, Any]] = [
    ("version", 2), ("version", None), ("nodes", [{}]), ("inputs", [["x", [-1], "float32"]]), ("outputs", ["nothing"]),
    ("states", [["x"]]), ("output_names", []), ("inputs", 7),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "value"), WRONG)
def test_a_graph_of_another_form_is_one_clear_line(entry: str, value: Any) -> None:
    model = api.load(GOOD / "k3151_stack" / "model.keras")
    keys = {id(weight): key for key, weight in named(model).items()}
    told = json.loads(to_json(model, lambda weight: keys[id(weight)]))
    with pytest.raises(InvalidModel):
        from_json(json.dumps({**told, entry: value}), named(model), model.source)


@pytest.mark.parametrize(
    "part", [{"units": "4"}, {"units": True}, {"kernel": None}, {"activation": {"activation": "?"}}]
)
def test_a_field_of_another_type_is_refused(part: dict[str, Any]) -> None:
    model = api.load(GOOD / "k3151_stack" / "model.keras")
    keys = {id(weight): key for key, weight in named(model).items()}
    told = json.loads(to_json(model, lambda weight: keys[id(weight)]))
    cell = next(n["layer"] for n in told["nodes"] if n["layer"]["type"] == "Recurrent")["directions"][0]["cell"]
    cell |= part
    with pytest.raises(InvalidModel, match="is expected"):
        from_json(json.dumps(told), named(model), model.source)
