"""Kernels of convolutions, pooling, normalization and Fourier transforms, on `reference_lstm` and NumPy's FFT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.model import Array
from reference_lstm import conv

Attributes = Mapping[str, Any]
MAX_PAD = 1 << 20


def window(a: Attributes, key: str, rank: int, default: int = 1) -> tuple[int, ...]:
    """Sizes along the spatial axes, of an attribute that has one for each axis."""
    given = list(a.get(key) or [default] * (rank + 2))
    first = str(a.get("data_format", "NHWC")).startswith("NC")
    return tuple(given[2:] if first else given[1:-1])


def channels(a: Attributes) -> str:
    """Where the channels are, in Keras' words."""
    return "channels_first" if str(a.get("data_format", "NHWC")).startswith("NC") else "channels_last"


def padding(a: Attributes) -> str:
    """ "valid" or "same".

    Raises:
        Unsupported: explicit paddings.
    """
    name = str(a.get("padding", "VALID")).lower()
    if name not in ("valid", "same"):
        raise Unsupported(f"padding {clean(name, 40)}")
    return name


def convolution_padding(a: Attributes) -> str:
    """ "valid", "same" or "explicit"."""
    return "explicit" if str(a.get("padding")) == "EXPLICIT" else padding(a)


def explicit_pads(a: Attributes, rank: int) -> Array:
    """Before and after each axis, [rank, 2]: those of a convolution, which are zeros unless its padding is explicit.

    Raises:
        InvalidModel: they are not two for each axis.
    """
    given = list(a.get("explicit_paddings") or ()) if convolution_padding(a) == "explicit" else [0] * (2 * rank)
    if len(given) != 2 * rank or min(given) < 0 or max(given) > MAX_PAD:
        raise InvalidModel(f"paddings {given[:20]} of {rank} axes")
    return np.array(given, np.int32).reshape(rank, 2)


def _padded(a: Attributes, x: Array) -> tuple[Array, str]:
    """What a convolution goes over, and how it pads that itself."""
    if convolution_padding(a) != "explicit":
        return x, padding(a)
    return np.pad(x, explicit_pads(a, x.ndim)), "valid"


def _conv(rank: int) -> Callable[..., Array]:
    def kernel(a: Attributes, x: Array, weights: Array) -> Array:
        depth = x.shape[1 if channels(a) == "channels_first" else -1]
        x, kind = _padded(a, x)
        return conv.convolve(
            x, weights, strides=window(a, "strides", rank), padding=kind,
            dilation=window(a, "dilations", rank), groups=depth // weights.shape[-2], data_format=channels(a),
        )  # fmt: skip

    return kernel


def _conv_transposed(rank: int) -> Callable[..., Array]:
    """The gradient of a convolution by its input: uncropped, then what the convolution's padding leaves."""

    def kernel(a: Attributes, sizes: Array, weights: Array, x: Array) -> Array:
        x, strides = conv.channels_last(x, channels(a)), window(a, "strides", rank)
        extent = conv.extents(weights.shape[:-2], window(a, "dilations", rank))
        first = 2 if channels(a) == "channels_first" else 1
        wanted = tuple(sizes.tolist() if len(sizes) == rank else sizes.tolist()[first : first + rank])
        pads = [tuple(pair) for pair in explicit_pads(a, rank + 2)[first : first + rank].tolist()]
        if convolution_padding(a) != "explicit":
            pads = conv.paddings(wanted, extent, strides, padding(a))
        whole = [(n - 1) * s + k for n, s, k in zip(x.shape[1:-1], strides, extent, strict=True)]
        room = [(0, max(n + p - have, 0)) for n, (p, _), have in zip(wanted, pads, whole, strict=True)]
        if any(more >= s for (_, more), s in zip(room, strides, strict=True)):
            raise InvalidModel(f"a transposed convolution to {list(wanted)} by strides of {list(strides)}")
        y = conv.transpose_convolve(
            x, weights, strides=strides, padding="valid", output_padding=(0,) * rank,
            dilation=window(a, "dilations", rank),
        )  # fmt: skip
        y = np.pad(y, [(0, 0), *room, (0, 0)])
        kept = (slice(None), *(slice(p, p + n) for n, (p, _) in zip(wanted, pads, strict=True)))
        return conv.restore(y[kept], channels(a))

    return kernel


def _depthwise(a: Attributes, x: Array, weights: Array) -> Array:
    shape = (*weights.shape[:2], 1, weights.shape[2] * weights.shape[3])
    x, kind = _padded(a, x)
    return conv.convolve(
        x, weights.reshape(shape), strides=window(a, "strides", 2), padding=kind,
        dilation=window(a, "dilations", 2), groups=weights.shape[2], data_format=channels(a),
    )  # fmt: skip


def _pool(kind: str, rank: int) -> Callable[..., Array]:
    def kernel(a: Attributes, x: Array) -> Array:
        return conv.pool(x, kind, window=window(a, "ksize", rank), strides=window(a, "strides", rank),
                         padding=padding(a), data_format=channels(a))  # fmt: skip

    return kernel


def _batch_norm(a: Attributes, x: Array, scale: Array, offset: Array, mean: Array, variance: Array) -> tuple[Any, ...]:
    if a.get("is_training", True):
        raise Unsupported("a batch normalization that trains")
    inner = [1] * (x.ndim - 2)
    along = [(-1, *inner) if channels(a) == "channels_first" else (-1,)] * 4
    s, o, m, v = (w.reshape(shape) for w, shape in zip((scale, offset, mean, variance), along, strict=True))
    y = (x - m) * (s / np.sqrt(v + np.asarray(a.get("epsilon", 1e-4), v.dtype))) + o
    return y.astype(x.dtype, copy=False), mean, variance, mean, variance, variance


def _space_to_batch(a: Attributes, x: Array, block: Array, paddings: Array) -> Array:
    """tensorflow/core/api_def/base_api/api_def_SpaceToBatchND.pbtxt, step by step."""
    m = len(block)
    rest = [(0, 0)] * (x.ndim - 1 - m)
    padded = np.pad(x, [(0, 0), *paddings.tolist(), *rest])
    cut = [n for size, d in zip(padded.shape[1 : m + 1], block.tolist(), strict=True) for n in (size // d, d)]
    parts = padded.reshape(len(x), *cut, *x.shape[m + 1 :])
    order = [*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m, 2), *range(2 * m + 1, parts.ndim)]
    made: Array = parts.transpose(order).reshape(-1, *cut[::2], *x.shape[m + 1 :])
    return made


def _batch_to_space(a: Attributes, x: Array, block: Array, crops: Array) -> Array:
    """The way back; api_def_BatchToSpaceND.pbtxt."""
    m, sizes = len(block), block.tolist()
    parts = x.reshape(*sizes, -1, *x.shape[1:])
    order = [m, *(k for axis in range(m) for k in (m + 1 + axis, axis)), *range(2 * m + 1, parts.ndim)]
    joined = parts.transpose(order)
    whole = [n * d for n, d in zip(x.shape[1 : m + 1], sizes, strict=True)]
    gathered = joined.reshape(-1, *whole, *x.shape[m + 1 :])
    kept = [slice(first, size - last) for (first, last), size in zip(crops.tolist(), whole, strict=True)]
    whole_batch = (slice(None), *kept)
    made: Array = gathered[whole_batch]
    return made


def _complex(x: Array) -> type:
    return np.complex128 if x.dtype in (np.float64, np.complex128) else np.complex64


def _real(x: Array) -> type:
    return np.float64 if x.dtype == np.complex128 else np.float32


NN: Mapping[str, Callable[..., Any]] = {
    "Conv2D": _conv(2), "Conv3D": _conv(3), "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _conv_transposed(2), "Conv3DBackpropInputV2": _conv_transposed(3),
    "MaxPool": _pool("max", 2), "AvgPool": _pool("average", 2), "MaxPool3D": _pool("max", 3),
    "AvgPool3D": _pool("average", 3),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _batch_norm),
    "SpaceToBatchND": _space_to_batch, "BatchToSpaceND": _batch_to_space,
    "RFFT": lambda a, x, n: np.fft.rfft(x, int(n[0])).astype(_complex(x)),
    "IRFFT": lambda a, x, n: np.fft.irfft(x, int(n[0])).astype(_real(x)),
    "FFT": lambda a, x: np.fft.fft(x).astype(x.dtype), "IFFT": lambda a, x: np.fft.ifft(x).astype(x.dtype),
    "Complex": lambda a, x, y: (x + 1j * y).astype(_complex(x)),
}  # fmt: skip
