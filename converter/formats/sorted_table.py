"""The sorted table of keys and values that a TensorFlow checkpoint's index is.

LevelDB's format without its filters: google/leveldb `doc/table_format.md`; tensorflow/tensorflow
`third_party/xla/xla/tsl/lib/io/{format.h,block.cc,table.cc}`. Every block's checksum is checked.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from converter import limits
from converter.errors import InvalidModel
from converter.formats.crc32c import crc32c, masked
from converter.formats.snappy import decompress

MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
FOOTER = 48  # handles of the metaindex and of the index block, padded to 40 bytes; the magic number
TRAILER = 5  # after each block: kind of compression, masked CRC-32C of block and kind


Handle = tuple[int, int]


def is_table(path: Path) -> bool:
    """Whether the file ends as such a table does."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(MAGIC)))
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table's file in the order of keys, which is checked to rise.

    Raises:
        InvalidModel: the file is cut off, changed, or holds more than any real index.
    """
    footer = data[-FOOTER:]
    if len(footer) < FOOTER or footer[-len(MAGIC) :] != MAGIC:
        raise InvalidModel("not the index of a TensorFlow checkpoint, or cut off: the magic number is missing")
    _, position = _handle(footer, 0)  # the metaindex, which is empty
    index, _ = _handle(footer, position)
    blocks = _block(data, index, limits.TABLE_BLOCK)
    previous: bytes | None = None
    budget, count = limits.TABLE_FILE, 0
    for _, value in _entries(blocks):
        block = _block(data, _handle(value, 0)[0], min(budget, limits.TABLE_BLOCK))
        budget, count = budget - len(block), count + 1
        for key, content in _entries(block):
            budget, count = budget - len(key), count + 1
            if previous is not None and key <= previous:
                raise InvalidModel("keys are out of order or repeated")
            if budget < 0 or count > limits.TABLE_ENTRIES:
                raise InvalidModel("more keys than any real index holds")
            previous = key
            yield key, content


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The base-128 number at `position`, at most 64 bits, and the position after it.

    Raises:
        InvalidModel: the data ends within it, or it is longer than ten bytes.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position
    raise InvalidModel("a number is cut off or too long")


def _handle(data: bytes, position: int) -> tuple[Handle, int]:
    """Offset and size of a block."""
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return (offset, size), position


def _block(data: bytes, handle: Handle, limit: int) -> bytes:
    """A block's content, its checksum checked; at most `limit` bytes."""
    offset, size = handle
    end = offset + size
    if end + TRAILER > len(data) - FOOTER or size > limit:
        raise InvalidModel(f"a block of {size} bytes at {offset} lies outside the index")
    kind = data[end]
    if masked(crc32c(memoryview(data)[offset : end + 1])) != int.from_bytes(data[end + 1 : end + TRAILER], "little"):
        raise InvalidModel(f"the checksum of the index block at {offset} is wrong: the file has changed")
    if kind == 0:
        return data[offset:end]
    if kind == 1:
        return decompress(data[offset:end], limit)
    raise InvalidModel(f"an index block is compressed in an unknown way ({kind})")


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; each key may begin with a part of the one before it."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 4 or end < 0:
        raise InvalidModel("an index block is too short for its restart points")
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        unshared, position = varint(block, position)
        length, position = varint(block, position)
        stop = position + unshared + length
        if shared > len(key) or stop > end or shared + unshared > limits.TABLE_KEY:
            raise InvalidModel("an entry of the index reaches over its block")
        key = key[:shared] + block[position : position + unshared]
        yield key, block[position + unshared : stop]
        position = stop
