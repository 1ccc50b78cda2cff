"""The safetensors format: eight bytes of header length, a JSON header, then the arrays without gaps.

Specification: https://github.com/huggingface/safetensors#format. Every bound is checked before anything is read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.formats.text import decode, parse_json
from converter.model import Array, Weight, dtype_of

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_CODES = {name: code for code, name in _DTYPES.items()}


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        tensors: in the order of their bytes.
        metadata: the texts of "__metadata__".
    """

    tensors: Mapping[str, Weight]
    metadata: Mapping[str, str]


def sniff(path: Path) -> bool:
    """Whether the file begins as a safetensors file does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and 2 <= struct.unpack("<Q", start[:8])[0] <= limits.SAFETENSORS_HEADER


def read(path: Path) -> Contents:
    """The arrays of a file, described; their values are read when asked for.

    Raises:
        InvalidModel: the header is broken, or arrays overlap, leave gaps or reach past the end.
        Unsupported: a dtype that NumPy has no word for.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
        if length > min(limits.SAFETENSORS_HEADER, size - 8):
            raise InvalidModel(f"a safetensors header of {length} bytes in a file of {size}")
        header = parse_json(decode(file.read(length), "safetensors header"), "safetensors header")
    if not isinstance(header, dict):
        raise InvalidModel("the header is no object", where="safetensors header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise InvalidModel("not all values are texts", where="__metadata__")
    tensors, position = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _start(*item)):
        shape, dtype, start, stop = _entry(name, entry)
        if start != position:
            raise InvalidModel(f"begins at byte {start}, the array before it ends at {position}", where=name)
        tensors[name] = _weight(path, name, shape, dtype, 8 + length + start)
        position = stop
    if 8 + length + position != size:
        raise InvalidModel(f"the arrays end at byte {8 + length + position}, the file at {size}")
    return Contents(tensors, metadata)


def _start(name: str, entry: object) -> int:
    return _entry(name, entry)[2]


def _entry(name: str, entry: object) -> tuple[tuple[int, ...], str, int, int]:
    """Shape, dtype and offsets of one array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise InvalidModel("is not described by dtype, shape and data_offsets", where=name)
    shape, offsets, code = entry["shape"], entry["data_offsets"], entry["dtype"]
    numbers = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if not numbers or len(shape) > limits.RANK or not all(type(n) is int and n >= 0 for n in (*shape, *offsets)):
        raise InvalidModel("shape and data_offsets are not natural numbers", where=name)
    if not isinstance(code, str) or code not in _DTYPES:
        raise Unsupported(f"dtype {code!r}", where=name)
    if offsets[1] - offsets[0] != prod(shape) * dtype_of(_DTYPES[code]).itemsize:
        raise InvalidModel(f"{offsets[1] - offsets[0]} bytes for shape {shape} of {code}", where=name)
    return tuple(shape), _DTYPES[code], offsets[0], offsets[1]


def _weight(path: Path, name: str, shape: tuple[int, ...], dtype: str, offset: int) -> Weight:
    little = dtype_of(dtype).newbyteorder("<")
    row = prod(shape[1:])

    def take(skip: int, count: int, to: tuple[int, ...]) -> Array:
        values = np.fromfile(path, little, count, offset=offset + skip * little.itemsize)
        if values.size != count:
            raise InvalidModel("the file ends in the middle of it", where=name)
        return values.astype(dtype_of(dtype), copy=False).reshape(to)

    return Weight(
        name, shape, dtype, lambda: take(0, prod(shape), shape),
        (lambda a, b: take(a * row, (b - a) * row, (b - a, *shape[1:]))) if shape else None,
    )  # fmt: skip


def write(path: Path, tensors: Mapping[str, Weight], metadata: Mapping[str, str]) -> None:
    """Writes arrays one after the other, each read when its turn comes.

    Raises:
        Unsupported: a dtype the format has no code for.
        InvalidModel: a weight's values do not fit its shape.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name, weight in tensors.items():
        if weight.dtype not in _CODES:
            raise Unsupported(f"safetensors cannot hold {weight.dtype}", where=name)
        offsets = [position, position + weight.nbytes]
        header[name] = {"dtype": _CODES[weight.dtype], "shape": list(weight.shape), "data_offsets": offsets}
        position = offsets[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, weight in tensors.items():
            written = sum(file.write(_bytes(block)) for block in weight.rows())
            if written != weight.nbytes:
                raise InvalidModel(f"{written} bytes instead of {weight.nbytes}", where=name)


def _bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
