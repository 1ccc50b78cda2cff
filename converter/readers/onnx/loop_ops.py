"""The operators of a Loop's body, run in NumPy: those of a Scan's, and what else tf2onnx writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.formats.onnx_tensor import DTYPES
from converter.model import Array
from converter.readers.onnx.steps import OPS, Ops, alike


def _numbers(attributes: Mapping[str, Any], name: str, given: Array | None) -> list[int] | None:
    """An attribute of old operator sets that is an input in new ones."""
    if name in attributes:
        return [int(n) for n in attributes[name].ints]
    return None if given is None else [int(n) for n in given.ravel()]


def _squeeze(attributes: Mapping[str, Any], x: Array, axes: Array | None = None) -> Array:
    which = _numbers(attributes, "axes", axes)
    return np.squeeze(x, None if which is None else tuple(which))


def _unsqueeze(attributes: Mapping[str, Any], x: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(x, tuple(_numbers(attributes, "axes", axes) or ()))


def _slice(attributes: Mapping[str, Any], x: Array, *given: Array | None) -> Array:
    arrays = (*given, *[None] * 4)
    starts, ends, axes, steps = (_numbers(attributes, name, arrays[k])
                                 for k, name in enumerate(("starts", "ends", "axes", "steps")))  # fmt: skip
    if starts is None or ends is None or any(step < 0 for step in steps or ()):
        raise Unsupported("Slice of this kind in a step")
    where = [slice(None)] * x.ndim
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        where[axes[k] if axes else k] = slice(start, end, steps[k] if steps else None)
    return x[tuple(where)]


def _gemm(attributes: Mapping[str, Any], a: Array, b: Array, c: Array | None = None) -> Array:
    alpha, beta = (attributes[name].f if name in attributes else 1.0 for name in ("alpha", "beta"))
    a, b = (x.T if name in attributes and attributes[name].i else x for x, name in ((a, "transA"), (b, "transB")))
    made: Array = alpha * (a @ b)
    return made if c is None else made + beta * c


def _cast(attributes: Mapping[str, Any], x: Array) -> Array:
    """Floating numbers are computed in float64 whatever their type; others become what is said."""
    kind = DTYPES[int(attributes["to"].i)][0]
    if kind.startswith(("float", "bfloat")):
        return x.astype(np.float64)
    return x.astype(kind)


def _elu(attributes: Mapping[str, Any], x: Array) -> Array:
    alpha = attributes["alpha"].f if "alpha" in attributes else 1.0
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(attributes: Mapping[str, Any], x: Array) -> Array:
    usual = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
    alpha, gamma = (attributes[name].f if name in attributes else number for name, number in usual.items())
    return gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _leaky(attributes: Mapping[str, Any], x: Array) -> Array:
    return np.where(x > 0, x, (attributes["alpha"].f if "alpha" in attributes else 0.01) * x)


LOOP_OPS: Ops = {
    **OPS,
    "Cast": _cast, "Gemm": _gemm, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Slice": _slice,
    "Elu": _elu, "Selu": _selu, "LeakyRelu": _leaky, "Not": alike(np.logical_not), "And": alike(np.logical_and),
    "Or": alike(np.logical_or), "Equal": alike(np.equal), "Pow": alike(np.power),
}  # fmt: skip
