"""TensorFlow's tensor bundle, `P.index` and `P.data-SSSSS-of-NNNNN`: the checkpoint format since 0.12.

Sources, in tensorflow/tensorflow: `core/util/tensor_bundle/tensor_bundle.cc`, `core/protobuf/tensor_bundle.proto`,
`core/framework/types.proto`, `core/util/saved_tensor_slice_util.cc`, `core/lib/strings/ordered_code.cc`. The index is
read at once and every number in it checked; a tensor is read, and its checksum checked, when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from converter import limits
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats.crc32c import crc32c, masked
from converter.formats.protobuf import parse
from converter.formats.sorted_table import read_table, varint
from converter.formats.stored_bytes import Region, open_region, read_file
from converter.formats.tensor_slices import Box, assemble, read_boxes, resolve, slice_key
from converter.model import Array, Weight

STRING = 7

# Codes of types.proto whose bytes are the numbers themselves. Quantized types keep their stored integers.
DTYPES: dict[int, str] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "int8",
    12: "uint8",
    13: "int32",
    14: "bfloat16",
    15: "int16",
    16: "uint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
}
_OTHERS = {20: "a resource", 21: "a variant", 29: "int4", 30: "uint4"}


@dataclass(frozen=True)
class Entry:
    """One tensor of the index.

    Attributes:
        key: its name in the checkpoint.
        dtype: code of types.proto.
        shape: of the whole tensor.
        shard, offset, size: where its bytes are.
        crc: their masked checksum.
        slices: where the tensor is stored in pieces, the box of each; then it has no bytes of its own.
    """

    key: str
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[Box, ...] = ()


@dataclass(frozen=True, eq=False)
class Bundle:
    """An index, read and checked.

    Attributes:
        prefix: path of the checkpoint without ".index".
        shards: how many data files there are.
        byte_order: of the numbers in them.
        entries: the tensors by key, in the order of the file.
        pieces: the stored pieces of sliced tensors, by their binary key.
    """

    prefix: Path
    shards: int
    byte_order: Literal["<", ">"]
    entries: Mapping[str, Entry]
    pieces: Mapping[bytes, Entry]

    def weight(self, key: str, name: str = "") -> Weight:
        """The tensor of that key, called `name` in messages.

        Raises:
            InvalidModel: there is none, or its data file is missing or too short.
            Unsupported: it holds no numbers.
        """
        with _located(key):
            entry = self._entry(key)
            make = self._sliced if entry.slices else self._plain
            return make(entry, name or key)

    def string(self, key: str) -> bytes:
        """The one string that a scalar tensor of strings holds.

        Raises:
            InvalidModel: there is no such tensor, or its bytes are wrong.
        """
        strings = self.strings(key)
        if self.entries[key].shape or len(strings) != 1:
            raise InvalidModel("not a single string", where=key)
        return strings[0]

    def strings(self, key: str) -> list[bytes]:
        """The strings of a tensor, in row-major order: their lengths, a checksum of these, then the bytes.

        Raises:
            InvalidModel: there is no such tensor of strings, or its bytes are wrong.
        """
        with _located(key):
            entry = self._entry(key)
            if entry.dtype != STRING or entry.slices or entry.size > limits.BUNDLE_STRINGS:
                raise InvalidModel("not a tensor of strings, or too large for one")
            return _strings(self._region(entry).unchecked(), math.prod(entry.shape), entry.crc, self.byte_order)

    def _entry(self, key: str) -> Entry:
        if key not in self.entries:
            raise InvalidModel("the checkpoint has no such tensor")
        return self.entries[key]

    def _region(self, entry: Entry) -> Region:
        path = self.prefix.with_name(f"{self.prefix.name}.data-{entry.shard:05d}-of-{self.shards:05d}")
        return open_region(path, entry.offset, entry.size, entry.crc)

    def _plain(self, entry: Entry, name: str) -> Weight:
        dtype = _numpy_dtype(entry.dtype)
        region = self._region(entry)
        stored = dtype.newbyteorder(self.byte_order)
        row = math.prod(entry.shape[1:]) * dtype.itemsize

        def read() -> Array:
            with _located(name):
                return region.array(stored).astype(dtype, copy=False).reshape(entry.shape)

        def read_rows(start: int, stop: int) -> Array:
            with _located(name):
                block = region.array(stored, start * row, stop * row)
                return block.astype(dtype, copy=False).reshape(stop - start, *entry.shape[1:])

        return Weight(name, entry.shape, dtype.name, read, read_rows if entry.shape else None)

    def _sliced(self, entry: Entry, name: str) -> Weight:
        parts = []
        for box in entry.slices:
            piece = self.pieces.get(slice_key(entry.key, box))
            place = resolve(box, entry.shape)
            if piece is None:
                raise InvalidModel("a slice of the tensor is missing in the index")
            if piece.slices or piece.dtype != entry.dtype or piece.shape != tuple(length for _, length in place):
                raise InvalidModel("a slice of the tensor has another shape or dtype than announced")
            parts.append((place, self._plain(piece, name)))
        dtype = _numpy_dtype(entry.dtype)

        def read_rows(start: int, stop: int) -> Array:
            return assemble(parts, entry.shape, dtype, start, stop)

        return Weight(name, entry.shape, dtype.name, lambda: read_rows(0, entry.shape[0]), read_rows)


def open_bundle(prefix: Path) -> Bundle:
    """Reads the index of the checkpoint named `prefix`.

    Raises:
        InvalidModel: there is none, or any number in it cannot be right.
    """
    index = prefix.with_name(prefix.name + ".index")
    data = read_file(index, limits.TABLE_FILE)
    with _located(index.name):
        return _bundle(prefix, dict(read_table(data)))


@contextmanager
def _located(place: str) -> Iterator[None]:
    """Says in front of every error where it happened."""
    try:
        yield
    except ConversionError as error:
        raise error.at(place) from None


def _bundle(prefix: Path, table: dict[bytes, bytes]) -> Bundle:
    if b"" not in table:
        raise InvalidModel("the header of the index is missing")
    header = parse("BundleHeader", table.pop(b""))
    if not 0 < header.num_shards <= limits.BUNDLE_SHARDS or header.endianness not in (0, 1):
        raise InvalidModel(f"{header.num_shards} shards of byte order {header.endianness}")
    if header.version.min_consumer > 1:
        raise Unsupported(f"version {header.version.min_consumer} of the checkpoint format")
    entries, pieces = {}, {}
    for key, value in table.items():
        shown = key.decode("utf-8", "replace")
        with _located(shown):
            entry = _read_entry(shown, parse("BundleEntry", value), header.num_shards)
        if key.startswith(b"\0"):
            pieces[key] = entry
        else:
            entries[shown] = entry
    return Bundle(prefix, header.num_shards, "<>"[header.endianness], entries, pieces)  # type: ignore[arg-type]


def _read_entry(key: str, proto: Any, shards: int) -> Entry:
    if proto.shape.unknown_rank or len(proto.shape.dim) > limits.RANK:
        raise InvalidModel(f"a tensor of unknown rank, or of {len(proto.shape.dim)} axes")
    shape = tuple(dim.size for dim in proto.shape.dim)
    if any(n < 0 for n in shape) or math.prod(max(n, 1) for n in shape) > limits.VALUES:
        raise InvalidModel(f"shape {list(shape)}")
    if proto.offset < 0 or proto.size < 0 or not 0 <= proto.shard_id < shards:
        raise InvalidModel(f"shard {proto.shard_id}, offset {proto.offset}, size {proto.size}")
    code = proto.dtype - 100 if proto.dtype > 100 else proto.dtype  # a reference type is 100 more
    slices = read_boxes(proto.slices, shape) if proto.slices else ()
    if slices:
        return Entry(key, code, shape, 0, 0, 0, 0, slices)
    if code == STRING and math.prod(shape) > proto.size:
        raise InvalidModel(f"{math.prod(shape)} strings in {proto.size} bytes")
    if code in DTYPES and math.prod(shape) * _numpy_dtype(code).itemsize != proto.size:
        raise InvalidModel(f"shape {list(shape)} of {DTYPES[code]} does not take {proto.size} bytes")
    return Entry(key, code, shape, proto.shard_id, proto.offset, proto.size, proto.crc32c)


def _numpy_dtype(code: int) -> np.dtype[Any]:
    name = DTYPES.get(code)
    if name is None:
        what = "strings" if code == STRING else _OTHERS.get(code, f"dtype {code}")
        raise Unsupported(f"the tensor holds {what}, not numbers that can be read")
    if name == "bfloat16" or name.startswith("float8"):
        import ml_dtypes

        special: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return special
    return np.dtype(name)


def _strings(data: bytes, count: int, crc: int, byte_order: Literal["<", ">"]) -> list[bytes]:
    lengths, position = [], 0
    for _ in range(count):
        length, position = varint(data, position)
        lengths.append(length)
    begin = position + 4
    if begin + sum(lengths) != len(data):
        raise InvalidModel(f"strings of {sum(lengths)} bytes in {len(data)}")
    running = crc32c(np.array(lengths, byte_order + "u4").tobytes())
    if masked(running) != int.from_bytes(data[position:begin], "little" if byte_order == "<" else "big"):
        raise InvalidModel("the checksum of the lengths of its strings is wrong")
    if masked(crc32c(data[position:], running)) != crc:
        raise InvalidModel("its checksum is wrong: the data has changed")
    ends = np.cumsum([begin, *lengths]).tolist()
    return [data[a:b] for a, b in pairwise(ends)]
