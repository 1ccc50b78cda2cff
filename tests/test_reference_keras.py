"""reference_lstm against the recurrent layers of Keras 3 on TensorFlow: masks, states, directions, cells."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest

import reference_lstm
from reference_lstm import GRU, LSTM, ConvLSTM, Direction, SimpleRNN

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not (find_spec("tensorflow") and find_spec("keras")), reason="needs TensorFlow"),
    pytest.mark.filterwarnings("default"),
]
CELLS = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": SimpleRNN}


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    return pytest.importorskip("keras")


def randomized(layer, shape, rng):
    layer.build(shape)
    layer.set_weights([rng.normal(scale=0.5, size=w.shape).astype("float32") for w in layer.get_weights()])
    return layer


def assert_same(got, expected):
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, np.asarray(theirs), rtol=1e-5, atol=2e-6)


MASK = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [0, 1, 0, 1, 0]], bool)


@pytest.mark.parametrize("kind", sorted(CELLS))
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_masked_layer_with_initial_states(keras, kind, sequences, go_backwards, zero):
    rng = np.random.default_rng(0)
    layer = getattr(keras.layers, kind)(
        4, return_sequences=sequences, return_state=True, go_backwards=go_backwards, zero_output_for_mask=zero
    )
    x = rng.normal(size=(5, 5, 3)).astype("float32")
    cell = CELLS[kind](*randomized(layer, x.shape, rng).get_weights())
    states = [rng.normal(size=(5, 4)).astype("float32") for _ in range(cell.state_count)]
    got = reference_lstm.run(
        [Direction(cell, go_backwards)], x, MASK, states,
        return_sequences=sequences, masked_output="zero" if zero else "previous",
    )  # fmt: skip
    assert_same(got, layer(x, initial_state=states, mask=MASK))


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [False, True])
def test_masked_bidirectional(keras, merge, sequences):
    rng = np.random.default_rng(1)
    layer = keras.layers.Bidirectional(
        keras.layers.LSTM(4, return_sequences=sequences, return_state=True), merge_mode=merge
    )
    x = rng.normal(size=(5, 5, 3)).astype("float32")
    randomized(layer, x.shape, rng)
    sides = [LSTM(*side.get_weights()) for side in (layer.forward_layer, layer.backward_layer)]
    got = reference_lstm.run(
        [Direction(sides[0]), Direction(sides[1], True, True)], x, MASK,
        merge=merge, return_sequences=sequences, masked_output="zero" if sequences else "previous",
    )  # fmt: skip
    assert_same(got, layer(x, mask=MASK))


@pytest.mark.parametrize(("strides", "dilation", "padding"), [(1, 1, "same"), (2, 1, "valid"), (1, 2, "same")])
def test_masked_conv_lstm(keras, strides, dilation, padding):
    rng = np.random.default_rng(2)
    layer = keras.layers.ConvLSTM2D(
        3, (3, 2), strides=strides, dilation_rate=dilation, padding=padding, return_sequences=True, return_state=True,
        recurrent_activation="sigmoid",
    )  # fmt: skip
    x = rng.normal(size=(5, 5, 7, 6, 2)).astype("float32")
    weights = randomized(layer, x.shape, rng).get_weights()
    cell = ConvLSTM(*weights, (strides,) * 2, padding, (dilation,) * 2)
    assert_same(reference_lstm.run([Direction(cell)], x, MASK, return_sequences=True), layer(x, mask=MASK))
