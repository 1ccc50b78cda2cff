"""What random models once found: each built with genuine Keras 3 or tf_keras, saved, converted, run and compared."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converter
from converter.errors import Unsupported

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]
BOTH = pytest.mark.parametrize("library", ["keras", "tf_keras"])
ONLY_3 = pytest.mark.parametrize("library", ["keras"])
ONLY_2 = pytest.mark.parametrize("library", ["tf_keras"])
Build = Callable[[Any], Any]


def built(library: str, build: Build) -> Any:
    """A model of the library with weights drawn here."""
    keras = import_module(library)
    keras.backend.clear_session()
    model, rng = build(keras), np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape, scale=0.6).astype(w.dtype) for w in model.get_weights()])
    return model


def check(library: str, build: Build, folder: Path, suffix: str = ".keras", allowed: float = 1e-5) -> None:
    """The converted model gives what the genuine one does, and the proof passes."""
    import onnxruntime

    model, rng = built(library, build), np.random.default_rng(4)
    inputs = [rng.normal(size=[3, *(5 if n is None else n for n in x.shape[1:])]).astype(np.float32)
              for x in model.inputs]  # fmt: skip
    wanted = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    model.save(folder / f"model{suffix}")
    converter.convert(folder / f"model{suffix}", folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    types = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
    feed = {x.name: array.astype(types[x.type]) for x, array in zip(session.get_inputs(), inputs, strict=True)}
    listed = wanted if isinstance(wanted, list | tuple) else [wanted]
    for made, want in zip(session.run(None, feed), listed, strict=True):
        np.testing.assert_allclose(made, np.asarray(want), atol=allowed, rtol=allowed)


def chain(shape: tuple[int | None, ...], *layers: Callable[[Any], Any]) -> Build:
    """A model of layers one after the other."""

    def build(keras: Any) -> Any:
        x = entry = keras.Input(shape)
        for layer in layers:
            x = layer(keras.layers)(x)
        return keras.Model(entry, x)

    return build


@ONLY_2
def test_sides_of_different_time_major_are_refused(library: str, tmp_path: Path) -> None:
    for first, second in ((True, False), (False, True)):
        model = built(library, chain((3, 2), lambda layers, first=first, second=second: layers.Bidirectional(
            layers.LSTM(2, time_major=first, return_sequences=True), merge_mode="sum",
            backward_layer=layers.GRU(2, time_major=second, go_backwards=True, return_sequences=True),
        )))  # fmt: skip
        file = tmp_path / f"{first}.h5"
        model.save(file)
        with pytest.raises(Unsupported, match="differ in time_major"):
            converter.load(file)


@ONLY_3
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention"])
def test_gates_of_attention_are_found(library: str, name: str, suffix: str, tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        x = keras.Input((4, 3))
        sizes = (2, 3) if name == "MultiHeadAttention" else (3, 2, 1)
        return keras.Model(x, getattr(keras.layers, name)(*sizes, use_gate=True)(x, x))

    check(library, build, tmp_path, suffix)


@BOTH
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_float16_layers_of_both_ways_are_proved(library: str, sequences: bool, activation: str, tmp_path: Path) -> None:
    for name in ("LSTM", "GRU", "SimpleRNN"):
        layer = {"activation": activation, "return_sequences": sequences, "dtype": "float16"}
        (tmp_path / name).mkdir()
        check(library, chain((4, 3), lambda layers, name=name, layer=layer: getattr(layers, name)(2, **layer)),
              tmp_path / name, allowed=5e-3)  # fmt: skip


@BOTH
def test_one_tensor_under_two_names(library: str, tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        x = keras.Input((3, 2))
        y = keras.layers.LeakyReLU(0.3)(x)
        return keras.Model(x, [keras.layers.Dropout(0.2)(y), keras.layers.LSTM(2)(y), y])

    check(library, build, tmp_path)


@BOTH
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_states_alone_of_a_sequence_that_nobody_reads(library: str, name: str, tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        x = keras.Input((4, 2))
        layer = getattr(keras.layers, name)(3, activation="gelu", return_sequences=True, return_state=True)
        return keras.Model(x, keras.layers.Reshape((3, 1))(layer(x)[1]))

    check(library, build, tmp_path)


@BOTH
@pytest.mark.parametrize("merge", ["concat", None])
def test_sides_of_different_cells_and_one_side_alone(library: str, merge: str | None, tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        x, layers = keras.Input((4, 2)), keras.layers
        both = layers.Bidirectional(layers.LSTM(3, activation="gelu"), merge_mode=merge,
                                    backward_layer=layers.GRU(3, activation="gelu", go_backwards=True))  # fmt: skip
        y = both(x)
        return keras.Model(x, y if merge else y[0])

    check(library, build, tmp_path)


@BOTH
def test_relu_layers_that_leave_the_range(library: str, tmp_path: Path) -> None:
    check(library, chain((5, 2), lambda layers: layers.Bidirectional(
        layers.LSTM(4, activation="relu", recurrent_activation="relu", return_sequences=True)
    )), tmp_path, allowed=1e-4)  # fmt: skip


@ONLY_3
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_sparsemax_jumps(library: str, dtype: str, tmp_path: Path) -> None:
    check(library, chain((4, 3), lambda layers: layers.LSTM(5, activation="sparsemax", dtype=dtype)), tmp_path,
          allowed=1e-5 if dtype == "float32" else 5e-3)  # fmt: skip


@ONLY_3
def test_a_target_shape_with_an_open_size(library: str, tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        x = keras.Input((None, 2))
        return keras.Model(x, keras.layers.Reshape((*x.shape[1:], 1))(x))

    check(library, build, tmp_path)


@ONLY_2
def test_masks_of_bfloat16_are_proved(library: str, tmp_path: Path) -> None:
    check(library, chain((4, 2), lambda layers: layers.Masking(0.0, dtype="mixed_bfloat16"),
                         lambda layers: layers.LSTM(2)), tmp_path, allowed=2e-2)  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", ["MaxPooling1D", "AveragePooling1D"])
def test_less_than_one_window_gives_no_step(library: str, name: str, tmp_path: Path) -> None:
    import onnxruntime

    model = built(library, chain((None, 2), lambda layers: getattr(layers, name)(4, strides=3)))
    model.save(tmp_path / "model.keras")
    converter.convert(tmp_path / "model.keras", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for steps in (3, 4, 6, 7, 8):
        array = np.ones((1, steps, 2), np.float32)
        (made,) = session.run(None, {session.get_inputs()[0].name: array})
        np.testing.assert_allclose(made, np.asarray(model(array)), rtol=1e-5, atol=1e-6)


@BOTH
def test_a_softmax_whose_mask_has_fewer_axes_is_refused(library: str, tmp_path: Path) -> None:
    model = built(library, chain((3, 3), lambda layers: layers.Masking(0.0), lambda layers: layers.Softmax()))
    model.save(tmp_path / "model.keras")
    with pytest.raises(Unsupported, match="by accident"):
        converter.load(tmp_path / "model.keras")


WHOLE = ["int8", "uint8", "int32", "int64"]


@ONLY_3
@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("marker", [-1.0, 1.5, 0.1, 2.0, -999.9])
def test_masks_of_whole_numbers_are_compared_as_floats(library: str, dtype: str, marker: float, tmp_path: Path) -> None:
    import onnxruntime

    def build(keras: Any) -> Any:
        x = keras.Input((4, 2), dtype=dtype)
        return keras.Model(x, keras.layers.LSTM(3)(keras.layers.Masking(marker)(x)))

    model = built(library, build)
    model.save(tmp_path / "model.keras")
    converter.convert(tmp_path / "model.keras", tmp_path / "model.onnx")
    array = np.random.default_rng(0).integers(0, 3, (5, 4, 2)).astype(dtype)
    array[0, 1:], array[1, 2] = int(abs(marker)) % 100, 1
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (made,) = session.run(None, {session.get_inputs()[0].name: array})
    np.testing.assert_allclose(made, np.asarray(model(array)), atol=1e-5)


@BOTH
@pytest.mark.parametrize("name", ["LeakyReLU", "Average"])
def test_functions_without_whole_numbers_are_refused(library: str, name: str, tmp_path: Path) -> None:
    def build(keras: Any) -> Any:
        x, layer = keras.Input((4, 2), dtype="int32"), getattr(keras.layers, name)()
        return keras.Model(x, layer([x, x] if name == "Average" else x))

    model = built(library, build)
    model.save(tmp_path / "model.keras")
    with pytest.raises(Unsupported, match="of int32"):
        converter.load(tmp_path / "model.keras")
