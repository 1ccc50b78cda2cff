"""Bounds on single calls into libraries that a broken file can make hang or take all memory.

A call of C code cannot be interrupted from Python; but a process can be ended by a timer. So the time is bounded only
where the work is done in a child process made for it (`converter.cli.sandbox`), which calls `enable` and reads from a
page shared with its parent what was being done when it ended. Memory is bounded everywhere, where the system can.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from mmap import PAGESIZE, mmap
from pathlib import Path

from converter import limits

_LENGTH = 2  # bytes of the text's length, in front of it


class _State:
    page: mmap | None = None
    doing = ""


def enable(page: mmap) -> None:
    """Bound the time of watched calls in this process from now on; what they do is written to `page`."""
    _State.page = page
    note("")


def note(what: str) -> None:
    """Write down what is being done, for the parent to read."""
    if _State.page is not None:
        text = what.encode("utf-8", "replace")[: PAGESIZE - _LENGTH]
        _State.page[: _LENGTH + len(text)] = len(text).to_bytes(_LENGTH, "little") + text


def noted(page: mmap) -> str:
    """What was being done last."""
    length = int.from_bytes(page[:_LENGTH], "little")
    return page[_LENGTH : _LENGTH + length].decode("utf-8", "replace")


@contextmanager
def watched(what: str, seconds: float) -> Iterator[None]:
    """What runs inside may take so much processor time; beyond, the process ends by SIGPROF if it is a sandbox.

    Within another one it may take what that leaves it, at most.
    """
    if _State.page is None:
        yield
        return
    outer = _State.doing
    left, _ = signal.getitimer(signal.ITIMER_PROF)
    given = min(seconds, left) if outer else seconds
    _begin(what, given)
    try:
        yield
    finally:
        unused, _ = signal.setitimer(signal.ITIMER_PROF, 0)
        _begin(outer, max(left - (given - unused), 0.01) if outer else 0)


def _begin(what: str, seconds: float) -> None:
    _State.doing = what
    note(what)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def size_of(model: Path) -> int:
    """Bytes of a file, of all in a folder, or of all whose names begin as a checkpoint's do."""
    try:
        files = model.rglob("*") if model.is_dir() else model.parent.glob(f"{model.name}*")
        return sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, ValueError):
        return 0


def reading(kind: str, path: Path, seconds: float) -> AbstractContextManager[None]:
    """The budget of time of a reader, by the size of what it reads."""
    seconds += size_of(path) / limits.READER_BYTES_PER_SECOND
    return watched(f"reading {path.name}, for which {kind} has {seconds:.0f} s of processor time", seconds)


@contextmanager
def little_memory(extra: int) -> Iterator[None]:
    """What runs inside may take `extra` bytes of memory; beyond, allocations fail. On Linux alone."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * PAGESIZE
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = held + extra if soft == resource.RLIM_INFINITY else min(soft, held + extra)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
