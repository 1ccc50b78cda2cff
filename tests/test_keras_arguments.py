"""What genuine Keras 3 takes as arguments, saves, and computes: activations with weights, constant masks, integers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
import pytest
from keras_compare import library
from needing import BOTH_KERAS

import converter
from converter.errors import Unsupported
from converter.readers import load

pytestmark = BOTH_KERAS
RANDOM = np.random.default_rng(7)


def same_as_keras(model: Any, path: Path, *given: np.ndarray) -> Any:
    """Converts a model with weights drawn here, proof included, and compares what the ONNX file gives."""
    model.set_weights([RANDOM.uniform(0.1, 0.9, weight.shape) for weight in model.get_weights()])
    want = np.asarray(model(list(given) if len(given) > 1 else given[0], training=False))
    model.save(path)
    done = converter.convert(path, path.with_suffix(".onnx"), force=True)
    session = onnxruntime.InferenceSession(str(path.with_suffix(".onnx")))
    (have,) = session.run(None, {port.name: array for port, array in zip(session.get_inputs(), given, strict=True)})
    assert have.dtype == want.dtype
    np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)
    return done


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


# --- a layer with weights as an activation ----------------------------------------------------------------------------

ENDING: dict[str, Callable[[Any, Any], Any]] = {
    "Dense": lambda layers, act: layers.Dense(3, activation=act),
    "TimeDistributed": lambda layers, act: layers.TimeDistributed(layers.Dense(3, activation=act)),
    "EinsumDense": lambda layers, act: layers.EinsumDense("abc,cd->abd", (None, 3), activation=act),
    "Conv1D": lambda layers, act: layers.Conv1D(3, 2, activation=act),
    "SeparableConv1D": lambda layers, act: layers.SeparableConv1D(3, 2, activation=act),
    "DepthwiseConv1D": lambda layers, act: layers.DepthwiseConv1D(2, activation=act),
    "Conv1DTranspose": lambda layers, act: layers.Conv1DTranspose(3, 2, activation=act),
    "Activation": lambda layers, act: layers.Activation(act),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ENDING)
def test_prelu_as_an_activation(kind: str, suffix: str, tmp_path: Path) -> None:
    keras = library("keras")
    layer = ENDING[kind](keras.layers, keras.layers.PReLU())
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.LSTM(4, return_sequences=True), layer])
    same_as_keras(model, tmp_path / f"m{suffix}", floats(3, 5, 4))


def test_prelu_inside_a_cell_is_refused_by_name(tmp_path: Path) -> None:
    keras = library("keras")
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.LSTM(3, activation=keras.layers.PReLU())])
    model.save(tmp_path / "m.keras")
    with pytest.raises(Unsupported, match="PReLU layer as an activation"):
        converter.convert(tmp_path / "m.keras", tmp_path / "m.onnx")


# --- masks, integers, quantized layers --------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", [np.nan, np.inf, -np.inf])
def test_markers_that_are_not_finite(marker: float, tmp_path: Path) -> None:
    keras = library("keras")
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Masking(marker), keras.layers.LSTM(2)])
    model.compile(keras.optimizers.Adam(clipnorm=np.inf), "mse")
    same_as_keras(model, tmp_path / "m.keras", floats(2, 4, 3))


@pytest.mark.parametrize("batch", [None, 2])
def test_constant_masks(batch: int | None, tmp_path: Path) -> None:
    """Those of a graph whose sizes are all known stay in the file, where the proof looks for them."""
    keras = library("keras")
    x = keras.Input(batch_shape=(batch, 4, 3))
    mask = np.array([[True, False, True, True], [False, True, False, True]])
    y = keras.layers.LSTM(2)(x, mask=keras.ops.convert_to_tensor(mask))
    same_as_keras(keras.Model(x, y), tmp_path / "m.keras", floats(2, 4, 3))


INTEGERS: dict[str, Callable[[Any], Any]] = {
    "LSTM": lambda layers: layers.LSTM(3),
    "GRU": lambda layers: layers.GRU(3),
    "Dense": lambda layers: layers.Dense(3),
    "Rescaling": lambda layers: layers.Rescaling(0.5),
}


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_layers_cast_integers_to_what_they_compute_in(kind: str, dtype: str, tmp_path: Path) -> None:
    keras = library("keras")
    x = keras.Input((5, 4), dtype=dtype)
    given = RANDOM.integers(0, 2 if dtype == "bool" else 5, (3, 5, 4)).astype(dtype)
    same_as_keras(keras.Model(x, INTEGERS[kind](keras.layers)(x)), tmp_path / "m.keras", given)


@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_quantized_layers_are_refused_by_that_name(mode: str, tmp_path: Path) -> None:
    keras = library("keras")
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2), keras.layers.Dense(2)])
    model.quantize(mode)
    model.save(tmp_path / "m.keras")
    with pytest.raises(Unsupported, match=f"quantized to {mode}"):
        converter.convert(tmp_path / "m.keras", tmp_path / "m.onnx")


def test_a_softmax_over_one_number_is_warned_of(tmp_path: Path) -> None:
    keras = library("keras")
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2), keras.layers.Dense(1, "softmax")])
    done = same_as_keras(model, tmp_path / "m.keras", floats(2, 4, 3))
    assert any("softmax over an axis of size 1 is constant" in warning for warning in done.warnings)


# --- cells called by hand, add_loss -----------------------------------------------------------------------------------

CELLS: dict[str, Callable[[Any], Any]] = {
    "LSTMCell": lambda layers: layers.LSTMCell(3),
    "GRUCell": lambda layers: layers.GRUCell(3),
    "SimpleRNNCell": lambda layers: layers.SimpleRNNCell(3),
    "StackedRNNCells": lambda layers: layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)]),
}


@pytest.mark.parametrize("library_name", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_called_by_hand(kind: str, library_name: str, tmp_path: Path) -> None:
    keras = library(library_name)
    cell, x = CELLS[kind](keras.layers), keras.Input((2, 4))
    sizes = [3, 3, 2] if kind == "StackedRNNCells" else [3, 3] if kind == "LSTMCell" else [3]
    given = [keras.Input((size,)) for size in sizes]
    states: Any = [given[:2], given[2]] if kind == "StackedRNNCells" else list(given)
    step = keras.layers.Reshape((4,))
    for k in range(2):
        y, states = cell(step(keras.layers.Cropping1D((k, 1 - k))(x)), states)
    model = keras.Model([x, *given], y)
    same_as_keras(model, tmp_path / ("m.keras" if library_name == "keras" else "m.h5"), floats(3, 2, 4),
                  *(floats(3, size) for size in sizes))  # fmt: skip


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("what", ["loss", "metric", "both"])
def test_what_only_a_loss_needs_is_left_out(what: str, suffix: str, tmp_path: Path) -> None:
    """add_loss and add_metric of tf.keras leave operations and layers in the file, here of no known function."""
    keras, tf = library("tf_keras"), library("tensorflow")
    x = keras.Input((4, 3))
    y = keras.layers.LSTM(2)(x)
    model = keras.Model(x, y)
    value = tf.reduce_mean(tf.math.erfinv(tf.tanh(y)))
    if what != "metric":
        model.add_loss(value)
    if what != "loss":
        model.add_metric(value, name="far", aggregation="mean")
    same_as_keras(model, tmp_path / f"m{suffix}", floats(2, 4, 3))


@pytest.mark.parametrize("name", ["AddLoss", "AddMetric"])
def test_layers_of_losses_that_an_output_needs_are_refused_by_name(name: str, tmp_path: Path) -> None:
    keras = library("tf_keras")
    x = keras.Input((4, 3))
    model = keras.Model(x, keras.layers.Activation("relu", name="it")(keras.layers.LSTM(2)(x)))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        tree = json.loads(file.attrs["model_config"])
        config = {"unconditional": False} if name == "AddLoss" else {"aggregation": "mean", "metric_name": "far"}
        layer = next(one for one in tree["config"]["layers"] if one["name"] == "it")
        layer |= {"class_name": name, "config": {"name": "it", "trainable": True, "dtype": "float32", **config}}
        file.attrs["model_config"] = json.dumps(tree)
    with pytest.raises(Unsupported, match=name):
        load(tmp_path / "m.h5")


# --- values equal to what they are compared with ----------------------------------------------------------------------
JUMPS = {
    "keras": {
        "ReLU": lambda keras, x, t: keras.layers.ReLU(threshold=t)(x),
        "ReLU with a slope": lambda keras, x, t: keras.layers.ReLU(threshold=t, negative_slope=0.1, max_value=1.0)(x),
        "hard_shrink": lambda keras, x, t: keras.ops.hard_shrink(x, t),
        "threshold": lambda keras, x, t: keras.ops.threshold(x, t, -1.0),
        "where": lambda keras, x, t: keras.ops.where(x > t, x, -x),
        "greater_equal": lambda keras, x, t: keras.ops.cast(keras.ops.greater_equal(x, t), "float32"),
    },
    "tf_keras": {
        "ReLU": lambda keras, x, t: keras.layers.ReLU(threshold=t)(x),
        "ThresholdedReLU": lambda keras, x, t: keras.layers.ThresholdedReLU(theta=t)(x),
    },
}


@pytest.mark.parametrize(("library_name", "case"), [(library, case) for library in JUMPS for case in JUMPS[library]])
@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.7, 1.1])
def test_values_at_a_threshold(library_name: str, case: str, threshold: float, tmp_path: Path) -> None:
    """No threshold here is a float32; x takes its neighbors on both sides and the one that is nearest."""
    keras = library(library_name)
    x = keras.Input((3,))
    y = JUMPS[library_name][case](keras, x, threshold)
    nearest = np.float32(threshold)
    values = np.array([[np.nextafter(nearest, np.float32(0)), nearest, np.nextafter(nearest, np.float32(9))]])
    same_as_keras(keras.Model(x, y), tmp_path / ("m.keras" if library_name == "keras" else "m.h5"),
                  values.astype("float32"))  # fmt: skip
