"""Proofs on data of one's own, certificates, test data; and what proofs of outputs alone let pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import command_line
import numpy as np
import onnx
import onnxruntime
import pytest
from neutral_models import Builder
from test_verify import GOOD, lstm_model, proof, scaled

from converter import api
from converter.errors import InvalidModel
from converter.exporters.onnx import export
from converter.model import Model, constant, layers
from converter.model.activations import LINEAR, Activation
from converter.verification import verify
from converter.verification.calls import NothingFits

CHECKER = Path(__file__).parents[1] / "tools/check_certificate.py"


def checked(*files: Path) -> subprocess.CompletedProcess[str]:
    """The checker in a process of its own, where it cannot import anything of ours."""
    return subprocess.run(
        [sys.executable, "-I", CHECKER, *files], capture_output=True, text=True, check=False, cwd=files[0].parent
    )


@pytest.mark.parametrize("case", ["k224_embed/model.h5", "k3151_bi/model.keras"])
def test_a_certificate_is_checked_again_without_us(case: str, tmp_path: Path) -> None:
    source, target, certificate = GOOD / case, tmp_path / "m.onnx", tmp_path / "c.json"
    api.convert(source, target, certificate=certificate)
    done = checked(certificate, source, target)
    assert done.returncode == 0, done.stdout + done.stderr
    spoiled = onnx.load(target)
    weight = next(t for t in spoiled.graph.initializer if "constant" not in t.name)
    scaled(weight.name, lambda w: w * 1.001)(spoiled)
    onnx.save(spoiled, tmp_path / "wrong.onnx")
    done = checked(certificate, source, tmp_path / "wrong.onnx")
    assert done.returncode == 1
    assert f"WRONG: {weight.name}" in done.stdout


def test_own_inputs_and_outputs_are_compared(tmp_path: Path) -> None:
    case = GOOD / "k224_embed"
    api.convert(case / "model.h5", tmp_path / "m.onnx", check=False)
    given = {"inputs": case / "inputs.npz", "expected": case / "expected.npz"}
    report = api.verify(case / "model.h5", tmp_path / "m.onnx", **given)
    assert report.passed
    assert report.cases[0].startswith("yours: ")
    with np.load(case / "expected.npz") as arrays:
        np.savez(tmp_path / "other.npz", **{name: array + np.float32(0.01) for name, array in arrays.items()})
    report = api.verify(case / "model.h5", tmp_path / "m.onnx", **given | {"expected": tmp_path / "other.npz"})
    assert "as you expect it" in report.wrong[0]
    with pytest.raises(InvalidModel, match=r"no \.npz file"):
        api.verify(case / "model.h5", tmp_path / "m.onnx", inputs=case / "meta.json")


def test_a_tolerance_proves_nothing_but_the_outputs(tmp_path: Path) -> None:
    model = lstm_model()
    export(model, tmp_path / "m.onnx")
    coarse = onnx.load(tmp_path / "m.onnx")
    scaled("rnn/W", lambda w: np.round(w * 64) / 64)(coarse)
    onnx.save(coarse, tmp_path / "m.onnx")
    assert verify(model, tmp_path / "m.onnx").verdict == "NOT equal"
    assert api.verify(model, tmp_path / "m.onnx", tolerance=0.1).verdict == "within the tolerance"
    assert api.verify(model, tmp_path / "m.onnx", tolerance=1e-6).verdict == "NOT equal"


def test_test_data_is_what_onnx_backend_tests_take(tmp_path: Path) -> None:
    api.convert(GOOD / "k224_embed/model.h5", tmp_path / "m.onnx", test_data=True)
    folder = tmp_path / "test_data_set_0"
    assert sorted(file.name for file in folder.iterdir()) == ["input_0.pb", "output_0.pb"]
    given, wanted = (onnx.numpy_helper.to_array(onnx.load_tensor(folder / name))
                     for name in ("input_0.pb", "output_0.pb"))  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    np.testing.assert_array_equal(session.run(None, {session.get_inputs()[0].name: given})[0], wanted)


# --- what proofs of outputs alone let pass ----------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [-3.0, 0.0, 0.99])
def test_small_outputs_are_held_to_their_own_size(tmp_path: Path, factor: float) -> None:
    builder = Builder()
    x = builder.input("x", (None, 3))
    dense = layers.Dense(constant("k", (builder.random.normal(0, 1e-8, (3, 2))).astype("f")), None, LINEAR)
    model = builder.model(builder.node("dense", dense, [x], (None, 2)))
    assert proof(model, tmp_path).passed
    report = proof(model, tmp_path, scaled("dense/kernel", lambda w: w * factor))
    assert report.nodes[0].wrong


def test_every_row_of_a_table_counts(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.input("x", (None, None), "int32")
    model = builder.model(builder.node("e", layers.Embedding(builder.weight(1000, 4)), [x], (None, None, 4)))

    def spoil(table: np.ndarray) -> np.ndarray:
        table[371] += 1
        return table

    assert any("e/embeddings" in failure for failure in proof(model, tmp_path, scaled("e/embeddings", spoil)).wrong)


def test_a_limit_that_no_input_reaches_is_tried(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.input("x", (None, 3))
    model = builder.model(builder.node("a", layers.Activate(Activation("relu", (0.0, 6.0, 0.0))), [x], (None, 3)))
    assert proof(model, tmp_path).missed == ()

    def lift(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            value = onnx.numpy_helper.to_array(tensor)
            if value.size == 1 and value == 6:
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(7), tensor.name))

    assert proof(model, tmp_path, lift).wrong[0].startswith("a: off by")


def test_a_node_that_leaves_its_tensor_as_it_is_is_held_to_that(tmp_path: Path) -> None:
    """bfloat16 is computed in float32: casting it to that is no operator at all."""
    builder = Builder()
    x = builder.input("x", (None, 3))
    low = builder.node("low", layers.Cast("bfloat16"), [x], (None, 3), dtype="bfloat16")
    high = builder.node("high", layers.Cast("float32"), low, (None, 3))
    report = proof(builder.model(high), tmp_path)
    assert report.passed, report.failures
    assert [one.values > 0 for one in report.nodes] == [True, True]


@pytest.mark.parametrize("command", ["convert", "verify"])
def test_a_file_of_another_kind_is_no_name_of_a_layer(command: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    model = Path(__file__).parents[1] / "fixtures" / "good" / "k224_stack" / "model.h5"
    given = [model, tmp_path / "m.onnx"] if command == "verify" else [model, "-o", tmp_path / "m.onnx"]
    words = [*([command] if command == "verify" else []), *given, "--inputs", tmp_path / "x.csv"]
    done = command_line.run(*words)
    assert done.returncode == 1 and "x.csv is no .npz file" in done.stderr, done.stderr


def grouping(steps: int) -> Model:
    """An LSTM over so many steps of the input at once."""
    b = Builder()
    x = b.input("x", (None, None, 2))
    (grouped,) = b.node("group", layers.Reshape((0, -1, 2 * steps)), [x], (None, None, 2 * steps))
    rnn = layers.Recurrent((layers.Direction(b.lstm(2 * steps, 2)),))
    h, *_ = b.node("rnn", rnn, [grouped, None, None, None], (None, 2), (None, 2), (None, 2))
    return b.model((h,))


@pytest.mark.parametrize("steps", [2, 3, 5, 6, 7, 8, 10, 12, 14, 16, 24, 25, 32, 50, 100])
def test_a_model_that_takes_only_multiples_of_some_length_is_proved(steps: int, tmp_path: Path) -> None:
    model = grouping(steps)
    export(model, tmp_path / "m.onnx")
    assert verify(model, tmp_path / "m.onnx").passed


def test_a_model_that_takes_no_length_of_ours_is_proved_on_yours(tmp_path: Path) -> None:
    model = grouping(7919)
    export(model, tmp_path / "m.onnx")
    with pytest.raises(NothingFits, match=r"no sequence of 7 to 7200 steps .* Give inputs that it takes with --inputs"):
        verify(model, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(2, 7919, 2)).astype("float32"))
    report = api.verify(model, tmp_path / "m.onnx", inputs=tmp_path / "x.npz")
    assert report.passed
    assert len(report.cases) == 1
