"""Measuring whole processes and repeated calls, and printing what came of it.

Times are CPU seconds (user and system): other programs on the machine change them little. Sides are interleaved, round
by round, and compared round by round, so that a slow phase of the machine hits both.
"""

from __future__ import annotations

import compileall
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONVERT = (sys.executable, "-m", "converter")
# The peer's environment: with Keras 2 it makes and reads .h5 files, with Keras 3 .keras files.
LEGACY = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
MODERN = {**LEGACY, "TF_USE_LEGACY_KERAS": "0"}


@dataclass(frozen=True)
class Usage:
    """What one process used: CPU seconds and the peak of its resident memory in MB (10**6 bytes)."""

    cpu: float
    peak: float


def compile_all() -> None:
    """Writes the bytecode of our modules, as an installation does; whether Python may do so by itself varies."""
    for package in ("converter", "reference_lstm"):
        compileall.compile_dir(str(ROOT / package), quiet=1)


def run(command: Sequence[str], **environment: str) -> Usage:
    """Runs a command to its end and measures it, children included.

    The system counts the memory of whoever starts a process in that process's peak, so a caller must stay small: no
    NumPy there. Raises RuntimeError with the command's last words if it fails.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with tempfile.TemporaryFile() as log:
        actions = [(os.POSIX_SPAWN_DUP2, log.fileno(), stream) for stream in (1, 2)]
        process = os.posix_spawnp(command[0], list(command), variables, file_actions=actions)
        _, status, used = os.wait4(process, 0)
        if status:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {log.read().decode(errors='replace')[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6)


def interleaved(sides: Mapping[str, Callable[[], Usage]], rounds: int) -> dict[str, list[Usage]]:
    """Each side once a round, in an order that turns round."""
    found: dict[str, list[Usage]] = {name: [] for name in sides}
    for index in range(rounds):
        for name in list(sides)[:: 1 if index % 2 else -1]:
            found[name].append(sides[name]())
    return found


def cpu_times(sides: Mapping[str, Callable[[], object]], rounds: int, least: float = 0.02) -> dict[str, list[float]]:
    """CPU seconds of one call of each side in each round, from as many calls as take `least` seconds."""
    repeats = {}
    for name, call in sides.items():
        call()
        calls = 1
        while (taken := _cpu(call, calls)) < least:
            calls = max(2 * calls, int(calls * least / taken) + 1 if taken else 0)
        repeats[name] = calls
    found: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(rounds):
        for name in list(sides)[:: 1 if index % 2 else -1]:
            found[name].append(_cpu(sides[name], repeats[name]) / repeats[name])
    return found


def _cpu(call: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return time.process_time() - start


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Smallest, median, largest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times ours theirs is, round by round."""
    return [b / a for a, b in zip(ours, theirs, strict=True)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def verdict(what: str, holds: bool) -> bool:
    """Prints an expectation and whether it holds."""
    print(f"{'holds ' if holds else 'MISSED'}  {what}")
    return holds
