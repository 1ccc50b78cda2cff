"""Tensors stored in several pieces: partitioned variables, and any large variable since TensorFlow 2.15.

Sources, in tensorflow/tensorflow: `core/framework/tensor_slice.{proto,cc}`, `core/util/saved_tensor_slice_util.cc`
(the key of a piece), `core/lib/strings/ordered_code.cc` (how the key's numbers are written).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter import limits
from converter.errors import InvalidModel
from converter.model import Array, Weight

WHOLE = -1  # length of a piece along an axis that it takes as a whole

Box = tuple[tuple[int, int], ...]
"""Start and length along each axis."""


def read_boxes(protos: Sequence[Any], shape: tuple[int, ...]) -> tuple[Box, ...]:
    """The boxes that TensorSliceProto messages describe, lengths of whole axes left as `WHOLE`.

    Raises:
        InvalidModel: they do not cover the shape exactly once.
    """
    if not shape or len(protos) > limits.BUNDLE_SLICES or any(len(p.extent) != len(shape) for p in protos):
        raise InvalidModel(f"{len(protos)} slices do not fit shape {list(shape)}")
    boxes = tuple(tuple((e.start, e.length if e.HasField("length") else WHOLE) for e in p.extent) for p in protos)
    whole = [resolve(box, shape) for box in boxes]
    for box in whole:
        if any(start < 0 or length < 0 or start + length > n for (start, length), n in zip(box, shape, strict=True)):
            raise InvalidModel(f"a slice reaches over shape {list(shape)}")
    starts = np.array([[start for start, _ in box] for box in whole], np.int64)
    stops = np.array([[start + length for start, length in box] for box in whole], np.int64)
    for i in range(len(whole) - 1):
        if np.all((starts[i] < stops[i + 1 :]) & (starts[i + 1 :] < stops[i]), axis=1).any():
            raise InvalidModel("two slices overlap")
    if sum(_volume(box) for box in whole) != _volume(tuple((0, n) for n in shape)):
        raise InvalidModel(f"the slices do not cover shape {list(shape)}")
    return boxes


def resolve(box: Box, shape: tuple[int, ...]) -> Box:
    """The box with the lengths of whole axes filled in."""
    return tuple((start, n if length == WHOLE else length) for (start, length), n in zip(box, shape, strict=True))


def _volume(box: Box) -> int:
    volume = 1
    for _, length in box:
        volume *= length
    return volume


def assemble(parts: Sequence[tuple[Box, Weight]], shape: tuple[int, ...], dtype: Any, start: int, stop: int) -> Array:
    """Rows [start, stop) of the tensor of which `parts` are the pieces, boxes resolved."""
    rows = np.empty((stop - start, *shape[1:]), dtype)
    for box, piece in parts:
        first, count = box[0]
        low, high = max(start, first), min(stop, first + count)
        if low < high and piece.read_rows is not None:
            place = (slice(low - start, high - start), *(slice(a, a + n) for a, n in box[1:]))
            rows[place] = piece.read_rows(low - first, high - first)
    return rows


def slice_key(name: str, box: Box) -> bytes:
    """The key of a piece in the index: 0, the tensor's name, its rank, then start and length of each axis."""
    escaped = name.encode().replace(b"\xff", b"\xff\x00").replace(b"\x00", b"\x00\xff")
    numbers = b"".join(_ordered_signed(start) + _ordered_signed(length) for start, length in box)
    return _ordered(0) + escaped + b"\x00\x01" + _ordered(len(box)) + numbers


def _ordered(value: int) -> bytes:
    """OrderedCode::WriteNumIncreasing: the count of bytes, then the bytes, high ones first."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def _ordered_signed(value: int) -> bytes:
    """OrderedCode::WriteSignedNumIncreasing: as many leading ones as bytes (zeros if negative), then the number."""
    size = (value if value >= 0 else ~value).bit_length() // 7 + 1
    header = ((1 << size) - 1) << (8 * size - size)
    return ((value & ((1 << 8 * size) - 1)) ^ header).to_bytes(size, "big")
