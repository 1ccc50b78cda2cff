"""Translation of Fourier transforms and of complex numbers, which are two neutral values: real and imaginary parts.

A transform over n points is a product with a matrix of cosines and sines (tensorflow/core/ops/spectral_ops.cc:
RFFT cuts or pads its input to fft_length; IRFFT divides by it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.keras.building.ops import Ops
from converter.model import Array, Value, constant, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import integers_of

MAX_POINTS = 4096  # a matrix of 4096 x 4098 numbers has 67 MB


@dataclass(frozen=True, eq=False)
class Complex:
    """A complex tensor."""

    real: Value
    imaginary: Value


def rfft(t: Translating, step: Step, x: Any, length: Any) -> Complex:
    """The first n//2 + 1 frequencies of real numbers."""
    value, n = t.value(step, x), _points(length)
    size = value.shape[-1]
    if size is None:
        raise Unsupported("a Fourier transform along an axis of open size")
    angles = 2 * np.pi * np.outer(np.arange(min(size, n)), np.arange(n // 2 + 1)) / n
    o = t.ops(step)
    used = value if size <= n else o.slice(value, -1, None, n)
    t.settle()
    return Complex(*(_product(o, used, part) for part in (np.cos(angles), -np.sin(angles))))


def irfft(t: Translating, step: Step, x: Any, length: Any) -> Value:
    """n real numbers of their first n//2 + 1 frequencies."""
    pair, n = _pair(step, x), _points(length)
    size = pair.real.shape[-1]
    if size != n // 2 + 1:
        raise Unsupported(f"an inverse Fourier transform of {size} frequencies to {n} numbers")
    twice = np.full((size, 1), 2.0)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    angles = 2 * np.pi * np.outer(np.arange(size), np.arange(n)) / n
    o = t.ops(step)
    real, imaginary = (
        _product(o, part, matrix)
        for part, matrix in ((pair.real, twice * np.cos(angles) / n), (pair.imaginary, -twice * np.sin(angles) / n))
    )
    return o.elementwise("add", real, imaginary)


def _points(length: Any) -> int:
    n = integers_of(length, "a number of points")[-1]
    if not isinstance(n, int) or not 0 < n <= MAX_POINTS:
        raise Unsupported("a Fourier transform of so many points, or of as many as the model computes")
    return n


def _product(o: Ops, x: Value, matrix: Array) -> Value:
    kernel = constant(f"{o.path}/fourier", matrix).astype(x.dtype)
    return o.one(layers.Dense(kernel, None), [x], (*x.shape[:-1], matrix.shape[1]), x.dtype)


def _pair(step: Step, x: Any) -> Complex:
    if not isinstance(x, Complex):
        raise Unsupported(f"{step.text()} reads no complex numbers that the model computes")
    return x


def magnitude(t: Translating, step: Step, x: Any) -> Value:
    """Absolute values."""
    o, pair = t.ops(step), _pair(step, x)
    return o.unary("sqrt", o.elementwise("add", o.unary("square", pair.real), o.unary("square", pair.imaginary)))


def angle(t: Translating, step: Step, x: Any) -> Value:
    """The angle from the real axis."""
    pair = _pair(step, x)
    return t.ops(step).elementwise("arctan2", pair.imaginary, pair.real)


def exp(t: Translating, step: Step, x: Complex) -> Complex:
    """e to the power of complex numbers."""
    o = t.ops(step)
    size = o.unary("exp", x.real)
    return Complex(*(o.elementwise("multiply", size, o.unary(f, x.imaginary)) for f in ("cos", "sin")))


def multiply(t: Translating, step: Step, x: Any, y: Any) -> Complex:
    """A product of complex numbers."""
    o, a, b = t.ops(step), _pair(step, x), _pair(step, y)
    ac, bd, ad, bc = (
        o.elementwise("multiply", m, n)
        for m, n in ((a.real, b.real), (a.imaginary, b.imaginary), (a.real, b.imaginary), (a.imaginary, b.real))
    )
    return Complex(o.elementwise("subtract", ac, bd), o.elementwise("add", ad, bc))


def from_real(t: Translating, step: Step, x: Any) -> Complex:
    """Real numbers as complex ones."""
    value = t.ops(step).cast(t.value(step, x), "float32")
    return Complex(value, t.ops(step).with_scalar("multiply", value, 0.0))


RULES: Mapping[str, Callable[..., Any]] = {
    "RFFT": rfft, "IRFFT": irfft, "ComplexAbs": magnitude, "Angle": angle,
    "Real": lambda t, step, x: _pair(step, x).real, "Imag": lambda t, step, x: _pair(step, x).imaginary,
    "Complex": lambda t, step, x, y: Complex(t.value(step, x), t.value(step, y)),
}  # fmt: skip
# Of complex numbers: what changes each part by itself, and what mixes them.
BY_PARTS = frozenset({
    "Identity", "Reshape", "Transpose", "StridedSlice", "Slice", "ExpandDims", "Squeeze", "Pad", "ReverseV2", "Pack",
    "ConcatV2", "Add", "AddV2", "Sub", "Neg", "Sum", "Mean",
})  # fmt: skip
MIXING: Mapping[str, Callable[..., Any]] = {
    "Exp": exp, "Mul": multiply, "Abs": magnitude,
    "Conj": lambda t, step, x: Complex(x.real, t.ops(step).unary("negative", x.imaginary)),
}  # fmt: skip


def on_complex(t: Translating, step: Step, inputs: Sequence[Any], run: Callable[[Sequence[Any]], Any]) -> Any:
    """An operator that reads complex numbers; `run` does it for one of the parts.

    Raises:
        Unsupported: it has no rule.
    """
    if step.op in RULES:
        return RULES[step.op](t, step, *inputs)
    if step.op in MIXING:
        return MIXING[step.op](t, step, *inputs)
    if step.op not in BY_PARTS:
        raise Unsupported(f"{step.text()} of complex numbers")
    real, imaginary = (
        run([getattr(x, part) if isinstance(x, Complex) else x for x in inputs]) for part in ("real", "imaginary")
    )
    return Complex(real[0], imaginary[0])
