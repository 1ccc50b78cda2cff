"""What -o and --to mean together: which target is written, and where."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from converter.exporters import EXPORTERS
from converter.output import folders_made

STDOUT = "-"
# Suffixes of files that this program does not write: a name that ends so would lie.
FOREIGN = (".h5", ".hdf5", ".pt", ".pth", ".pb", ".json", ".mlmodel", ".xml", ".msgpack")


class UsageError(Exception):
    """The options contradict each other, or name something that there is not."""


def by_suffix() -> dict[str, str]:
    """The target that a suffix alone stands for: of several, the last row's. Torch and flax are named with --to."""
    return {row.suffix: name for name, row in EXPORTERS.items()}


def target_of(to: str | None, output: str | None) -> str:
    """The target that --to and the suffix of -o agree on.

    Raises:
        UsageError: they contradict each other, or no target has the suffix.
    """
    suffix = Path(output).suffix.lower() if output and output != STDOUT and not _is_folder(output) else ""
    if to is None and suffix in FOREIGN:
        raise UsageError(f"no target writes {suffix} files; --to knows {', '.join(EXPORTERS)}")
    if to is None:
        return by_suffix().get(suffix, "onnx")
    if suffix and suffix != EXPORTERS[to].suffix and suffix in (*by_suffix(), *FOREIGN):
        raise UsageError(f"--to {to} writes {EXPORTERS[to].suffix} files, but -o names {output}")
    return to


def goal_of(model: str, to: str, output: str | None) -> Path | None:
    """The file to write: in a folder under the model's name; None for the standard output and the default.

    Raises:
        UsageError: the standard output is a terminal.
    """
    if output == STDOUT and sys.stdout.isatty():
        raise UsageError("the standard output is a terminal: redirect it, or name a file")
    if output is None or output == STDOUT:
        return None
    return in_folder(output, named(Path(model)).stem + EXPORTERS[to].suffix)


def in_folder(output: str, name: str) -> Path:
    """The file that -o names, or one of this name in the folder that it names."""
    return Path(output) / name if _is_folder(output) else Path(output)


def folder_made(output: str | None) -> AbstractContextManager[None]:
    """The folder that -o names by a slash at its end, made if missing; gone again where nothing came into it."""
    return folders_made([Path(output)] if output and _is_folder(output) else [])


def named(model: Path) -> Path:
    """The model's path with a name to call its output by: `.` is a folder that has one, too."""
    return model if model.name not in ("", "..") else model.resolve()


def _is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()
