"""Archives for Keras 3 that genuine Keras 3 opens: what it makes of them is what the neutral model means."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import Builder, feed

from converter import interpret
from converter.exporters import keras
from converter.model import Model, State, Value, constant, layers
from converter.model.activations import Activation
from converter.model.layers import Direction, Recurrent

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not all(find_spec(n) for n in ("tensorflow", "keras")), reason="needs TensorFlow and Keras 3"),
    pytest.mark.filterwarnings("ignore"),
]


def last_step(b: Builder) -> Model:
    """x[:, -1, :] over time of any length."""
    x = b.input("x", (None, None, 3))
    lstm = Recurrent((Direction(b.lstm(3, 4)),), return_sequences=True)
    y, *_ = b.node("lstm", lstm, [x, None, None, None], (None, None, 4), (None, 4), (None, 4))
    (z,) = b.node("cut", layers.Slice((1,), (-1,), (None,), (1,)), [y], (None, None, 4))
    (z,) = b.node("last", layers.Squeeze((1,)), [z], (None, 4))
    return b.model(b.node("dense", layers.Dense(b.weight(4, 2), None), [z], (None, 2)))


def normalized(b: Builder) -> Model:
    """(x - mean) / max(sqrt(variance), epsilon): the divisor is made of constants alone."""
    x = b.input("x", (None, None, 3))
    arrays = [constant(name, np.array(v, np.float32)) for name, v in (("m", [1, 2, 3]), ("v", [4, 0, 2]), ("e", 1e-7))]
    mean, variance, epsilon = (b.node(w.name, layers.Constant(w), [], w.shape)[0] for w in arrays)
    (root,) = b.node("root", layers.Unary("sqrt"), [variance], (3,))
    (divisor,) = b.node("divisor", layers.Elementwise("maximum"), [root, epsilon], (3,))
    (y,) = b.node("minus", layers.Elementwise("subtract"), [x, mean], (None, None, 3))
    (y,) = b.node("over", layers.Elementwise("divide"), [y, divisor], (None, None, 3))
    lstm = Recurrent((Direction(b.lstm(3, 4)),))
    return b.model(b.node("lstm", lstm, [y, None, None, None], (None, 4), (None, 4), (None, 4))[:1])


def stateful(b: Builder) -> Model:
    """A pair of directions that carries its states."""
    x = b.input("x", (2, None, 3))
    shape = (2, 4)
    pairs = [(Value(f"s{k}", shape, "float32"), Value(f"pair:{k + 1}", shape, "float32")) for k in range(4)]
    states = tuple(State(*pair) for pair in pairs)
    pair = (Direction(b.lstm(3, 4)), Direction(b.lstm(3, 4), True, True))
    layer = Recurrent(pair, "concat", return_sequences=True)
    made = b.node("pair", layer, [x, None, *(s.input for s in states)], (2, None, 8), *[(2, 4)] * 4)
    return b.model(made[:1], states=states)


def with_layers_as_activations(b: Builder) -> Model:
    """What Keras has no name for is a layer inside the layer."""
    x = b.input("x", (None, None, 3))
    cell = b.lstm(3, 4, activation=Activation("leaky_relu", (0.25,)), gate=Activation("relu", (0.0, 1.0, 0.0)))
    lstm = Recurrent((Direction(cell),))
    return b.model(b.node("lstm", lstm, [x, None, None, None], (None, 4), (None, 4), (None, 4))[:1])


def padded_by_edges(b: Builder) -> Model:
    """TensorFlow has no such mode."""
    x = b.input("x", (None, 5, 3))
    return b.model(b.node("pad", layers.Pad(((0, 0), (2, 1), (0, 0)), mode="edge"), [x], (None, 8, 3)))


MODELS = [last_step, normalized, stateful, with_layers_as_activations, padded_by_edges]


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_keras_opens_it_and_computes_the_same(make: Callable[[Builder], Model], tmp_path: Path) -> None:
    model = make(Builder())
    keras.export(model, tmp_path / "m.keras")
    revived = opened(tmp_path / "m.keras")
    arrays = feed(model, 2, 6)
    states: dict[str, np.ndarray] = {}
    for _ in range(2 if model.states else 1):
        given = {value.name: arrays[value.name] for value in model.inputs}
        want = interpret.run(model, given, states=states or None)
        states = {state.input.name: want[state.output.name] for state in model.states}
        have = np.asarray(revived(*given.values()))
        np.testing.assert_allclose(have, want[model.outputs[0].name], rtol=0, atol=2e-6)


def opened(path: Path) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from keras.models import load_model
    return load_model(path, compile=False)
