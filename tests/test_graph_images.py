"""Images and volumes in function graphs: resized, pooled, convolved with gaps, as genuine Keras exports them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_layers import Layer, check_exported

from converter import load
from converter.errors import InvalidModel
from converter.interpret import run
from converter.model import Array
from converter.tensorflow_graph.kernels import run_kernel

IMAGE, VOLUME = (5, 4, 2), (4, 5, 6, 2)
LAYERS: dict[str, Layer] = {
    "average": (VOLUME, lambda L: L.AveragePooling3D(2, padding="same")),
    "average of strides": (VOLUME, lambda L: L.AveragePooling3D((2, 3, 1), strides=(1, 2, 3))),
    "largest": (VOLUME, lambda L: L.MaxPooling3D(2)),
    "bilinear": (IMAGE, lambda L: L.Resizing(7, 3)),
    "nearest": (IMAGE, lambda L: L.Resizing(3, 9, interpolation="nearest")),
    "up": (IMAGE, lambda L: L.UpSampling2D((2, 3), interpolation="bilinear")),
    "depthwise": (IMAGE, lambda L: L.DepthwiseConv2D(2, depth_multiplier=3, dilation_rate=2, padding="same")),
    "depthwise of parts": (IMAGE, lambda L: L.DepthwiseConv2D(2, dilation_rate=(2, 2))),
    "depthwise in time": ((None, 3), lambda L: L.DepthwiseConv1D(3, dilation_rate=2, padding="same")),
    "separable": (IMAGE, lambda L: L.SeparableConv2D(4, 2, dilation_rate=2, padding="same")),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", LAYERS)
def test_layers_give_what_keras_gives(case: str, tmp_path: Path) -> None:
    check_exported(LAYERS[case], (3, 8), 1e-6, tmp_path)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "convention", [{}, {"half_pixel_centers": True}, {"align_corners": True}], ids=["", "half", "aligned"]
)
@pytest.mark.parametrize("op", ["ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor"])
@pytest.mark.parametrize("size", [(7, 3), (10, 8), (1, 1), (5, 4), (13, 11)])
def test_resizing_of_all_conventions(
    op: str, convention: dict[str, bool], size: tuple[int, int], tmp_path: Path
) -> None:
    tf = pytest.importorskip("tensorflow")
    x = np.random.default_rng(3).normal(size=(2, *IMAGE)).astype("f4")

    def resized(x: Array) -> Any:
        return getattr(tf.raw_ops, op)(images=x, size=size, **convention)

    module = tf.Module()
    module.f = tf.function(resized, input_signature=[tf.TensorSpec((None, *IMAGE), tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.f)
    model = load(tmp_path / "m")
    (have,) = run(model, {model.inputs[0].name: x}).values()
    want = resized(x).numpy()
    np.testing.assert_allclose(have, want, rtol=0, atol=3e-6)
    np.testing.assert_allclose(run_kernel(op, convention, [x, np.array(size)])[0], want, atol=3e-6)


def test_conventions_that_exclude_each_other() -> None:
    both = {"align_corners": True, "half_pixel_centers": True}
    with pytest.raises(InvalidModel, match="exclude each other"):
        run_kernel("ResizeBilinear", both, [np.zeros((1, *IMAGE)), np.array([2, 2])])
