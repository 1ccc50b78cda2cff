"""Attributes of a TensorFlowOpLayer's NodeDef, in protobuf's JSON form: {"i": "5"}, {"list": {"i": ["1"]}}."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import refuse_large
from converter.model import dtype_of

_SCALARS = {"i": int, "f": float, "b": bool}
_DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_BOOL": "bool",
    "DT_INT32": "int32", "DT_INT64": "int64", "DT_INT16": "int16", "DT_INT8": "int8", "DT_UINT8": "uint8",
}  # fmt: skip


def attribute(raw: Any) -> Any:
    """The value of an attribute: numbers, names of dtypes, text, arrays; None for what is none of these."""
    if not isinstance(raw, Mapping) or len(raw) != 1:
        return None
    ((kind, value),) = raw.items()
    if kind in _SCALARS:
        return _scalar(kind, value)
    if kind == "type":
        return _DTYPES.get(str(value), str(value))
    if kind == "list" and isinstance(value, Mapping):
        return [_scalar(k, item) for k, items in value.items() if k in _SCALARS for item in items]
    if kind == "tensor" and isinstance(value, Mapping):
        return _tensor(value)
    return _text(value) if kind == "s" else None


def _scalar(kind: str, value: Any) -> Any:
    try:
        return _SCALARS[kind](value)
    except (TypeError, ValueError):
        raise InvalidModel(f"{clean(value, 40)} as an attribute of a TensorFlowOpLayer") from None


def _text(value: Any) -> str:
    """Bytes attributes are base64 in protobuf's JSON."""
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return str(value)


def _tensor(proto: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """A TensorProto: bytes, or a list of values, the last of which stands for all that follow.

    Raises:
        Unsupported: a dtype without numbers. InvalidModel: the values do not fill the shape.
    """
    kind = str(proto.get("dtype"))
    if kind not in _DTYPES or kind in {"DT_HALF", "DT_BFLOAT16"}:
        raise Unsupported(f"a constant of {clean(kind, 40)}")
    dtype = dtype_of(_DTYPES[kind])
    try:
        shape = tuple(int(axis.get("size", 0)) for axis in (proto.get("tensorShape") or {}).get("dim", ()))
        refuse_large((1, *shape))
        if min(shape, default=0) < 0:
            raise ValueError("an axis of less than nothing")
        if proto.get("tensorContent"):
            content = base64.b64decode(str(proto["tensorContent"]), validate=True)
            return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
        listed: list[Any] = next((proto[key] for key in _LISTS if key in proto), [])
        given = np.asarray([float(n) if dtype.kind == "f" else int(n) for n in listed], dtype)
        return np.pad(given, (0, math.prod(shape) - len(given)), "edge").reshape(shape)
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise InvalidModel("the values of a constant do not fill its shape") from None


_LISTS = ("floatVal", "doubleVal", "intVal", "int64Val", "boolVal")
