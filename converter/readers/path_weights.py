"""The layout of `.weights.h5`: groups named after attributes and classes, arrays numbered in a group `vars`.

Source: keras/src/saving/saving_lib.py, `_save_container_state` and `H5IOStore`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from converter.errors import InvalidModel, Unsupported
from converter.formats.hdf5 import Group
from converter.model import Weight
from converter.readers.vocabulary import words_of

VOCABULARY = "vocabulary.txt"
ROOTS = ("layers", "_layer_checkpoint_dependencies", "vars")


@dataclass(frozen=True, eq=False)
class StoredPaths:
    """A group of the layout (`converter.keras.source.PathWeights`); several where it is spread over shards.

    Attributes:
        parts: the same group in each file that has it; none for a layer that keeps files only.
        path: names of the groups that lead here.
        asset: the bytes of a file kept next to the arrays, by the names of the groups and its own; None if not there.
    """

    parts: tuple[Group, ...]
    path: tuple[str, ...] = ()
    asset: Callable[[tuple[str, ...]], bytes | None] = lambda names: None

    @staticmethod
    def fits(root: Group) -> bool:
        """Whether a file's root looks like this layout."""
        names = root.names()
        return any(name in names for name in ROOTS)

    def group(self, *names: str) -> StoredPaths | None:
        """The group below this one along `names`, or None."""
        found = tuple(group for part in self.parts if (group := part.group(*names)) is not None)
        path = (*self.path, *names)
        return StoredPaths(found, path, self.asset) if found or self.asset((*path, VOCABULARY)) is not None else None

    def children(self) -> tuple[str, ...]:
        """Names of the groups directly below, but for `vars`."""
        names = dict.fromkeys(name for part in self.parts for name in part.groups())
        return tuple(name for name in names if name != "vars")

    def variables(self) -> tuple[Weight, ...]:
        """The arrays of `vars`, in numeric order.

        Raises:
            InvalidModel: one is missing in between or is in two shards, or is no array of numbers.
            Unsupported: one has a name of its own, as layers write that save their arrays themselves.
        """
        arrays: dict[int, Weight] = {}
        for part in self.parts:
            group = part.group("vars")
            for name in group.names() if group is not None else ():
                if group is None or not (name.isascii() and name.isdigit() and str(int(name)) == name):
                    raise Unsupported(f"an array named {name!r} instead of a number", where=f"{part.path}/vars")
                if int(name) in arrays:
                    raise InvalidModel(f"array {name} is in two shards", where=f"{part.path}/vars")
                arrays[int(name)] = group.weight(name, name=f"{part.path.strip('/')}/vars/{name}".lstrip("/"))
        missing = next((k for k in range(len(arrays)) if k not in arrays), None)
        if missing is not None:
            raise InvalidModel(f"array {missing} is missing", where=f"{self.parts[0].path}/vars")
        return tuple(arrays[k] for k in range(len(arrays)))

    def array(self, name: str) -> Weight | None:
        """The array of that name in `vars`, or None."""
        holders = [(part, group) for part in self.parts if (group := part.group("vars")) is not None]
        arrays = [group.weight(name, name=f"{part.path.strip('/')}/vars/{name}")
                  for part, group in holders if name in group.names()]  # fmt: skip
        return arrays[0] if arrays else None

    def vocabulary(self) -> Weight | None:
        """The lines of the file of words, or None.

        Raises:
            InvalidModel, Unsupported: it is not text, or its lines cannot be distinguished.
        """
        names = (*self.path, VOCABULARY)
        data = self.asset(names)
        return None if data is None else words_of(data, "/".join(names))

    def name(self) -> str | None:
        """The layer's name, which Keras 3.6 and later write next to its arrays, or None."""
        names = (group.text("name") for part in self.parts if (group := part.group("vars")) is not None)
        return next((name for name in names if name is not None), None)
