"""ZIP files and folders as named members that are read in place. Nothing is ever extracted to disk.

Specification: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.7, local file header).
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.formats.stored_bytes import read_file

_BLOCK = 1 << 20
_ENCRYPTED = 0x1
_SYMLINK = 0xA
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., length of the name, length of the extra field
_FAILURES = (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError, zlib.error, struct.error, MemoryError)


@dataclass(frozen=True, eq=False)
class Folder:
    """The files of a folder.

    Attributes:
        path: the folder.
    """

    path: Path

    def names(self) -> frozenset[str]:
        """Names of the regular files directly in it."""
        return frozenset(entry.name for entry in self.path.iterdir() if entry.is_file())

    def read(self, name: str, limit: int) -> bytes:
        """A whole member of at most `limit` bytes."""
        return read_file(self.path / name, limit)

    def read_below(self, name: str, limit: int) -> bytes | None:
        """A whole file of at most `limit` bytes in a folder below this one; None if there is none.

        Raises:
            InvalidModel: it is larger, no regular file, or a link on the way leads out of the folder.
        """
        file = self.path / name
        if not os.path.lexists(file):
            return None
        if not file.resolve().is_relative_to(self.path.resolve()):
            raise InvalidModel("a link out of the folder", where=name)
        return read_file(file, limit)


@dataclass(frozen=True, eq=False)
class Zip:
    """The members of a ZIP file, checked as a whole when opened by `open_zip`.

    Attributes:
        path: the file.
    """

    path: Path
    _members: Mapping[str, zipfile.ZipInfo]

    def names(self) -> frozenset[str]:
        """Names of all members."""
        return frozenset(self._members)

    def read(self, name: str, limit: int) -> bytes:
        """A whole member of at most `limit` bytes, its checksum checked.

        Raises:
            InvalidModel: it is larger, damaged, or no regular member.
            Unsupported: it is encrypted, or packed in a way other than deflate.
        """
        info = self._member(name)
        if info.file_size > limit:
            raise InvalidModel(f"{info.file_size} bytes, more than the {limit} that such a member has", where=name)
        _check_ratio(info)
        with _guarded(name), zipfile.ZipFile(self.path) as file, file.open(info) as stream:
            return stream.read(info.file_size + 1)

    def open(self, name: str) -> tuple[BinaryIO, int]:
        """A member as a seekable stream, and its size: in place where it is stored, in memory where it is packed.

        Raises:
            InvalidModel: it is damaged, no regular member, or would inflate too far.
            Unsupported: it is encrypted, packed in a way other than deflate, or too large to be inflated.
        """
        info = self._member(name)
        if info.compress_type == zipfile.ZIP_STORED:
            with _guarded(name):
                return self._window(info), info.file_size
        if info.file_size > limits.ZIP_INFLATED:
            _check_ratio(info)
            raise Unsupported("too large to read compressed", where=name, hint="unzip it and give the folder")
        return io.BytesIO(self.read(name, limits.ZIP_INFLATED)), info.file_size

    def _member(self, name: str) -> zipfile.ZipInfo:
        info = self._members[name]
        if info.flag_bits & _ENCRYPTED:
            raise Unsupported("the ZIP member is encrypted", where=name, hint="decrypt the archive first")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unsupported(f"ZIP compression method {info.compress_type}", where=name)
        if info.external_attr >> 28 == _SYMLINK or info.is_dir():
            raise InvalidModel("the ZIP member is a link or a folder, not a file", where=name)
        return info

    def _window(self, info: zipfile.ZipInfo) -> BinaryIO:
        """A stored member in place, after one pass over its checksum."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            signature, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        size = info.file_size
        if signature != b"PK\3\4" or size != info.compress_size or start + size > self.path.stat().st_size:
            raise InvalidModel("the ZIP member does not lie where the archive says", where=info.filename)
        window = _Window(self.path.open("rb"), start, size)
        crc, left = 0, size
        while left and (block := window.read(min(left, _BLOCK))):
            crc, left = zlib.crc32(block, crc), left - len(block)
        if crc != info.CRC or left:
            raise InvalidModel("damaged: its checksum is wrong", where=info.filename)
        window.seek(0)
        return io.BufferedReader(window)


def _check_ratio(info: zipfile.ZipInfo) -> None:
    if info.file_size > limits.ZIP_FREE and info.file_size > limits.ZIP_RATIO * info.compress_size:
        raise InvalidModel(f"inflates from {info.compress_size} to {info.file_size} bytes", where=info.filename)


class _Window(io.RawIOBase):
    """Part of a file as a file of its own. ZipExtFile would read a member from its start for every step backwards."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = max(0, min(len(buffer), self._size - self._position))
        self._file.seek(self._start + self._position)
        done = self._file.readinto(memoryview(buffer)[:count])  # type: ignore[attr-defined]
        self._position += done
        return int(done)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_zip(path: Path) -> Zip:
    """The members of the ZIP file at `path`.

    Raises:
        InvalidModel: no ZIP file, truncated, or with two members of one name.
    """
    with _guarded(""), zipfile.ZipFile(path) as file:
        infos = file.infolist()
    if len(infos) > limits.ZIP_MEMBERS:
        raise InvalidModel(f"a ZIP file of {len(infos)} members")
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise InvalidModel("two members of the ZIP file have the same name")
    return Zip(path, members)


@contextmanager
def _guarded(place: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise InvalidModel(f"the ZIP file is damaged or truncated: {error}", where=place) from error


def sha256(*paths: Path) -> str:
    """Hexadecimal SHA-256 of the contents of files, one after the other."""
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                digest.update(block[:count])
    return digest.hexdigest()
