"""Images resized: Resizing, CenterCrop, and UpSampling2D's interpolations."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.layer_type import LayerType
from converter.keras.schema import Config, DataFormat, Positive
from converter.keras.shared.einsum import einsum
from converter.keras.shared.interpolation import matrix
from converter.keras.shared.windows import spatial_axes
from converter.keras.spec import Call
from converter.model import Value, layers

Sizes = tuple[int, int]
LETTERS = "bijk"


class ResizingConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/image_preprocessing/resizing/"""

    height: Positive
    width: Positive
    interpolation: str = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: Literal["constant"] = "constant"
    fill_value: float = 0.0
    antialias: bool = False
    data_format: DataFormat | None = None


class CenterCropConfig(Config, frozen=True, kw_only=True):
    """https://keras.io/api/layers/preprocessing_layers/image_preprocessing/center_crop/"""

    height: Positive
    width: Positive
    data_format: DataFormat | None = None


def resize(
    ops: Ops, x: Value, axes: range, out: Sizes, method: str, *, antialias: bool = False, legacy: bool = False,
    aligned: bool = False,
) -> Value:  # fmt: skip
    """Both spatial axes by one interpolation, in float32 whatever x is, as TensorFlow does; one axis after the other.

    Raises:
        Unsupported: a size is open, or beyond all images, or nobody knows the interpolation.
    """
    sizes = known_sizes(x, axes)
    y = x if method == "nearest" else ops.cast(x, "float32")
    for axis, size, wanted in zip(axes, sizes, out, strict=True):
        refuse_constant(size, wanted)
        weights = matrix(method, size, wanted, antialias=antialias, legacy=legacy, aligned=aligned)
        if weights is None:
            raise Unsupported(f"resizing by {method} interpolation")
        y = _along(ops, y, axis, weights)
    return y


def known_sizes(x: Value, axes: range) -> Sizes:
    """The sizes of the two axes.

    Raises:
        Unsupported: one is open.
    """
    height, width = (x.shape[axis] for axis in axes)
    if height is None or width is None:
        raise Unsupported(f"resizing images of open size, in a tensor of shape {x.shape}")
    return height, width


def _along(ops: Ops, x: Value, axis: int, weights: np.ndarray[Any, Any]) -> Value:
    """The matrix [output, input] times one axis; a Gather where it only picks, nothing where it is unity."""
    if np.array_equal(weights, np.eye(weights.shape[1])):
        return x
    if ((weights == 0) | (weights == 1)).all():
        places = ops.constant(weights.argmax(1), "int64")
        shape = (*x.shape[:axis], len(weights), *x.shape[axis + 1 :])
        return ops.one(layers.Gather(axis), [x, places], shape, x.dtype)
    made = LETTERS.replace(LETTERS[axis], "n")
    return einsum(ops, f"{LETTERS},n{LETTERS[axis]}->{made}", [x, ops.constant(weights, "float32")])


def _resizing(call: Call) -> tuple[Tensor, ...]:
    config: ResizingConfig = call.config
    x, ops, out = call.x.value, call.ops, (config.height, config.width)
    axes = spatial_axes(x.shape, 2, config.data_format)
    casts = call.era.switch("image_layers_cast")
    if casts and (x.dtype not in FLOATS or config.interpolation != "nearest"):
        x = ops.cast(x, call.dtype if config.interpolation == "nearest" else "float32")
    if config.crop_to_aspect_ratio:
        x = crop_to(ops, x, axes, out)
    elif config.pad_to_aspect_ratio:
        x = _pad_to(ops, x, axes, out, config.fill_value)
    y = resize(ops, x, axes, out, config.interpolation, antialias=config.antialias)
    return (Tensor(ops.cast(y, call.dtype) if casts else as_before(call, y)),)


def as_before(call: Call, y: Value) -> Value:
    """What `resize` gives in float32, in the dtype that the layer leaves it in.

    Raises:
        Unsupported: of Keras 3, where whole numbers came in: some of its versions round then, others do not.
    """
    x = call.x.value
    if call.era.switch("image_layers_cast") or y.dtype == x.dtype:
        return y
    if x.dtype not in FLOATS:
        raise Unsupported(f"resizing images of {x.dtype}, which only some versions of Keras 3 round to whole numbers")
    return call.ops.cast(y, x.dtype)


def crop_to(ops: Ops, x: Value, axes: range, out: Sizes) -> Value:
    """The middle of x, as large as the proportions of `out` allow."""
    height, width = known_sizes(x, axes)
    kept = max(min(height, width * out[0] // out[1]), 1), max(min(width, height * out[1] // out[0]), 1)
    return _middle(ops, x, axes, kept)


def _middle(ops: Ops, x: Value, axes: range, kept: Sizes) -> Value:
    for axis, size, wanted in zip(axes, known_sizes(x, axes), kept, strict=True):
        start = (size - wanted) // 2
        x = x if size == wanted else ops.slice(x, axis, start, start + wanted)
    return x


def _pad_to(ops: Ops, x: Value, axes: range, out: Sizes, value: float) -> Value:
    """x with equal bars on both sides of one axis, in the proportions of `out` or a pixel less."""
    height, width = known_sizes(x, axes)
    bars = (max(height, width * out[0] // out[1]) - height) // 2, (max(width, height * out[1] // out[0]) - width) // 2
    added = dict(zip(axes, bars, strict=True))
    pads = tuple((added.get(axis, 0), added.get(axis, 0)) for axis in range(len(x.shape)))
    shape = tuple(None if n is None else n + 2 * added.get(axis, 0) for axis, n in enumerate(x.shape))
    return x if not any(bars) else ops.one(layers.Pad(pads, value), [x], shape, x.dtype)


def _center_crop(call: Call) -> tuple[Tensor, ...]:
    """The middle, or, where the image is smaller, the largest part of those proportions resized."""
    config: CenterCropConfig = call.config
    ops, out = call.ops, (config.height, config.width)
    x = ops.cast(call.x.value, call.dtype)
    axes = spatial_axes(x.shape, 2, config.data_format)
    height, width = known_sizes(x, axes)
    if height >= out[0] and width >= out[1]:
        return (Tensor(_middle(ops, x, axes, out)),)
    y = resize(ops, crop_to(ops, x, axes, out), axes, out, "bilinear")
    return (Tensor(ops.cast(y, call.dtype) if call.era.switch("image_layers_cast") else y),)


TYPES: dict[str, LayerType] = {
    "Resizing": LayerType(ResizingConfig, _resizing, note="of known sizes"),
    "CenterCrop": LayerType(CenterCropConfig, _center_crop, note="of known sizes"),
}
