"""Transposed convolutions in function graphs, and convolutions of explicit paddings, as TensorFlow computes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_layers import Layer, check_exported

from converter import convert, load
from converter.errors import InvalidModel, Unsupported
from converter.interpret import run
from converter.model import Array
from converter.model.layers import ConvTranspose
from converter.tensorflow_graph.kernels import run_kernel

pytestmark = pytest.mark.tensorflow
LAYERS: dict[str, Layer] = {
    "time": ((None, 3), lambda L: L.Conv1DTranspose(4, 3, strides=2, padding="same")),
    "time, whole": ((None, 3), lambda L: L.Conv1DTranspose(4, 2, strides=3, padding="valid")),
    "image": ((5, 4, 2), lambda L: L.Conv2DTranspose(3, (3, 2), strides=(2, 1), padding="same")),
    "open image": ((None, None, 2), lambda L: L.Conv2DTranspose(3, 4, strides=2, output_padding=1)),
    "volume": ((None, 3, 4, 2), lambda L: L.Conv3DTranspose(2, 2, strides=(2, 1, 3), padding="same")),
}


def saved(tf: Any, function: Callable[..., Any], shape: tuple[int | None, ...], folder: Path) -> Path:
    module = tf.Module()
    module.f = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    tf.saved_model.save(module, str(folder), signatures=module.f)
    return folder


def samples(*shape: int) -> Array:
    made: Array = np.random.default_rng(len(shape)).normal(size=shape).astype("f4")
    return made


@pytest.mark.parametrize("case", LAYERS)
def test_layers_give_what_keras_gives(case: str, tmp_path: Path) -> None:
    check_exported(LAYERS[case], (1, 6), 1e-5, tmp_path)


@pytest.mark.parametrize(("window", "stride"), list(itertools.product((1, 2, 3, 4), (1, 2, 3))))
@pytest.mark.parametrize("padding", ["SAME", "VALID", "EXPLICIT"])
def test_every_size_that_tensorflow_allows(window: int, stride: int, padding: str, tmp_path: Path) -> None:
    """Also those that Keras never asks for: the strides leave `stride` of them for each input."""
    tf = pytest.importorskip("tensorflow")
    x, kernel = samples(2, 4, 5, 3), samples(window, 2, 2, 3)
    pads = [0, 0, window // 2, (window - 1) // 2, 0, 1, 0, 0] if padding == "EXPLICIT" else []
    least = 3 * stride + 1 if padding == "SAME" else 3 * stride + window - sum(pads[2:4])
    for height in range(max(least, 1), least + stride):
        width = 5 if padding == "SAME" else 6 - sum(pads[4:6])

        def f(x: Any, height: int = height, width: int = width) -> Any:
            return tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.stack([tf.shape(x)[0], height, width, 2]), filter=kernel, out_backprop=x,
                strides=[1, stride, 1, 1], padding=padding, explicit_paddings=pads,
            )  # fmt: skip

        want = f(x).numpy()
        done = convert(saved(tf, f, (None, 4, 5, 3), tmp_path / f"m{height}"), tmp_path / f"m{height}.onnx")
        assert done.reports[0].passed
        (have,) = run(done.model, {done.model.inputs[0].name: x}).values()
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-5)


def test_a_size_that_the_model_computes_is_refused(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    kernel = samples(3, 3, 2, 3)

    def f(x: Any) -> Any:
        least = tf.nn.max_pool2d(x, 2, 2, "SAME")
        return tf.nn.conv2d_transpose(least, kernel, tf.concat([tf.shape(x)[:3], [2]], 0), 2)

    with pytest.raises(Unsupported, match=r"Conv2DBackpropInput .*makes a size that the model computes"):
        load(saved(tf, f, (None, None, 4, 3), tmp_path / "m"))


def test_a_size_that_no_stride_gives_is_refused() -> None:
    with pytest.raises(InvalidModel, match="to \\[9, 9\\] by strides of"):
        run_kernel(
            "Conv2DBackpropInput", {"strides": [1, 2, 2, 1], "padding": "VALID"},
            [np.array([1, 9, 9, 1]), samples(3, 3, 1, 1), samples(1, 3, 3, 1)],
        )  # fmt: skip


@pytest.mark.parametrize("groups", [1, 3])
def test_convolutions_of_explicit_paddings(groups: int, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    kernel = samples(3, 2, 3 // groups, 6)

    def f(x: Any) -> Any:
        return tf.nn.conv2d(x, kernel, [2, 1], [[0, 0], [2, 1], [0, 3], [0, 0]])

    done = convert(saved(tf, f, (None, None, 4, 3), tmp_path / "m"), tmp_path / "m.onnx")
    assert done.reports[0].passed
    x = samples(2, 5, 4, 3)
    (have,) = run(done.model, {done.model.inputs[0].name: x}).values()
    np.testing.assert_allclose(have, f(x).numpy(), rtol=0, atol=1e-5)
    assert not any(isinstance(node.layer, ConvTranspose) for node in done.model.nodes)
