"""The commands `compare` and `conventions`: what they take, and what they have to say. Prints nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from converter.cli import lines

EQUAL, NOT_EQUAL = 0, 3


class Said(NamedTuple):
    """What a command has to say: as JSON, as lines, and its exit code."""

    json: Any
    lines: list[str]
    code: int


class More(NamedTuple):
    """One command: its help, how its arguments are declared, what it does."""

    summary: str
    examples: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Said]


def _declare_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="A", help="a file of any readable kind")
    parser.add_argument("other", metavar="B", help="another")


def _compare(arguments: argparse.Namespace) -> Said:
    from converter.comparing.compare import compare

    report = compare(arguments.model, arguments.other)
    said = [lines.line(line) for line in report.lines()]
    return Said(report.as_json(), said, EQUAL if report.equal else NOT_EQUAL)


def _declare_conventions(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(model="conventions")


def _conventions(arguments: argparse.Namespace) -> Said:
    from converter.gates import table
    from converter.gates.conventions import CONVENTIONS

    rows = table(tuple(CONVENTIONS.values()))
    return Said(rows, lines.of_rows(rows), EQUAL)


COMMANDS: Mapping[str, More] = {
    "compare": More(
        "Compares the weights of two files, gate by gate. Exit code 0 only if they are equal, up to rounding.",
        "examples:\n  convert compare model.h5 state_dict.safetensors\n  convert compare old.h5 new.keras --json\n",
        _declare_compare,
        _compare,
    ),
    "conventions": More(
        "Prints how every framework packs the weights of LSTM, GRU and RNN layers.",
        "examples:\n  convert conventions\n  convert conventions --json\n",
        _declare_conventions,
        _conventions,
    ),
}
