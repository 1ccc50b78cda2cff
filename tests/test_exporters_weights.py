"""Targets other than ONNX: what they write means the same when it is read again, by us and by Keras 3 itself."""

from __future__ import annotations

import ast
import json
import os
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from neutral_models import Builder, feed, lstm_model
from safetensors.numpy import load_file
from sampling import some

from converter import api, interpret
from converter.comparing.compare import compare
from converter.errors import ConversionError, Unsupported
from converter.exporters import EXPORTERS, flax, keras, npz, safetensors, torch
from converter.gates import unpack
from converter.model import Model, Value, layers
from converter.model.activations import Activation
from converter.model.layers import Direction, Recurrent
from converter.model.prune import prune
from converter.readers import load, state_dict

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
BROKEN = {Path(name).parts[-2:] for name in json.loads((GOOD.parent / "index.json").read_text())["broken"]}
CANDIDATES = sorted(path for case in GOOD.iterdir() for path in (case / "model.h5", case / "model.keras"))
FILES = [path for path in CANDIDATES if path.exists() and path.parts[-2:] not in BROKEN]
UNWRITTEN = {
    "k224_statemask.h5", "k3151_counts.keras", "k3151_texts.keras", "k3151_words.keras",
    "tf115_peephole.h5", "tf213_words.keras", "tf26_peephole.h5", "tfk221_texts.keras",
}  # fmt: skip
"""What no layer of Keras 3 computes: every other one of the more than 200 is written."""
WRITTEN = sorted({*some(FILES, 4), *(path for path in FILES if f"{path.parent.name}{path.suffix}" in UNWRITTEN)})
OLD_HARD_SIGMOID = Activation("hard_sigmoid", (0.2, 0.5))


def name_of(path: Path) -> str:
    return f"{path.parent.name}{path.suffix}"


def outputs(model: Model, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    made = interpret.run(model, arrays)
    return [made[value.name] for value in model.outputs]


def assert_same(
    model: Model, again: Model, tolerance: float = 1e-6, arrays: dict[str, np.ndarray] | None = None
) -> None:
    arrays = arrays or feed(model, 2, 9)
    renamed = {b.name: arrays[a.name] for a, b in zip(model.inputs, again.inputs, strict=True)}
    for want, have in zip(outputs(model, arrays), outputs(again, renamed), strict=True):
        assert have.shape == want.shape
        assert np.abs(have - want).max(initial=0) <= tolerance * max(1, np.abs(want).max(initial=0))


# --- Keras ------------------------------------------------------------------------------------------------------------


# Genuine Keras opens them all in CI: benchmarks.prove_targets
@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_keras_archives_mean_what_the_old_file_meant(path: Path, tmp_path: Path) -> None:
    model = prune(load(path))
    try:
        keras.export(model, tmp_path / "new.keras")
    except Unsupported as error:
        assert str(error) and name_of(path) in UNWRITTEN
        return
    assert name_of(path) not in UNWRITTEN
    again = prune(load(tmp_path / "new.keras"))
    low = any(value.dtype in ("float16", "bfloat16") for node in model.nodes for value in node.outputs)
    if not model.states:
        given = np.load(path.parent / "inputs.npz")
        arrays = {v.name: given[f"in{k}"] for k, v in enumerate(model.inputs) if f"in{k}" in given.files}
        assert_same(model, again, 1e-2 if low else 2e-6, arrays)


def test_the_old_hard_sigmoid_is_scaled(tmp_path: Path) -> None:
    model = lstm_model(Builder(), gate=OLD_HARD_SIGMOID)
    keras.export(model, tmp_path / "m.keras")
    again = load(tmp_path / "m.keras")
    cell, old = (m.nodes[0].layer.directions[0].cell for m in (again, model))
    assert cell.recurrent_activation == Activation("hard_sigmoid", (1 / 6, 0.5))
    ratio = cell.kernel.read() / old.kernel.read()
    np.testing.assert_allclose(ratio.reshape(3, 4, 4).mean((0, 2)), [1.2, 1.2, 1, 1.2], rtol=1e-6)
    assert_same(model, again)


def test_an_old_hard_sigmoid_on_the_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="it also acts on the cell state"):
        keras.export(lstm_model(Builder(), activation=OLD_HARD_SIGMOID), tmp_path / "m.keras")


def test_the_mask_of_one_layer_does_not_reach_the_next(tmp_path: Path) -> None:
    b = Builder()
    x, mask = b.input("x", (None, None, 3)), b.input("mask", (None, None), "bool")
    one = Recurrent((Direction(b.lstm(3, 4)),), return_sequences=True)
    two = Recurrent((Direction(b.lstm(4, 5)),), return_sequences=True)
    y, *_ = b.node("one", one, [x, mask, None, None], (None, None, 4), (None, 4), (None, 4))
    z, *_ = b.node("two", two, [y, None, None, None], (None, None, 5), (None, 5), (None, 5))
    model = b.model([z])
    keras.export(model, tmp_path / "m.keras")
    assert_same(model, load(tmp_path / "m.keras"))


PICKED = ["k122_bi", "k122_stack", "k224_stack", "k224_maskbi", "k224_encdec", "k224_acts", "k231_gru", "tf215_maskbi"]


@pytest.mark.tensorflow
@pytest.mark.skipif(not all(find_spec(n) for n in ("tensorflow", "keras")), reason="needs TensorFlow and Keras 3")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PICKED)
def test_keras_3_opens_and_predicts_what_the_old_keras_predicted(name: str, tmp_path: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from keras.models import load_model
    keras.export(load(GOOD / name / "model.h5"), tmp_path / "m.keras")
    revived = load_model(tmp_path / "m.keras", compile=False)
    given, want = np.load(GOOD / name / "inputs.npz"), np.load(GOOD / name / "expected.npz")
    arrays = [given[f"in{k}"] for k in range(len(given.files))]
    have = revived(arrays if len(arrays) > 1 else arrays[0])
    have = have if isinstance(have, list | tuple) else [have]
    for k, array in enumerate(have):
        np.testing.assert_allclose(np.asarray(array), want[f"out{k}"], rtol=0, atol=5e-6)


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def bidirectional(b: Builder, x: Value, features: int, units: int, name: str) -> Value:
    pair = (Direction(b.lstm(features, units)), Direction(b.lstm(features, units), True, True))
    layer = Recurrent(pair, "concat", return_sequences=True)
    shapes = [(None, None, 2 * units), *[(None, units)] * 4]
    return b.node(name, layer, [x, *[None] * 5], *shapes)[0]


def stack() -> Model:
    b = Builder()
    x = b.input("x", (None, None, 3))
    return b.model([bidirectional(b, bidirectional(b, x, 3, 5, "one"), 10, 5, "two")])


def test_a_stack_has_the_keys_and_shapes_of_one_torch_lstm(tmp_path: Path) -> None:
    model = stack()
    torch.export(model, tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    expected = {}
    for level, features in enumerate((3, 10)):
        for suffix in (f"_l{level}", f"_l{level}_reverse"):
            expected |= {f"weight_ih{suffix}": (20, features), f"weight_hh{suffix}": (20, 5)}
            expected |= {f"bias_ih{suffix}": (20,), f"bias_hh{suffix}": (20,)}
    assert {key: array.shape for key, array in arrays.items()} == expected
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell = unpack({part: arrays[f"{part}_l1_reverse"] for part in parts}, "torch/LSTM")
    want = model.nodes[1].layer.directions[1].cell
    assert np.array_equal(cell.kernel, want.kernel.read())
    text = (tmp_path / "m_torch.py").read_text()
    assert "nn.LSTM(3, 5, num_layers=2, batch_first=True, bidirectional=True)" in text


def test_a_state_dict_comes_back(tmp_path: Path) -> None:
    model = stack()
    torch.export(model, tmp_path / "m.safetensors")
    assert_same(model, state_dict.load(tmp_path / "m.safetensors"), 1e-12)


@pytest.mark.parametrize("path", some(FILES, 6), ids=name_of)
def test_torch_modules_are_python_and_weights_equal(path: Path, tmp_path: Path) -> None:
    try:
        torch.export(prune(load(path)), tmp_path / "m.safetensors")
    except Unsupported:
        return
    tree = ast.parse((tmp_path / "m_torch.py").read_text())
    model = [node for node in tree.body if isinstance(node, ast.ClassDef)][-1]
    assert {"__init__", "forward"} <= {n.name for n in model.body if isinstance(n, ast.FunctionDef)}
    load_file(tmp_path / "m.safetensors")


def test_names_of_a_file_cannot_become_code(tmp_path: Path) -> None:
    b = Builder()
    x = b.input('x"""; import os; os.system("true") #', (None, 3))
    (y,) = b.node("forward\n    import os", layers.Dense(b.weight(3, 2), None), [x], (None, 2))
    model = b.model([y])
    torch.export(model, tmp_path / "m.safetensors")
    tree = ast.parse((tmp_path / "m_torch.py").read_text())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert imported == {"torch"}
    assert "system" not in {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}


def test_what_torch_cannot_compute_is_refused(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, 3), "float16")
    (y,) = b.node("dense", layers.Dense(b.weight(3, 2), None), [x], (None, 2), dtype="float16")
    (z,) = b.node("cast", layers.Cast("float32"), [y], (None, 2), dtype="float32")
    with pytest.raises(Unsupported, match="models of float32 or of float64"):
        torch.export(b.model([z]), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"gate": OLD_HARD_SIGMOID}, {"peephole": True}], ids=str)
def test_cells_that_torch_does_not_have_come_along(options: dict[str, object], tmp_path: Path) -> None:
    torch.export(lstm_model(Builder(), **options), tmp_path / "m.safetensors")
    tree = ast.parse((tmp_path / "m_torch.py").read_text())
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == ["KerasLSTM", "Model"]
    assert set(load_file(tmp_path / "m.safetensors")) == {"weight_ih", "weight_hh", "bias"} | (
        {"peephole"} if "peephole" in options else set()
    )


# --- neutral weights and Flax -----------------------------------------------------------------------------------------


def test_neutral_weights_say_their_convention(tmp_path: Path) -> None:
    model = lstm_model(Builder())
    npz.export(model, tmp_path / "m.npz")
    safetensors.export(model, tmp_path / "m.safetensors")
    with np.load(tmp_path / "m.npz") as arrays:
        metadata = json.loads(str(arrays["metadata"]))
        assert json.loads(metadata["conventions"]) == {"lstm": "keras/LSTM"}
        kernel = arrays["lstm/kernel"]
    assert np.array_equal(kernel, load_file(tmp_path / "m.safetensors")["lstm/kernel"])
    assert np.array_equal(kernel, model.nodes[0].layer.directions[0].cell.kernel.read())


def test_flax_names(tmp_path: Path) -> None:
    flax.export(lstm_model(Builder()), tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    assert {k: v.shape for k, v in arrays.items() if "/i" in k} == {
        f"params/lstm/cell/i{g}/kernel": (3, 4) for g in "ifgo"
    }  # fmt: skip
    assert arrays["params/lstm/cell/hf/bias"].shape == (4,)


@pytest.mark.parametrize("target", sorted(set(EXPORTERS) - {"onnx"}))
def test_the_same_model_gives_the_same_bytes(target: str, tmp_path: Path) -> None:
    written = []
    for k in (1, 2):
        folder = tmp_path / str(k)
        folder.mkdir()
        path = folder / f"m{EXPORTERS[target].suffix}"
        EXPORTERS[target].export(lstm_model(Builder()), path)
        written.append(path.read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("target", ["keras", "torch", "safetensors", "npz", "onnx"])
def test_weights_are_equal_after_any_conversion(target: str, tmp_path: Path) -> None:
    source = GOOD / "k3151_stack" / "model.keras"
    path = tmp_path / f"m{EXPORTERS[target].suffix}"
    EXPORTERS[target].export(prune(load(source)), path)
    report = compare(source, path)
    assert report.equal, report.lines()
    assert all(pair.verdict == "equal" for pair in report.pairs)


def test_unreadable_state_dicts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    torch.export(stack(), path)
    data = path.read_bytes()
    for broken in (data[:-4], data + b"0000", data.replace(b'"F32"', b'"F16"', 1), data[:40]):
        path.write_bytes(broken)
        with pytest.raises(ConversionError):
            state_dict.load(path)


def test_a_module_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    goal, module = tmp_path / "m.safetensors", tmp_path / "m_torch.py"
    module.write_text("print('mine')\n")
    with pytest.raises(FileExistsError, match="never replaced"):
        api.convert(FILES[0], goal, to="torch", force=True)
    assert module.read_text() == "print('mine')\n"
    assert not goal.exists()
    module.write_text('"""model, converted from Keras by keras-lstm-convert."""\n')
    torch.guard(goal)


def test_batch_normalization_keeps_its_momentum(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, 3))
    layer = layers.BatchNormalization(1, None, None, b.weight(3), b.weight(3), 1e-3, 0.9)
    torch.export(b.model(b.node("norm", layer, [x], (None, 3))), tmp_path / "m.safetensors")
    assert "momentum=0.1)" in (tmp_path / "m_torch.py").read_text()
