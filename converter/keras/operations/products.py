"""Operations that multiply and add: products of matrices and tensors, diagonals, differences."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import refuse_constant
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.operations.indexing import take
from converter.keras.operations.making import related
from converter.keras.operations.reductions import reduction
from converter.keras.operations.shapes import move_axes, pad
from converter.keras.operations.values import (
    Keras3Ops,
    Operand,
    axis_in,
    flattened,
    floating,
    integers,
    number,
    one_integer,
    tensor,
    to_value,
    together,
)
from converter.keras.shared.einsum import einsum as emit_einsum
from converter.model import Value
from converter.model.layers import ElementwiseOp


def matmul(o: Ops, a: Operand, b: Operand, transpose_a: Any = False, transpose_b: Any = False) -> Value:
    """Matrix product over the last two axes; of a vector, over its only one."""
    if isinstance(o, Keras3Ops):
        return _through_floats(o, a, b, lambda x, y: _matmul(o, x, y, False, False), int8="int32")
    x, y = together(o, a, b)
    return _matmul(o, x, y, bool(transpose_a), bool(transpose_b))


def _matmul(o: Ops, x: Value, y: Value, transpose_a: bool, transpose_b: bool) -> Value:
    if min(len(x.shape), len(y.shape)) >= 2:
        return o.matmul(x, y, transpose_a, transpose_b)
    return contract(o, x, y, [len(x.shape) - 1], [max(len(y.shape) - 2, 0)])


def _through_floats(o: Ops, a: Operand, b: Operand, product: Any, int8: str = "") -> Value:
    """keras.ops multiplies whole numbers as float32 and casts them back (keras/src/backend/tensorflow/numpy.py)."""
    x, y = together(o, a, b)
    result = int8 if int8 and x.dtype == "int8" else x.dtype
    made: Value = product(floating(o, x), floating(o, y))
    return o.cast(made, result)


def contract(o: Ops, x: Value, y: Value, axes_x: Sequence[int], axes_y: Sequence[int]) -> Value:
    """The sum of products over pairs of axes; the other axes of x, then those of y, remain."""
    if len(axes_x) != len(axes_y) or len(set(axes_x)) != len(axes_x) or len(set(axes_y)) != len(axes_y):
        raise InvalidModel(f"a product over axes {list(axes_x)} and {list(axes_y)}")
    names = iter(string.ascii_letters)
    left = [next(names) for _ in x.shape]
    right = [next(names) for _ in y.shape]
    for k, n in zip(axes_x, axes_y, strict=True):
        if None not in (x.shape[k], y.shape[n]) and x.shape[k] != y.shape[n]:
            raise InvalidModel(f"a product of shapes {x.shape} and {y.shape} over {list(axes_x)} and {list(axes_y)}")
        right[n] = left[k]
    kept = [c for k, c in enumerate(left) if k not in axes_x] + [c for k, c in enumerate(right) if k not in axes_y]
    return emit_einsum(o, f"{''.join(left)},{''.join(right)}->{''.join(kept)}", [x, y])


def tensordot(o: Ops, a: Operand, b: Operand, axes: Any = 2) -> Value:
    """np.tensordot over the last and first `axes`, or over pairs of them."""
    x, y = together(o, a, b)
    result = x.dtype
    if result not in {*FLOATS, "int32", "int64"}:
        x, y = o.cast(x, "float32"), o.cast(y, "float32")
    given = axes.tolist() if isinstance(axes, np.ndarray) else axes
    if isinstance(given, int):
        first, second = list(range(len(x.shape) - given, len(x.shape))), list(range(given))
    else:
        first, second = (integers(side, "axes") for side in given)
    sides = [axis_in(k, len(x.shape)) for k in first], [axis_in(k, len(y.shape)) for k in second]
    return o.cast(contract(o, x, y, *sides), result)


def dot(o: Ops, a: Operand, b: Operand) -> Value:
    """np.dot: over the last axis and the one before the last."""

    def product(x: Value, y: Value) -> Value:
        if not x.shape or not y.shape:
            return o.elementwise("multiply", x, y)
        return contract(o, x, y, [len(x.shape) - 1], [max(len(y.shape) - 2, 0)])

    return _through_floats(o, a, b, product)


def inner(o: Ops, a: Operand, b: Operand) -> Value:
    """np.inner: over the last axes."""

    def product(x: Value, y: Value) -> Value:
        if not x.shape or not y.shape:
            return o.elementwise("multiply", x, y)
        return contract(o, x, y, [len(x.shape) - 1], [len(y.shape) - 1])

    return _through_floats(o, a, b, product)


def vdot(o: Ops, a: Operand, b: Operand) -> Value:
    """The sum of all products of two flattened tensors."""
    return _through_floats(o, a, b, lambda x, y: contract(o, flattened(o, x), flattened(o, y), [0], [0]))


def outer(o: Ops, a: Operand, b: Operand) -> Value:
    """Every product of an element of one and one of the other, both flattened."""
    x, y = (flattened(o, v) for v in together(o, a, b))
    return o.elementwise("multiply", o.expand_dims(x, 1), o.expand_dims(y, 0))


def einsum(o: Ops, *arguments: Any) -> Value:
    """np.einsum(equation, *operands)."""
    equation, *operands = arguments
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    if not isinstance(equation, str):
        raise InvalidModel(f"{clean(equation)} is no einsum equation")
    return emit_einsum(o, equation, together(o, *operands))


def cross(
    o: Ops, a: Operand, b: Operand, axis_a: Any = -1, axis_b: Any = -1, axis_c: Any = -1, axis: Any = None
) -> Value:
    """np.cross of vectors of three elements, or of two, to which a 0 is added; `axis` stands for all three."""
    if axis is not None:
        axis_a = axis_b = axis_c = axis
    x, y = together(o, a, b)
    x, y = move_axes(o, x, [axis_a], [-1]), move_axes(o, y, [axis_b], [-1])
    sizes = (x.shape[-1], y.shape[-1])
    if not {2, 3}.issuperset(sizes):
        raise Unsupported(f"a cross product of shapes {x.shape} and {y.shape}")
    x, y = (pad(o, v, [[0, 0]] * (len(v.shape) - 1) + [[0, 1]]) if v.shape[-1] == 2 else v for v in (x, y))

    def minor(k: int, n: int) -> Value:
        left = o.elementwise("multiply", o.slice(x, -1, k, k + 1), o.slice(y, -1, n, n + 1))
        right = o.elementwise("multiply", o.slice(x, -1, n, n + 1), o.slice(y, -1, k, k + 1))
        return o.elementwise("subtract", left, right)

    if sizes == (2, 2):
        return o.squeeze(minor(0, 1), -1)
    places = [(1, 2), (2, 0), (0, 1)]
    return move_axes(o, o.concatenate([minor(*place) for place in places], -1), [-1], [axis_c])


def kron(o: Ops, a: Operand, b: Operand) -> Value:
    """Every element of a times b as a block."""
    x, y = together(o, a, b)
    rank = max(len(x.shape), len(y.shape))
    x, y = (_ranked(o, v, rank) for v in (x, y))
    sizes = [None if None in pair else pair[0] * pair[1] for pair in zip(x.shape, y.shape, strict=True)]  # type: ignore[operator]
    if sizes.count(None) > 1:
        raise Unsupported("a Kronecker product of several open sizes")
    for k in range(rank):
        x, y = o.expand_dims(x, 2 * k + 1), o.expand_dims(y, 2 * k)
    return o.reshape(o.elementwise("multiply", x, y), [-1 if n is None else n for n in sizes], tuple(sizes))


def _ranked(o: Ops, x: Value, rank: int) -> Value:
    for _ in range(rank - len(x.shape)):
        x = o.expand_dims(x, 0)
    return x


def diagonal(o: Ops, x: Operand, offset: Any = 0, first: Any = 0, second: Any = 1) -> Value:
    """The elements of a diagonal of two axes, as a last axis."""
    value = move_axes(o, tensor(x), [first, second], [-2, -1])
    rows, columns = value.shape[-2:]
    if rows is None or columns is None:
        raise Unsupported("a diagonal of axes of open size")
    refuse_constant(rows, columns)
    places = np.arange(rows * columns).reshape(rows, columns).diagonal(one_integer(offset, "offset"))
    if not len(places):
        raise Unsupported(f"a diagonal outside of {rows} by {columns}")
    flat = o.reshape(value, [*_kept(value, 2), rows * columns], (*value.shape[:-2], rows * columns))
    return take(o, flat, places, -1)


def _kept(x: Value, last: int) -> list[int]:
    """A target of `reshape` for the axes before the last ones."""
    return [0] * (len(x.shape) - last)


def trace(o: Ops, x: Operand, offset: Any = 0, first: Any = 0, second: Any = 1) -> Value:
    """The sum of a diagonal."""
    value = move_axes(o, tensor(x), [first, second], [-2, -1])
    main = related(o, "equal", value, one_integer(offset, "offset"))
    total: Value = reduction("sum")(o, o.where(main, value, o.constant(0, value.dtype)), (-2, -1))
    return total


def difference(o: Ops, x: Operand, times: Any = 1, axis: Any = -1) -> Value:
    """Each element minus the one before it, `times` times."""
    value = tensor(x)
    at = axis_in(axis, len(value.shape))
    op: ElementwiseOp = "not_equal" if value.dtype == "bool" else "subtract"
    for _ in range(one_integer(times, "n")):
        value = o.elementwise(op, o.slice(value, at, 1, None), o.slice(value, at, None, -1))
    return value


def trapezoid(o: Ops, y: Operand, x: Any = None, width: Any = 1.0, axis: Any = -1) -> Value:
    """The area under points along an axis, `width` or the differences of x apart."""
    value = floating(o, y)
    at = axis_in(axis, len(value.shape))
    pairs = o.elementwise("add", o.slice(value, at, 1, None), o.slice(value, at, None, -1))
    heights = o.with_scalar("multiply", pairs, 0.5)
    if x is None:
        areas = o.with_scalar("multiply", heights, number(width, "dx"))
    else:
        places = difference(o, to_value(o, x, value.dtype))
        if len(places.shape) != 1:
            raise Unsupported("trapezoid over places that are no vector")
        shape = tuple(places.shape[0] if k == at else 1 for k in range(len(value.shape)))
        areas = o.elementwise("multiply", heights, o.reshape(places, [n or -1 for n in shape], shape))
    return o.reduce("sum", areas, [at])
