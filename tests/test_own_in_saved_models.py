"""Classes and functions of the author's that are called as Keras': a SavedModel's function graph holds what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from keras_compare import library
from neutral_models import Builder
from test_layers import pytestmark, randomize

from converter import convert
from converter.errors import Unsupported
from converter.model import Array, LayerInfo, constant, layers
from converter.readers.function_graph import Served
from converter.verification.origin import check_configuration

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
Make = Callable[[Any, Any], Any]


def named(name: str, function: Callable[..., Any]) -> Any:
    """A function under a name that Keras has."""
    function.__name__ = name
    return function


def own(layers: Any, name: str, factor: float, *arguments: Any, **keywords: Any) -> Any:
    """A layer of a class of the author's that is called as the one of Keras' that it changes."""
    base = getattr(layers, name)

    def scaled(self: Any, inputs: Any) -> Any:
        return base.call(self, inputs) * factor

    def stepped(self: Any, *given: Any, **more: Any) -> Any:
        return base.call(self, *given, **more) * factor

    return type(name, (base,), {"call": stepped if name == "LSTM" else scaled})(*arguments, **keywords)


OWN: dict[str, Make] = {
    "activation": lambda layers, x: layers.LSTM(2, activation=named("tanh", lambda y: y * 0.5))(x),
    "inner activation": lambda layers, x: layers.GRU(2, recurrent_activation=named("sigmoid", lambda y: y * 0.1))(x),
    "Activation": lambda layers, x: layers.Activation(named("gelu", lambda y: y * 0.25))(x),
    "wrapped activation": lambda layers, x: layers.TimeDistributed(
        layers.Dense(2, activation=named("softmax", lambda y: y * 0.25))
    )(x),
    "Masking": lambda layers, x: layers.LSTM(2)(own(layers, "Masking", 1.5)(x)),
    "Dense": lambda layers, x: layers.LSTM(2)(own(layers, "Dense", 0.5, 3)(x)),
    "wrapped Dense": lambda layers, x: layers.TimeDistributed(own(layers, "Dense", 0.5, 3))(x),
    "wrapped LSTM": lambda layers, x: layers.Bidirectional(own(layers, "LSTM", 0.5, 2))(x),
}


@pytest.mark.parametrize("kind", OWN)
def test_what_is_the_authors_is_told_by_the_graph(kind: str, tmp_path: Path) -> None:
    keras = library("tf_keras")
    x = keras.layers.Input((4, 3), name="x")
    model = keras.Model(x, OWN[kind](keras.layers, x))
    randomize(model, np.random.default_rng(0))
    model.save(tmp_path / "model", save_format="tf")
    with pytest.raises(Unsupported, match="than the function graph"):
        convert(tmp_path / "model", tmp_path / "model.onnx")
    convert(tmp_path / "model", tmp_path / "model.onnx", route="graph")
    given = np.random.default_rng(1).normal(size=(2, 4, 3)).astype("float32")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: given})
    np.testing.assert_allclose(y, model(given, training=False), atol=1e-5)


@pytest.mark.parametrize("route", ["", "graph"])
def test_outputs_in_a_dict_are_compared_each_with_its_own(route: str, tmp_path: Path) -> None:
    keras = library("tf_keras")
    a, b = (keras.layers.Input((4, width), name=name) for name, width in (("a", 3), ("b", 2)))
    outputs = {"v": keras.layers.GRU(2, name="a_gru")(b), "u": keras.layers.LSTM(2, name="z_lstm")(a)}
    model = keras.Model({"p": a, "q": b}, outputs)
    randomize(model, np.random.default_rng(0))
    model.save(tmp_path / "model", save_format="tf")
    convert(tmp_path / "model", tmp_path / "model.onnx", route=route)
    draw = np.random.default_rng(1)
    given = {"a": draw.normal(size=(2, 4, 3)).astype("float32"), "b": draw.normal(size=(2, 4, 2)).astype("float32")}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    want = model({"p": given["a"], "q": given["b"]}, training=False)
    for y, name in zip(session.run(None, given), ("u", "v"), strict=True):
        np.testing.assert_allclose(y, want[name], atol=1e-5)


def test_what_is_served_may_be_more_than_the_model(tmp_path: Path) -> None:
    tf, keras = pytest.importorskip("tensorflow"), library("tf_keras")
    x = keras.layers.Input((4, 3), name="x")
    model = keras.Model(x, keras.layers.LSTM(2, name="y")(x))
    serve = tf.function(lambda x: {"y": model(2 * x)}, input_signature=[tf.TensorSpec((None, 4, 3), name="x")])
    model.save(tmp_path / "model", save_format="tf", signatures={"serving_default": serve})
    with pytest.raises(Unsupported, match=r"or what is served is more than the model.*--route keras"):
        convert(tmp_path / "model", tmp_path / "model.onnx")
    convert(tmp_path / "model", tmp_path / "model.onnx", route="keras")


@pytest.mark.parametrize("error", [KeyError, TypeError, ZeroDivisionError, MemoryError, RecursionError, OSError])
def test_a_graph_that_does_not_run_says_nothing(error: type[Exception]) -> None:
    builder = Builder()
    x = builder.input("x", (None, 3))
    model = builder.model(list(builder.node("y", layers.Elementwise("add"), [x, x], (None, 3))))

    def failing(inputs: object) -> list[Array]:
        raise error("broken")

    check_configuration(model, Served({"x": (None, 3)}, 1, failing))
    with pytest.raises(Unsupported, match="than the function graph"):
        check_configuration(model, Served({"x": (None, 3)}, 1, lambda inputs: [inputs["x"]]))


def test_arrays_of_a_normalization_that_were_set_later_are_named() -> None:
    """Its graph holds what adapt() saw as constants, and never reads the arrays."""
    builder = Builder()
    x = builder.input("x", (None, 3))
    model = builder.model(builder.node("norm", layers.Elementwise("add"), [x, x], (None, 3)))
    normalization = LayerInfo("norm", "Normalization", ((None, 3),), (constant("mean", np.ones(3)),))
    model = replace(model, layers=(normalization,))
    with pytest.raises(Unsupported, match=r"the arrays of 'norm' \(Normalization\) were set after adapt"):
        check_configuration(model, Served({"x": (None, 3)}, 1, lambda inputs: [inputs["x"]]))
