"""Operands of operation nodes: tensors and constants brought to one dtype, as Keras and TensorFlow do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import product
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.building.ops import axis_in as counted
from converter.keras.shared.promotion import promote
from converter.model import Value

Operand = Any  # a Value, or a constant: a number, nested lists of numbers, a NumPy array
LISTS: Mapping[str, str] = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}


@dataclass(frozen=True)
class Keras3Ops(Ops):
    """Operators for keras.ops, where lists of numbers have a dtype of their own; TensorFlow's adapt to the tensors."""


def own_dtype(o: Ops, operand: Operand) -> str:
    """The dtype an operand has; "" for one that adapts to the others."""
    if isinstance(operand, Value):
        return operand.dtype
    if isinstance(operand, np.ndarray):
        return str(operand.dtype.name)
    if isinstance(o, Keras3Ops) and isinstance(operand, list | tuple):
        return LISTS[array_of(operand).dtype.kind]
    return ""


def common_dtype(o: Ops, operands: Sequence[Operand]) -> str:
    """The dtype an operation on these computes in; Python numbers adapt to the tensors, as far as their kind allows."""
    dtype = ""
    for own in (own_dtype(o, operand) for operand in operands):
        dtype = (promote(dtype, own) if dtype else own) if own else dtype
    dtype = dtype or "bool"
    for operand in operands:
        if not own_dtype(o, operand):
            kind = array_of(operand).dtype.kind
            if kind == "f" and dtype not in FLOATS:
                dtype = "float32"
            elif kind == "i" and dtype == "bool":
                dtype = "int32"
    return dtype


def to_value(o: Ops, operand: Operand, dtype: str) -> Value:
    """An operand as a tensor of `dtype`."""
    if isinstance(operand, Value):
        return o.cast(tensor(operand), dtype)
    return o.constant(array_of(operand), dtype)


def together(o: Ops, *operands: Operand) -> list[Value]:
    """Operands as tensors of their common dtype."""
    dtype = common_dtype(o, operands)
    return [to_value(o, operand, dtype) for operand in operands]


def floats_together(o: Ops, *operands: Operand) -> list[Value]:
    """Operands as tensors of their common dtype, float32 where that is whole numbers or truth values."""
    dtype = common_dtype(o, operands)
    return [to_value(o, operand, dtype if dtype in FLOATS else "float32") for operand in operands]


def flattened(o: Ops, x: Value) -> Value:
    """All elements along one axis."""
    return o.reshape(x, [-1], (product(x.shape),))


def floating(o: Ops, x: Operand) -> Value:
    """A tensor in the floating dtype that Keras computes functions of integers in."""
    value = tensor(x)
    return value if value.dtype in FLOATS else o.cast(value, "float32")


def either(o: Ops, x: Operand) -> Value:
    """A tensor, or a constant in the dtype that it has by itself."""
    if isinstance(x, Value):
        return x
    array = array_of(x)
    return o.constant(array, array.dtype.name if isinstance(x, np.ndarray) else LISTS[array.dtype.kind])


def tensor(x: Operand) -> Value:
    """`x`, which must be a tensor.

    Raises:
        Unsupported: it is a constant.
    """
    if not isinstance(x, Value):
        raise Unsupported(f"an operation on the constant {clean(x, 40)}")
    return x


def array_of(operand: Operand) -> np.ndarray[Any, np.dtype[Any]]:
    """A constant as an array.

    Raises:
        InvalidModel: it is neither a number nor regular lists of numbers.
    """
    try:
        array = np.asarray(operand)
    except ValueError:
        raise InvalidModel(f"{clean(operand, 40)} is no operand") from None
    if array.dtype.kind not in "fiub":
        raise InvalidModel(f"{clean(operand, 40)} is no operand")
    return array


def number(given: Any, what: str) -> float:
    """A number.

    Raises:
        Unsupported: something else, a tensor for instance.
    """
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise Unsupported(f"{what} that is no number: {clean(given, 40)}")
    return float(given)


def integers(given: Any, what: str) -> list[int]:
    """A whole number or a list of them, as a list.

    Raises:
        Unsupported: tensors among them. InvalidModel: something else.
    """
    if isinstance(given, np.ndarray):
        given = given.tolist()
    items = list(given) if isinstance(given, list | tuple) else [given]
    if any(isinstance(item, Value) for item in items):
        raise Unsupported(f"{what} computed by the model itself")
    if any(type(item) is not int for item in items):
        raise InvalidModel(f"{what} must be whole numbers, got {clean(given, 60)}")
    return items


def one_integer(given: Any, what: str) -> int:
    """A single whole number."""
    items = integers(given, what)
    if len(items) != 1:
        raise InvalidModel(f"{what} must be one whole number, got {clean(given, 60)}")
    return items[0]


def axis_in(axis: Any, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        InvalidModel: it lies outside, or is no whole number.
    """
    return counted(one_integer(axis, "axis"), rank)


def limits(dtype: str) -> tuple[Any, Any]:
    """The smallest and the greatest finite number of a dtype."""
    if dtype == "bfloat16":  # which NumPy knows nothing of
        greatest = (2 - 2**-7) * 2.0**127
        return -greatest, greatest
    if dtype in FLOATS:
        info = np.finfo(dtype)
        return float(info.min), float(info.max)
    whole = np.iinfo(dtype)
    return int(whole.min), int(whole.max)
