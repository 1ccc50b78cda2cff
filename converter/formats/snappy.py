"""Decompression of one raw Snappy block (google/snappy: format_description.txt). Nothing writes such blocks into
TensorFlow's tables today, but the format allows them."""

from __future__ import annotations

from converter.errors import InvalidModel


def decompress(data: bytes, limit: int) -> bytes:
    """The block's content.

    Raises:
        InvalidModel: it is malformed, or claims more than `limit` bytes.
    """
    size, position = _length(data)
    if size > limit:
        raise InvalidModel(f"a Snappy block claims {size} bytes, more than the {limit} allowed")
    out = bytearray()
    while position < len(data):
        tag = data[position]
        kind, extra = tag & 3, _EXTRA[tag]
        operand = int.from_bytes(data[position + 1 : position + 1 + extra], "little")
        position += 1 + extra
        if position > len(data):
            raise InvalidModel("a Snappy block is cut off")
        if kind == 0:
            length = (tag >> 2 if extra == 0 else operand) + 1
            out += data[position : position + length]
            position += length
        elif kind == 1:
            _copy(out, (tag >> 5) << 8 | operand, ((tag >> 2) & 7) + 4)
        else:
            _copy(out, operand, (tag >> 2) + 1)
        if len(out) > size or position > len(data):
            raise InvalidModel("a Snappy block holds more or less than it claims")
    if len(out) != size:
        raise InvalidModel("a Snappy block holds less than it claims")
    return bytes(out)


# Bytes that follow a tag: literals above 60 carry their length in 1 to 4 bytes, copies their offset in 1, 2 or 4.
_EXTRA = tuple((max(0, (tag >> 2) - 59), 1, 2, 4)[tag & 3] for tag in range(256))


def _length(data: bytes) -> tuple[int, int]:
    """The varint in front, and where it ends."""
    value = 0
    for index, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, index + 1
    raise InvalidModel("a Snappy block has no valid length")


def _copy(out: bytearray, offset: int, length: int) -> None:
    """Appends `length` bytes from `offset` back; the two may overlap, which repeats them."""
    if not 0 < offset <= len(out):
        raise InvalidModel("a Snappy block copies from before its beginning")
    start = len(out) - offset
    piece = out[start : start + length]
    out += (piece * (length // len(piece) + 1))[:length]
