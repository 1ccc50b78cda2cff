"""Whether a model's files are still those that were opened: weights are read long after the architecture was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from converter.errors import InvalidModel

OWN = ".keras-lstm-convert."  # what our own folders of unfinished files begin with
Stamp = frozenset[tuple[str, int, int, int, int]]


def stamp(*paths: Path) -> Stamp:
    """Size, times and identity of files, of all files in folders, and of all whose names begin as a checkpoint's do."""
    found = []
    for path in paths:
        files = _inside(path) if path.is_dir() else [path] if path.exists() else path.parent.glob(f"{path.name}.*")
        for file in files:
            status = os.stat(file, follow_symlinks=True) if file.exists() else None
            if status is not None:
                found.append((str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    return frozenset(found)


def _inside(folder: Path) -> Iterator[Path]:
    """The files in a folder, but for what we are about to write there."""
    for file in folder.rglob("*"):
        if not file.is_dir() and not any(part.startswith(OWN) for part in file.relative_to(folder).parts):
            yield file


def check(before: Stamp, *paths: Path) -> None:
    """Refuses files that changed.

    Raises:
        InvalidModel: a file is no longer what it was when `before` was taken.
    """
    changed = sorted({name for name, *_ in before ^ stamp(*paths)})
    if changed:
        raise InvalidModel(
            f"{Path(changed[0]).name} changed while it was read", hint="wait until it is written, try again"
        )
