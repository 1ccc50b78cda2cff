"""Bytes at a place in a file: bounds checked first, read in pieces, never more than asked for."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np

from converter.errors import InvalidModel
from converter.formats.crc32c import crc32c, masked
from converter.model import Array

_PIECE = 1 << 20


class Region:
    """A part of a file. Its masked CRC-32C, if known, is checked by the first read, over the whole of it."""

    def __init__(self, path: Path, offset: int, size: int, crc: int | None) -> None:
        self._path, self._offset, self.size, self._crc = path, offset, size, crc

    def unchecked(self) -> bytes:
        """All bytes, for who checks them in another way."""
        return self._fetch(0, self.size).tobytes()

    def array(self, dtype: np.dtype[Any], start: int = 0, stop: int | None = None) -> Array:
        """The numbers in bytes [start, stop) of the region, flat, in an array of their own.

        Raises:
            InvalidModel: the file has become shorter, or the checksum is wrong.
        """
        stop = self.size if stop is None else stop
        whole = stop - start == self.size
        if self._crc is not None and not whole:
            self._check_in_pieces()
        data = self._fetch(start, stop)
        if self._crc is not None:
            self._compare(_checksum(data, 0))
        return data.view(dtype)

    def _check_in_pieces(self) -> None:
        running = 0
        for start in range(0, self.size, _PIECE):
            running = _checksum(self._fetch(start, min(start + _PIECE, self.size)), running)
        self._compare(running)

    def _compare(self, checksum: int) -> None:
        if masked(checksum) != self._crc:
            raise InvalidModel("the checksum of the tensor is wrong: the file has changed", where=self._path.name)
        self._crc = None  # checked for good

    def _fetch(self, start: int, stop: int) -> Array:
        """Bytes [start, stop) of the region as uint8."""
        data = np.empty(stop - start, np.uint8)
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset + start)
                got = file.readinto(data.data)
        except OSError as error:
            raise InvalidModel(f"cannot be read: {error.strerror}", where=self._path.name) from None
        if got != len(data):
            raise InvalidModel("the file has become shorter", where=self._path.name)
        return data


def _checksum(data: Array, running: int) -> int:
    view = data.data
    for start in range(0, len(view), _PIECE):
        running = crc32c(view[start : start + _PIECE], running)
    return running


def open_region(path: Path, offset: int, size: int, crc: int | None = None) -> Region:
    """The `size` bytes at `offset`, which lie within the file.

    Raises:
        InvalidModel: there is no such file, it is no regular file of its folder, or it is too short.
    """
    available = file_size(path)
    if offset + size > available:
        raise InvalidModel(f"cut off: {offset + size} bytes are needed, {available} are there", where=path.name)
    return Region(path, offset, size, crc)


def read_file(path: Path, limit: int) -> bytes:
    """A whole file of at most `limit` bytes.

    Raises:
        InvalidModel: there is no such file, it is no regular file of its folder, or it is larger.
    """
    size = file_size(path)
    if size > limit:
        raise InvalidModel(f"{size} bytes, more than the {limit} that such a file has", where=path.name)
    return Region(path, 0, size, None).unchecked()


def file_size(path: Path) -> int:
    """Size of a regular file that lies in its folder itself, so that no link leads to another place of the disk.

    Raises:
        InvalidModel: it is something else, or not there.
    """
    try:
        status = path.stat()
        inside = path.resolve(strict=True).parent == path.parent.resolve(strict=True)
    except (OSError, RuntimeError):
        raise InvalidModel("the file is missing", where=path.name) from None
    if not stat.S_ISREG(status.st_mode) or not inside:
        hint = "put the file itself in the place of the link"
        raise InvalidModel("no regular file, or a link out of its folder", where=path.name, hint=hint)
    return status.st_size
