"""Every ONNX file that we write is read again, whole: the model is the same by its numbers, and can be written on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from converter import api, interpret
from converter.errors import ConversionError, Unsupported
from converter.exporters import EXPORTERS
from converter.model import Array, Model
from converter.verification.inputs import Case, cases_of

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
BROKEN = {Path(name).parts[-2:] for name in json.loads((GOOD.parent / "index.json").read_text())["broken"]}
CASES = [case for case in sorted(GOOD.iterdir()) for name in ("model.h5", "model.keras") if (case / name).exists()]
NAMES = [name for name in dict.fromkeys(case.name for case in CASES) if (name, "model.h5") not in BROKEN]


def source(name: str) -> Path:
    return next(path for path in (GOOD / name / "model.h5", GOOD / name / "model.keras") if path.exists())


def run(model: Model, like: Model, case: Case) -> list[Array]:
    """The outputs of all calls, states carried along."""
    states: dict[str, Array] = {}
    made = []
    for call in case.calls:
        given = {b.name: call[a.name] for a, b in zip(like.inputs, model.inputs, strict=True)}
        values = interpret.run(model, given, states=states or None)
        states = {state.input.name: values[state.output.name] for state in model.states}
        made += [values[value.name] for value in model.outputs]
    return made


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_again(name: str, tmp_path: Path) -> None:
    try:
        model = api.load(source(name))
        EXPORTERS["onnx"].export(model, tmp_path / "m.onnx")
    except ConversionError as problem:
        assert str(problem)
        return
    if any(value.dtype == "string" for value in model.inputs):
        with pytest.raises(Unsupported, match="an input of text is not read back"):
            api.load(tmp_path / "m.onnx")
        return
    again = api.load(tmp_path / "m.onnx")
    case = cases_of(model, 0)[0]
    for want, have in zip(run(model, model, case), run(again, model, case), strict=True):
        assert have.shape == want.shape
        low = any("float16" in value.dtype for node in model.nodes for value in node.outputs)
        scale = max(1.0, float(np.nanmax(np.abs(want), initial=0)))
        np.testing.assert_allclose(have, want, rtol=0, atol=(1e-3 if low else 1e-6) * scale)
    EXPORTERS["onnx"].export(again, tmp_path / "again.onnx")


@pytest.mark.parametrize("name", ["tf215_scan", "tf215_convlstm"])
def test_a_step_of_another_cell_is_refused(name: str, tmp_path: Path) -> None:
    EXPORTERS["onnx"].export(api.load(source(name)), tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    scan = next(node for node in proto.graph.node if node.op_type == "Scan")
    body = next(attribute.g for attribute in scan.attribute if attribute.name == "body")
    last = next(node for node in reversed(body.node) if node.op_type == "Mul")
    last.op_type = "Sub"
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(Unsupported, match="no step of a known cell"):
        api.load(tmp_path / "m.onnx")
    last.CopyFrom(helper.make_node("Sin", last.input[:1], last.output))
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(Unsupported, match="operator Sin in a Scan"):
        api.load(tmp_path / "m.onnx")
