"""An array of an HDF5 file as a lazy weight: what it may be, where its values may lie, what they may inflate to.

Every bound is checked before anything is allocated. Compressed chunks are inflated here first, piece by piece, since
HDF5 follows a chunk that lies about its size to any size.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.model import Array, Weight, dtype_of
from converter.watchdog import watched

_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_PIPELINES = tuple(
    tuple(code for code, used in zip((_SHUFFLE, _DEFLATE, _FLETCHER32), mask, strict=True) if used)
    for mask in np.ndindex(2, 2, 2)
)
# What h5py raises on a broken file; none of these can come from our own code between `guarded` and the call.
_FAILURES = (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError)


@contextmanager
def guarded(place: str, size: int = 0) -> Iterator[None]:
    """Turns whatever HDF5 raises into InvalidModel at `place`, and bounds its time for an array of `size` bytes."""
    seconds = limits.HDF5_SECONDS + size / limits.HDF5_BYTES_PER_SECOND
    try:
        with watched(f"reading {place or 'the file'} with HDF5", seconds):
            yield
    except _FAILURES as error:
        inner = re.search(r"\((.*)\)", str(error), re.DOTALL)
        reason = (inner[1] if inner else str(error)).strip("'\"") or type(error).__name__
        raise InvalidModel(f"HDF5 cannot read it: {reason}", where=place) from error


def describe(dataset: Any, file_size: int, place: str, name: str) -> Weight:
    """The lazy weight `name` of a dataset that is at `place` in a file of `file_size` bytes.

    Args:
        dataset: its identifier (h5py.h5d.DatasetID), which costs a fifth of what an h5py.Dataset does.

    Raises:
        InvalidModel: no numbers, or values that do not lie in the file.
        Unsupported: an element type or a filter that is not read.
    """
    shape = dataset.shape
    if shape is None or len(shape) > limits.HDF5_RANK:
        raise InvalidModel("an array without a usable shape", where=place)
    stored_as, dtype = _dtype(dataset, place)
    declared = math.prod(shape) * stored_as.itemsize
    plist = dataset.get_create_plist()
    _check_storage(dataset, plist, declared, file_size, place)
    filters = _filters(plist, place)

    def read() -> Array:
        with guarded(place, declared):
            if filters:
                _check_inflation(dataset, plist, filters, place)
            values = np.empty(shape, stored_as)
            if values.size:
                dataset.read(_all(), _all(), values)
            return values.view(dtype_of(dtype)) if dtype == "bfloat16" else values

    def read_rows(start: int, stop: int) -> Array:
        import h5py

        with guarded(place, declared):
            values = np.ascontiguousarray(h5py.Dataset(dataset)[start:stop]).astype(stored_as, copy=False)
            return values.view(dtype_of(dtype)) if dtype == "bfloat16" else values

    return Weight(name, tuple(shape), dtype, read, read_rows if shape and not filters else None)


def _all() -> Any:
    import h5py

    return h5py.h5s.ALL


def _dtype(dataset: Any, place: str) -> tuple[np.dtype[Any], str]:
    """The NumPy dtype to read with, and the name of the dtype the values have."""
    import h5py

    plain = dataset.dtype
    if plain.str == "|V2" and dataset.get_type().get_class() == h5py.h5t.OPAQUE:
        meaning = h5py.Dataset(dataset).attrs.get("dtype", "bfloat16")
        if meaning not in ("bfloat16", b"bfloat16"):
            raise Unsupported("an opaque element type other than bfloat16", where=place)
        return np.dtype("V2"), "bfloat16"
    if plain.hasobject or plain.str[1:] not in _DTYPES:
        raise InvalidModel(f"an array of {plain.name}, not of numbers", where=place)
    native = plain.newbyteorder("=")
    return native, native.name


def _filters(plist: Any, place: str) -> tuple[int, ...]:
    codes = tuple(plist.get_filter(k)[0] for k in range(plist.get_nfilters()))
    if codes not in _PIPELINES:
        hint = "rewrite the file with: h5repack -f NONE IN OUT"
        raise Unsupported(f"HDF5 filters {codes} are not read", where=place, hint=hint)
    return codes


def _check_storage(dataset: Any, plist: Any, declared: int, file_size: int, place: str) -> None:
    """The values lie in this file, all of them, and are not far more than what is stored."""
    import h5py

    layout = plist.get_layout()
    if plist.get_external_count() or layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise InvalidModel("its values are stored outside this file, which is never opened", where=place)
    stored = dataset.get_storage_size()
    if layout == h5py.h5d.CHUNKED:
        ratio = limits.HDF5_RATIO_FREE if declared <= limits.HDF5_FREE else limits.HDF5_RATIO
        if declared > ratio * stored:
            raise InvalidModel(f"{declared} bytes declared, {stored} stored", where=place)
        _check_chunks(dataset, plist.get_chunk(), declared, place)
    elif stored < declared:
        raise InvalidModel(f"{declared} bytes declared, {stored} stored", where=place)
    offset = dataset.get_offset() if layout == h5py.h5d.CONTIGUOUS and stored else 0
    if stored > file_size or (offset or 0) + stored > file_size:
        raise InvalidModel("its values would lie beyond the end of the file", where=place)


def _check_chunks(dataset: Any, chunks: tuple[int, ...], declared: int, place: str) -> None:
    grid = [-(-size // chunk) for size, chunk in zip(dataset.shape, chunks, strict=True)]
    expected, found = math.prod(grid), dataset.get_num_chunks()
    if expected > limits.HDF5_CHUNKS or found != expected:
        raise InvalidModel(f"{found} of {expected} chunks are stored", where=place)
    size = math.prod(chunks) * dataset.dtype.itemsize
    if size > max(4 * declared, 1 << 20):
        raise InvalidModel(f"a chunk of {size} bytes in an array of {declared}", where=place)


def _check_inflation(dataset: Any, plist: Any, filters: tuple[int, ...], place: str) -> None:
    """Inflates every chunk piece by piece up to its size, since HDF5 itself would follow it to any size."""
    size = math.prod(plist.get_chunk()) * dataset.dtype.itemsize
    compressed = _DEFLATE in filters
    chunks: list[Any] = []
    dataset.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > size + size // 100 + 4096:
            raise InvalidModel("a chunk is stored in more bytes than it has", where=place)
        mask, raw = dataset.read_direct_chunk(chunk.chunk_offset)
        if mask:
            raise Unsupported("a chunk that skips a filter", where=place)
        try:
            inflated = len(zlib.decompressobj().decompress(raw, size + 1)) if compressed else size
        except zlib.error as error:
            raise InvalidModel("a chunk does not inflate", where=place) from error
        if inflated != size:
            raise InvalidModel("a chunk does not inflate to its size", where=place)
