"""Trilu: one triangle of a matrix, the rest zeros, as PyTorch makes causal masks.

https://onnx.ai/onnx/operators/onnx__Trilu.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Value, layers
from converter.readers.onnx.general import value_of
from converter.readers.onnx.origins import size_of
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder, Call


def _triangle(builder: Builder, call: Call) -> list[Tensor]:
    """Where the column is not left of (upper) or not right of (lower) the row, counted from diagonal k."""
    given = call.tensor(1) if call.has(1) else None
    if given is not None and (not isinstance(given, Const) or given.weight.size != 1):
        raise Unsupported("Trilu from a diagonal that is computed")
    x = value_of(builder, call, 0)
    if len(x.shape) < 2:
        raise InvalidModel(f"Trilu of {len(x.shape)} axes")
    diagonal = builder.number(f"{call.name}/k", np.int64(0 if given is None else given.array.item()))
    rows, columns = (_numbers(builder, x, axis, call.name) for axis in (-2, -1))
    (rows,) = builder.node(f"{call.name}/from", layers.Elementwise("add"), (rows, diagonal), rows.shape)
    (rows,) = builder.node(f"{call.name}/rows", layers.ExpandDims((1,)), (rows,), (*rows.shape, 1))
    pair = (rows, columns) if call.integer("upper", 1) else (columns, rows)
    shape = (rows.shape[0], columns.shape[0])
    (kept,) = builder.node(f"{call.name}/kept", layers.Elementwise("less_equal"), pair, shape, dtype="bool")
    zero = builder.cast(builder.number(f"{call.name}/zero", np.int64(0)), x.dtype, call.name)
    return [Val(builder.node(call.name, layers.Where(), (kept, x, zero), x.shape, dtype=x.dtype)[0])]


def _numbers(builder: Builder, x: Value, axis: int, name: str) -> Value:
    """0, 1, 2, ..., as many as an axis is long."""
    size = size_of(x, axis % len(x.shape))
    count = builder.size(size, name)
    (made,) = builder.node(f"{name}/range", layers.Range(), (count,), (x.shape[axis],), dtype="int64")
    return made


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"Trilu": _triangle}
