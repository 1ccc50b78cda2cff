"""Activation functions that the user supplies: one of the known ones wherever the file has the author's name."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from converter import Unsupported, convert, load
from converter.errors import InvalidPlugin
from converter.interpret import run
from converter.keras.architecture.plugins import load_plugins


def with_plugin(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(f"from converter.plugin import Activation\n{text}\n")
    return path


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_functions_of_the_authors(name: str, tmp_path: Path) -> None:
    import tf_keras as keras

    @keras.utils.register_keras_serializable("mine")
    def wave(x: object) -> object:
        return x * keras.backend.sigmoid(1.5 * x)

    layers = keras.layers
    x = keras.Input((5, 3))
    y = layers.Bidirectional(layers.LSTM(4, activation=wave, return_sequences=True))(x)
    y = layers.RNN([layers.GRUCell(3, activation=wave), layers.LSTMCell(4, activation=wave)], return_sequences=True)(y)
    y = layers.TimeDistributed(layers.Dense(3, activation=wave))(layers.Activation(wave)(y))
    model = keras.Model(x, layers.SimpleRNN(2, activation=wave)(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is legacy
        model.save(tmp_path / name)
    with pytest.raises(Unsupported, match="ACTIVATIONS"):
        load(tmp_path / name)
    plugin = with_plugin(tmp_path, 'ACTIVATIONS = {"wave": Activation("swish", (1.5,))}')
    done = convert(tmp_path / name, tmp_path / "m.onnx", plugins=[plugin])
    assert done.reports[0].passed
    values = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    (have,) = run(done.model, {done.model.inputs[0].name: values}).values()
    np.testing.assert_allclose(have, np.asarray(model(values)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ACTIVATIONS = 3", "no dict of Activations"),
        ('ACTIVATIONS = {"swish": "silu"}', "is no Activation under the name"),
        ('ACTIVATIONS = {"swish": Activation("sillu")}', "there is no activation 'sillu'"),
        ("ACTIVATIONS = {}", "no LAYERS"),
    ],
)
def test_functions_that_are_none_are_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidPlugin, match=told):
        load_plugins([with_plugin(tmp_path, text)])


def test_two_plugins_for_one_function_are_refused(tmp_path: Path) -> None:
    plugin = with_plugin(tmp_path, 'ACTIVATIONS = {"swish": Activation("silu")}')
    with pytest.raises(InvalidPlugin, match="another plugin has 'swish', too"):
        load_plugins([plugin, plugin])
