"""Writes tensor bundles byte by byte, from the format's description and not with the reader's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CODES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
    "float8_e5m2": 24,
    "float8_e4m3fn": 25,
}


def crc32c(data: bytes) -> int:
    """Bit by bit, as the polynomial says."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A protobuf field: a number as varint (two's complement), bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def shape_proto(shape: Sequence[int]) -> bytes:
    return b"".join(field(2, field(1, n)) for n in shape)


@dataclass(frozen=True)
class Tensor:
    """What an entry of the index says."""

    dtype: int
    shape: Sequence[int]
    data: bytes
    crc: bytes
    shard: int = 0
    extra: bytes = b""

    def proto(self, offset: int) -> bytes:
        numbers = field(3, self.shard) + field(4, offset) + field(5, len(self.data))
        crc = varint(6 << 3 | 5) + self.crc
        return field(1, self.dtype) + field(2, shape_proto(self.shape)) + numbers + crc + self.extra


def numbers(array: np.ndarray, shard: int = 0, order: str = "<") -> Tensor:
    data = np.asarray(array).astype(array.dtype.newbyteorder(order)).tobytes()
    return Tensor(CODES[array.dtype.name], array.shape, data, masked(data), shard)


def strings(texts: Sequence[bytes], shape: Sequence[int] = ()) -> Tensor:
    lengths = b"".join(len(t).to_bytes(4, "little") for t in texts)
    check, content = masked(lengths), b"".join(texts)
    data = b"".join(varint(len(t)) for t in texts) + check + content
    return Tensor(7, shape, data, masked(lengths + check + content))


def sliced(dtype: int, shape: Sequence[int], boxes: Sequence[Sequence[tuple[int, int] | None]]) -> Tensor:
    """The entry of a tensor that is stored in pieces; None is a whole axis."""
    extents = [b"".join(field(1, field(1, e[0]) + field(2, e[1]) if e else b"") for e in box) for box in boxes]
    return Tensor(dtype, shape, b"", bytes(4), extra=b"".join(field(7, box) for box in extents))


def table(entries: Mapping[bytes, bytes], *, block_size: int = 1 << 18, restart: int = 16, kind: int = 0) -> bytes:
    """A sorted table of the entries in the order given."""
    out, handles, block, last = bytearray(), {}, {}, b""
    for key, value in entries.items():
        block[key], last = value, key
        if sum(map(len, block.values())) > block_size:
            handles[last], block = _append(out, _block(block, restart), kind), {}
    if block:
        handles[last] = _append(out, _block(block, restart), kind)
    meta = _append(out, _block({}, restart), 0)
    index = _append(out, _block(handles, 1), 0)
    return bytes(out) + (meta + index).ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


def _block(entries: Mapping[bytes, bytes], restart: int) -> bytes:
    out, restarts, last = bytearray(), [], b""
    for i, (key, value) in enumerate(entries.items()):
        shared = 0
        if i % restart == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return bytes(out) + b"".join(r.to_bytes(4, "little") for r in [*restarts, len(restarts)])


def _append(out: bytearray, block: bytes, kind: int) -> bytes:
    stored = (
        block
        if kind != 1
        else varint(len(block)) + b"".join(_literal(block[i : i + 60]) for i in range(0, len(block), 60))
    )
    handle = varint(len(out)) + varint(len(stored))
    out += stored + bytes([kind]) + masked(stored + bytes([kind]))
    return handle


def _literal(piece: bytes) -> bytes:
    return bytes([len(piece) - 1 << 2]) + piece


def write(
    prefix: Path, tensors: Mapping[str | bytes, Tensor], *, shards: int = 1, big: bool = False, **options: int
) -> Path:
    """A checkpoint of these tensors; returns its prefix."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    data = [bytearray() for _ in range(shards)]
    entries = {b"": field(1, shards) + field(2, int(big)) + field(3, field(1, 1))}
    for key, tensor in sorted((k if isinstance(k, bytes) else k.encode(), t) for k, t in tensors.items()):
        entries[key] = tensor.proto(len(data[tensor.shard]))
        data[tensor.shard] += tensor.data
    Path(f"{prefix}.index").write_bytes(table(entries, **options))
    for i, content in enumerate(data):
        Path(f"{prefix}.data-{i:05d}-of-{shards:05d}").write_bytes(content)
    return prefix


def object_graph(nodes: Sequence[tuple[Mapping[str, int], str, str]]) -> Tensor:
    """The string tensor of a graph of objects, each (children, full name, key of its value or "")."""
    protos = []
    for children, full_name, key in nodes:
        proto = b"".join(field(1, field(1, node) + field(2, name)) for name, node in children.items())
        if key:
            proto += field(2, field(1, "VARIABLE_VALUE") + field(2, full_name) + field(3, key))
        protos.append(field(1, proto))
    return strings([b"".join(protos)])
