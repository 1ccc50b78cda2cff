"""Mutations that keep a format's structure: lengths, checksums and nesting stay right, so that deep code is reached.

Protobuf messages, pickles, the index of a TensorFlow checkpoint, and safetensors.
"""

from __future__ import annotations

import json
import pickletools
import random
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from mutations import mutated_tree

MESSAGE_DEPTH = 16

# --- protobuf ---------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Field:
    """One field of a message: its tag at `start`, its value in [body, end)."""

    number: int
    wire: int
    start: int
    body: int
    end: int
    parent: Field | None
    children: list[Field] = field(default_factory=list)


def varint(value: int) -> bytes:
    """Base 128, two's complement in 64 bits."""
    value, out = value & (1 << 64) - 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("no varint")


def _fields(data: bytes, start: int, end: int, parent: Field | None, depth: int) -> list[Field]:
    """The fields of a message.

    Raises:
        ValueError: it is none.
    """
    found, at = [], start
    while at < end:
        tag, body = _number(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            stop = _number(data, body, end)[1]
        elif wire == 2:
            length, body = _number(data, body, end)
            stop = body + length
        else:
            stop = body + {1: 8, 5: 4}.get(wire, end)
        if not 0 < number < 1024 or stop > end:
            raise ValueError("no message")
        one = Field(number, wire, at, body, stop, parent)
        if wire == 2 and stop > body and depth < MESSAGE_DEPTH:
            try:
                one.children = _fields(data, body, stop, one, depth + 1)
            except ValueError:
                one.children = []
        found.append(one)
        at = stop
    return found


@cache
def _parsed(data: bytes) -> tuple[list[Field], list[Field]]:
    """The fields of a whole message, and all fields at any depth."""
    top = _fields(data, 0, len(data), None, 0)
    every, waiting = list[Field](), list(top)
    while waiting:
        one = waiting.pop()
        every.append(one)
        waiting += one.children
    return top, every


def mutated_message(data: bytes, rng: random.Random) -> bytes:
    """A message with a few fields changed, dropped, repeated, or swapped for others of it; lengths stay right."""
    top, every = _parsed(data)
    chosen: dict[Field, bytes] = {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        one = _any_depth(top, every, rng)
        chosen[one] = _changed_field(data, one, every, rng)
    dirty = set(chosen)
    for one in chosen:
        up = one.parent
        while up is not None:
            dirty.add(up)
            up = up.parent
    return _rebuilt(data, 0, len(data), top, chosen, dirty)


def _any_depth(top: list[Field], every: list[Field], rng: random.Random) -> Field:
    """A field: any, or one found on the way down, so that rare ones near the top are met, too."""
    if rng.random() < 0.5:
        return rng.choice(every)
    one = rng.choice(top)
    while one.children and rng.random() < 0.8:
        one = rng.choice(one.children)
    return one


_NUMBERS = (0, 1, 2, 3, 7, 31, 127, 255, 1 << 20, 1 << 31, (1 << 31) - 1, 1 << 40, 1 << 62, -1, -2, -(1 << 31))
_TEXTS = (b"", b"\xff", b"\0", b"x" * 300, b"/etc/passwd", b"../x", b"^a", b"a:0:9", b"LSTM", b"While", b"Const")


def _changed_field(data: bytes, one: Field, every: list[Field], rng: random.Random) -> bytes:
    whole, kind = data[one.start : one.end], rng.randrange(10)
    if kind == 0:
        return b""
    if kind == 1:
        return whole * rng.choice((2, 2, 5, 40))
    if kind == 2:
        other = rng.choice(every)
        return _encoded(one.number, other.wire, data[other.body : other.end])
    if kind == 3:
        return _encoded(rng.randrange(1, 30), one.wire, data[one.body : one.end])
    if one.wire == 0:
        return _encoded(one.number, 0, varint(rng.choice((*_NUMBERS, rng.randrange(40)))))
    body = data[one.body : one.end]
    if one.wire in (1, 5):
        return _encoded(one.number, one.wire, rng.choice((rng.randbytes(len(body)), b"\xff" * len(body))))
    if one.children and kind < 7:
        same = [other for other in every if other.number == one.number and other.children]
        other = rng.choice(same)
        return _encoded(one.number, 2, data[other.body : other.end])
    return _encoded(one.number, 2, _changed_text(body, every, data, rng))


def _changed_text(body: bytes, every: list[Field], data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(_TEXTS)
    if kind == 1 and body:
        at = rng.randrange(len(body))
        return body[:at] + rng.randbytes(1) + body[at + 1 :]
    if kind == 2:
        return body[: rng.randrange(len(body) + 1)]
    other = rng.choice(every)
    return data[other.body : other.end]


def _encoded(number: int, wire: int, body: bytes) -> bytes:
    tag = varint(number << 3 | wire)
    return tag + varint(len(body)) + body if wire == 2 else tag + body


def _rebuilt(
    data: bytes, start: int, end: int, fields: list[Field], chosen: Mapping[Field, bytes], dirty: set[Field]
) -> bytes:
    parts, kept = [], start
    for one in fields:
        if one in dirty:
            parts.append(data[kept : one.start])
            parts.append(
                chosen[one] if one in chosen
                else _encoded(one.number, 2, _rebuilt(data, one.body, one.end, one.children, chosen, dirty))
            )  # fmt: skip
            kept = one.end
    return b"".join((*parts, data[kept:end]))


# --- pickles ----------------------------------------------------------------------------------------------------------

_CODES = b"()]}tau.0.2\x85\x86\x87\x89\x88N1be\x8f\x91\x93\x94RQijlodsc\x81\x90"


@cache
def _opcodes(data: bytes) -> list[bytes]:
    starts = [at for _, _, at in pickletools.genops(data) if at is not None]
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def mutated_pickle(data: bytes, rng: random.Random) -> bytes:
    """A pickle with opcodes dropped, repeated, exchanged, put in, or with other arguments."""
    codes = list(_opcodes(data))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, kind = rng.randrange(len(codes)), rng.randrange(6)
        if kind == 0:
            codes[at] = b""
        elif kind == 1:
            codes[at] *= rng.choice((2, 3, 1000))
        elif kind == 2:
            codes[at] = rng.choice(codes)
        elif kind == 3:
            codes.insert(at, bytes([rng.choice(_CODES)]) + rng.choice((b"", b"", b"\n", b"\xff\xff\xff\x7f")))
        elif codes[at]:
            place = rng.randrange(len(codes[at]))
            codes[at] = codes[at][:place] + rng.randbytes(1) + codes[at][place + 1 :]
    return b"".join(codes)


# --- checkpoints ------------------------------------------------------------------------------------------------------


@cache
def _entries(index: bytes) -> dict[bytes, bytes]:
    from converter.formats.sorted_table import read_table

    return dict(read_table(index))


def mutated_index(index: bytes, rng: random.Random) -> bytes:
    """The index of a checkpoint with entries changed; its blocks and checksums are right."""
    entries = dict(_entries(index))
    for _ in range(rng.choice((1, 1, 2))):
        key = rng.choice(list(entries))
        kind = rng.randrange(8)
        if kind == 0:
            del entries[key]
            if not entries:
                break
        elif kind == 1:
            entries[key + rng.choice((b"0", b"/x", b"\xff", b"\0"))] = entries[key]
        elif entries[key]:
            entries[key] = mutated_message(entries[key], rng) if rng.random() < 0.9 else rng.choice(_TEXTS)
    ordered = sorted(entries.items()) if rng.random() < 0.95 else list(entries.items())[::-1]
    return table(dict(ordered))


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """A sorted table of one block; keys are written whole. LevelDB, doc/table_format.md."""
    out = bytearray()
    data = _block(out, b"".join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in entries.items()))
    meta = _block(out, b"")
    last = next(reversed(entries), b"")
    index = _block(out, varint(0) + varint(len(last)) + varint(len(data)) + last + data)
    return bytes(out) + (meta + index).ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


def _block(out: bytearray, content: bytes) -> bytes:
    """Appends a block with its restart array and trailer; its handle."""
    from converter.formats.crc32c import crc32c, masked

    block = content + struct.pack("<II", 0, 1)
    handle = varint(len(out)) + varint(len(block))
    out += block + b"\0" + struct.pack("<I", masked(crc32c(block + b"\0")))
    return handle


# --- safetensors and .npy ---------------------------------------------------------------------------------------------


def mutated_safetensors(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file with the JSON of its header changed."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.dumps(mutated_tree(json.loads(data[8 : 8 + size]), rng)).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def with_members(members: Mapping[str, bytes]) -> bytes:
    """A ZIP file of stored members, their checksums right; quicker than zipfile, and as plain as Keras' own."""
    out, directory = bytearray(), bytearray()
    for name, content in members.items():
        raw, crc = name.encode(), zlib.crc32(content)
        common = struct.pack("<HHHHHIIIHH", 20, 0x800, 0, 0, 0x21, crc, len(content), len(content), len(raw), 0)
        directory += b"PK\1\2\x14\0" + common + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + raw
        out += b"PK\3\4" + common + raw + content
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)
    return bytes(out + directory + b"PK\5\6" + end)
