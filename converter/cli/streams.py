"""Standard output and error in every state that a program may find them: closed, full, or of few characters."""

from __future__ import annotations

import io
import os
import sys


def open_all() -> None:
    """Opens what is closed, so that no file of ours takes its place, and shows what an encoding lacks as escapes."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(write_through=False)  # written at the end, also with PYTHONUNBUFFERED


def flushed(code: int, *, wrote: bool) -> int:
    """The exit code once standard output is written; a conversion is done even where its result cannot be printed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print(f"warning: the result could not be printed: {error.strerror}", file=sys.stderr)
        return code if wrote else code or 1
    return code
