"""The interpreter: order, dtypes, states, kept values, and the guard of shapes and dtypes."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import reference_lstm
from converter import interpret
from converter.model import Model, Node, Provenance, State, Value, constant, layers
from converter.model.activations import LINEAR, SIGMOID, TANH

RNG = np.random.default_rng(0)
X = Value("x", (None, None, 2), "float32")
Y = Value("y", (None, 3), "float32")


def weight(name, *shape, dtype="float32"):
    return constant(name, RNG.normal(size=shape), dtype)


def lstm_cell(units=3, features=2):
    return layers.LSTMCell(
        units, weight("k", features, 4 * units), weight("r", units, 4 * units), weight("b", 4 * units), TANH, SIGMOID
    )


def model(inputs, outputs, nodes, states=()):
    names = tuple(f"output_{index}" for index in range(len(outputs)))
    return Model("m", inputs, outputs, names, nodes, states, (), Provenance("", ""))


def single(layer, inputs, output):
    return model(tuple(v for v in inputs if v), (output,), (Node("n", layer, inputs, (output,), "n"),))


def test_a_stateful_lstm_carries_its_states():
    h_in, c_in, h, c = (Value(name, (None, 3), "float32") for name in ("h_in", "c_in", "h", "c"))
    layer = layers.Recurrent((layers.Direction(lstm_cell()),))
    node = Node("lstm", layer, (X, None, h_in, c_in), (Y, h, c), "lstm")
    stateful = model((X,), (Y,), (node,), (State(h_in, h), State(c_in, c)))
    x = RNG.normal(size=(2, 5, 2))
    whole = interpret.run(stateful, {"x": x})
    assert set(whole) == {"y", "h", "c"}
    first = interpret.run(stateful, {"x": x[:, :2]})
    second = interpret.run(stateful, {"x": x[:, 2:]}, states={"h_in": first["h"], "c_in": first["c"]})
    for name in whole:
        np.testing.assert_allclose(second[name], whole[name], atol=1e-12)


def test_cell_of_takes_one_step_of_the_run():
    cell = lstm_cell()
    h, c = Value("h", (None, 3), "float32"), Value("c", (None, 3), "float32")
    node = Node("lstm", layers.Recurrent((layers.Direction(cell),)), (X, None, None, None), (Y, h, c), "lstm")
    x = RNG.normal(size=(2, 1, 2)).astype("float32")
    ran = interpret.run(model((X,), (Y,), (node,)), {"x": x}, dtype="float32", keep=["c"])
    reference = interpret.cell_of(cell, "float32")
    projected = reference.project(x[:, 0])
    y, states = reference.step(projected, reference.zero_states(projected))
    np.testing.assert_array_equal(ran["y"], y)
    np.testing.assert_array_equal(ran["c"], states[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_float_is_computed_in_the_dtype_asked_for(dtype):
    half = Value("half", (None, 2), "float16")
    wide = Value("wide", (None, 2), "float64")
    whole = Value("whole", (None, 2), "int32")
    nodes = (
        Node("dense", layers.Dense(weight("k", 2, 2, dtype="float16"), None, LINEAR), (half,), (wide,), "dense"),
        Node("cast", layers.Cast("int32"), (wide,), (whole,), "cast"),
    )
    got = interpret.run(model((half,), (whole,), nodes), {"half": np.ones((1, 2))}, dtype=dtype, keep=["wide"])
    assert (got["wide"].dtype, got["whole"].dtype) == (dtype, "int32")
    np.testing.assert_array_equal(got["whole"], np.trunc(got["wide"]))


def test_the_model_s_shapes_and_dtypes_are_held():
    layer = layers.Dense(weight("k", 2, 3), None)
    with pytest.raises(ValueError, match=r"shape \(1, 2\), the model says"):
        interpret.run(single(layer, (X,), Y), {"x": np.zeros((1, 2))})
    wrong = replace(Y, shape=(None, None, 4))
    with pytest.raises(ValueError, match=r"n made 'y' of shape \(1, 1, 3\)"):
        interpret.run(single(layer, (X,), wrong), {"x": np.zeros((1, 1, 2))})
    integers = replace(Y, shape=(None, None, 3), dtype="int32")
    with pytest.raises(ValueError, match="the model says int32"):
        interpret.run(single(layer, (X,), integers), {"x": np.zeros((1, 1, 2))})
    with pytest.raises(ValueError, match="no array was given for the model's input 'x'"):
        interpret.run(single(layer, (X,), Y), {})


def test_values_that_nobody_reads_are_dropped(monkeypatch):
    seen: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watched(x, kernel, bias, activation):
        gc.collect()
        alive.append(sum(ref() is not None for ref in seen))
        y = x @ kernel
        seen.append(weakref.ref(y))
        return y

    monkeypatch.setattr("reference_lstm.layers.dense", watched)
    chain = [Value(f"v{k}", (None, 2), "float32") for k in range(6)]
    nodes = tuple(
        Node(f"d{k}", layers.Dense(weight("k", 2, 2), None), (a,), (b,), "d")
        for k, (a, b) in enumerate(pairwise(chain))
    )
    interpret.run(model((chain[0],), (chain[-1],), nodes), {"v0": np.ones((1, 2))})
    assert max(alive) == 1


SEQUENCE = RNG.normal(size=(2, 4, 6)).astype("float32")
INTEGERS = np.array([[0, 1, 5]])
BOOLS = SEQUENCE > 0
TEXT = np.array([["a B!", ""]], object)
ONE_OUTPUT = [
    (layers.Embedding(weight("t", 7, 3)), (INTEGERS,), "float32"),
    (layers.Conv(1, weight("k", 3, 6, 4), weight("b", 4), (1,), "causal", (2,)), (SEQUENCE,), "float32"),
    (layers.ConvTranspose(1, weight("k", 3, 4, 6), None, (2,), "same", None, (1,)), (SEQUENCE,), "float32"),
    (layers.Pool(1, "max", (2,), (2,), "valid"), (SEQUENCE,), "float32"),
    (layers.BatchNormalization(2, None, None, weight("m", 6), constant("v", np.ones(6), "float32"), 1e-3), (SEQUENCE,),
     "float32"),
    (layers.LayerNormalization((2,), weight("g", 6), weight("b", 6), 1e-3), (SEQUENCE,), "float32"),
    (layers.Activate(TANH), (SEQUENCE,), "float32"),
    (layers.Reshape((0, -1)), (SEQUENCE,), "float32"),
    (layers.FoldTime(), (SEQUENCE,), "float32"),
    (layers.UnfoldTime(), (np.ones((8, 3), "float32"), SEQUENCE), "float32"),
    (layers.Transpose((0, 2, 1)), (SEQUENCE,), "float32"),
    (layers.Concatenate(1), (SEQUENCE, SEQUENCE), "float32"),
    (layers.ExpandDims((1,)), (SEQUENCE,), "float32"),
    (layers.Squeeze((0,)), (INTEGERS,), "int64"),
    (layers.Repeat(1, 2), (SEQUENCE,), "float32"),
    (layers.Tile((1, 2, 1)), (SEQUENCE,), "float32"),
    (layers.Pad(((0, 0), (1, 2), (0, 0)), mode="edge"), (SEQUENCE,), "float32"),
    (layers.Pad(((0, 0), (1, 2), (0, 0)), -1.0), (SEQUENCE,), "float32"),
    (layers.Slice((1,), (None,), (None,), (-1,)), (SEQUENCE,), "float32"),
    (layers.Gather(1), (SEQUENCE, np.array([3, 0])), "float32"),
    (layers.Constant(weight("c", 2, 2)), (), "float32"),
    (layers.Elementwise("maximum"), (SEQUENCE, SEQUENCE * 2, -SEQUENCE), "float32"),
    (layers.Elementwise("xor"), (BOOLS, ~BOOLS), "bool"),
    (layers.Unary("erf"), (SEQUENCE,), "float32"),
    (layers.Where(), (BOOLS, SEQUENCE, np.zeros((1, 1, 1), "float32")), "float32"),
    (layers.Reduce("logsumexp", (1, 2)), (SEQUENCE,), "float32"),
    (layers.Reduce("any", (1,), True), (BOOLS,), "bool"),
    (layers.Reduce("argmax", (2,)), (SEQUENCE,), "int64"),
    (layers.CumSum(1), (INTEGERS,), "int64"),
    (layers.MatMul(transpose_b=True), (SEQUENCE, SEQUENCE), "float32"),
    (layers.Einsum("abc,abd->acd"), (SEQUENCE, SEQUENCE), "float32"),
    (layers.OneHot(4), (INTEGERS,), "float32"),
    (layers.Lookup(("", "b"), (0, 1), 2), (TEXT,), "int64"),
    (layers.LowerCase(), (TEXT,), "string"),
    (layers.RemoveCharacters("!"), (TEXT,), "string"),
    (layers.SplitWords(), (TEXT,), "string"),
    (layers.TakeAlong(1), (SEQUENCE, np.array([[[3] * 6], [[0] * 6]])), "float32"),
    (layers.GatherND(1), (SEQUENCE, np.array([[[3], [1]], [[0], [2]]])), "float32"),
    (layers.ArgSort(2, True, 3), (SEQUENCE,), "int64"),
    (layers.Size(1), (SEQUENCE,), "int64"),
    (layers.Range(), (np.array(4),), "int64"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "arrays", "dtype"), ONE_OUTPUT, ids=lambda value: type(value).__name__)
def test_every_layer_has_a_rule_and_keeps_float32(layer, arrays, dtype):
    values = tuple(
        Value(f"v{k}", a.shape, "string" if a.dtype.hasobject else a.dtype.name) for k, a in enumerate(arrays)
    )
    made = interpret.compute(layer, arrays, "float32")
    output = Value("out", made.shape, dtype)
    fed = {v.name: a for v, a in zip(values, arrays, strict=True)}
    single_float = interpret.run(single(layer, values, output), fed, dtype="float32")["out"]
    double = interpret.run(single(layer, values, output), fed)["out"]
    if dtype == "string":
        assert single_float.tolist() == double.tolist()
        return
    assert single_float.dtype == dtype
    assert double.dtype == ("float64" if dtype == "float32" else dtype)
    np.testing.assert_allclose(single_float, double, rtol=1e-4, atol=1e-5)


def test_no_layer_of_the_vocabulary_is_forgotten():
    covered = {type(layer) for layer, _, _ in ONE_OUTPUT} | {layers.Recurrent, layers.Scan, layers.Dense, layers.Cast}
    assert covered == set(layers.Layer.__args__)


def test_every_cell_has_a_reference():
    kernel, recurrent, bias = weight("k", 2, 9), weight("r", 3, 9), weight("b", 2, 9)
    gru = layers.GRUCell(3, kernel, recurrent, bias, TANH, SIGMOID, True)
    rnn = layers.SimpleRNNCell(3, weight("k", 2, 3), weight("r", 3, 3), None, TANH)
    conv = layers.ConvLSTMCell(
        1, 3, weight("k", 2, 2, 12), weight("r", 2, 3, 12), None, TANH, SIGMOID, (1,), "same", (1,), "channels_last"
    )
    kinds = [type(interpret.cell_of(cell, "float64")) for cell in (lstm_cell(), gru, rnn, conv)]
    assert kinds == [reference_lstm.LSTM, reference_lstm.GRU, reference_lstm.SimpleRNN, reference_lstm.ConvLSTM]
