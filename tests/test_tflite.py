"""TFLite files: proved, right at every call, one recurrent operator per direction, nothing but builtin operators."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from lite_files import exported, interpreter, operators, run
from neutral_models import Builder

from converter import InvalidModel, Unsupported, VerificationFailed, api
from converter.cli.main import main
from converter.comparing.compare import compare
from converter.exporters.tflite.overview import overview
from converter.formats import tflite
from converter.model import layers
from converter.model.activations import NAMES, Activation
from converter.model.sizes import Sizes
from converter.verification import verify

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
LSTM, RNN = "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"


def genuine(name: str, kind: str) -> list[np.ndarray]:
    with np.load(GOOD / name / f"{'inputs' if kind == 'in' else 'expected'}.npz") as file:
        return [file[key] for key in sorted(file.files)]


# The fixture, its file, and how many fused operators, loops and written out steps it has.
CASES = {
    "tf215_stack/model.h5": {LSTM: 2},
    "k3151_nested/model.keras": {LSTM: 3},
    "tf215_bi/model.h5": {LSTM: 10},
    "tf215_timemajor/model.h5": {LSTM: 1},
    "tf215_bistate/model.h5": {LSTM: 3, "WHILE": 1},
    "tf215_encdec/model.h5": {LSTM: 2},
    "tf215_stateful/model.h5": {LSTM: 2},
    "tf215_gru/model.h5": {RNN: 1, "PACK": 2},
    "k224_last/model.h5": {"WHILE": 1},
    "tf215_embed/model.h5": {"WHILE": 2},
    "tf215_maskcells/model.h5": {},
    "k122_knees/model.h5": {},
    "k122_merges/model.h5": {},
}


@pytest.mark.parametrize("source", CASES)
def test_fixtures_are_proved(source: str, tmp_path: Path) -> None:
    done = api.convert(GOOD / source, tmp_path / "m.tflite", to="tflite")
    assert done.reports[0].passed
    found = operators(tmp_path / "m.tflite")
    assert {kind: found[kind] for kind in CASES[source]} == CASES[source]
    assert not any("Flex" in kind or kind == "CUSTOM" for kind in found)


@pytest.mark.parametrize("name", ["tf215_stack", "tf215_bi", "tf215_options", "k122_bi"])
def test_every_call_gives_what_keras_gave(name: str, tmp_path: Path) -> None:
    path = exported(api.load(GOOD / name / "model.h5"), tmp_path / "m.tflite")
    made = interpreter(path)
    inputs, wanted = genuine(name, "in"), genuine(name, "out")
    for _ in range(3):
        for have, want in zip(run(made, *inputs), wanted, strict=True):
            assert np.abs(have - want).max() <= 1e-6 * np.abs(want).max()
        run(made, *(np.ones_like(array) for array in inputs))  # whatever was called before


def stream(b: Builder) -> object:
    """An LSTM whose states are given and given back."""
    x, h, c = b.input("x", (None, None, 3)), b.input("h", (None, 4)), b.input("c", (None, 4))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4)),), return_sequences=True)
    made = b.node("lstm", layer, [x, None, h, c], (None, None, 4), (None, 4), (None, 4))
    return b.model(made, ["y", "h_out", "c_out"])


def test_states_may_be_fed_back(tmp_path: Path) -> None:
    made = interpreter(exported(stream(Builder()), tmp_path / "m.tflite"))  # type: ignore[arg-type]
    x, zeros = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("f"), np.zeros((2, 4), "f")
    whole = run(made, x, zeros, zeros)
    first, h, c = run(made, x[:, :4], zeros, zeros)
    second = run(made, x[:, 4:], h, c)
    assert np.abs(np.concatenate([first, second[0]], 1) - whole[0]).max() <= 1e-7
    assert all(np.abs(a - b).max() <= 1e-7 for a, b in zip(second[1:], whole[1:], strict=True))


def test_sizes_are_open_or_fixed(tmp_path: Path) -> None:
    source = GOOD / "k224_last" / "model.h5"
    api.convert(source, tmp_path / "open.tflite", to="tflite")
    api.convert(source, tmp_path / "fixed.tflite", to="tflite", sizes=Sizes(1, 6))
    shapes = [interpreter(tmp_path / f"{name}.tflite").get_input_details()[0]["shape_signature"].tolist()
              for name in ("open", "fixed")]  # fmt: skip
    assert shapes[0][:2] == [-1, -1]
    assert shapes[1][:2] == [1, 6]
    assert operators(tmp_path / "fixed.tflite")["WHILE"] == 0  # steps that are few and known are written out


@pytest.mark.parametrize(("name", "batch"), [("tf215_stack", 1), ("tf215_stateful", 3)])
def test_a_batch_that_the_file_fixes_is_tried_unless_the_model_fixes_another(
    name: str, batch: int, tmp_path: Path
) -> None:
    source, path = GOOD / name / "model.h5", tmp_path / "m.tflite"
    api.convert(source, path, to="tflite", sizes=Sizes(batch))
    assert api.verify(source, path).passed  # LiteRT resizes no states that start as constants


def test_inputs_and_outputs_have_names(tmp_path: Path) -> None:
    exported(api.load(GOOD / "tf215_stateful" / "model.h5"), tmp_path / "m.tflite")
    signature = interpreter(tmp_path / "m.tflite").get_signature_list()["serving_default"]
    assert set(signature["inputs"]) == {"lstm_input", "lstm_h_in", "lstm_c_in", "lstm_1_h_in", "lstm_1_c_in"}
    states = tflite.read(tmp_path / "m.tflite").metadata["states"]
    assert states[0] == {"input": "lstm_h_in", "output": "lstm_h_out"}


def test_an_output_may_be_an_input_or_stand_twice(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, 3))
    (y,) = b.node("dense", layers.Dense(b.weight(3, 3), b.weight(3)), [x], (None, 3))
    model = b.model([y, x, y], ["y", "same", "again"])
    path = exported(model, tmp_path / "m.tflite")
    assert verify(model, path).passed
    made = run(interpreter(path), np.ones((2, 3), "f"))
    assert np.array_equal(made[0], made[2])
    assert np.array_equal(made[1], np.ones((2, 3)))


def test_buffers_are_aligned(tmp_path: Path) -> None:
    path = exported(api.load(GOOD / "tf215_stack" / "model.h5"), tmp_path / "m.tflite")
    model = tflite.schema().Model.GetRootAs(path.read_bytes(), 0)
    for k in range(model.BuffersLength()):
        if not model.Buffers(k).DataIsNone():
            table = model.Buffers(k)._tab
            assert table.Vector(table.Offset(4)) % tflite.ALIGNMENT == 0


@pytest.mark.parametrize("name", ["tf215_stack", "tf215_gru", "k224_gru", "k224_options", "tf26_peephole"])
def test_weights_are_read_back(name: str, tmp_path: Path) -> None:
    path = exported(api.load(GOOD / name / "model.h5"), tmp_path / "m.tflite")
    assert compare(GOOD / name / "model.h5", path).equal


def altered(path: Path, change: object) -> Path:
    model = tflite.read_tables(path.read_bytes())
    change(model)  # type: ignore[operator]
    path.write_bytes(tflite.pack(model))
    return path


def swap_gates(model: object) -> None:
    (op,) = [op for op in model.subgraphs[0].operators if len(op.inputs) == 24][:1]  # type: ignore[attr-defined]
    op.inputs[6], op.inputs[7] = op.inputs[7], op.inputs[6]


def change_weight(model: object) -> None:
    graph = model.subgraphs[0]  # type: ignore[attr-defined]
    place = next(t.buffer for t in graph.tensors if t.name.endswith(b"input_to_cell_weights"))
    data = np.array(model.buffers[place].data)  # type: ignore[attr-defined]
    data[0] ^= 1
    model.buffers[place].data = data  # type: ignore[attr-defined]


def keep_state(model: object) -> None:
    """As other converters have it: nothing is written into the states before the operator."""
    graph = model.subgraphs[0]  # type: ignore[attr-defined]
    states = {place for op in graph.operators if len(op.inputs) == 24 for place in op.inputs[18:20]}
    graph.operators = [op for op in graph.operators if op.outputs[0] not in states]


@pytest.mark.parametrize("change", [swap_gates, change_weight, keep_state])
def test_what_computes_something_else_is_found_out(change: object, tmp_path: Path) -> None:
    model = api.load(GOOD / "tf215_stack" / "model.h5")
    path = altered(exported(model, tmp_path / "m.tflite"), change)
    assert api.verify(model, path).verdict == "NOT equal"


def refused(b: Builder, layer: object, *shape: int | None) -> object:
    x = b.input("x", (None, None, *shape))
    return b.model(b.node("that", layer, [x], (None, None, *shape)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Activate(Activation("sparsemax", (2,))), "that: the activation sparsemax"),
        (layers.Einsum("abc->acb"), "that: Einsum"),
        (layers.Cast("float16"), "that: values of type float16"),
        (layers.Pad(((0, 0), (1, 1), (0, 0)), mode="edge"), "that: padding an open axis with the edge"),
    ],
)
def test_what_no_builtin_operator_computes_is_refused_by_name(layer: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="cannot be exported to TFLite") as error:
        exported(refused(Builder(), layer, 3), tmp_path / "m.tflite")  # type: ignore[arg-type]
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("name", ["relu", "linear", "relu6", "tanh"])
@pytest.mark.parametrize("kind", [LSTM, RNN])
def test_activations_of_the_fused_operators(kind: str, name: str, tmp_path: Path) -> None:
    b = Builder()
    x, activation = b.input("x", (None, None, 3)), NAMES[name]
    cell = b.lstm(3, 4, activation, peephole=True) if kind == LSTM else b.simple(3, 4, activation)
    layer = layers.Recurrent((layers.Direction(cell),), return_sequences=True)
    shapes = [(None, 4)] * cell.states
    model = b.model(b.node("that", layer, [x, None, *[None] * cell.states], (None, None, 4), *shapes)[:1])
    path = exported(model, tmp_path / "m.tflite")
    assert operators(path)[kind] == (kind == RNN or name == "tanh")  # all that LSTM computes in every runtime
    assert verify(model, path).passed


def test_without_the_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    tflite.schema.cache_clear()
    source = str(GOOD / "tf215_stack" / "model.h5")
    assert main([source, "--to", "tflite", "-o", str(tmp_path / "m.tflite")]) == 1
    tflite.schema.cache_clear()
    assert capsys.readouterr().err.strip().endswith("ai-edge-litert is not installed. pip install ai-edge-litert")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [8, 40, 400, 2000])
def test_broken_files_are_refused(size: int, tmp_path: Path) -> None:
    path = exported(api.load(GOOD / "tf215_stack" / "model.h5"), tmp_path / "m.tflite")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InvalidModel, match="no sound TFLite file"):
        tflite.read(path)


def test_inspect_tells_what_a_microcontroller_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.tflite"
    api.convert(GOOD / "k3151_stack" / "model.keras", path, to="tflite", sizes=Sizes(1))
    assert main(["inspect", str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "  resolver.AddUnidirectionalSequenceLSTM();" in said
    assert "runs in TensorFlow Lite and LiteRT since 1.13.1" in said
    assert not any("each open size" in text for text in said)
    api.convert(GOOD / "tf215_gru" / "model.h5", path, to="tflite", force=True)
    assert main(["inspect", str(path)]) == 0
    assert "TFLite Micro has no UNIDIRECTIONAL_SEQUENCE_RNN" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["tf215_stack", "tf215_bi", "tf215_options", "tf215_timemajor"])
def test_integers(name: str, tmp_path: Path) -> None:
    inputs = tmp_path / "x.npz"
    np.savez(inputs, *genuine(name, "in"))
    path = tmp_path / "m.tflite"
    done = api.convert(
        GOOD / name / "model.h5", path, to="tflite", quantize="int8", inputs=inputs, tolerance=0.01
    )  # fmt: skip
    assert done.reports[0].verdict == "within the tolerance"
    contents = tflite.read(path)
    types = {tflite.NAMES[contents.graph.tensors[op.inputs[k]].type]
             for op in contents.graph.operators if contents.kind(op) == LSTM for k in (0, 1, 8, 18)}  # fmt: skip
    assert types == {"int8"}
    made = interpreter(path)
    first = run(made, *genuine(name, "in"))
    again = run(made, *genuine(name, "in"))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_integers_want_data_and_an_lstm(tmp_path: Path) -> None:
    source, inputs = GOOD / "tf215_stack" / "model.h5", tmp_path / "x.npz"
    with pytest.raises(Unsupported, match="data to be calibrated on"):
        api.convert(source, tmp_path / "m.tflite", to="tflite", quantize="int8")
    np.savez(inputs, *genuine("tf215_stack", "in"))
    with pytest.raises(Unsupported, match="float16 is not for tflite"):
        api.convert(source, tmp_path / "m.tflite", to="tflite", quantize="float16", inputs=inputs)
    with pytest.raises(VerificationFailed, match="more than the tolerance"):
        api.convert(source, tmp_path / "m.tflite", to="tflite", quantize="int8", inputs=inputs, tolerance=1e-6)
    np.savez(inputs, *genuine("k224_gru", "in"))
    with pytest.raises(Unsupported, match="no LSTM that could compute in integers"):
        api.convert(GOOD / "k224_gru" / "model.h5", tmp_path / "m.tflite", to="tflite", quantize="int8", inputs=inputs)
    assert not list(tmp_path.glob("*.tflite"))


def test_a_certificate_is_for_onnx(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="certificate is not for tflite"):
        api.convert(GOOD / "tf215_stack" / "model.h5", tmp_path / "m.tflite", to="tflite", certificate=tmp_path / "c")


def test_the_page_says_what_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (GOOD.parents[1] / "docs" / "phones.md").read_text(encoding="utf-8")
    api.convert(GOOD / "tf215_stack" / "model.h5", tmp_path / "model.tflite", to="tflite")
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, dict[str, np.ndarray]] = {}
    exec(compile(snippet, "phones.md", "exec"), names)  # type: ignore[arg-type]
    assert names["outputs"]["dense"].shape == (1, 2)
    b = Builder()
    x = b.input("x", (1, 10, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4)),))
    h, *_ = b.node("lstm", layer, [x, None, None, None], (1, 4), (1, 4), (1, 4))
    model = b.model(b.node("dense", layers.Dense(b.weight(4, 2), b.weight(2)), [h], (1, 2)))
    calls = overview(exported(model, tmp_path / "small.tflite")).micro
    assert re.findall(r"resolver\.(\w+)\(\)", page) == list(calls)
