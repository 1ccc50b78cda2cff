"""Standard output and error in every state that a program may find them: closed, full, or of few characters."""

from __future__ import annotations

import codecs
import io
import os
import sys

# What an encoding of few characters (cp932, cp1251, gbk, ASCII) gets in place of those that we write ourselves.
SPELLED = {"·": "*", "²": "^2", "×": "x", "…": "...", "−": "-", "→": "->", "σ": "sigma"}


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """Characters that an encoding lacks: spelled in ASCII where they are ours, else as escapes."""
    if isinstance(error, UnicodeEncodeError):
        character = error.object[error.start]
        if character in SPELLED:
            return SPELLED[character], error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error("spelled", _spelled)


def open_all() -> None:
    """Opens what is closed, so that no file of ours takes its place, and shows what an encoding lacks in ASCII."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")
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
