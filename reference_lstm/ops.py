"""Operators without weights, on arrays of any rank. Axes are counted with the batch as axis 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce as fold
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_lstm.activations import erf

Array = NDArray[Any]
Axes = tuple[int, ...]

ELEMENTWISE: Mapping[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.true_divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "mod": np.mod,
    "floor_divide": np.floor_divide,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
    "arctan2": np.arctan2,
}

UNARY: Mapping[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "negative": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,  # halves to even, as TensorFlow and ONNX do
    "reciprocal": lambda x: 1 / x,
    "not": np.logical_not,
    "erf": erf,
    "isnan": np.isnan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "expm1": np.expm1,
    "log1p": np.log1p,
}


def elementwise(op: str, *inputs: Array) -> Array:
    """A row of `ELEMENTWISE` from left to right, broadcast."""
    return fold(ELEMENTWISE[op], inputs)


def unary(op: str, x: Array) -> Array:
    """A row of `UNARY`."""
    return UNARY[op](x)


def where(condition: Array, a: Array, b: Array) -> Array:
    """`a` where the condition holds, else b; broadcast."""
    return np.where(condition, a, b)


def reshape(x: Array, target: Sequence[int]) -> Array:
    """To target, where 0 copies the input's size of that axis and one -1 takes what is left, also of an empty array."""
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    if -1 in sizes:
        copied = [axis for axis, size in enumerate(target) if size == 0]
        have = int(np.prod([size for axis, size in enumerate(x.shape) if axis not in copied]))
        known = int(np.prod([size for size in target if size > 0]))
        if have % known:
            raise ValueError(f"{x.shape} cannot become {tuple(target)}")
        sizes[sizes.index(-1)] = have // known
    return x.reshape(sizes)


def fold_time(x: Array) -> Array:
    """[batch, time, ...] -> [batch·time, ...]."""
    return x.reshape((x.shape[0] * x.shape[1], *x.shape[2:]))


def unfold_time(y: Array, like: Array) -> Array:
    """[batch·time, *rest] -> [batch, time, *rest] with batch and time of `like`."""
    return y.reshape((*like.shape[:2], *y.shape[1:]))


def repeat(x: Array, times: int, axis: int) -> Array:
    """Each element `times` times in place along the axis."""
    return np.repeat(x, times, axis=axis)


def pad(x: Array, pads: Sequence[tuple[int, int]], value: float = 0.0, mode: str = "constant") -> Array:
    """(before, after) of each axis filled with value, or by mode "reflect" or "edge"."""
    if mode == "constant":
        return np.pad(x, pads, constant_values=value)
    return np.pad(x, pads, mode="reflect" if mode == "reflect" else "edge")


def strided_slice(
    x: Array, axes: Axes, starts: Sequence[int | None], stops: Sequence[int | None], steps: Sequence[int]
) -> Array:
    """x[start:stop:step] along some axes, as Python slices."""
    index = [slice(None)] * x.ndim
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        index[axis] = slice(start, stop, step)
    return x[tuple(index)]


def logsumexp(x: Array, axis: Axes, keepdims: bool) -> Array:
    """log(sum(exp(x))) over the axes, from the greatest element down."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):
        total: Array = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis)


REDUCE: Mapping[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "any": np.any,
    "all": np.all,
    "logsumexp": logsumexp,
}
REDUCE_TO_INDEX: Mapping[str, Callable[..., Any]] = {"argmax": np.argmax, "argmin": np.argmin}


def reduce(op: str, x: Array, axes: Axes, keepdims: bool = False) -> Array:
    """A row of `REDUCE` over the axes, or the index (int64) of the first extreme along one axis."""
    if op in REDUCE_TO_INDEX:
        (axis,) = axes
        return np.asarray(REDUCE_TO_INDEX[op](x, axis=axis, keepdims=keepdims), np.int64)
    return np.asarray(REDUCE[op](x, axis=axes, keepdims=keepdims))


def cumsum(x: Array, axis: int) -> Array:
    """Cumulative sum along the axis, in x's dtype."""
    return np.cumsum(x, axis=axis, dtype=x.dtype)


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Matrix product over the last two axes, broadcast over the others."""
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    return np.asarray(np.matmul(a, b))


def einsum(equation: str, *inputs: Array) -> Array:
    """np.einsum."""
    return np.asarray(np.einsum(equation, *inputs, optimize=True))


def one_hot(x: Array, depth: int) -> Array:
    """Integer x [...] -> bool [..., depth], True at index x; nowhere if x is out of range."""
    return np.asarray(x[..., None] == np.arange(depth))


def gather_nd(x: Array, indices: Array, batch_axes: int = 0) -> Array:
    """x[i0, ..., *index] for every index [depth] in `indices`, whose first `batch_axes` axes go with those of x."""
    lead, depth = x.shape[:batch_axes], indices.shape[-1]
    picked = [x[place][tuple(np.moveaxis(indices[place], -1, 0))] for place in np.ndindex(*lead)]
    shape = (*indices.shape[:-1], *x.shape[batch_axes + depth :])
    return np.asarray(picked, x.dtype).reshape(shape)


def argsort(x: Array, axis: int, descending: bool = False, count: int | None = None) -> Array:
    """Where the first elements in order stand along the axis; equal ones keep their order."""
    if descending:  # sorted backwards and reversed, equal elements have their order again
        back = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
        order = x.shape[axis] - 1 - back
    else:
        order = np.argsort(x, axis=axis, kind="stable")
    return np.take(order, np.arange(x.shape[axis] if count is None else count), axis=axis).astype(np.int64)
