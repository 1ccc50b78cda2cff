"""The ONNX exporter: every neutral layer against `converter.interpret`, and the contracts of an exported file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neutral_models import Builder, feed

from converter import interpret, layers
from converter.activations import FUNCTIONS, NAMES, SIGMOID, TANH, Activation
from converter.errors import InvalidModel, Unsupported
from converter.exporters.onnx import OPSETS, export
from converter.exporters.onnx.graph import Graph, Store, Tensor
from converter.model import Array, Model, State, Value, Weight, constant

onnxruntime.set_default_logger_severity(3)
LOOPS = {"Loop", "Scan", "If"}
NATIVE = {"LSTM", "GRU", "RNN"}


def exported(model: Model, path: Path, **options: Any) -> onnx.ModelProto:
    target = path / "model.onnx"
    target.unlink(missing_ok=True)
    export(model, target, **options)
    onnx.checker.check_model(str(target), full_check=True)
    return onnx.load(target)


def run_onnx(path: Path, arrays: dict[str, Array]) -> list[Array]:
    session = onnxruntime.InferenceSession(path / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, arrays)


def check(model: Model, path: Path, batch: int = 3, open_size: int = 5, tolerance: float = 2e-6, **options: Any) -> Any:
    """Exports, runs and compares with the float64 interpreter; returns the ModelProto."""
    proto = exported(model, path, **options)
    arrays = feed(model, batch, open_size)
    states = {state.input.name: arrays[state.input.name] for state in model.states}
    truth = interpret.run(model, arrays, states=states)
    values = (*model.outputs, *(state.output for state in model.states))
    for value, got in zip(values, run_onnx(path, arrays), strict=True):
        want = truth[value.name]
        assert got.shape == want.shape
        assert got.dtype.name == value.dtype
        np.testing.assert_allclose(got, want, atol=tolerance * max(1, np.abs(want).max(initial=0)), rtol=0)
    return proto


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def one_layer(layer: Any, in_shape: Any, out_shape: Any, dtype: str = "float32", in_dtype: str = "float32") -> Model:
    b = Builder()
    x = b.input("x", in_shape, in_dtype)
    return b.model(b.node("layer", layer, [x], out_shape, dtype=dtype))


# --- recurrent layers -------------------------------------------------------------------------------------------------

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


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    truth, rounded = (interpret.run(model, arrays, dtype=dtype) for dtype in ("float64", "float32"))
    for value, got in zip(model.outputs, run_onnx(tmp_path, arrays), strict=True):
        want = truth[value.name]
        assert got.shape == want.shape
        noise = np.abs(rounded[value.name] - want).max()  # large where linear gates blow up
        np.testing.assert_allclose(got, want, atol=3e-6 * max(1, np.abs(want).max()) + 20 * noise, rtol=0)
    used = operators(proto)
    if all(map(is_native, directions)):
        assert not LOOPS & set(used)
        if len(directions) == 1:
            assert sum(op in NATIVE for op in used) == 1


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("masked", [False, True])
def test_a_bidirectional_layer_is_one_operator(tmp_path: Path, kind: str, masked: bool) -> None:
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
    assert [op for op in used if op in NATIVE | LOOPS] == [{"l": "LSTM", "p": "LSTM", "g": "GRU", "s": "RNN"}[kind[0]]]
    assert masked or len(used) == 4  # Transpose, the operator, Transpose, Reshape


def lstm_model(b: Builder, **options: Any) -> Model:
    x = b.input("x", (None, None, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4, **options)),), return_sequences=True)
    y, *_ = b.node("lstm", layer, [x, None, None, None], (None, None, 4), (None, 4), (None, 4))
    return b.model([y], ["y"])


def test_an_lstm_is_a_node_between_two_transposes(tmp_path: Path) -> None:
    proto = check(lstm_model(Builder()), tmp_path)
    assert operators(proto) == ["Transpose", "LSTM", "Squeeze", "Transpose"]
    lstm = proto.graph.node[1]
    assert list(lstm.input)[:4] == ["lstm/Transpose", "lstm/W", "lstm/R", "lstm/B"]
    assert len(lstm.output) == 1  # nobody reads the states
    assert all(node.name.startswith("lstm/") for node in proto.graph.node)


def test_activation_parameters_are_listed_only_where_taken(tmp_path: Path) -> None:
    b = Builder()
    proto = check(lstm_model(b, activation=NAMES["linear"], gate=Activation("hard_sigmoid", (0.2, 0.5))), tmp_path)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.graph.node[1].attribute}
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
    proto = exported(model, tmp_path)
    arrays = feed(model, 2, 5)
    if dtype == "bfloat16":  # onnxruntime's Python interface returns no bfloat16
        assert proto.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16
        return
    (got,) = run_onnx(tmp_path, arrays)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, interpret.run(model, arrays)["lstm:0"], atol=1e-2 if dtype == "float16" else 1e-6)


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


# --- every other layer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations(tmp_path: Path, name: str, dtype: str) -> None:
    values = {"axis": 1.0, "alpha": 0.3, "beta": 0.4, "negative_slope": 0.1, "max_value": 6.0, "threshold": 0.5,
              "theta": 0.7, "value": 2.0, "approximate": 1.0, "b": 4.0}  # fmt: skip
    activation = Activation(name, tuple(values[p] for p in FUNCTIONS[name]))
    width = 4 if name == "glu" else 8
    model = one_layer(layers.Activate(activation), (None, 8), (None, width), dtype, dtype)
    exported(model, tmp_path)
    x = np.random.default_rng(0).normal(0, 3, (50, 8)).astype(dtype)
    x[:2] = [-200, -90, -1, 0, 1, 6, 80, 1e4 if name != "exponential" else 80]
    (got,) = run_onnx(tmp_path, {"x": x})
    want = interpret.run(model, {"x": x})["layer:0"]
    scale = np.maximum(1, np.abs(want))
    assert np.max(np.abs(got - want) / scale) < (1e-6 if dtype == "float32" else 2e-7)


def conv(rank: int, **options: Any) -> layers.Conv:
    b = Builder(rank)
    given = {"strides": (1,) * rank, "padding": "same", "dilation": (1,) * rank} | options
    groups = given.get("groups", 1)
    return layers.Conv(rank, b.weight(*[4 - i for i in range(rank)], 4 // groups, 6), b.weight(6), **given)


def transposed(**options: Any) -> layers.ConvTranspose:
    b = Builder()
    given = {"strides": (2,), "padding": "same", "output_padding": None, "dilation": (1,)} | options
    return layers.ConvTranspose(1, b.weight(3, 6, 4), b.weight(6), **given)


def pool(kind: Any, **options: Any) -> layers.Pool:
    given = {"window": (3,), "strides": (2,), "padding": "same"} | options
    return layers.Pool(1, kind, **given)


def norm(rms: bool = False) -> layers.LayerNormalization:
    return layers.LayerNormalization((1, 2), Builder(1).weight(5, 4), Builder(2).weight(5, 4), 1e-3, rms)


def batch_norm(axis: int, size: int) -> layers.BatchNormalization:
    b = Builder()
    return layers.BatchNormalization(
        axis, b.weight(size), b.weight(size), b.weight(size), constant("v", b.random.random(size)), 1e-3
    )


N = None
LAYERS = [
    (layers.Dense(Builder().weight(4, 3), Builder().weight(3), NAMES["gelu"]), (N, N, 4), (N, N, 3)),
    (conv(1), (N, N, 4), (N, N, 6)),
    (conv(1, padding="causal", dilation=(2,)), (N, N, 4), (N, N, 6)),
    (conv(1, strides=(2,)), (N, N, 4), (N, N, 6)),
    (conv(1, strides=(3,)), (N, 11, 4), (N, 4, 6)),
    (conv(1, strides=(2,), padding="valid", groups=2), (N, 11, 4), (N, 4, 6)),
    (conv(1, padding="same", dilation=(2,), data_format="channels_first"), (N, 4, N), (N, 6, N)),
    (conv(2, strides=(2, 1)), (N, 7, 6, 4), (N, 4, 6, 6)),
    (conv(3), (N, 5, 5, 5, 4), (N, 5, 5, 5, 6)),
    (transposed(), (N, N, 4), (N, N, 6)),
    (transposed(padding="valid"), (N, 5, 4), (N, 11, 6)),
    (transposed(padding="valid", strides=(4,)), (N, 5, 4), (N, 20, 6)),
    (transposed(strides=(4,)), (N, 5, 4), (N, 20, 6)),
    (transposed(output_padding=(1,)), (N, 5, 4), (N, 10, 6)),
    (transposed(output_padding=(0,), padding="valid"), (N, 5, 4), (N, 11, 6)),
    (transposed(strides=(1,), dilation=(2,), data_format="channels_first"), (N, 4, 5), (N, 6, 5)),
    (pool("max"), (N, N, 4), (N, N, 4)),
    (pool("max", padding="valid"), (N, 7, 4), (N, 3, 4)),
    (pool("average"), (N, N, 4), (N, N, 4)),
    (pool("average", strides=(1,)), (N, 7, 4), (N, 7, 4)),
    (pool("average", data_format="channels_first"), (N, 4, 7), (N, 4, 4)),
    (batch_norm(2, 4), (N, N, 4), (N, N, 4)),
    (batch_norm(1, 4), (N, 4, N), (N, 4, N)),
    (norm(), (N, 5, 4), (N, 5, 4)),
    (norm(True), (N, 5, 4), (N, 5, 4)),
    (layers.Reshape((0, -1)), (N, 3, 4), (N, 12)),
    (layers.Transpose((0, 2, 1)), (N, N, 4), (N, 4, N)),
    (layers.ExpandDims((1, 3)), (N, 4), (N, 1, 4, 1)),
    (layers.Squeeze((1,)), (N, 1, 4), (N, 4)),
    (layers.Repeat(1, 3), (N, N, 4), (N, N, 4)),
    (layers.Repeat(1, 3), (N, 2, 4), (N, 6, 4)),
    (layers.Tile((1, 2, 3)), (N, 2, 4), (N, 4, 12)),
    (layers.Pad(((0, 0), (1, 2)), 1.5), (N, 4), (N, 7)),
    (layers.Pad(((0, 0), (1, 2)), mode="reflect"), (N, 4), (N, 7)),
    (layers.Slice((1, 2), (None, -3), (None, None), (-1, 2)), (N, N, 4), (N, N, 2)),
    (layers.Slice((1,), (3,), (0,), (-2,)), (N, 5), (N, 2)),
    (layers.Reduce("sum", (1,)), (N, N, 4), (N, 4)),
    (layers.Reduce("mean", (1, 2), True), (N, N, 4), (N, 1, 1)),
    (layers.Reduce("max", (1,)), (N, N, 4), (N, 4)),
    (layers.Reduce("prod", (2,)), (N, N, 4), (N, N)),
    (layers.Reduce("logsumexp", (2,)), (N, N, 4), (N, N)),
    (layers.CumSum(1), (N, N, 4), (N, N, 4)),
    *((layers.Unary(op), (N, 4), (N, 4)) for op in ("abs", "negative", "exp", "square", "sin", "tan", "sign", "erf")),
    *((layers.Unary(op), (N, 4), (N, 4)) for op in ("floor", "ceil", "round", "reciprocal")),
]


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("index", range(len(LAYERS)))
def test_layers_of_one_input(tmp_path: Path, index: int, opset: int) -> None:
    check(one_layer(*LAYERS[index]), tmp_path, open_size=6, opset=opset)


@pytest.mark.parametrize("index", range(len(LAYERS)))
def test_layers_in_float64(tmp_path: Path, index: int) -> None:
    check(one_layer(*LAYERS[index], dtype="float64", in_dtype="float64"), tmp_path, open_size=6)


TYPED = [
    (layers.Embedding(Builder().weight(4, 3)), (N, N), (N, N, 3), "float32", "int32"),
    (layers.Embedding(Builder().weight(4, 3)), (N, N), (N, N, 3), "float32", "int8"),
    (layers.OneHot(3), (N,), (N, 3), "float32", "int32"),
    (layers.Reduce("any", (1,)), (N, N), (N,), "bool", "bool"),
    (layers.Reduce("all", (1,), True), (N, N), (N, 1), "bool", "bool"),
    (layers.Reduce("argmax", (1,)), (N, N), (N,), "int64", "float32"),
    (layers.Reduce("argmin", (1,)), (N, N), (N,), "int64", "int32"),
    (layers.Unary("not"), (N, N), (N, N), "bool", "bool"),
    (layers.Unary("isnan"), (N, N), (N, N), "bool", "float32"),
    (layers.Unary("floor"), (N, N), (N, N), "int32", "int32"),
    (layers.Cast("int32"), (N, N), (N, N), "int32", "float32"),
    (layers.Cast("float16"), (N, N), (N, N), "float16", "int64"),
    (layers.CumSum(1), (N, N), (N, N), "int32", "int32"),
    (layers.Reduce("sum", (1,)), (N, N), (N,), "int32", "int32"),
]


@pytest.mark.parametrize("index", range(len(TYPED)))
def test_layers_of_other_types(tmp_path: Path, index: int) -> None:
    check(one_layer(*TYPED[index]), tmp_path, tolerance=1e-3)


BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "mod", "floor_divide", "equal", "not_equal", "less",
          "less_equal", "greater", "greater_equal")  # fmt: skip


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float64"])
def test_elementwise(tmp_path: Path, op: Any, dtype: str) -> None:
    b = Builder()
    x, y = b.input("x", (N, 4), dtype), b.input("y", (4,), dtype)
    out = dtype if op in BINARY[:7] else "bool"
    model = b.model(b.node("layer", layers.Elementwise(op), [x, y], (N, 4), dtype=out))
    exported(model, tmp_path)
    random = np.random.default_rng(0)
    arrays = {"x": random.integers(0 if dtype == "uint8" else -9, 9, (50, 4)).astype(dtype)}
    arrays["y"] = np.array([1, 3, 7, 2] if dtype == "uint8" else [1, -3, 7, -2], dtype)
    (got,) = run_onnx(tmp_path, arrays)
    np.testing.assert_array_equal(got, interpret.run(model, arrays)["layer:0"])


@pytest.mark.parametrize("op", ["and", "or", "xor", "equal"])
def test_logic_of_bools(tmp_path: Path, op: Any) -> None:
    b = Builder()
    x, y = b.input("x", (N, 4), "bool"), b.input("y", (N, 4), "bool")
    check(b.model(b.node("layer", layers.Elementwise(op), [x, y], (N, 4), dtype="bool")), tmp_path)


def test_layers_of_several_inputs(tmp_path: Path) -> None:
    b = Builder()
    x, y = b.input("x", (N, N, 4)), b.input("y", (N, N, 4))
    pick, mask = b.input("pick", (N, N), "int32"), b.input("mask", (N, N, 4), "bool")
    outputs = [
        *b.node("join", layers.Concatenate(2), [x, y], (N, N, 8)),
        *b.node("dot", layers.MatMul(transpose_b=True), [x, y], (N, N, N)),
        *b.node("einsum", layers.Einsum("abc,adc->abd"), [x, y], (N, N, N)),
        *b.node("where", layers.Where(), [mask, x, y], (N, N, 4)),
        *b.node("gather", layers.Gather(2), [x, pick], (N, N, N, N)),
        *b.node("sum", layers.Elementwise("add"), [x, y, x], (N, N, 4)),
        *b.node("constant", layers.Constant(b.weight(2, 3)), [], (2, 3)),
    ]
    check(b.model(outputs), tmp_path)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_interface_and_metadata(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, None, 3))
    h, c = Value("lstm_h_in", (None, 4), "float32"), Value("lstm_c_in", (None, 4), "float32")
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4)),))
    made = b.node("lstm", layer, [x, None, h, c], (None, 4), (None, 4), (None, 4))
    ends = [Value(name, (None, 4), "float32") for name in ("lstm_h_out", "lstm_c_out")]
    b.nodes[0] = type(b.nodes[0])("lstm", layer, (x, None, h, c), (made[0], *ends), "lstm")
    model = b.model([made[0], x, made[0]], ["y", "same", "again"], [State(h, ends[0]), State(c, ends[1])])
    proto = check(model, tmp_path)
    assert [i.name for i in proto.graph.input] == ["x", "lstm_h_in", "lstm_c_in"]
    assert [o.name for o in proto.graph.output] == ["y", "same", "again", "lstm_h_out", "lstm_c_out"]
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", "x_dim1", 3]
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(properties["keras.states"])[1] == {"input": "lstm_c_in", "output": "lstm_c_out"}
    assert properties["keras.version"] == "2.4.0"
    assert properties["source.sha256"] == "00" * 32
    assert (proto.ir_version, proto.opset_import[0].version) == (7, 13)


def test_names_inside_never_meet_the_outputs(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("dense/MatMul", (None, 3))
    (y,) = b.node("dense", layers.Dense(b.weight(3, 3), b.weight(3)), [x], (None, 3))
    (z,) = b.node("twice", layers.Elementwise("add"), [y, y], (None, 3))
    check(b.model([z], ["dense/Add"]), tmp_path)


def test_a_shared_layer_writes_its_weights_once(tmp_path: Path) -> None:
    b = Builder()
    x, y = b.input("x", (None, None, 3)), b.input("y", (None, None, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 16)),))
    calls = [
        b.node(name, layer, [v, None, None, None], (None, 16), (None, 16), (None, 16))
        for name, v in (("a", x), ("b", y))
    ]
    proto = check(b.model([calls[0][0], calls[1][0]]), tmp_path)
    assert operators(proto).count("LSTM") == 2
    assert sorted(i.name for i in proto.graph.initializer if i.name[2:] in "WRB") == ["a/B", "a/R", "a/W"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        model = lstm_model(Builder(), activation=NAMES["mish"])
        export(model, tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_external_data(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, 600))
    (y,) = b.node("dense", layers.Dense(b.weight(600, 500, scale=0.01), b.weight(500)), [x], (None, 500))
    (z,) = b.node("more", layers.Dense(b.weight(500, 3, scale=0.01), b.weight(3)), [y], (None, 3))
    model = b.model([z])
    export(model, tmp_path / "model.onnx", external_above=1000)
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    assert (tmp_path / "model.onnx").stat().st_size < 4000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    tensors = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.initializer
    stored = {t.name: {e.key: e.value for e in t.external_data} for t in tensors}
    assert stored["dense/kernel"] == {"location": "model.onnx.data", "offset": "0", "length": "1200000"}
    assert int(stored["more/kernel"]["offset"]) % 64 == 0
    assert stored["more/bias"] == {}
    arrays = feed(model, 2, 1)
    np.testing.assert_allclose(run_onnx(tmp_path, arrays)[0], interpret.run(model, arrays)["more:0"], atol=1e-5)
    with pytest.raises(FileExistsError):
        export(model, tmp_path / "model.onnx", external_above=1000)


def test_weights_are_read_one_at_a_time_and_in_rows(tmp_path: Path) -> None:
    b, asked = Builder(), []
    values = b.random.normal(size=(64, 100_000)).astype("float32")

    def rows(start: int, stop: int) -> Array:
        asked.append(stop - start)
        return values[start:stop]

    def whole() -> Array:
        raise AssertionError("read whole")

    x = b.input("x", (None, 64))
    kernel = Weight("kernel", values.shape, "float32", whole, rows)
    (y,) = b.node("dense", layers.Dense(kernel, None), [x], (None, 100_000))
    proto = exported(b.model([y]), tmp_path)
    assert max(asked) < 64
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(proto.graph.initializer[0]), values)


@pytest.mark.parametrize("size", [3, 600])
def test_a_weight_of_the_wrong_size_is_named(tmp_path: Path, size: int) -> None:
    b = Builder()
    x = b.input("x", (None, size))
    wrong = Weight("kernel", (size, size), "float32", lambda: np.zeros((size, 2), "float32"))
    (y,) = b.node("dense", layers.Dense(wrong, None), [x], (None, size))
    with pytest.raises(InvalidModel, match="dense/kernel"):
        export(b.model([y]), tmp_path / "model.onnx")


@pytest.mark.parametrize("opset", [7, 12, 99])
def test_other_opsets_are_refused(tmp_path: Path, opset: int) -> None:
    with pytest.raises(Unsupported, match=f"opset {opset}"):
        export(lstm_model(Builder()), tmp_path / "model.onnx", opset=opset)


def test_unknown_layers_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="layer: str cannot be exported"):
        export(one_layer("?", (None, 2), (None, 2)), tmp_path / "model.onnx")


def test_the_facade_knows_the_operators() -> None:
    graph, x = Graph(Store(13, layer="l")), Tensor("x", "float32")
    with pytest.raises(TypeError, match="no attribute"):
        graph.op("LSTM", x, layout=1)
    with pytest.raises(Unsupported, match="LayerNormalization is not in opset 13"):
        graph.op("LayerNormalization", x)
