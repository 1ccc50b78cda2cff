"""The ways a model can be refused, each one line: where, what, and what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from converter.verification import Report

Given = ParamSpec("Given")
Made = TypeVar("Made")

MAX_MESSAGE = 600
_PATHS = ("PathLike", "PathLike | None")  # how the arguments of the API say so


def clean(text: object, limit: int = 200) -> str:
    """Text from a file made safe for a terminal: printable characters only, at most `limit` of them."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def first_line(error: Exception) -> str:
    """What a library says of a failure, where only one line can be shown."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first names for a message."""
    every = list(names)
    return ", ".join(repr(clean(name, 60)) for name in every[:most]) + (", ..." if len(every) > most else "")


def sentence(text: str) -> str:
    """A hint as a sentence; what begins with code ("pip install ...", "numpy.savez") stays as it is, to be copied."""
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}." if first.rstrip(":,").isalpha() and first != "pip" else text


class ConversionError(Exception):
    """A model cannot be converted.

    Attributes:
        where: the place in the file: a layer, a dataset, a JSON path; "" for the whole file.
        what: what is wrong, without a full stop.
        hint: what the user can do about it, or "".
        layers: names of the Keras layers that hold the place, the outermost first.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "", layers: tuple[str, ...] = ()) -> None:
        self.what, self.where, self.hint, self.layers = what, where, hint, layers
        super().__init__(what)

    def at(self, place: str, layer: str = "") -> ConversionError:
        """The same error, one level further out: `place` is put in front of `where`, `layer` in front of `layers`."""
        where = f"{place}: {self.where}" if self.where else place
        layers = (layer, *self.layers) if layer else self.layers
        return type(self)(self.what, where=where, hint=self.hint, layers=layers)

    def __str__(self) -> str:
        parts = [clean(part, MAX_MESSAGE) for part in (self.where, self.what) if part]
        return ": ".join(parts) + (f". {sentence(clean(self.hint, MAX_MESSAGE))}" if self.hint else "")


class InvalidModel(ConversionError):
    """The file is broken, truncated or hostile: no version of any program could read it rightly."""


class Unsupported(ConversionError):
    """The file may be right, but this program cannot convert it exactly (yet)."""


class InvalidPlugin(ConversionError):
    """A file that the user names with --plugin is broken; the model may be right."""


class VerificationFailed(ConversionError):
    """The model was converted, but the exported file does not do the same; it was removed unless it was to be kept.

    Attributes:
        report: what differs.
        files: what was kept.
    """

    def __init__(self, report: Report, files: tuple[Path, ...]) -> None:
        self.report, self.files = report, files
        super().__init__("; ".join(report.failures))


# What Python and NumPy raise where a value has another form than the code relies on.
SURPRISES = (TypeError, ValueError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError,
             StopIteration)  # fmt: skip


@contextmanager
def formed(what: str) -> Iterator[None]:
    """Around the work on one layer or operator of a file: a value of a wrong form in it becomes InvalidModel."""
    try:
        yield
    except SURPRISES as error:
        raise InvalidModel(f"{what} of a form that was not expected: {type(error).__name__}: {error}") from error


def walled(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """The last wall before the caller: what a malformed value makes Python raise somewhere inside becomes one line.

    Every place that is found to rely on a form should check it itself, since it can say which layer and which value.
    """
    taken = signature(function)

    @wraps(function)
    def guarded(*args: Given.args, **kwargs: Given.kwargs) -> Made:
        for name, value in taken.bind(*args, **kwargs).arguments.items():  # no fault of the file
            if taken.parameters[name].annotation in _PATHS and not isinstance(value, str | os.PathLike | None):
                raise TypeError(f"{name} is a path, not {type(value).__name__}")
        try:
            return function(*args, **kwargs)
        except (ConversionError, OSError, MemoryError):
            raise
        except Exception as error:
            what = f"a value in it has a form that was not expected: {type(error).__name__}: {error}"
            hint = "if Keras itself opens the file, please report it; --debug shows more"
            raise InvalidModel(what, hint=hint) from error

    return guarded
