"""Operations that make tensors of a shape: of constants, of positions, of sizes that are only known at run time."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import refuse_constant
from converter.keras.building.ops import Ops
from converter.keras.operations.shapes import tile
from converter.keras.operations.sizes import Size, flat
from converter.keras.operations.values import Operand, array_of, either, integers, one_integer, tensor
from converter.model import Value, layers
from converter.model.layers import ElementwiseOp

WRITTEN_OUT = 1 << 12  # numbers of a shape that is known, at most


def positions(o: Ops, x: Value, axis: int) -> Value:
    """0, 1, ... along an axis of x, as a vector of int64."""
    size = x.shape[axis]
    if size is not None:
        return o.numbers(0, size)
    return o.one(layers.Range(), [o.one(layers.Size(axis % len(x.shape)), [x], (), "int64")], (None,), "int64")


def nowhere(o: Ops, target: Sequence[int | Size]) -> Value:
    """False in a shape of numbers and open sizes."""
    result = o.constant(np.zeros([1] * len(target), np.bool_), "bool")
    for place, size in enumerate(target):
        places = [-1 if k == place else 1 for k in range(len(target))]
        if isinstance(size, Size):
            vector = o.with_scalar("less", positions(o, size.of, size.axis), 0)
            shape = tuple(None if k == place else 1 for k in range(len(target)))
            result = o.elementwise("or", result, o.reshape(vector, places, shape))
        elif size < 0:
            raise InvalidModel(f"an axis of size {size}")
        elif size != 1:  # one axis at a time, so that no constant is as large as the whole
            refuse_constant(size)
            result = o.elementwise("or", result, o.constant(np.zeros(size, np.bool_).reshape(places), "bool"))
    return result


def target_of(given: Any) -> list[int | Size]:
    """A shape of numbers and sizes.

    Raises:
        Unsupported: an open size, or one the model computes otherwise.
    """
    found = flat(given.tolist() if isinstance(given, np.ndarray) else given)
    if any(isinstance(n, Value) or n is None for n in found):
        raise Unsupported(f"a tensor of shape {clean(given, 60)}")
    return [n if isinstance(n, Size) else one_integer(n, "a shape") for n in found]


def constant(o: Ops, values: np.ndarray[Any, Any], dtype: str) -> Value:
    """The array of a Const."""
    if not isinstance(values, np.ndarray):
        raise InvalidModel("a Const without its value")
    return o.constant(values, dtype)


def filled(o: Ops, shape: Any, value: Operand, dtype: Any = None) -> Value:
    """A number everywhere in a shape."""
    if isinstance(value, Value):
        return broadcast_to(o, value, shape)
    kind = str(dtype or ("float32" if isinstance(value, float) else "int32"))
    number, target = array_of(value), target_of(shape)
    sizes = [n for n in target if not isinstance(n, Size) and n >= 0]
    if number.ndim == 0 and len(sizes) == len(target) and prod(sizes) <= WRITTEN_OUT:
        return o.constant(np.broadcast_to(number, sizes), kind)
    single = o.constant(number, kind)
    return o.where(nowhere(o, target), single, single)


def of_number(number: float) -> Any:
    """tf.zeros or tf.ones."""
    return lambda o, shape, dtype="float32": filled(o, shape, number, dtype)


def broadcast_to(o: Ops, x: Operand, shape: Any) -> Value:
    """Axes of size 1 stretched, new ones put before; None keeps what an axis has."""
    value = either(o, x)
    given = list(shape) if isinstance(shape, list | tuple) else shape
    if isinstance(given, list) and None in given:
        own = (*[None] * (len(given) - len(value.shape)), *value.shape)
        if any(want is None and have == 1 for want, have in zip(given, own, strict=True)):
            raise Unsupported("a broadcast to an open size")
        given = [1 if n is None else n for n in given]
    return o.where(nowhere(o, target_of(given)), value, value)


def tiled(o: Ops, x: Operand, repeats: Any) -> Value:
    """The whole input, several times per axis; as often as an open size says, only along an axis of size 1."""
    times = flat(repeats)
    if not any(isinstance(n, Size) for n in times):
        return tile(o, either(o, x), repeats)
    value = either(o, x)
    sizes = (*[1] * (len(times) - len(value.shape)), *value.shape)
    if any(isinstance(n, Size) and size != 1 for n, size in zip(times, sizes, strict=True)):
        raise Unsupported(f"tile of {value.shape} by a size that the model computes")
    value = tile(o, value, [1 if isinstance(n, Size) else n for n in times])
    return broadcast_to(o, value, tuple(n if isinstance(n, Size) else 1 for n in times))


def full_like(o: Ops, x: Operand, value: Operand, dtype: Any = None) -> Value:
    """A number, or a tensor that broadcasts, in the shape of x."""
    kind = str(dtype or tensor(x).dtype)
    number = o.cast(value, kind) if isinstance(value, Value) else o.constant(array_of(value), kind)
    truth = o.cast(tensor(x), "bool")
    return o.where(o.elementwise("or", truth, o.unary("not", truth)), number, number)


def ones_like(o: Ops, x: Operand, dtype: Any = None) -> Value:
    """Ones in the shape of x."""
    truth = o.cast(tensor(x), "bool")
    return o.cast(o.elementwise("or", truth, o.unary("not", truth)), dtype or tensor(x).dtype)


def zeros_like(o: Ops, x: Operand, dtype: Any = None) -> Value:
    """Zeros in the shape of x."""
    truth = o.cast(tensor(x), "bool")
    return o.cast(o.elementwise("and", truth, o.unary("not", truth)), dtype or tensor(x).dtype)


def size(o: Ops, x: Operand, dtype: Any = "int32") -> Value:
    """How many elements x has."""
    value = tensor(x)
    total = o.constant(1, "int64")
    for axis, known in enumerate(value.shape):
        number = o.one(layers.Size(axis), [value], (), "int64") if known is None else o.constant(known, "int64")
        total = o.elementwise("multiply", total, number)
    return o.cast(total, str(dtype or "int32"))


def rank(o: Ops, x: Operand) -> Value:
    """How many axes x has."""
    return o.constant(len(tensor(x).shape), "int32")


def numbers(o: Ops, start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Value:
    """tf.range, up to what the model computes, or of constants."""
    if limit is None:
        start, limit = 0, start
    first, step = one_integer(start, "start"), one_integer(delta, "delta")
    if not isinstance(limit, Value):
        return o.cast(o.numbers(first, one_integer(limit, "limit"), step), str(dtype or "int32"))
    if (first, step) != (0, 1) or limit.shape:
        raise Unsupported(f"a range from {first} by {step} up to what the model computes")
    made = o.one(layers.Range(), [o.cast(limit, "int64")], (None,), "int64")
    return o.cast(made, str(dtype or limit.dtype))


def related(o: Ops, op: ElementwiseOp, x: Value, offset: int = 0) -> Value:
    """Row + offset compared with column, for the last two axes of x."""
    rows, columns = positions(o, x, -2), positions(o, x, -1)
    rows = o.with_scalar("add", rows, offset) if offset else rows
    return o.elementwise(op, o.expand_dims(rows, 1), o.expand_dims(columns, 0))


def band(keep_lower: bool) -> Any:
    """np.tril or np.triu: zeros on the other side of diagonal k."""

    def function(o: Ops, x: Operand, k: Any = 0) -> Value:
        value = tensor(x)
        kept = related(o, "greater_equal" if keep_lower else "less_equal", value, one_integer(k, "k"))
        return o.where(kept, value, o.constant(0, value.dtype))

    return function


def band_part(o: Ops, x: Operand, lower: Any, upper: Any) -> Value:
    """tf.linalg.band_part: so many diagonals below and above the main one, all of them if negative."""
    value: Value = tensor(x)
    (below,), (above,) = integers(lower, "num_lower"), integers(upper, "num_upper")
    value = band(False)(o, value, -below) if below >= 0 else value
    result: Value = band(True)(o, value, above) if above >= 0 else value
    return result


def diagonal_matrix(o: Ops, x: Operand, offset: Any = 0, rows: Any = -1, columns: Any = -1, padding: Any = 0) -> Value:
    """tf.linalg.diag: the last axis as the main diagonal of a matrix; -1 for as many rows or columns as it is long."""
    value, sizes = tensor(x), [one_integer(n, "a number of rows or columns") for n in (rows, columns)]
    _main_alone(offset)
    size = value.shape[-1]
    if size is not None and min(n if n >= 0 else size for n in sizes) != size:
        raise Unsupported(f"a diagonal of {size} in a matrix of {sizes[0]} rows and {sizes[1]} columns")
    if size is None and max(sizes) >= 0:
        raise Unsupported("a diagonal of open length in a matrix that is not square")
    places = [positions(o, value, -1) if n in (-1, size) else o.numbers(0, n) for n in sizes]
    main = o.elementwise("equal", o.expand_dims(places[0], 1), o.expand_dims(places[1], 0))
    along = -1 if sizes[0] in (-1, size) else -2
    return o.where(main, o.expand_dims(value, along), o.constant(array_of(padding), value.dtype))


def with_diagonal(o: Ops, x: Operand, diagonal: Operand, offset: Any = 0) -> Value:
    """tf.linalg.set_diag: matrices with another main diagonal."""
    value, given = either(o, x), either(o, diagonal)
    _main_alone(offset)
    rows, columns = value.shape[-2:]
    if rows != columns and None in (rows, columns):
        raise Unsupported("the diagonal of matrices of which one size is open")
    across, down = positions(o, value, -1), positions(o, value, -2)
    main = o.elementwise("equal", o.expand_dims(down, 1), o.expand_dims(across, 0))
    longer = rows is not None and columns is not None and rows > columns
    return o.where(main, o.expand_dims(given, -2 if longer else -1), value)


def _main_alone(offset: Any) -> None:
    if one_integer(offset, "which diagonal") != 0:
        raise Unsupported("a diagonal that is not the main one")


def sequence_mask(o: Ops, lengths: Operand, longest: Any = None, dtype: Any = "bool") -> Value:
    """tf.sequence_mask: True below each length, in rows of `longest`."""
    value = tensor(lengths)
    if longest is None:
        raise Unsupported("sequence_mask as long as the longest sequence of a batch")
    if isinstance(longest, Value):
        steps = o.one(layers.Range(), [o.cast(longest, "int64")], (None,), "int64")
    else:
        steps = o.numbers(0, one_integer(longest, "maxlen"))
    mask = o.elementwise("less", steps, o.expand_dims(o.cast(value, "int64"), -1))
    return o.cast(mask, str(dtype))
