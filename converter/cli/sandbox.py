"""The work in a child process: what ends it, a crash of a library or a call without end, becomes one clear line.

The child is a fork made before anything heavy is loaded (2 ms). It may take so much memory and processor time as an
honest model of the file's size; calls into HDF5 are timed one by one, see `converter.watchdog`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from mmap import PAGESIZE, mmap
from pathlib import Path
from types import FrameType

from converter import limits, watchdog

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end the program in an orderly way."""


def heeded() -> list[signal.Signals]:
    """Those that end the program: not what nohup, or a shell that starts it in the background, has it ignore."""
    return [name for name in ENDING if signal.getsignal(name) is not signal.SIG_IGN]


# Signals that mean a fault of a library, in words.
_FAULTS = {
    "SIGSEGV": "a library crashed", "SIGBUS": "a library crashed", "SIGABRT": "a library crashed",
    "SIGILL": "a library crashed", "SIGFPE": "a library crashed", "SIGPROF": "the library did not come back",
    "SIGXCPU": "it takes too much time", "SIGKILL": "the process was killed, perhaps for its memory",
}  # fmt: skip


def fits(arguments: argparse.Namespace) -> bool:
    """Whether this system can fork and bound a process (macOS' own libraries do not survive it), and the work is ours
    alone: TensorFlow (--against) takes what it likes."""
    several = len(getattr(arguments, "models", [])) > 1  # each has a sandbox of its own
    return sys.platform.startswith("linux") and not getattr(arguments, "against", None) and not several


def run(work: Callable[[], int], failed: Callable[[str], int], models: Sequence[str]) -> int:
    """Does `work` in a child process.

    Args:
        work: gives the exit code.
        failed: called with what ended the child where something did; gives the exit code.
        models: the files, whose size bounds the child.
    """
    page = mmap(-1, PAGESIZE)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _end(_inside(work, page, models))
    _forward(child)
    status = _wait(child)
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    name = signal.Signals(os.WTERMSIG(status)).name
    doing = watchdog.noted(page)
    what = _FAULTS.get(name, f"ended by {name}")
    return failed(f"{what} ({name})" + (f" while {doing}" if doing else ""))


def _inside(work: Callable[[], int], page: mmap, models: Sequence[str]) -> int:
    watchdog.enable(page)
    _die_with_parent()
    _limit(sum(watchdog.size_of(Path(model)) for model in models))
    try:
        return work()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _end(code: int) -> None:
    """Leaves the child without what the parent is to do at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def _limit(size: int) -> None:
    import resource

    for what, most in (
        (resource.RLIMIT_DATA, limits.CHILD_BYTES + limits.CHILD_BYTES_PER_BYTE * size),
        (resource.RLIMIT_CPU, limits.CHILD_SECONDS + size // limits.CHILD_BYTES_PER_SECOND),
        (resource.RLIMIT_CORE, 0),
    ):
        soft, hard = resource.getrlimit(what)
        bounds = [most, *(bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)]
        resource.setrlimit(what, (min(bounds), hard))


def _die_with_parent() -> None:
    """A child whose parent is killed has nobody to tell its result to."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _forward(child: int) -> None:
    def pass_on(number: int, frame: FrameType | None) -> None:
        os.kill(child, number)

    for name in heeded():
        signal.signal(name, pass_on)


def _wait(child: int) -> int:
    while True:
        try:
            return os.waitpid(child, 0)[1]
        except InterruptedError:
            continue
