"""What a run is doing, on a terminal: nothing for a second, then a line that ticks, with a bar where steps count."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY = 1.0  # seconds; what is done sooner needs no bar
COUNTED = re.compile(r"(.*?) *(\d+) of (\d+)")  # a step of the work that says which of how many it is


@contextmanager
def progress_shown() -> Iterator[Callable[[str], None]]:
    """Takes the steps of one conversion as they begin."""
    with _bar() as bar:
        if bar is None:
            yield lambda what: None
            return
        task = bar.add_task("", total=None, count="")

        def show(what: str) -> None:
            counted = COUNTED.fullmatch(what)
            if counted is None:
                bar.update(task, description=what, completed=0, total=None, count="")
            else:
                done, total = int(counted[2]) - 1, int(counted[3])
                bar.update(task, description=counted[1], completed=done, total=total, count=f"{done}/{total}")

        yield show


@contextmanager
def many_shown(total: int) -> Iterator[Callable[[], None]]:
    """Called for each of `total` models that is done."""
    with _bar() as bar:
        if bar is None:
            yield lambda: None
            return
        done = count(1)
        task = bar.add_task(f"{total} models", total=total, count=f"0/{total}")
        yield lambda: bar.update(task, advance=1, count=f"{next(done)}/{total}")


@contextmanager
def _bar() -> Iterator[Progress | None]:
    """A bar on the standard error, gone at the end; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
    )
    bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True,
                   redirect_stdout=False, redirect_stderr=False)  # fmt: skip
    later = Timer(DELAY, bar.start)
    later.daemon = True
    later.start()
    try:
        yield bar
    finally:
        later.cancel()
        later.join()
        bar.stop()
