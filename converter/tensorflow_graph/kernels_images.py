"""Kernels of images resized, one axis after the other; positions are float32, as TensorFlow has them.

Sources: tensorflow/core/kernels/image: image_resizer_state.h, resize_bilinear_op.cc, resize_nearest_neighbor_op.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Array
from converter.tensorflow_graph.kernels_matrices import bounded

F = np.float32


def half_pixels(a: Mapping[str, Any]) -> bool:
    """Whether the middles of pixels are aligned, and not their first corners.

    Raises:
        Unsupported: the corners of the whole image are.
    """
    if a.get("align_corners", False):
        raise Unsupported("resizing with align_corners, which no Keras does")
    return bool(a.get("half_pixel_centers", False))


def nearest_places(size: int, out: int, half: bool) -> Array:
    """Which pixel becomes each new one: int64 [out]."""
    if size < 1 or out < 1:
        raise InvalidModel(f"{size} pixels resized to {out}")
    at = (np.arange(out, dtype=F) + F(0.5 if half else 0)) * (F(size) / F(out))
    places: Array = np.minimum(np.floor(at).astype(np.int64), size - 1)
    return places


def _bilinear(a: Mapping[str, Any], x: Array, size: Array) -> Array:
    half, y = half_pixels(a), x.astype(F)
    bounded([len(x), *size.tolist(), x.shape[-1]], 4)
    for axis in (2, 1):
        old, out = x.shape[axis], int(size[axis - 1])
        shift = F(0.5 if half else 0)
        at = (np.arange(out, dtype=F) + shift) * (F(old) / F(out)) - shift
        below, above = (np.clip(f(at).astype(np.int64), 0, old - 1) for f in (np.floor, np.ceil))
        share = (at - np.floor(at)).reshape(-1, *[1] * (3 - axis))
        first, second = y.take(below, axis), y.take(above, axis)
        y = first + (second - first) * share
    return y


def _nearest(a: Mapping[str, Any], x: Array, size: Array) -> Array:
    bounded([len(x), *size.tolist(), x.shape[-1]], x.dtype.itemsize)
    for axis in (1, 2):
        x = x.take(nearest_places(x.shape[axis], int(size[axis - 1]), half_pixels(a)), axis)
    return x


IMAGES: Mapping[str, Callable[..., Any]] = {"ResizeBilinear": _bilinear, "ResizeNearestNeighbor": _nearest}
