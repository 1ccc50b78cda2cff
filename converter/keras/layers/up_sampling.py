"""UpSampling1D, 2D and 3D: by repetition, and of images by interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Keras1, LayerType
from converter.keras.layers.convolution import rank_of
from converter.keras.layers.resizing import as_before, known_sizes, resize
from converter.keras.schema import Config, DataFormat, Ints, each
from converter.keras.shared.keras1 import UNORDERED_IMAGE
from converter.keras.shared.windows import channel_axis, replaced, spatial_axes
from converter.keras.spec import Call
from converter.model import Value, constant, layers


class UpSamplingConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/up_sampling1d/"""

    size: Ints = 2
    data_format: DataFormat | None = None
    interpolation: str = "nearest"


def _up_sampling(call: Call) -> tuple[Tensor, ...]:
    config: UpSamplingConfig = call.config
    rank, x = rank_of(call), call.x.value
    times, axes = each(config.size, rank, "size"), spatial_axes(x.shape, rank, config.data_format)
    if rank != 2 or config.interpolation == "nearest":
        return (Tensor(_repeated(call, x, axes, times)),)
    legacy = legacy_resize(call.era)
    if config.interpolation == "bilinear":
        return (Tensor(as_before(call, _bilinear(call, axes, times, legacy))),)
    height, width = known_sizes(x, axes)
    y = resize(call.ops, x, axes, (height * times[0], width * times[1]), config.interpolation, legacy=legacy)
    return (Tensor(as_before(call, y)),)


def _repeated(call: Call, y: Value, axes: range, times: Sequence[int]) -> Value:
    for axis, n in zip(axes, times, strict=True):
        size = y.shape[axis]
        shape = replaced(y.shape, [axis], [None if size is None else size * n])
        y = y if n == 1 else call.ops.one(layers.Repeat(axis, n), [y], shape, y.dtype)
    return y


def _bilinear(call: Call, axes: range, times: Sequence[int], legacy: bool) -> Value:
    """Pixels repeated `n` times, and then the mean over `n` of them: around each, or where `legacy` from each on.

    Around it, an even n is half a pixel short on both sides. Beyond the border the last pixel counts again.
    """
    config: UpSamplingConfig = call.config
    x = call.ops.cast(call.x.value, "float32")
    data_format = config.data_format or "channels_last"
    channels = x.shape[channel_axis(x.shape, data_format)]
    if channels is None:
        raise Unsupported(f"UpSampling2D by interpolation of an open number of channels in {x.shape}")
    y = _repeated(call, x, axes, times)
    refuse_constant(*(2 * n for n in times), channels)
    means = [np.convolve(np.ones(n), [1.0] if legacy or n % 2 else [0.5, 0.5]) / n for n in times]
    pads = [(0, 0)] * 4
    for axis, mean in zip(axes, means, strict=True):
        pads[axis] = (0, len(mean) - 1) if legacy else (len(mean) // 2, len(mean) // 2)
    wide = tuple(None if n is None else n + sum(pad) for n, pad in zip(y.shape, pads, strict=True))
    padded = call.ops.one(layers.Pad(tuple(pads), mode="edge"), [y], wide, y.dtype)
    kernel = np.repeat(np.outer(*means)[:, :, None, None], channels, -1)
    weight = constant(f"{call.path}/bilinear", kernel.astype(np.float32))
    layer = layers.Conv(2, weight, None, (1, 1), "valid", (1, 1), channels, data_format)
    return call.ops.one(layer, [padded], y.shape, "float32")


def legacy_resize(era: Era) -> bool:
    """Whether UpSampling2D aligns the corners of pixels and not their middles.

    Raises:
        Unsupported: the file does not show which, or the backend is one with a rule of its own.
    """
    legacy = era.switch("legacy_resize")
    if legacy == "unknown":
        raise Unsupported(f"UpSampling2D by interpolation on {era.backend}")
    if legacy is not None:
        return bool(legacy)
    if era.ragged is None:
        hint = "TensorFlow 1.14 and 1.15 write such files alike and compute differently; give the model an InputLayer"
        raise Unsupported("UpSampling2D by interpolation in a file that could be of two versions", hint=hint)
    return not era.ragged


TYPES: dict[str, LayerType] = {
    "UpSampling1D": LayerType(
        UpSamplingConfig, _up_sampling, keras1=Keras1({"length": "size"}), input_rank=3, keeps_features=True
    ),
    "UpSampling2D": LayerType(
        UpSamplingConfig, _up_sampling, keras1=UNORDERED_IMAGE,
        note="interpolations other than nearest and bilinear: of known sizes",
    ),
    "UpSampling3D": LayerType(UpSamplingConfig, _up_sampling, keras1=UNORDERED_IMAGE),
}  # fmt: skip
