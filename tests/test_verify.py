"""Verification: right files pass in every regime, wrong ones fail for the right reason, and nothing passes by luck."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec import structs
from neutral_models import Builder

from converter import api
from converter.errors import InvalidModel
from converter.exporters.onnx import export
from converter.interpret import run
from converter.model import LayerInfo, Model, constant, layers
from converter.model.activations import LINEAR, SIGMOID, TANH, Activation
from converter.model.layers import Direction, Recurrent
from converter.verification import Report, verify

GOOD = Path(__file__).parents[1] / "fixtures/good"
RELU = Activation("relu", (0.0, float("inf"), 0.0))


def one_layer(make: Callable[[Builder], layers.Cell], steps: int | None = None, **options: bool) -> Model:
    builder = Builder()
    x = builder.input("x", (None, steps, 3))
    (y,) = builder.node("rnn", Recurrent((Direction(make(builder), **options),)), [x, None, None, None], (None, 4))[:1]
    return builder.model([y])


def lstm_model(**cell: object) -> Model:
    builder = Builder()
    x = builder.input("x", (None, None, 3))
    node = Recurrent((Direction(builder.lstm(3, 4, **cell)),), return_sequences=True)
    y, *_ = builder.node("rnn", node, [x, None, None, None], (None, None, 4), (None, 4), (None, 4))
    return builder.model([y])


def proof(model: Model, folder: Path, spoil: Callable[[onnx.ModelProto], None] | None = None) -> Report:
    """Exports the model, spoils the file, verifies it."""
    path = folder / "m.onnx"
    export(model, path)
    if spoil is not None:
        proto = onnx.load(path)
        spoil(proto)
        onnx.save(proto, path)
    return verify(model, path)


def scaled(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[onnx.ModelProto], None]:
    """Changes one initializer."""

    def spoil(proto: onnx.ModelProto) -> None:
        tensor = next(t for t in proto.graph.initializer if t.name == name)
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(change(array.copy()).astype(array.dtype), name))

    return spoil


def swap_gates(w: np.ndarray) -> np.ndarray:
    i, o, f, c = np.split(w, 4, axis=1)
    return np.concatenate([i, o, c, f], axis=1)


def test_a_right_file_passes_with_both_numbers(tmp_path: Path) -> None:
    report = proof(lstm_model(), tmp_path)
    assert report.passed
    assert 0 < report.share < 1
    assert 0 < report.error < 1e-6
    assert report.nodes[0].steps == 1 + 2 * 2 + 5 * 8 * 7
    assert json.loads(json.dumps(report.as_json()))["passed"] is True


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rnn/W", swap_gates),
        ("rnn/R", lambda w: w * (1 + 1e-4)),
        ("rnn/B", lambda w: w + 1e-4),
        ("rnn/R", lambda w: np.swapaxes(w.reshape(1, 4, 4, 4), 2, 3).reshape(w.shape)),
    ],
)
def test_wrong_weights_fail_twice(tmp_path: Path, name: str, change) -> None:
    report = proof(lstm_model(), tmp_path, scaled(name, change))
    assert not report.passed
    assert report.verdict == "NOT equal"
    assert [one.wrong for one in report.nodes] == [True]
    assert any(name in failure for failure in report.failures)


def test_a_wrong_direction_fails(tmp_path: Path) -> None:
    def turn(proto: onnx.ModelProto) -> None:
        (node,) = [n for n in proto.graph.node if n.op_type == "LSTM"]
        next(a for a in node.attribute if a.name == "direction").s = b"reverse"

    report = proof(lstm_model(), tmp_path, turn)
    assert report.wrong[0].startswith("rnn: ")


@pytest.mark.parametrize("activation", [TANH, RELU, Activation("softplus"), Activation("mish")])
@pytest.mark.parametrize("kind", ["lstm", "gru", "simple"])
def test_every_cell_native_or_scan_has_its_residual(tmp_path: Path, kind: str, activation: Activation) -> None:
    builder = Builder(1)
    x = builder.input("x", (None, None, 3))
    cell = getattr(builder, kind)(3, 4, activation)
    states = 2 if kind == "lstm" else 1
    pair = (Direction(cell), Direction(cell, reverse_input=True, reverse_output=True))
    shapes = [(None, None, 8), *[(None, 4)] * (2 * states)]
    node = Recurrent(pair, merge="concat", return_sequences=True)
    y, *_ = builder.node("rnn", node, [x, None, *[None] * (2 * states)], *shapes)
    report = proof(builder.model([y]), tmp_path)
    assert report.passed, report.failures
    assert report.nodes[0].steps == 2 * (1 + 2 * 2 + 5 * 8 * 7)
    assert 0 < report.share < 1


def test_a_chaotic_model_is_proved_step_by_step_and_a_wrong_one_still_fails(tmp_path: Path) -> None:
    def chaotic() -> Model:
        builder = Builder(3)
        x = builder.input("x", (None, 200, 3))
        cell = builder.lstm(3, 32)
        cell = structs.replace(
            cell, recurrent_kernel=constant("r", builder.random.normal(0, 3.0, (32, 128)).astype("f"))
        )
        y, *_ = builder.node("rnn", Recurrent((Direction(cell),)), [x, None, None, None], (None, 32), *[(None, 32)] * 2)
        return builder.model([y])

    right = proof(chaotic(), tmp_path)
    assert right.passed, right.failures
    assert right.error > 1e-3
    wrong = proof(chaotic(), tmp_path, scaled("rnn/R", lambda w: w * (1 + 1e-4)))
    assert wrong.wrong[0].startswith("rnn: off by")


def test_an_operator_of_another_name_is_held_to_its_outputs(tmp_path: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        next(n for n in proto.graph.node if n.op_type == "LSTM").name = "other/LSTM"

    def rename_and_turn(proto: onnx.ModelProto) -> None:
        node = next(n for n in proto.graph.node if n.op_type == "LSTM")
        node.name, next(a for a in node.attribute if a.name == "direction").s = "other/LSTM", b"reverse"

    assert proof(lstm_model(), tmp_path, rename).nodes[0].steps == 0
    assert proof(lstm_model(), tmp_path, rename_and_turn).wrong[0].startswith("rnn: off by")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["lstm", "gru", "simple"])
def test_units_that_the_usual_inputs_leave_at_zero_are_reached(kind: str, seed: int, tmp_path: Path) -> None:
    """Units of relu far below zero, which only inputs along their own weights take above it."""
    builder = Builder(seed)
    cell = getattr(builder, kind)(4, 2, RELU)
    kernel = constant("kernel", (cell.kernel.read() * 3).astype("float32"))
    cell = structs.replace(cell, kernel=kernel, bias=constant("bias", np.full(cell.bias.shape, -10, "float32")))
    x = builder.input("x", (None, 2, 4))
    y = builder.node("rnn", Recurrent((Direction(cell),)), [x, None, None, None], *[(None, 2)] * (1 + cell.states))[0]
    model = builder.model([y])
    usual = {"x": np.random.default_rng(1).normal(size=(50, 2, 4))}
    assert not run(model, usual)[y.name].any()
    report = proof(model, tmp_path)
    assert report.passed, report.failures


def test_only_zeros_prove_nothing(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.input("x", (None, 3))
    zero = layers.Dense(constant("k", np.zeros((3, 2), np.float32)), None, LINEAR)
    report = proof(builder.model(builder.node("dense", zero, [x], (None, 2))), tmp_path)
    assert report.failures == ("nothing but zeros was compared",)
    assert report.verdict == "not proved"


def test_values_that_overflow_alike_are_left_out(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.input("x", (None, None, 3))
    cell = structs.replace(
        builder.simple(3, 4, Activation("exponential")), recurrent_kernel=constant("r", np.eye(4, dtype="f"))
    )
    y, *_ = builder.node("rnn", Recurrent((Direction(cell),), return_sequences=True), [x, None, None],
                         (None, None, 4), (None, 4))  # fmt: skip
    report = proof(builder.model([y]), tmp_path)
    assert report.outputs[0].values > 0
    assert np.isfinite(report.error)


def test_a_wrong_shape_and_missing_outputs_fail(tmp_path: Path) -> None:
    def drop(proto: onnx.ModelProto) -> None:
        del proto.graph.output[:]
        proto.graph.output.add(name=proto.graph.input[0].name + "_").type.CopyFrom(proto.graph.input[0].type)
        proto.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["x_"]))

    assert any("shape" in failure for failure in proof(lstm_model(), tmp_path, drop).failures)
    assert "inputs" in proof(lstm_model(), tmp_path, lambda p: p.graph.input.add(name="z").CopyFrom(
        onnx.helper.make_tensor_value_info("z", 1, [1]))).failures[0]  # fmt: skip


def test_the_file_of_another_model_is_called_different(tmp_path: Path) -> None:
    made, other = GOOD / "tf215_stack/model.h5", GOOD / "k3151_encdec/model.h5"
    revived = tmp_path / "revived.keras"
    api.convert(made, revived, to="keras")
    (wrong,) = api.verify(api.load(other, outputs=("encoder:1",)), revived).wrong
    assert "its input lstm_input is [?, 5, 3], the model's source" in wrong
    api.convert(made, tmp_path / "other.onnx", outputs=("lstm_1",))
    (wrong,) = api.verify(api.load(made, outputs=("lstm_1",), begin=("lstm",)), tmp_path / "other.onnx").wrong
    assert wrong == "its input lstm_input is [?, 5, 3], the model's lstm [?, 5, 4]"


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidModel, match="no ONNX file"):
        verify(lstm_model(), tmp_path / "m.onnx")


def test_a_frozen_state_fails(tmp_path: Path) -> None:
    """A stateful model whose exported file forgets its state agrees on the first call alone."""
    model = api.load(GOOD / "tf215_stateful/model.h5")

    def forget(proto: onnx.ModelProto) -> None:
        for node in proto.graph.node:
            if node.op_type == "LSTM":
                node.input[5] = node.input[6] = ""

    assert proof(model, tmp_path).passed
    report = proof(model, tmp_path, forget)
    assert not report.passed


def test_lengths_grow_until_convolutions_take_them(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.input("x", (None, None, 2))
    conv = layers.Conv(1, builder.weight(20, 2, 3), None, (2,), "valid", (1,), activation=SIGMOID)
    report = proof(builder.model(builder.node("conv", conv, [x], (None, None, 3))), tmp_path)
    assert report.passed, report.failures
    assert report.cases == ("[8, 29, 2]",)


# --- against TensorFlow -----------------------------------------------------------------------------------------------

SAMPLE = [
    "k224_maskbi", "tf215_acts", "tf215_bi", "tf215_convlstm", "tf215_stateful", "tf215_scan", "tf215_timemajor",
    "tf215_conv", "k3151_options", "k3151_gru", "k3151_td", "k3151_cells",
]  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", SAMPLE)
def test_against_tensorflow(case: str, tmp_path: Path) -> None:
    from converter.against_tensorflow import engine

    model = api.load(next((GOOD / case).glob("model.[hk]*")))
    export(model, tmp_path / "m.onnx")
    report = verify(model, tmp_path / "m.onnx", truth=engine(model))
    assert report.passed, report.failures
    assert ("tf_keras" in report.against) == (not case.startswith("k3151"))
    assert report.error > 0


@pytest.mark.tensorflow
def test_tensorflow_finds_what_is_wrong(tmp_path: Path) -> None:
    from converter.against_tensorflow import engine

    model = lstm_model()
    export(model, tmp_path / "m.onnx")
    spoiled = onnx.load(tmp_path / "m.onnx")
    scaled("rnn/W", swap_gates)(spoiled)
    onnx.save(spoiled, tmp_path / "m.onnx")
    assert not verify(model, tmp_path / "m.onnx", truth=engine(model)).passed


def test_layers_that_no_output_needs_are_named(tmp_path: Path) -> None:
    model = lstm_model()
    cell = model.nodes[0].layer.directions[0].cell
    unread = LayerInfo("aside", "Dense", ((None, 4),), (constant("aside/kernel", np.ones((3, 4), np.float32)),))
    read = LayerInfo(model.nodes[0].keras_layer, "LSTM", ((None, None, 4),), (cell.kernel,))
    report = proof(replace(model, layers=(read, unread)), tmp_path)
    assert report.passed
    assert [note for note in report.notes if "not in the file" in note] == [
        "no output depends on the arrays of 'aside', which are not in the file"
    ]


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_what_overflows_in_the_smaller_type_is_no_error(activation: str, tmp_path: Path) -> None:
    builder = Builder()
    x = builder.input("x", (None, None, 3))
    named = LINEAR if activation == "linear" else RELU
    kernel, recurrent = (builder.weight(n, 12, scale=3.0) for n in (3, 4))
    cell = layers.GRUCell(4, kernel, recurrent, None, named, named, False)
    y, *_ = builder.node("rnn", Recurrent((Direction(cell),)), [x, None, None], (None, 4), (None, 4))
    report = proof(builder.model([y]), tmp_path)
    assert report.passed, report.failures


@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_whose_batch_another_tool_fixed(batch: int, tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "fixtures/good/k3151_last/model.keras"
    done = api.convert(path, tmp_path / "m.onnx", check=False, stateful=True)
    file = onnx.load(done.files[0])
    for value in [*file.graph.input, *file.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(file, tmp_path / "fixed.onnx")
    report = verify(done.model, tmp_path / "fixed.onnx")
    assert report.passed, report.failures
    assert all(case.startswith(f"[{batch}, ") for case in report.cases)


def test_a_file_that_does_not_say_where_values_are_is_not_called_different(tmp_path: Path) -> None:
    """Of another program's file, or one that lost its metadata, only the outputs can be compared."""

    def forget(proto: onnx.ModelProto) -> None:
        del proto.metadata_props[:]

    report = proof(lstm_model(), tmp_path, forget)
    assert report.verdict == "not proved" and "--tolerance" in report.failures[0]
    assert report.error < 1e-6
    other = replace(lstm_model(), nodes=lstm_model(activation=LINEAR).nodes)
    report = verify(other, tmp_path / "m.onnx")
    assert report.verdict == "not proved" and report.error > 1e-2
