"""Resizing along one axis as a matrix [output, input]: what tf.image.resize does to each axis in turn.

Positions are computed in float32, as TensorFlow does; their rounding decides which pixels are looked at.
Sources: tensorflow/core/kernels/image: image_resizer_state.h, resize_bilinear_op.cc, resize_bicubic_op.cc,
resize_area_op.cc, resize_nearest_neighbor_op.cc, scale_and_translate_op.cc, sampling_kernels.h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
F = np.float32
TABLE = 1024  # steps between two pixels for which TensorFlow keeps the coefficients of its cubic


def bilinear(size: int, out: int, legacy: bool, aligned: bool) -> Array:
    """Between the two nearest pixels. `legacy`: corners aligned as TensorFlow 1 has them, not the pixels' middles."""
    positions = _positions(size, out, legacy, aligned)
    matrix = np.zeros((out, size), np.float32)
    for k, position in enumerate(positions):
        below = int(np.floor(position))
        weight = F(position - F(below))
        matrix[k, min(max(below, 0), size - 1)] += F(1) - weight
        matrix[k, min(int(np.ceil(position)), size - 1)] += weight
    return matrix


def bicubic(size: int, out: int, legacy: bool, aligned: bool) -> Array:
    """Among four pixels. Beyond the border `legacy` takes the last pixel again; today those weights are left out."""
    a = -0.75 if legacy else -0.5
    matrix = np.zeros((out, size), np.float32)
    for k, position in enumerate(_positions(size, out, legacy, aligned)):
        below = int(np.floor(position))
        step = np.rint(F(position - F(below)) * F(TABLE)) / TABLE
        weights = [_outer(1 + step, a), _inner(step, a), _inner(1 - step, a), _outer(2 - step, a)]
        for place, weight in enumerate(weights, below - 1):
            if legacy or 0 <= place < size:
                matrix[k, min(max(place, 0), size - 1)] += weight
    return matrix if legacy else _to_unity(matrix)


def nearest(size: int, out: int) -> Array:
    """The pixel in which the middle of the new one lies."""
    places = np.floor((np.arange(out, dtype=np.float32) + F(0.5)) * (F(size) / F(out))).astype(int)
    chosen: Array = np.eye(size, dtype=np.float32)[np.minimum(places, size - 1)]
    return chosen


def area(size: int, out: int) -> Array:
    """The mean over the span of a pixel."""
    scale = F(size) / F(out)
    starts, stops = np.arange(out, dtype=np.float32) * scale, np.arange(1, out + 1, dtype=np.float32) * scale
    matrix: Array = np.zeros((out, size), np.float32)
    for k, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        for place in range(int(np.floor(start)), int(np.ceil(stop))):
            inside = place < start and stop < place + 1
            matrix[k, min(place, size - 1)] += scale if inside else min(F(place + 1), stop) - max(F(place), start)
    matrix /= scale
    return matrix


def sampled(kernel: Kernel, size: int, out: int, antialias: bool) -> Array:
    """All pixels within the kernel's reach; `antialias` widens it where the image shrinks."""
    inverse = F(1) / (F(out) / F(size))
    stretch = max(inverse, F(1)) if antialias else F(1)
    matrix = np.zeros((out, size), np.float32)
    reach = F(kernel.radius) * stretch
    for k in range(out):
        middle = F(k + 0.5) * inverse
        first, last = np.ceil(middle - reach - F(0.5)), np.floor(middle + reach - F(0.5))
        for place in range(max(int(first), 0), min(int(last), size - 1) + 1):
            matrix[k, place] = kernel.weight(abs(F(place + 0.5) - middle) * (F(1) / stretch))
    return _to_unity(matrix)


@dataclass(frozen=True)
class Kernel:
    """A weight by distance, zero from `radius` on."""

    radius: float
    weight: Callable[[float], float]


def _inner(x: float, a: float) -> float:
    """A cubic convolution's weight at a distance up to 1."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _outer(x: float, a: float) -> float:
    """A cubic convolution's weight at a distance between 1 and 2."""
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def _triangle(x: float) -> float:
    return max(1 - x, 0.0)


def _keys(x: float) -> float:
    return 0.0 if x >= 2 else _outer(x, -0.5) if x >= 1 else _inner(x, -0.5)


def _mitchell(x: float) -> float:
    if x >= 2:
        return 0.0
    return ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9 if x >= 1 else (7 / 6 * x - 2) * x * x + 8 / 9


def _gaussian(x: float) -> float:
    return 0.0 if x >= 1.5 else float(np.exp(-(x**2) / (2 * 0.5**2)))


def _lanczos(radius: int) -> Kernel:
    def weight(x: float) -> float:
        if x > radius:
            return 0.0
        return 1.0 if x <= 1e-3 else float(np.sinc(x) * np.sinc(x / radius))

    return Kernel(radius, weight)


KERNELS: Mapping[str, Kernel] = {
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": Kernel(1.5, _gaussian),
    "mitchellcubic": Kernel(2, _mitchell),
}
SMOOTHED: Mapping[str, Kernel] = {**KERNELS, "bilinear": Kernel(1, _triangle), "bicubic": Kernel(2, _keys)}


def _to_unity(matrix: Array) -> Array:
    """Every row divided by its sum."""
    scaled: Array = matrix / matrix.sum(1, keepdims=True)
    return scaled


def _positions(size: int, out: int, legacy: bool, aligned: bool) -> Array:
    """Where the new pixels lie among the old ones; `aligned`: the first and the last are those of the image."""
    scale = F(size - 1) / F(out - 1) if aligned and out > 1 else F(size) / F(out)
    half = F(0 if legacy else 0.5)
    places: Array = (np.arange(out, dtype=np.float32) + half) * scale - half
    return places


def matrix(
    method: str, size: int, out: int, *, antialias: bool = False, legacy: bool = False, aligned: bool = False
) -> Array | None:
    """The matrix of an interpolation, or None where there is none of that name; not unity for out == size in all."""
    if antialias and method in SMOOTHED:
        return sampled(SMOOTHED[method], size, out, antialias=True)
    if method in KERNELS:
        return sampled(KERNELS[method], size, out, antialias=False)
    by_position = {"bilinear": bilinear, "bicubic": bicubic}
    if method in by_position:
        return by_position[method](size, out, legacy, aligned)
    whole = {"nearest": nearest, "area": area}
    return whole[method](size, out) if method in whole else None
