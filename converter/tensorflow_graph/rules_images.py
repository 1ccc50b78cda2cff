"""Translation of images resized and volumes pooled, with the vocabulary of Keras' layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converter.errors import Unsupported
from converter.keras.building.graph import refuse_constant
from converter.keras.layers.resizing import known_sizes, resize
from converter.keras.operations import nn
from converter.model import Value, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.kernels_images import aligned, half_pixels, nearest_places
from converter.tensorflow_graph.kernels_nn import channels, padding, window
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import integers_of

AXES = range(1, 3)  # of an image: these operators know channels_last alone


def _interpolated(method: str) -> Callable[..., Value]:
    """tf.raw_ops.ResizeBilinear and ResizeBicubic: float32, whatever the image is; a size that is open is refused."""

    def rule(t: Translating, step: Step, x: Any, size: Any) -> Value:
        value, out, a = t.value(step, x), _wanted(size), step.attributes
        return resize(t.ops(step), value, AXES, out, method, legacy=not half_pixels(a), aligned=aligned(a))

    return rule


def nearest(t: Translating, step: Step, x: Any, size: Any) -> Any:
    """tf.raw_ops.ResizeNearestNeighbor, of any dtype.

    Raises:
        Unsupported: a size is open.
    """
    o, value, out = t.ops(step), t.value(step, x), _wanted(size)
    if half_pixels(step.attributes) and not aligned(step.attributes):
        return resize(o, value, AXES, out, "nearest")
    for axis, length, wanted in zip(AXES, known_sizes(value, AXES), out, strict=True):
        refuse_constant(wanted)
        places = nearest_places(step.attributes, length, wanted)
        shape = (*value.shape[:axis], wanted, *value.shape[axis + 1 :])
        value = o.one(layers.Gather(axis), [value, o.constant(places, "int64")], shape, value.dtype)
    return value


def _wanted(size: Any) -> tuple[int, int]:
    found = tuple(n for n in integers_of(size, "the size of an image") if isinstance(n, int))
    if len(found) != 2:
        raise Unsupported("the size of an image that the model computes")
    return found


def _pool(kind: Any) -> Callable[..., Value]:
    function = nn.pool(kind)

    def rule(t: Translating, step: Step, x: Any) -> Value:
        a, value = step.attributes, t.value(step, x)
        sizes, strides = list(window(a, "ksize", 3)), list(window(a, "strides", 3))
        made: Value = function(t.ops(step), value, sizes, strides, padding(a), channels(a))
        return made

    return rule


RULES: Mapping[str, Callable[..., Any]] = {
    "ResizeBilinear": _interpolated("bilinear"), "ResizeBicubic": _interpolated("bicubic"),
    "ResizeNearestNeighbor": nearest,
    "AvgPool3D": _pool("average"), "MaxPool3D": _pool("max"),
}  # fmt: skip
