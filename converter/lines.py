"""Results as lines of text, safe for a terminal and a notebook whatever a file holds. Prints nothing."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from converter.errors import clean

if TYPE_CHECKING:
    from converter.verification import Report

MAX_LINE = 1000
MAX_NOTES = 8


class Shown:
    """A result that says in one line what it is, and in a notebook all that the command line would print of it."""

    def summary(self) -> str:
        """What it is, in one line."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """All of it."""
        return [self.summary()]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {line(self.summary())}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(chr(10).join(self.lines()))}</pre>"


def line(text: object) -> str:
    """One line: printable characters only, not too many."""
    return clean(text, MAX_LINE)


def of_report(report: Report) -> list[str]:
    """A verification: what was compared, the two numbers, and the notes."""
    if not report.outputs:
        return [line(f"compared nothing with {report.against}: {'; '.join(report.failures)}")]
    if not report.runtime:
        found = f"compared with {report.against}: {'; '.join(report.cases)}, largest difference {report.error:.1e}"
        return [line(text) for text in (found, *(f"  {note}" for note in report.notes))]
    lines = [f"{report.verdict} against {report.against} in {report.runtime}: {'; '.join(report.cases)}"]
    if report.nodes:
        steps, values = (sum(getattr(one, name) for one in report.nodes) for name in ("steps", "values"))
        recurrent = f", {steps:,} recurrent steps" if steps else ""
        lines.append(f"  {len(report.nodes)} nodes by themselves, {values:,} values{recurrent}: "
                     f"worst error {report.share:.2g} of what its own arithmetic allows")  # fmt: skip
    if report.weights:
        arrays = sum(bool(one.sources) for one in report.weights)
        lines.append(f"  {arrays} weights bit for bit, {len(report.weights) - arrays} constants")
    if report.sides:
        lines.append(f"  {report.sides - len(report.missed)} of {report.sides} sides of choices taken")
    lines.append(f"  end-to-end error {report.error:.1e} (float32 reference {report.reference_error:.1e})")
    return [line(text) for text in (*lines, *(f"  {note}" for note in report.notes[:MAX_NOTES]))]


def shape(sizes: tuple[int | None, ...]) -> str:
    """[?, 10, 8]."""
    return f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"


def size(count: float) -> str:
    """Bytes in a unit that reads well."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def finite(value: Any) -> Any:
    """A JSON value with infinities and not-a-numbers as text, for which JSON has no numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value
