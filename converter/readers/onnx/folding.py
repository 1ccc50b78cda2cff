"""Operators whose inputs are all arrays of the file: their results are arrays, too. Only what NumPy rounds likewise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converter.model import Array, constant
from converter.readers.onnx.tensors import Const, Dims, Tensor
from converter.readers.onnx.values import Builder, Call

_MOST = 4096  # numbers; weights are larger, and read when they are needed


def _divided(a: Array, b: Array) -> Array:
    """Whole numbers are rounded toward zero."""
    made: Array = np.divide(a, b) if a.dtype.kind == "f" else np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))
    return made


_OPS: Mapping[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divided, "Neg": np.negative, "Abs": np.abs,
    "Equal": np.equal, "Less": np.less, "Greater": np.greater, "LessOrEqual": np.less_equal,
    "GreaterOrEqual": np.greater_equal, "Not": np.logical_not, "And": np.logical_and, "Or": np.logical_or,
    "Where": np.where, "Max": np.maximum, "Min": np.minimum, "Sqrt": np.sqrt, "Mod": np.mod,
}  # fmt: skip
_COUNTS = {"Where": 3, "Neg": 1, "Abs": 1, "Not": 1, "Sqrt": 1}


_COMPARED = ("Less", "Greater", "LessOrEqual", "GreaterOrEqual")


def _numbers(call: Call, tensor: Tensor) -> Tensor:
    """Sizes that are all known, as an array."""
    if not isinstance(tensor, Dims) or not all(isinstance(item, int) for item in tensor.items):
        return tensor
    array = np.array(tensor.items, tensor.dtype)
    return Const(constant(call.name, array[0] if tensor.scalar else array))


def folded(builder: Builder, call: Call) -> list[Tensor] | None:
    """The result, where the operator is one of these; of sizes and numbers, what can be said of each."""
    op = _OPS.get(call.op)
    given = [tensor for tensor in call.inputs if tensor is not None]
    if call.op in _COMPARED:
        given = [_numbers(call, tensor) for tensor in given]
    if op is None or call.integer("fmod", 0) or len(given) != len(call.inputs) or len(given) != _COUNTS.get(call.op, 2):
        return None
    if all(isinstance(tensor, Const) and tensor.weight.size <= _MOST for tensor in given):
        arrays = [tensor.array for tensor in given if isinstance(tensor, Const)]
        with np.errstate(all="ignore"):
            return [Const(constant(call.name, np.asarray(op(*arrays))))]
    return _of_sizes(builder, call, given)


def _of_sizes(builder: Builder, call: Call, given: list[Tensor]) -> list[Tensor] | None:
    """Where an open size is compared with a number below zero, as exporters mark what is to be kept; and the choice."""
    if not any(isinstance(tensor, Dims) for tensor in given):
        return None
    if call.op == "Equal":
        left, right = (builder.dims(tensor) for tensor in given)
        if left is None or right is None or len(left) != len(right):
            return None
        found = [_equal(x, y) for x, y in zip(left, right, strict=True)]
        return None if None in found else [Const(constant(call.name, np.array(found, np.bool_)))]
    condition, a, b = given if call.op == "Where" else (None, None, None)
    if not isinstance(condition, Const) or a is None or b is None or len(condition.weight.shape) != 1:
        return None
    left, right = builder.dims(a), builder.dims(b)
    choices = condition.array.tolist()
    if left is None or right is None or not len(choices) == len(left) == len(right):
        return None
    return [Dims(tuple(x if c else y for c, x, y in zip(choices, left, right, strict=True)))]


def _equal(x: Any, y: Any) -> bool | None:
    if isinstance(x, int) and isinstance(y, int):
        return x == y
    if x == y:
        return True
    negative = [n for n in (x, y) if isinstance(n, int) and n < 0]
    others = [n for n in (x, y) if isinstance(n, tuple) and n[1] >= 0]
    return False if negative and others else None
