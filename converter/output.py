"""Files written as one: all of them are there, or what was there before. Nothing half-written, nothing left over.

What is written goes to a staging folder next to the target. Publishing makes it durable, then moves the files that
the main file refers to (under names that no older file has, or with the older ones kept at hand), and the main file
last. Where the process is killed between two moves of files that replace others, the staging folder says so, and the
next run in that folder completes them. The folder is locked while its process lives, so a dead one's is known.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from converter.formats.stamp import OWN

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PREFIX = OWN
_DONE = "complete"  # the file in a staging folder that lists what is to be moved, once all of it is written
_FILES, _OLD = "new", "old"  # folders in it
_OF_CHECKPOINT = re.compile(r"(.+)\.(?:index|data-[0-9]+-of-[0-9]+)")  # any of them names the checkpoint


def guard(goal: Path, inputs: Sequence[Path], force: bool) -> None:
    """Refuses a target before any work is done.

    Args:
        goal: the file to be written.
        inputs: the model, and whatever else the run reads; folders, checkpoint prefixes and files that refer to others
            stand for their files.
        force: an existing file may be replaced, if it is an ordinary one and no input.

    Raises:
        FileExistsError: it exists and `force` is not set, or it is no ordinary file, or one of the inputs.
        IsADirectoryError, FileNotFoundError: it is a folder, or its folder is not there.
    """
    if goal.is_dir():
        raise IsADirectoryError(f"{goal} is a folder")
    if goal.exists() and not goal.is_file():
        raise FileExistsError(f"{goal} is no ordinary file, and is never replaced")
    for source in inputs:
        if goal.exists() and any(file.exists() and goal.samefile(file) for file in _files_of(source, goal)):
            role = "the model itself" if source is inputs[0] else "read by this run"
            raise FileExistsError(f"{goal} is {role}: write to another file")
    if (goal.exists() or goal.is_symlink()) and not force:
        raise FileExistsError(f"{goal} exists")
    if not goal.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {goal.parent}")


def _files_of(source: Path, goal: Path) -> list[Path]:
    """The files of an input that `goal` could be: itself, in a folder, of a checkpoint, or one that it refers to."""
    folder = source.parent if source.name.startswith("saved_model.") else source
    inside = folder.is_dir() and goal.resolve().is_relative_to(folder.resolve())
    shard = _OF_CHECKPOINT.fullmatch(goal.name)
    of_source = _OF_CHECKPOINT.fullmatch(source.name)
    same = shard is not None and shard[1] in (source.name, of_source and of_source[1])
    beside = same and goal.parent.resolve() == source.parent.resolve()
    return [source, *([goal] if inside or beside or _refers(source, goal) else [])]


def _refers(source: Path, goal: Path) -> bool:
    """Whether a file names `goal` as one that holds its weights: TensorFlow.js and indices in JSON, ONNX as a location.

    https://onnx.ai/onnx/repo-docs/ExternalData.html: `location` is relative to the model's folder.
    """
    folder = source.parent.resolve()
    if not source.is_file() or not source.stat().st_size or not goal.resolve().is_relative_to(folder):
        return False
    name = goal.resolve().relative_to(folder).as_posix().encode()
    in_json, in_onnx = b'"' + name + b'"', b"location\x12" + bytes([len(name) & 0x7F]) + name
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        alone = content[:4] in (b"\x89HDF", b"PK\x03\x04")  # often large
        return not alone and (content.find(in_json) >= 0 or content.find(in_onnx) >= 0)


@contextmanager
def folders_made(folders: Iterable[Path]) -> Iterator[None]:
    """Folders that are made where they are missing; those into which nothing came are gone at the end."""
    missing = {place for folder in folders for place in (folder, *folder.parents) if not place.exists()}
    deepest_last = sorted(missing, key=lambda place: len(place.parts))
    for place in deepest_last:
        place.mkdir(exist_ok=True)
    try:
        yield
    finally:
        for place in reversed(deepest_last):
            with suppress(OSError):
                place.rmdir()


def write_text(goal: Path, text: str) -> None:
    """Writes a report over whatever ordinary file is there, as a whole or not at all.

    Raises:
        OSError: nothing can be written there; it names `goal`.
    """
    with staging(goal) as written:
        written.write_text(text, encoding="utf-8")
        publish(written, goal, force=True)


@contextmanager
def staging(goal: Path) -> Iterator[Path]:
    """The path to write `goal` to, in a folder of its own; files next to it belong to it. Gone at the end.

    Raises:
        OSError: nothing can be written there, or no more; it names `goal`.
    """
    sweep(goal.parent)
    folder, lock = _locked_folder(goal.parent)
    try:
        (folder / _FILES).mkdir()
        yield folder / _FILES / goal.name
    except OSError as error:
        if error.errno in FULL:  # which of the files in the staging folder it was tells nobody anything
            raise OSError(error.errno, error.strerror, str(goal)) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(lock)


@contextmanager
def scratch(goal: Path) -> Iterator[Path]:
    """As `staging`, for what is written to be looked at and not kept."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        yield Path(folder) / goal.name


def publish(written: Path, goal: Path, force: bool) -> tuple[Path, ...]:
    """Moves what was written in a staging folder to where it belongs; the main file first in the result.

    Raises:
        FileExistsError: a file is in the way and `force` is not set.
        OSError: it cannot be moved; then all is as before.
    """
    folder = written.parent.parent
    names = sorted((file.name for file in written.parent.iterdir()), key=lambda name: (name == goal.name, name))
    if not force and (taken := [name for name in names if (goal.parent / name).exists()]):
        raise FileExistsError(f"{goal.parent / taken[0]} exists")
    for name in names:
        _sync(written.parent / name)
    stale = _outdated(goal, names) if force else []
    _list(folder, names)
    try:
        _replace(folder, goal.parent, names)
    except BaseException:
        _restore(folder, goal.parent, names)
        raise
    with suppress(OSError):
        _sync(goal.parent)
        for file in stale:
            file.unlink()
    return tuple(goal.parent / name for name in reversed(names))


def sweep(parent: Path) -> None:
    """Clears what killed processes left in a folder: what they had begun to publish is completed, the rest removed."""
    with suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            lock = _lock(folder) if folder.is_dir() and not folder.is_symlink() else None
            if lock is not None:
                with suppress(OSError, ValueError):
                    _complete(folder, parent)
                shutil.rmtree(folder, ignore_errors=True)
                _unlock(lock)


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    """A new folder, locked; another run that clears leftovers may have taken it for one before the lock was there."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = _lock(folder)
        if (lock is not None and folder.exists()) or os.name != "posix":
            return folder, lock
        _unlock(lock)


def _list(folder: Path, names: Sequence[str]) -> None:
    """Notes that all files are written, so that a killed process's work can be completed."""
    (folder / _OLD).mkdir()
    draft = folder / f"{_DONE}.draft"
    draft.write_bytes(b"\0".join(os.fsencode(name) for name in names))
    _sync(draft)
    draft.replace(folder / _DONE)
    _sync(folder / _FILES)
    _sync(folder)


def _replace(folder: Path, parent: Path, names: Sequence[str]) -> None:
    for name in names:
        with suppress(OSError):
            shutil.copymode(parent / name, folder / _FILES / name)  # who may read a file stays who may
        with suppress(OSError):  # there is none, or the file system has no links
            os.link(parent / name, folder / _OLD / name, follow_symlinks=False)
        os.replace(folder / _FILES / name, parent / name)


def _restore(folder: Path, parent: Path, names: Sequence[str]) -> None:
    """Undoes what `_replace` did before it failed."""
    with suppress(OSError):
        (folder / _DONE).unlink()
    for name in names:
        with suppress(OSError):
            if (folder / _OLD / name).exists():
                os.replace(folder / _OLD / name, parent / name)
            elif not (folder / _FILES / name).exists():
                (parent / name).unlink()


def _complete(folder: Path, parent: Path) -> None:
    """Goes on where a killed process had begun to move files; before that there is nothing to complete."""
    names = [os.fsdecode(name) for name in (folder / _DONE).read_bytes().split(b"\0")]
    waiting = [name for name in names if (folder / _FILES / name).is_file()]
    if len(waiting) == len(names) or not all(name == Path(name).name for name in names):
        return
    for name in waiting:
        os.replace(folder / _FILES / name, parent / name)


def _outdated(goal: Path, names: Sequence[str]) -> list[Path]:
    """Data files of the file that `goal` is about to replace, which nothing will refer to."""
    pattern = re.compile(re.escape(goal.name) + r"(\.[0-9a-f]{16})?\.data")
    if not goal.is_file():
        return []
    return [file for file in goal.parent.iterdir() if pattern.fullmatch(file.name) and file.name not in names]


def _sync(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(folder: Path) -> int | None:
    """A handle that holds the folder's lock until the process ends; None if another process holds it."""
    if os.name != "posix":
        return None
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _unlock(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)
