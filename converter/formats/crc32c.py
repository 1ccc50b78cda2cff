"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of TensorFlow's files, over any number of pieces.

`google_crc32c` does the work where it is installed (extra `fast`). Otherwise NumPy does: a block is cut into lanes that
advance together, two bytes a step, and the lanes' checksums are joined two by two. Both rest on the checksum being
linear: xor of inputs gives xor of states, and zero bytes map a state by a matrix over GF(2).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # reflected
_BLOCK = 1 << 20
_SMALL = 2048  # below, a plain loop over bytes is faster
_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes | memoryview, crc: int = 0) -> int:
    """The checksum of what gave `crc` followed by `data`."""
    return _extend()(crc, data)


def masked(crc: int) -> int:
    """The checksum as TensorFlow stores it: rotated right by 15 bits, plus a constant (tsl/lib/hash/crc32c.h)."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


@lru_cache(maxsize=1)
def _extend() -> Callable[[int, bytes | memoryview], int]:
    """The fastest implementation at hand; the pure Python one of google_crc32c would be slower than ours."""
    try:
        from google_crc32c import cext
    except ImportError:
        return extend_numpy
    native: Callable[[int, bytes], int] = cext.extend
    return lambda crc, data: native(crc, bytes(data))


def extend_numpy(crc: int, data: bytes | memoryview) -> int:
    """`crc32c` by NumPy alone."""
    view = memoryview(data).cast("B")
    state = crc ^ 0xFFFFFFFF
    for start in range(0, len(view), _BLOCK):
        block = view[start : start + _BLOCK]
        state = _small(state, block) if len(block) < _SMALL else _large(state, block)
    return state ^ 0xFFFFFFFF


def _small(state: int, block: memoryview) -> int:
    table = _byte_table()
    for byte in block:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def _large(state: int, block: memoryview) -> int:
    """Advances `state` over at least four bytes.

    The state is xored into the first four bytes, which leaves a zero state before them; and a zero state is not moved
    by the zero bytes that fill up the first lane.
    """
    width = 256 if len(block) >= _BLOCK // 4 else 64
    lanes = 1 << (-(-len(block) // width) - 1).bit_length()
    padded = np.zeros(lanes * width, np.uint8)
    padded[padded.size - len(block) :] = np.frombuffer(block, np.uint8)
    head = padded.size - len(block)
    padded[head : head + 4] ^= np.frombuffer(state.to_bytes(4, "little"), np.uint8)
    steps = np.ascontiguousarray(padded.view("<u2").reshape(lanes, width // 2).T)
    table = _pair_table()
    states = np.zeros(lanes, np.uint32)
    for words in steps:
        states = table[(states & 0xFFFF) ^ words] ^ (states >> 16)
    while len(states) > 1:
        states = _apply(_zeros(width), states[0::2]) ^ states[1::2]
        width *= 2
    return int(states[0])


@lru_cache(maxsize=1)
def _byte_table() -> list[int]:
    """State after one byte, for each value of state xor byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


@lru_cache(maxsize=1)
def _pair_table() -> NDArray[np.uint32]:
    """State after two bytes, for each value of state xor both."""
    single = np.array(_byte_table(), np.uint32)
    once = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(2):
        once = single[once & 0xFF] ^ (once >> 8)
    return once


@lru_cache(maxsize=64)
def _zeros(count: int) -> NDArray[np.uint32]:
    """The matrix of `count` zero bytes, a power of two: what becomes of each of the 32 bits of a state."""
    if count == 1:
        single = np.array(_byte_table(), np.uint32)
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return np.asarray(single[bits & 0xFF] ^ (bits >> 8), np.uint32)
    half = _zeros(count // 2)
    return _apply(half, half)


def _apply(matrix: NDArray[np.uint32], states: NDArray[Any]) -> NDArray[np.uint32]:
    """`matrix` times each state."""
    result = np.zeros(len(states), np.uint32)
    for bit in range(32):
        result ^= matrix[bit] * ((states >> bit) & 1).astype(np.uint32)
    return result
