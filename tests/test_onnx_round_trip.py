"""Every ONNX file that we write is read again, whole: the model is the same by its numbers, and can be written on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from converter import api, interpret
from converter.comparing.compare import compare_parts
from converter.comparing.parts import parts_of_graph
from converter.errors import Unsupported
from converter.exporters import EXPORTERS
from converter.model import Array, Model, dtype_of
from converter.model.sizes import Sizes
from converter.verification.inputs import Case, cases_of

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
INDEX = json.loads((GOOD.parent / "index.json").read_text())
BROKEN = {Path(name).parts[-2] for name in INDEX["broken"] if name.startswith("../good")}
SLOW = {"tf115_lengths", "tfk221_sequences"}  # to read as function graphs; tf115_sequences is their like
_BY_KIND: dict[str, list[str]] = {}  # "stack" was written by many versions, "k033_stack" to "tfk221_stack"
for _name in sorted({case.name for case in GOOD.iterdir()} - BROKEN - SLOW):
    _BY_KIND.setdefault(_name.split("_", 1)[1], []).append(_name)
# The newest, and the oldest of those that many versions wrote.
NAMES = sorted({name for names in _BY_KIND.values() for name in (names[0] if len(names) > 5 else names[-1], names[-1])})
WHOLE = {names[-1] for names in _BY_KIND.values()}  # those that are also written on
# What of a fixture is read: the first of these that it has.
KINDS = ("model.h5", "model.keras", "export", "savedmodel", "savedmodel_notraces", "tfjs", "weights.h5")
# What Keras 3 has no public layers or operations for, read from Keras' own file or from ONNX, and why.
NOT_KERAS = {
    "tf26_peephole": "no peepholes",
    "tf26_words": "a lookup of text",
    "tfk221_texts": "LowerCase cannot be written",
    "k3151_counts": "SplitWords cannot be written",
    **dict.fromkeys(("tf115_loops", "tfk221_owncells", "tf115_sequences"), "Size cannot be written"),
}
NO_WEIGHTS = ("k122th_merges", "k122th_products")


def written(model: Model, path: Path, name: str) -> Path:
    """As ONNX, of the opset that this fixture asks for."""
    EXPORTERS["onnx"].export(model, path, opset=INDEX["good"][name].get("options", {}).get("opset"))
    return path


def loaded(name: str) -> Model:
    kind = next((kind for kind in KINDS if (GOOD / name / kind).exists()), "ckpt/w")
    with_architecture = kind in ("weights.h5", "ckpt/w")
    return api.load(GOOD / name / kind, GOOD / name / "model.json" if with_architecture else None)


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


def run_file(path: Path, model: Model, case: Case) -> list[Array]:
    """The outputs of the first call in onnxruntime, from states of zeros."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = [case.calls[0][value.name] for value in model.inputs]
    for state in model.states:
        shape = [size or case.batch for size in state.input.shape]
        given.append(np.zeros(shape, dtype_of(state.input.dtype)))
    feeds = {taken.name: array for taken, array in zip(session.get_inputs(), given, strict=True)}
    made: list[Array] = session.run(None, feeds)
    return made


def alike(have: Array, want: Array, model: Model, close: float = 2e-6) -> None:
    low = any("float16" in value.dtype for node in model.nodes for value in node.outputs)
    assert have.shape == want.shape
    scale = max(1.0, float(np.nanmax(np.abs(want), initial=0)))
    np.testing.assert_allclose(have, want, rtol=0, atol=(1e-3 if low else close) * scale)


def check(wanted: list[Array], again: Model, model: Model, case: Case) -> None:
    for want, have in zip(wanted, run(again, model, case), strict=True):
        alike(have, want, model)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_again(name: str, tmp_path: Path) -> None:
    """The numbers are the same, `inspect` and `compare` take it; ONNX and Keras are written of it."""
    model = loaded(name)
    (case,) = cases_of(model, 0, [(2, 11)])
    again = api.load(written(model, tmp_path / "m.onnx", name))
    wanted = run(model, model, case)
    check(wanted, again, model, case)
    assert api.inspect(again).parameters > 0
    assert compare_parts(parts_of_graph(model), parts_of_graph(again)).equal == (name not in NO_WEIGHTS)
    if name not in WHOLE:
        return
    written(again, tmp_path / "again.onnx", name)
    values = interpret.run(model, {value.name: case.calls[0][value.name] for value in model.inputs})
    ends = (*model.outputs, *(state.output for state in model.states))
    for have, value in zip(run_file(tmp_path / "again.onnx", model, case), ends, strict=True):
        alike(have, values[value.name], model, 1e-5)
    if name in NOT_KERAS:
        with pytest.raises(Unsupported, match=NOT_KERAS[name]):
            EXPORTERS["keras"].export(again, tmp_path / "m.keras")
        return
    EXPORTERS["keras"].export(again, tmp_path / "m.keras")
    check(wanted, api.load(tmp_path / "m.keras"), model, case)


@pytest.mark.parametrize("name", ["tf215_scan", "tf215_convlstm"])
def test_a_step_of_another_cell_is_refused(name: str, tmp_path: Path) -> None:
    EXPORTERS["onnx"].export(loaded(name), tmp_path / "m.onnx")
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


@pytest.mark.parametrize("name", ["k224_maskunroll", "tf22_maskfused"])
def test_masks_at_sizes_that_are_fixed_for_another_runtime_are_read_again(name: str, tmp_path: Path) -> None:
    """There no Slice goes backwards: a Gather takes the steps from the last to the first."""
    path = GOOD / name / "model.h5"
    api.convert(path, tmp_path / "m.onnx", runtime="c", sizes=Sizes(batch=2), check=False)
    model, again = api.load(path), api.load(tmp_path / "m.onnx")
    (case,) = cases_of(model, 0, [(2, 11)])
    check(run(model, model, case), again, model, case)
