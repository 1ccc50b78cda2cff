"""Results as lines of text, safe for a terminal and a notebook whatever a file holds. Prints nothing."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from converter.errors import clean

if TYPE_CHECKING:
    from converter.inspection import Inspection
    from converter.verification import Report

MAX_LINE = 1000
MAX_CELL = 60
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


def of_rows(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A table; the keys of the first row are its head. The last column is not padded."""
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]) - 1)]
    padded = ([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]] for row in cells)
    return [line("  ".join(row).rstrip()) for row in padded]


def of_inspection(found: Inspection) -> list[str]:
    """A table of layers, then inputs, outputs, states and the number of parameters."""
    rows = [("layer", "class", "output", "parameters", "becomes")]
    for layer in found.layers:
        shapes = " ".join(shape(one) for one in layer.output_shapes)
        rows.append((layer.path, layer.class_name, shapes, f"{layer.parameters:,}", layer.conversion))
        if layer.formula:
            rows.append(("", "", "", "", f"  {layer.formula} = {layer.parameters:,}; {layer.gates}"))
    cells = [[*(clean(cell, MAX_CELL) for cell in row[:4]), clean(row[4])] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    source = ", ".join(part for part in (found.format, found.era) if part)
    lines = [line(f"{found.name or found.path}: {source}"), ""]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[4]]).rstrip())
    lines.append("")
    for title, ports in (("inputs", found.inputs), ("outputs", found.outputs), ("states", found.states)):
        if ports:
            listed = ", ".join(f"{port.name} {shape(port.shape)} {port.dtype}" for port in ports)
            lines.append(line(f"{title}: {listed}"))
    return [*lines, f"parameters: {found.parameters:,}"]


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
