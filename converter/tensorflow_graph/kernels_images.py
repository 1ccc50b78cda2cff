"""Kernels of images resized, one axis after the other; positions are float32, as TensorFlow has them.

Sources: tensorflow/core/kernels/image: image_resizer_state.h, resize_bilinear_op.cc, resize_bicubic_op.cc,
resize_nearest_neighbor_op.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel
from converter.model import Array
from converter.tensorflow_graph.kernels_matrices import bounded

F = np.float32


def half_pixels(a: Mapping[str, Any]) -> bool:
    """Whether the middles of pixels are aligned, and not their first corners."""
    return bool(a.get("half_pixel_centers", False))


def aligned(a: Mapping[str, Any]) -> bool:
    """Whether the first and the last pixel stay what they are.

    Raises:
        InvalidModel: and the middles of pixels, too.
    """
    if a.get("align_corners", False) and half_pixels(a):
        raise InvalidModel("align_corners and half_pixel_centers exclude each other")
    return bool(a.get("align_corners", False))


def _scale(a: Mapping[str, Any], size: int, out: int) -> F:
    if size < 1 or out < 1:
        raise InvalidModel(f"{size} pixels resized to {out}")
    corners = aligned(a) and out > 1
    made: F = F(size - corners) / F(out - corners)
    return made


def nearest_places(a: Mapping[str, Any], size: int, out: int) -> Array:
    """Which pixel becomes each new one: int64 [out]."""
    at = (np.arange(out, dtype=F) + F(0.5 if half_pixels(a) else 0)) * _scale(a, size, out)
    at = np.floor(at + F(0.5)) if aligned(a) else np.floor(at)
    places: Array = np.minimum(at.astype(np.int64), size - 1)
    return places


def _positions(a: Mapping[str, Any], old: int, out: int) -> Array:
    """Where each new pixel lies among the old ones."""
    shift = F(0.5 if half_pixels(a) else 0)
    made: Array = (np.arange(out, dtype=F) + shift) * _scale(a, old, out) - shift
    return made


def _bilinear(a: Mapping[str, Any], x: Array, size: Array) -> Array:
    y = x.astype(F)
    bounded([len(x), *size.tolist(), x.shape[-1]], 4)
    for axis in (2, 1):
        old, at = x.shape[axis], _positions(a, x.shape[axis], int(size[axis - 1]))
        below, above = (np.clip(f(at).astype(np.int64), 0, old - 1) for f in (np.floor, np.ceil))
        share = (at - np.floor(at)).reshape(-1, *[1] * (3 - axis))
        first, second = y.take(below, axis), y.take(above, axis)
        y = first + (second - first) * share
    return y


def _bicubic(a: Mapping[str, Any], x: Array, size: Array) -> Array:
    """Among four pixels; with half pixels, those beyond the border count for nothing."""
    y, c = x.astype(F), -0.5 if half_pixels(a) else -0.75
    bounded([len(x), *size.tolist(), x.shape[-1]], 4)
    for axis in (2, 1):
        old, at = x.shape[axis], _positions(a, x.shape[axis], int(size[axis - 1]))
        below = np.floor(at).astype(np.int64)
        d = np.abs(np.rint((at - np.floor(at)) * F(1024)) / 1024 - np.arange(-1, 3)[:, None])  # from each of the four
        weights = np.where(d <= 1, ((c + 2) * d - (c + 3)) * d * d + 1, ((c * d - 5 * c) * d + 8 * c) * d - 4 * c)
        places = below + np.arange(-1, 3)[:, None]
        if half_pixels(a):
            weights = np.where((places < 0) | (places >= old), 0, weights)
            weights = weights / weights.sum(0)
        taken = y.take(np.clip(places, 0, old - 1), axis)  # [..., 4, out, ...]
        y = (taken * weights.reshape(*weights.shape, *[1] * (3 - axis))).sum(axis).astype(F)
    return y


def _nearest(a: Mapping[str, Any], x: Array, size: Array) -> Array:
    bounded([len(x), *size.tolist(), x.shape[-1]], x.dtype.itemsize)
    for axis in (1, 2):
        x = x.take(nearest_places(a, x.shape[axis], int(size[axis - 1])), axis)
    return x


IMAGES: Mapping[str, Callable[..., Any]] = {
    "ResizeBilinear": _bilinear, "ResizeBicubic": _bicubic, "ResizeNearestNeighbor": _nearest,
}  # fmt: skip
