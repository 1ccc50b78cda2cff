"""An ONNX file read without its large weights: each becomes a reference to its own bytes in that file.

onnxruntime maps what is referred to instead of parsing and copying it, so a model of any size is opened in the memory
that its graph needs. The walk follows onnx.proto: ModelProto.graph = 7, GraphProto.initializer = 5,
TensorProto.raw_data = 9; all else is copied as it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError

from converter.errors import InvalidModel

REFERRED_ABOVE = 1 << 20  # bytes of a weight
_GRAPH, _INITIALIZER, _RAW_DATA = (7,), (7, 5), (7, 5, 9)
# Wire types, https://protobuf.dev/programming-guides/encoding/#structure; of a fixed one, how many bytes.
_VARINT, _BYTES, _FIXED = 0, 2, {1: 8, 5: 4}


def read_skeleton(path: Path) -> onnx.ModelProto:
    """The model of a file, with references in the place of its large weights.

    Raises:
        InvalidModel: this is no ONNX file.
        OSError: it cannot be read.
    """
    model = onnx.ModelProto()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            model.ParseFromString(_without_weights(file, path.name, size) if size > REFERRED_ABOVE else file.read())
    except (DecodeError, EOFError) as error:
        raise InvalidModel("this is no ONNX file", where=path.name) from error
    return model


def _without_weights(file: BinaryIO, name: str, end: int, place: tuple[int, ...] = ()) -> bytes:
    """The message that ends at `end`; `place` says which one it is, by the field numbers that lead to it."""
    made = bytearray()
    while file.tell() < end:
        key = _varint(file)
        field, wire = (*place, key >> 3), key & 7
        if wire != _BYTES:
            made += _encoded(key) + (_encoded(_varint(file)) if wire == _VARINT else file.read(_FIXED.get(wire, 0)))
            continue
        length = _varint(file)
        at = file.tell()
        if at + length > end:
            raise EOFError
        if field == _GRAPH or (field == _INITIALIZER and length > REFERRED_ABOVE):
            inner = _without_weights(file, name, at + length, field)
            made += _encoded(key) + _encoded(len(inner)) + inner
        elif field == _RAW_DATA and length > REFERRED_ABOVE:
            made += _reference(name, at, length)
            file.seek(length, os.SEEK_CUR)
        else:
            made += _encoded(key) + _encoded(length) + file.read(length)
    return bytes(made)


def _reference(name: str, offset: int, length: int) -> bytes:
    """The fields of a TensorProto whose values lie in a file."""
    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, text in (("location", name), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=text)
    return bytes(tensor.SerializeToString())


def _varint(file: BinaryIO) -> int:
    number = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            raise EOFError
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    raise EOFError


def _encoded(number: int) -> bytes:
    """An own copy of the exporter's `_varint`: must not share code with what it judges."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
