"""Arrays of an ONNX file (TensorProto), in the file or next to it, described and read when asked for.

External data is read only from a regular file in the model's own folder: no path that leaves it, no link of any kind
(CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34446), nothing past its end.
"""

from __future__ import annotations

import stat
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean
from converter.model import Array, Weight, dtype_of

# TensorProto.DataType -> dtype, and the field that holds values outside raw_data.
DTYPES = {
    1: ("float32", "float_data"), 2: ("uint8", "int32_data"), 3: ("int8", "int32_data"), 5: ("int16", "int32_data"),
    6: ("int32", "int32_data"), 7: ("int64", "int64_data"), 9: ("bool", "int32_data"), 10: ("float16", ""),
    11: ("float64", "double_data"), 16: ("bfloat16", ""),
}  # fmt: skip
_EXTERNAL = 1


def sniff(path: Path) -> bool:
    """Whether the file begins as an ONNX model does: field 1, a version; then a field that a model may have."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(3)
    return len(start) == 3 and start[0] == 0x08 and 3 <= start[1] < 32 and start[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42)


def weight(tensor: Any, folder: Path) -> Weight:
    """A tensor as a weight; its size and place are checked now.

    Raises:
        InvalidModel: its bytes do not fit its shape, or lie where they must not.
        Unsupported: a dtype that is not read.
    """
    name, shape = tensor.name, tuple(tensor.dims)
    if tensor.data_type not in DTYPES:
        raise Unsupported(f"ONNX data type {tensor.data_type}", where=name)
    if len(shape) > limits.RANK or any(size < 0 for size in shape):
        raise InvalidModel(f"shape {clean(shape)}", where=name)
    dtype, field = DTYPES[tensor.data_type]
    size = prod(shape) * dtype_of(dtype).itemsize
    if tensor.data_location == _EXTERNAL:
        path, offset = _external(tensor, folder, size)
        return Weight(name, shape, dtype, lambda: _from_file(path, dtype, offset, shape, name))
    if tensor.raw_data:
        data = tensor.raw_data
        if len(data) != size:
            raise InvalidModel(f"{len(data)} bytes for shape {shape} of {dtype}", where=name)
        return Weight(name, shape, dtype, lambda: _native(np.frombuffer(data, _little(dtype)), dtype, shape))
    values = getattr(tensor, field) if field else ()
    if len(values) != prod(shape):
        raise InvalidModel(f"{len(values)} values for shape {shape}", where=name)
    return Weight(name, shape, dtype, lambda: np.array(values, dtype_of(dtype)).reshape(shape))


def _little(dtype: str) -> np.dtype[Any]:
    little: np.dtype[Any] = dtype_of(dtype).newbyteorder("<")
    return little


def _native(array: Array, dtype: str, shape: tuple[int, ...]) -> Array:
    return array.astype(dtype_of(dtype)).reshape(shape)


def _external(tensor: Any, folder: Path, size: int) -> tuple[Path, int]:
    """The file and offset of external data."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = PurePosixPath(entries.get("location", ""))
    parts = location.parts
    if (
        not parts
        or "\0" in str(location)
        or location.is_absolute()
        or ".." in parts
        or "\\" in str(location)
        or ":" in str(location)
    ):
        raise InvalidModel(f"external data at {str(location)!r}, outside the model's folder", where=tensor.name)
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise InvalidModel(f"external data through a link, {str(location)!r}", where=tensor.name)
    try:
        status = path.lstat()
    except OSError as error:
        raise InvalidModel(f"no external data file {str(location)!r}", where=tensor.name) from error
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise InvalidModel(f"external data through a link, {str(location)!r}", where=tensor.name)
    offset = _natural(entries.get("offset", "0"), tensor.name)
    length = _natural(entries.get("length", str(size)), tensor.name)
    if length != size or offset + length > status.st_size:
        raise InvalidModel(f"external data of {length} bytes at {offset}, {size} wanted", where=tensor.name)
    return path, offset


def _natural(text: str, place: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise InvalidModel(f"external data at {text[:40]!r}", where=place)
    return int(text)


def _from_file(path: Path, dtype: str, offset: int, shape: tuple[int, ...], name: str) -> Array:
    array = np.fromfile(path, _little(dtype), prod(shape), offset=offset)
    if array.size != prod(shape):
        raise InvalidModel("its external data ends in the middle", where=name)
    return _native(array, dtype, shape)
