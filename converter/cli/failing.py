"""What goes wrong, as an exit code and one line; with --json also as JSON on the standard output."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from converter import lines
from converter.cli.command import REFUSED, USAGE
from converter.cli.goal import UsageError
from converter.errors import ConversionError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")


class Parser(argparse.ArgumentParser):
    """argparse's, whose errors are one line, as JSON, too, where that is asked for."""

    words: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """A usage error: exit code 2."""
        sys.exit(say("--json" in self.words, USAGE, f"{message} ({self.prog} --help lists the options)"))


def say(as_json: bool, code: int, message: str) -> int:
    """Prints an error and gives its exit code back."""
    if as_json:
        print(json.dumps({"error": lines.line(message), "exit_code": code}))
    print(f"error: {lines.line(message)}", file=sys.stderr)
    return code


def fail(arguments: argparse.Namespace, code: int, message: str) -> int:
    """An error over a model."""
    other = getattr(arguments, "other", "")  # of two files the message says which
    named = message.startswith(tuple(f"{file}: " for file in (arguments.model, other) if file))
    return say(arguments.json, code, message if named else f"{arguments.model}: {message}")


def outcome(model: str, error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error; readers begin theirs with the file's name, which is printed anyway."""
    if isinstance(error, UsageError):
        return USAGE, str(error)
    if isinstance(error, ConversionError):
        return REFUSED, str(error).removeprefix(f"{Path(model).name}: ")
    if isinstance(error, FileExistsError | IsADirectoryError) and error.errno is None:
        return USAGE, f"{error}" + (" (--force writes over it)" if str(error).endswith("exists") else "")
    if isinstance(error, FileNotFoundError) and error.errno is None:
        return USAGE, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return REFUSED, f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return REFUSED, "not enough memory"
    if isinstance(error, RecursionError):
        return REFUSED, "the model is nested too deeply"
    return REFUSED, f"internal error, {type(error).__name__}: {error} (please report it; --debug shows where)"


def address(arguments: argparse.Namespace) -> str:
    """What to do with an address where a file belongs; "" where there is none."""
    named = [getattr(arguments, name, None) for name in ("model", "exported", "other", "architecture")]
    found = next((one for one in [*named, *getattr(arguments, "models", [])] if one and _ADDRESS.match(one)), None)
    return f"{found}: an address (download it first: only files on this machine are read)" if found else ""


def misread(word: str, commands: Sequence[str]) -> str:
    """Why a command line cannot be meant that begins with this word, which is no command; "" where it can."""
    if word == "convert" and not Path(word).exists():
        return "this is what the command does without that word: leave it out"
    close = difflib.get_close_matches(word, commands, n=1) if not Path(word).suffix else []
    return f"there is no such file (did you mean the command {close[0]}?)" if close and not Path(word).exists() else ""
