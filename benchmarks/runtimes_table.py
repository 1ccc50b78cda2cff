"""The tables of benchmarks/runtimes.py: every cell on the screen, and what docs/runtimes.md holds of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from benchmarks.recurrent_cases import Case

Items = Sequence[dict[str, Any]]
VERDICTS = ("right", "refused", "WRONG")
BEGIN, END = "<!-- benchmarks/runtimes.py -->", "<!-- end -->"


def print_cells(work: Items, columns: Sequence[str], quiet: bool = False) -> None:
    """One row a configuration, unless quiet; then counts, and why cells are refused or which are wrong."""
    by_case: dict[str, list[str]] = {}
    for item in work:
        shown = f"WRONG {item['error']:.0e}" if item["verdict"] == "WRONG" else item["verdict"]
        by_case.setdefault(str(item["case"]), []).append(shown)
    if not quiet:
        table(["", *columns], [[case, *row] for case, row in by_case.items()])
        print()
    table(HEAD, list(summary(work, columns)))
    for item in work:
        if item["verdict"] != "right":
            print(f"{item['column']}: {item['case']}: {item['why'] or item['error']}")


HEAD = ("", *VERDICTS, "largest error, of the scale")


def summary(work: Items, columns: Sequence[str]) -> Iterable[list[str]]:
    """One row a column of the matrix."""
    for column in columns:
        cells = [item for item in work if item["column"] == column]
        errors = [item["error"] for item in cells if item["verdict"] == "right"]
        counts = [str(sum(item["verdict"] == verdict for item in cells)) for verdict in VERDICTS]
        yield [column, *counts, f"{max(errors):.1e}" if errors else ""]


def write_docs(work: Items, columns: Sequence[str], page: Path) -> None:
    """Puts the counts and the cells, those alike as one row, between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    tables = [_markdown(HEAD, summary(work, columns)), _markdown(["", *columns], _grouped(work, columns))]
    page.write_text(f"{before}{BEGIN}\n\n{tables[0]}\n\n{tables[1]}\n\n{END}{after}", encoding="utf-8")


def _grouped(work: Items, columns: Sequence[str]) -> Iterable[list[str]]:
    """Configurations that differ in direction and output alone, as one row: how many, or what is not right."""
    groups: dict[str, dict[str, list[str]]] = {}
    for item in work:
        case: Case = item["case"]
        name = ", ".join(filter(None, [case.cell, "masked" * case.masked, *case.also]))
        groups.setdefault(name, {}).setdefault(item["column"], []).append(item["verdict"])
    for name, row in groups.items():
        yield [name, *(_counted(row[column]) for column in columns)]


def _counted(verdicts: Sequence[str]) -> str:
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}
    return ", ".join(str(n) if verdict == "right" else f"{n} {verdict}" for verdict, n in counts.items())


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
