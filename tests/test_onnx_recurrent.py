"""Recurrent layers as ONNX: the whole space of options against the interpreter, and the shape of the graph."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from neutral_models import Builder, feed, lstm_model
from onnx_files import check, exported, operators, run_onnx

from converter import interpret
from converter.exporters.onnx import OPSETS, notes
from converter.model import Array, Model, layers
from converter.model.activations import NAMES, SIGMOID, TANH, Activation

LOOPS = {"Loop", "Scan", "If"}
NATIVE = {"LSTM", "GRU", "RNN"}
CELLS = ("lstm", "peephole", "gru", "gru_before", "simple")
ACTIVATIONS = [NAMES[n] for n in ("tanh", "sigmoid", "linear", "elu", "softsign", "leaky_relu", "softplus", "gelu")]
ACTIVATIONS.append(Activation("hard_sigmoid", (0.2, 0.5)))


def cell_of(b: Builder, kind: str, units: int, activation: Activation, gate: Activation, bias: bool) -> Any:
    if kind in ("lstm", "peephole"):
        return b.lstm(3, units, activation, gate, bias, kind == "peephole")
    if kind == "simple":
        return b.simple(3, units, activation, bias)
    return b.gru(3, units, activation, gate, bias, kind == "gru")


@st.composite
def recurrent_models(draw: st.DrawFn) -> tuple[Model, list[layers.Direction]]:
    """One Recurrent from the whole space of its options, over x, an optional mask and optional states as inputs."""
    b = Builder(draw(st.integers(0, 99)))
    units = draw(st.integers(1, 4))
    two = draw(st.booleans())
    merge = draw(st.sampled_from(["concat", "sum", "mul", "ave", None])) if two else None
    same = draw(st.booleans())
    directions = []
    for k in range(2 if two else 1):
        other = k == 1 and not same
        kind = draw(st.sampled_from(CELLS)) if k == 0 or other else kind  # noqa: F821
        width = units + other * (merge in ("concat", None))
        pair = [draw(st.sampled_from([TANH, SIGMOID, *ACTIVATIONS])) for _ in range(2)]
        cell = cell_of(b, kind, width, *pair, draw(st.booleans()))
        directions.append(layers.Direction(cell, draw(st.booleans()), draw(st.booleans())))
    time_major, sequences = draw(st.booleans()), draw(st.booleans())
    layer = layers.Recurrent(
        tuple(directions), merge, sequences, draw(st.sampled_from(["previous", "state", "zero"])), time_major
    )
    x = b.input("x", (None, None, 3))
    mask = b.input("mask", (None, None), "bool") if draw(st.booleans()) else None
    widths = [d.cell.units for d in directions for _ in range(2 if isinstance(d.cell, layers.LSTMCell) else 1)]
    initial = [b.input(f"s{k}", (None, width)) if draw(st.booleans()) else None for k, width in enumerate(widths)]
    ends = [sum(d.cell.units for d in directions)] if merge == "concat" else [d.cell.units for d in directions]
    ends = ends[:1] if merge else ends
    lead = (None, None) if sequences else (None,)
    outputs = b.node("rnn", layer, [x, mask, *initial], *((*lead, n) for n in ends), *((None, n) for n in widths))
    wanted = [v for v in outputs if draw(st.booleans())] or [outputs[-1]]
    return b.model(wanted), directions


def arrays_for(model: Model, batch: int, time: int, pattern: str, time_major: bool, seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    steps = (time, batch) if time_major else (batch, time)
    arrays: dict[str, Array] = {"x": random.normal(0, 1, (*steps, 3)).astype("float32")}
    mask = {
        "random": random.random((batch, time)) < 0.5,
        "none": np.ones((batch, time), bool),
        "all": np.zeros((batch, time), bool),
        "pre": np.arange(time) >= random.integers(0, time + 1, (batch, 1)),
        "post": np.arange(time) < random.integers(0, time + 1, (batch, 1)),
    }[pattern]
    arrays["mask"] = np.ascontiguousarray(mask.T if time_major else mask)
    for value in model.inputs:
        if value.name.startswith("s"):
            arrays[value.name] = random.normal(0, 1, (batch, value.shape[1])).astype("float32")
    return {value.name: arrays[value.name] for value in model.inputs}


def is_native(direction: layers.Direction) -> bool:
    cell: Any = direction.cell
    names = {cell.activation.name} | (
        {cell.recurrent_activation.name} if hasattr(cell, "recurrent_activation") else set()
    )
    return not names & {"softplus", "gelu"}


def alike(a: layers.Direction, b: layers.Direction) -> bool:
    """Whether two directions must be one operator: cells of one kind and size that run opposite ways."""
    kinds = [(type(d.cell), d.cell.units, getattr(d.cell, "reset_after", None)) for d in (a, b)]
    if isinstance(a.cell, layers.SimpleRNNCell) and a.cell.activation != b.cell.activation:
        return False  # see native.fit_together
    return kinds[0] == kinds[1] and a.reverse_input != b.reverse_input


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recurrent_models(),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from(["random", "none", "all", "pre", "post"]),
    st.sampled_from(OPSETS),
    st.integers(0, 9),
)
def test_recurrent_options(
    tmp_path: Path, drawn: Any, batch: int, time: int, pattern: str, opset: int, seed: int
) -> None:
    model, directions = drawn
    proto = exported(model, tmp_path, opset=opset)
    arrays = arrays_for(model, batch, time, pattern, model.nodes[0].layer.time_major, seed)  # type: ignore[union-attr]
    with np.errstate(all="ignore"):
        truth, rounded = (interpret.run(model, arrays, dtype=dtype) for dtype in ("float64", "float32"))
    assume(all(np.abs(array).max() < 1e6 for array in truth.values()))  # linear gates can blow up
    for value, got in zip(model.outputs, run_onnx(tmp_path, arrays), strict=True):
        want = truth[value.name]
        assert got.shape == want.shape
        noise = np.abs(rounded[value.name] - want).max()
        np.testing.assert_allclose(got, want, atol=3e-6 * max(1, np.abs(want).max()) + 20 * noise, rtol=0)
    used, masked = operators(proto), model.nodes[0].inputs[1] is not None
    if all(map(is_native, directions)):
        assert not LOOPS & set(used)
        if len(directions) == 1 or (not masked and alike(*directions)):
            assert sum(op in NATIVE for op in used) == 1
    if masked and all(map(keeps_c, directions)):
        for got, again in zip(run_onnx(tmp_path, arrays), run_ignoring_lengths(proto, arrays), strict=True):
            np.testing.assert_allclose(again, got, atol=3e-6 * max(1, np.abs(got).max()), rtol=0)


def keeps_c(direction: layers.Direction) -> bool:
    """Whether no state needs sequence_lens: the gates of the cell can be closed, or it has none."""
    cell: Any = direction.cell
    return not isinstance(cell, layers.LSTMCell) or cell.recurrent_activation.name in ("sigmoid", "hard_sigmoid")


def run_ignoring_lengths(proto: onnx.ModelProto, arrays: dict[str, Array]) -> list[Array]:
    """What a runtime gives that computes on past sequence_lens."""
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    for node in changed.graph.node:
        if node.op_type in NATIVE and len(node.input) > 4:
            node.input[4] = ""
    session = onnxruntime.InferenceSession(changed.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, arrays)


RUN_EMPTY = """
import sys
import numpy as np
import onnxruntime
for path, batch, time in [(path, *sizes) for path in sys.argv[1:] for sizes in ((0, 5), (2, 0))]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    sizes = {"batch": batch, "steps": time, "x_steps": time, "mask_steps": time}
    kinds = {"tensor(bool)": bool, "tensor(float)": np.float32}
    feed = {i.name: np.ones([sizes.get(d, d) for d in i.shape], kinds[i.type]) for i in session.get_inputs()}
    try:
        session.run(None, feed)
    except Exception as error:
        print(path, batch, "Reshape" in str(error))
"""


def written(folder: Path, kind: str, masked: bool) -> Path:
    """The file of one recurrent layer whose sizes are open."""
    b = Builder()
    x = b.input("x", (None, None, 5, 3) if kind == "conv" else (None, None, 3))
    mask = b.input("mask", (None, None), "bool") if masked else None
    if kind == "conv":
        kernels = b.weight(2, 3, 16), b.weight(2, 4, 16), b.weight(16)
        directions = [
            layers.Direction(layers.ConvLSTMCell(1, 4, *kernels, TANH, SIGMOID, (1,), "same", (1,), "channels_last"))
        ]
    else:
        cell = "lstm" if kind in ("scan", "two") else kind
        made = [cell_of(b, cell, 4, NAMES["gelu"] if kind == "scan" else TANH, SIGMOID, True) for _ in range(2)]
        directions = [layers.Direction(made[0]), layers.Direction(made[1], True, True)][: 1 + (kind == "two")]
    states = len(directions) * (1 if kind in ("gru", "gru_before", "simple") else 2)
    state = (None, 5, 4) if kind == "conv" else (None, 4)
    layer = layers.Recurrent(tuple(directions), "sum" if kind == "two" else None)
    y, *_ = b.node("rnn", layer, [x, mask, *[None] * states], state, *[state] * states)
    folder.mkdir()
    exported(b.model([y]), folder)
    return folder / "model.onnx"


def test_empty_batches_and_sequences_are_refused(tmp_path: Path) -> None:
    """onnxruntime ends the process on what is not, so this runs in one of its own."""
    kinds = itertools.product((*CELLS, "scan", "two", "conv"), (False, True))
    paths = [str(written(tmp_path / f"{kind}_{masked}", kind, masked)) for kind, masked in kinds]
    done = subprocess.run([sys.executable, "-c", RUN_EMPTY, *paths], capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"{path} {batch} True" for path in paths for batch in (0, 2)]


GUARD = ["Shape", "Max", "Reshape"]  # against an empty batch, and no time


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("masked", [False, True])
def test_a_bidirectional_layer_is_one_operator_without_a_mask(tmp_path: Path, kind: str, masked: bool) -> None:
    b = Builder()
    x = b.input("x", (None, None, 3))
    mask = b.input("mask", (None, None), "bool") if masked else None
    sides = (
        cell_of(b, kind, 4, TANH, NAMES["sparse_sigmoid"], True),
        cell_of(b, kind, 4, NAMES["elu"], SIGMOID, False),
    )
    layer = layers.Recurrent((layers.Direction(sides[0]), layers.Direction(sides[1], True, True)), "concat", True)
    count = 4 if kind in ("lstm", "peephole") else 2
    y, *_ = b.node("bi", layer, [x, mask, *[None] * count], (None, None, 8), *[(None, 4)] * count)
    used = operators(check(b.model([y]), tmp_path))
    operator = {"l": "LSTM", "p": "LSTM", "g": "GRU", "s": "RNN"}[kind[0]]
    apart = masked or operator == "RNN"  # whose activations differ
    assert [op for op in used if op in NATIVE | LOOPS] == [operator] * (1 + apart)
    assert apart or used == ["Transpose", *GUARD, operator, "Transpose", "Reshape"]


def test_an_lstm_is_a_node_between_two_transposes(tmp_path: Path) -> None:
    proto = check(lstm_model(Builder()), tmp_path)
    assert operators(proto) == ["Transpose", *GUARD, "LSTM", "Transpose", "Squeeze"]
    lstm = proto.graph.node[4]
    assert list(lstm.input)[1:4] == ["lstm/W", "lstm/R", "lstm/B"]
    assert len(set(lstm.output)) == 3  # named, though nobody reads the states
    assert all(lstm.output)
    assert all(node.name.startswith("lstm/") for node in proto.graph.node)


def test_activation_parameters_are_listed_only_where_taken(tmp_path: Path) -> None:
    b = Builder()
    proto = check(lstm_model(b, activation=NAMES["linear"], gate=Activation("hard_sigmoid", (0.2, 0.5))), tmp_path)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.graph.node[4].attribute}
    assert attributes["activations"] == [b"HardSigmoid", b"Affine", b"Affine"]
    assert attributes["activation_alpha"] == pytest.approx([0.2, 1, 1])
    assert attributes["activation_beta"] == pytest.approx([0.5, 0, 0])


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_types_of_recurrent_layers(tmp_path: Path, dtype: str, activation: str) -> None:
    b = Builder()
    x = b.input("x", (None, None, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4, NAMES[activation])),), return_sequences=True)
    y, *_ = b.node("lstm", layer, [x, None, None, None], (None, None, 4), (None, 4), (None, 4), dtype=dtype)
    model = b.model([y])
    exported(model, tmp_path)
    arrays = feed(model, 2, 5)
    (got,) = run_onnx(tmp_path, arrays)
    assert got.dtype == ("float32" if dtype == "bfloat16" else dtype)  # NumPy, and so onnxruntime, has no bfloat16
    np.testing.assert_allclose(got, interpret.run(model, arrays)["lstm:0"], atol=1e-2 if dtype == "float16" else 1e-6)
    cast = dtype == "bfloat16" or (dtype, activation) in {("float64", "tanh"), ("float16", "gelu")}
    assert [dtype in note and "float32" in note for note in notes(model)] == [True] * cast


@pytest.mark.parametrize("dtypes", [("float64", "float64"), ("float16", "float16"), ("float16", "float32")])
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("two", [False, True])
def test_a_dense_layer_after_a_recurrent_one(tmp_path: Path, dtypes: Any, activation: str, two: bool) -> None:
    """onnxruntime crashes on some orders of Transpose, Cast and MatMul."""
    b = Builder()
    x = b.input("x", (None, None, 3), dtypes[0])
    directions = [layers.Direction(b.lstm(3, 4, NAMES[activation])) for _ in range(1 + two)]
    directions[1:] = [layers.Direction(d.cell, True, True) for d in directions[1:]]
    layer = layers.Recurrent(tuple(directions), "sum" if two else None, True)
    count = 2 * len(directions)
    y, *_ = b.node("lstm", layer, [x, None, *[None] * count], (None, None, 4), *[(None, 4)] * count, dtype=dtypes[0])
    z = b.node("dense", layers.Dense(b.weight(4, 2), b.weight(2)), [y], (None, None, 2), dtype=dtypes[1])
    check(b.model(z), tmp_path, tolerance=5e-3 if "float16" in dtypes else 1e-6)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("masked_output", ["previous", "state", "zero"])
@pytest.mark.parametrize("sequences", [True, False])
def test_convlstm(tmp_path: Path, data_format: Any, rank: int, masked_output: Any, sequences: bool) -> None:
    b = Builder()
    stride = 2 if rank == 1 else 1
    cell = layers.ConvLSTMCell(
        rank, 3, b.weight(*[3] * rank, 2, 12), b.weight(*[2] * rank, 3, 12), b.weight(12), TANH,
        Activation("hard_sigmoid", (0.2, 0.5)), (stride,) * rank, "same", (1,) * rank, data_format,
    )  # fmt: skip
    size, made = (5,) * rank, (-(-5 // stride),) * rank
    layout = (lambda s, c: (*s, c)) if data_format == "channels_last" else (lambda s, c: (c, *s))
    x = b.input("x", (None, None, *layout(size, 2)))
    mask = b.input("mask", (None, None), "bool")
    state = (None, *layout(made, 3))
    h0 = b.input("h0", state)
    layer = layers.Recurrent((layers.Direction(cell, True, False),), None, sequences, masked_output)
    y_shape = (None, None, *state[1:]) if sequences else state
    check(b.model(b.node("conv", layer, [x, mask, h0, None], y_shape, state, state)), tmp_path)
