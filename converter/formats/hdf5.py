"""HDF5 files read as groups, attributes and lazy arrays, with every bound checked before anything is allocated.

A file may hold links to other files, arrays stored elsewhere, 1 TiB arrays in 8 KB, filters that load plug-ins, loops
of groups. So: paths are walked one component at a time over hard links only, no object is reached by two paths, data
must lie in the file itself, and what a filter may inflate is bounded.
Specification: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from converter import limits
from converter.errors import InvalidModel
from converter.formats.hdf5_array import describe, guarded
from converter.model import Weight
from converter.watchdog import little_memory

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether the signature is at byte 0, 512, 1024, 2048, ... (behind a user block)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for offset in (0, *(512 << k for k in range(20))):
            if offset + len(SIGNATURE) > size:
                return False
            file.seek(offset)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
    return False


def split(path: str) -> tuple[str, ...]:
    """The components of a relative path.

    Raises:
        InvalidModel: it is absolute, or has empty, "." or ".." components.
    """
    parts = tuple(path.split("/"))
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidModel(f"{path!r} is not a path below a group")
    return parts


@dataclass(frozen=True, eq=False)
class _File:
    """What all groups of one file share: its size, which object was reached by which path, and the groups opened."""

    handle: Any
    size: int
    seen: dict[int, str] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)

    def claim(self, address: int, path: str) -> None:
        if self.seen.setdefault(address, path) != path:
            raise InvalidModel(f"the same object as {self.seen[address]!r}: linked twice", where=path)


def open_file(path: Path) -> Group:
    """The root group of the file at `path`, which stays open as long as something of it is in use.

    Raises:
        InvalidModel: not HDF5, or truncated.
    """
    return _open(str(path), path.stat().st_size)


def open_stream(stream: BinaryIO, size: int) -> Group:
    """The root group of an HDF5 file inside a seekable stream of `size` bytes, which must stay open.

    Raises:
        InvalidModel: not HDF5, or truncated.
    """
    return _open(stream, size)


def _open(source: str | BinaryIO, size: int) -> Group:
    # No plug-in is loaded for a file's sake: HDF5 reads the variable when it starts, and searches the directories
    # whenever it cannot open a file.
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"
    import h5py

    with guarded(""):
        for _ in range(h5py.h5pl.size()):
            h5py.h5pl.remove(0)
        options = {"locking": False} if isinstance(source, str) else {}
        handle = h5py.File(source, "r", **options)
        file = _File(handle, size)
        file.claim(h5py.h5o.get_info(handle.id).addr, "/")
        return Group(file, handle, "/")


@dataclass(frozen=True, eq=False)
class Group:
    """A group of an HDF5 file.

    Attributes:
        path: absolute, for messages.
    """

    _file: _File
    _group: Any
    path: str

    def names(self) -> tuple[str, ...]:
        """Names of all that is linked directly below."""
        with guarded(self.path):
            if len(self._group) > limits.HDF5_LINKS:
                raise InvalidModel(f"{len(self._group)} entries in one group", where=self.path)
            names = tuple(self._group)
            if not all(isinstance(name, str) for name in names):
                raise InvalidModel("a name that is not UTF-8", where=self.path)
            return names

    def groups(self) -> tuple[str, ...]:
        """Names of the groups directly below."""
        return tuple(name for name in self.names() if self.group(name) is not None)

    def group(self, *path: str) -> Group | None:
        """The group below this one along `path`; None if there is none.

        Raises:
            InvalidModel: a link on the way is no hard link, or the path is not a plain one.
        """
        found: Group | None = self
        for name in path:
            found = found._child(name) if found is not None else None
        return found

    def _child(self, name: str) -> Group | None:
        """The group linked as `name`, opened once, or None."""
        import h5py

        place = self._below(name)
        if place not in self._file.groups:
            entry = self._entry(name)
            if not isinstance(entry, h5py.h5g.GroupID):
                return None
            self._file.groups[place] = h5py.Group(entry)
        return Group(self._file, self._file.groups[place], place)

    def _below(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"

    def weight(self, *path: str, name: str) -> Weight:
        """The array below this group along `path`, described by `name`; its values are read later.

        Raises:
            InvalidModel: it is missing, lies outside the file, or is no array of numbers.
            Unsupported: its element type or its filters are not read.
        """
        import h5py

        place = self._below("/".join(path))
        parent = self.group(*path[:-1])
        entry = parent._entry(path[-1]) if parent is not None else None
        if not isinstance(entry, h5py.h5d.DatasetID):
            raise InvalidModel("there is no array" if entry is None else "it is not an array", where=place)
        with guarded(place):
            return describe(entry, self._file.size, place, name)

    def _entry(self, name: str) -> Any:
        """The identifier of the object linked as `name`, or None."""
        import h5py

        place = self._below(name)
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise InvalidModel(f"{name!r} is no name of an entry", where=self.path)
        with guarded(place):
            links, key = self._group.id.links, name.encode("utf-8", "surrogateescape")
            if not links.exists(key):
                return None
            link = links.get_info(key)
            if link.type != h5py.h5l.TYPE_HARD:
                raise InvalidModel("a link to another place or file, which is never followed", where=place)
            self._file.claim(link.u, place)
            return h5py.h5o.open(self._group.id, key)

    def text(self, attribute: str) -> str | None:
        """A text attribute, or None if there is none.

        Raises:
            InvalidModel: it is no text, or not UTF-8.
        """
        value = self._attribute(attribute)
        if value is None:
            return None
        items = _texts(value, self._place_of(attribute))
        if len(items) != 1:
            raise InvalidModel("not one text", where=self._place_of(attribute))
        return items[0]

    def texts(self, attribute: str) -> tuple[str, ...] | None:
        """A list of texts: one attribute, or several ("names0", "names1", ...) that Keras made of a long one; or None.

        Raises:
            InvalidModel: a part is missing, or something in it is no text.
        """
        parts = self._parts(attribute)
        if not parts:
            return None
        return tuple(t for part in parts for t in _texts(self._attribute(part), self._place_of(part)))

    def joined_text(self, attribute: str) -> str | None:
        """A text that may be split over several attributes ("model_config0", "model_config1", ...), or None."""
        parts = self.texts(attribute)
        return None if parts is None else "".join(parts)

    def _place_of(self, attribute: str) -> str:
        return f"attribute {attribute!r} of {self.path}"

    def _parts(self, attribute: str) -> list[str]:
        with guarded(self.path):
            attributes = self._group.attrs
            if attribute in attributes:
                return [attribute]
            if len(attributes) > limits.HDF5_PARTS:
                raise InvalidModel(f"{len(attributes)} attributes", where=self.path)
            names = {name for name in attributes if isinstance(name, str)}  # h5py gives bytes where it is no UTF-8
        numbered = {n for n in names if re.fullmatch(re.escape(attribute) + r"(0|[1-9]\d{0,5})", n)}
        parts = [f"{attribute}{k}" for k in range(len(numbered))]
        missing = [part for part in parts if part not in numbered]
        if missing:
            raise InvalidModel(f"part {missing[0]!r} of a split attribute is missing", where=self.path)
        return parts

    def _attribute(self, name: str) -> Any:
        import h5py

        place = self._place_of(name)
        with guarded(place):
            attributes = self._group.attrs
            if name not in attributes:
                return None
            header = attributes.get_id(name)
            dtype, count = header.dtype, math.prod(header.shape or ())
            if dtype.itemsize * count > self._file.size:
                raise InvalidModel("larger than the file", where=place)
            if dtype.kind == "S" and header.shape is not None:
                values = np.empty(header.shape, dtype)  # five times as quick as h5py's own way
                header.read(values)
                return values[()]
            if h5py.check_string_dtype(dtype) is None:
                return attributes[name]
            if count * self._file.size <= limits.HDF5_TEXTS:
                return attributes[name]
            with little_memory(limits.HDF5_TEXTS):  # texts of variable length may all lie at one place
                return attributes[name]


def _texts(value: Any, place: str) -> tuple[str, ...]:
    """bytes, str, or an array of them; an empty float64 array is how Keras writes an empty list."""
    import h5py

    if isinstance(value, h5py.Empty) or (isinstance(value, np.ndarray) and value.size == 0):
        return ()
    items = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else [value]
    try:
        texts = tuple(item.decode("utf-8") if isinstance(item, bytes) else item for item in items)
        if not all(isinstance(text, str) for text in texts):
            raise InvalidModel("not text", where=place)
        "".join(texts).encode("utf-8")  # h5py hides bytes that are not UTF-8 in surrogates
    except UnicodeError as error:
        raise InvalidModel("text that is not UTF-8", where=place) from error
    return texts
