"""Writes an ONNX file piece by piece: the graph first, then each initializer straight from where it is read.

A ModelProto is never held with its weights. Protobuf takes the fields of a message in any order and lets a
message be written as length and bytes, so the file is: model header, graph header, then every large initializer
(onnx.proto: ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto.raw_data = 9), and last what only then is
known, the SHA-256 of all values.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import onnx

from converter.errors import InvalidModel, Unsupported
from converter.exporters.onnx.graph import Initializer, element_type, value_info
from converter.formats.onnx_metadata import SHA256

GRAPH, INITIALIZER, RAW_DATA = (bytes([field << 3 | 2]) for field in (7, 5, 9))  # wire type 2: length and bytes


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Counts bytes in."""

    def hexdigest(self) -> str:
        """Of all so far."""


INLINE_BELOW = 1024  # bytes; small constants stay in the graph, where shape inference sees them
EXTERNAL_ABOVE = 1_500_000_000  # bytes of weights; protobuf ends at 2 GiB


def write(model: onnx.ModelProto, initializers: list[Initializer], path: Path, external_above: int) -> None:
    """Writes `model` (with a graph that has no initializers yet) and its initializers.

    Args:
        model: everything but the initializers.
        initializers: in the order of the file.
        path: written over if it exists.
        external_above: bytes of all initializers above which they go to `<path>.<16 digits>.data`.

    Raises:
        InvalidModel: a weight's values are not as many as its shape says.
        Unsupported: the graph does not pass the checker.
        FileExistsError: `<path>.data`, the draft of the data file, exists.
    """
    large = [item for item in initializers if item.nbytes >= INLINE_BELOW]
    model.graph.initializer.extend(_whole(item) for item in initializers if item.nbytes < INLINE_BELOW)
    check(model, large)
    values = hashlib.sha256()
    for tensor in model.graph.initializer:
        values.update(tensor.raw_data)
    if sum(item.nbytes for item in large) > external_above:
        data = _write_data(large, path, values)
        model.graph.initializer.extend(_external(large, data.name))
        large = []
    with path.open("wb") as file:
        _write_model(model, large, file, values)
        file.write(onnx.ModelProto(metadata_props=[sha256_property(values)]).SerializeToString())


def sha256_property(values: Digest) -> onnx.StringStringEntryProto:
    """The metadata property that names the values of a file."""
    return onnx.StringStringEntryProto(key=SHA256, value=values.hexdigest())


def values_digest(tensors: Iterable[onnx.TensorProto]) -> Digest:
    """The digest that `sha256_property` names, of initializers that are all inside the file."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.raw_data or onnx.numpy_helper.to_array(tensor).tobytes())
    return digest


def check(model: onnx.ModelProto, large: list[Initializer]) -> None:
    """The checker with full shape inference; the large initializers take part as inputs, since shapes are all it needs.

    Raises:
        Unsupported: the graph is not valid, or its shapes are not those of the model: a fault of ours, or a wrong shape
            that a reader let pass.
    """
    shell = onnx.ModelProto()
    shell.CopyFrom(model)
    shell.graph.input.extend(value_info(item.name, item.dtype, item.shape) for item in large)
    try:
        onnx.checker.check_model(shell, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Unsupported(f"the ONNX graph made of it is not valid: {error}") from error


def _write_model(model: onnx.ModelProto, large: list[Initializer], file: BinaryIO, values: Digest) -> None:
    graph = model.graph.SerializeToString(deterministic=True)
    head = onnx.ModelProto()
    head.CopyFrom(model)
    head.ClearField("graph")
    tensors = [(item, _header(item).SerializeToString(deterministic=True)) for item in large]
    raw = [RAW_DATA + _varint(item.nbytes) for item, _ in tensors]
    bodies = [len(header) + len(tag) + item.nbytes for (item, header), tag in zip(tensors, raw, strict=True)]
    total = len(graph) + sum(len(INITIALIZER + _varint(n)) + n for n in bodies)
    file.write(head.SerializeToString(deterministic=True) + GRAPH + _varint(total) + graph)
    for (item, header), tag, length in zip(tensors, raw, bodies, strict=True):
        file.write(INITIALIZER + _varint(length) + header + tag)
        _write_values(item, _Digested(file, values))


def _write_data(items: list[Initializer], path: Path, values: Digest) -> Path:
    """The data file next to `path`. Its name is made of its content, so that it never replaces another one's."""
    draft = path.with_name(f"{path.name}.data")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(draft, flags, 0o666), "wb") as plain:
        whole = hashlib.sha256()
        padded, file = _Digested(plain, whole), _Digested(plain, whole, values)
        for item, offset in zip(items, _offsets(items), strict=True):
            padded.write(bytes(offset - plain.tell()))
            _write_values(item, file)
    return draft.replace(path.with_name(f"{path.name}.{whole.hexdigest()[:16]}.data"))


class _Digested:
    """A file, and the digests that what is written to it goes into."""

    def __init__(self, file: BinaryIO, *digests: Digest) -> None:
        self._file, self._digests = file, digests

    def write(self, data: bytes | memoryview) -> None:
        """Writes and counts in."""
        self._file.write(data)
        for digest in self._digests:
            digest.update(data)


def _write_values(item: Initializer, file: _Digested) -> None:
    written = 0
    for block in item.blocks():
        little = np.ascontiguousarray(block).astype(block.dtype.newbyteorder("<"), copy=False)
        file.write(little.reshape(-1).view(np.uint8).data)
        written += little.nbytes
    if written != item.nbytes:
        raise InvalidModel(f"{written} bytes of values where {item.shape} needs {item.nbytes}", where=item.name)


def _offsets(items: list[Initializer]) -> Iterator[int]:
    """Where each tensor starts: at 64 KiB steps from 1 MiB on, as memory mapping on Windows wants, else at 64."""
    end = 0
    for item in items:
        step = 65536 if item.nbytes >= 1 << 20 else 64
        start = -(-end // step) * step
        yield start
        end = start + item.nbytes


def _header(item: Initializer) -> onnx.TensorProto:
    return onnx.TensorProto(name=item.name, data_type=element_type(item.dtype), dims=item.shape)


def _whole(item: Initializer) -> onnx.TensorProto:
    tensor = _header(item)
    tensor.raw_data = b"".join(block.astype(block.dtype.newbyteorder("<")).tobytes() for block in item.blocks())
    if len(tensor.raw_data) != item.nbytes:
        raise InvalidModel(f"the values are not as many as the shape {item.shape} says", where=item.name)
    return tensor


def _external(items: list[Initializer], location: str) -> Iterator[onnx.TensorProto]:
    for item, offset in zip(items, _offsets(items), strict=True):
        tensor = _header(item)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, text in (("location", location), ("offset", str(offset)), ("length", str(item.nbytes))):
            tensor.external_data.add(key=key, value=text)
        yield tensor


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
