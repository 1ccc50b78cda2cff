"""`convert compare A B` and `convert conventions`."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from typing import Any

from converter import lines
from converter.cli.command import DONE, NOT_PROVED, Command, print_json
from converter.cli.goal import UsageError

WIDTH = 80


def _say(arguments: argparse.Namespace, value: Mapping[str, Any], said: list[str], code: int = DONE) -> int:
    if arguments.json:
        print_json(value, code)
    else:
        print("\n".join(said))
    return code


def _declare_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="A", help="a file of any readable kind")
    parser.add_argument("other", metavar="B", help="another")


def _compare(arguments: argparse.Namespace) -> int:
    from converter import api

    report = api.compare(arguments.model, arguments.other)
    said = [lines.line(line) for line in report.lines()]
    return _say(arguments, report.as_json(), said, DONE if report.equal else NOT_PROVED)


def _declare_conventions(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(model="conventions")
    parser.add_argument("words", nargs="*", metavar="WORD", help="lstm, gru, rnn, or a framework: torch, keras, onnx")


def _conventions(arguments: argparse.Namespace) -> int:
    from converter.gates import table
    from converter.gates.conventions import CONVENTIONS

    words = {word.lower() for word in arguments.words}
    cells = {row.cell.lower() for row in CONVENTIONS.values()}
    makers = {row.name.split("/")[0].lower() for row in CONVENTIONS.values()}
    if unknown := sorted(words - cells - makers):
        raise UsageError(
            f"no convention of {unknown[0]}; there are {', '.join(sorted(cells))}; {', '.join(sorted(makers))}"
        )
    of_cell, of_maker = words & cells or cells, words & makers or makers
    rows = [row for row in CONVENTIONS.values()
            if row.cell.lower() in of_cell and row.name.split("/")[0].lower() in of_maker]  # fmt: skip
    found = table(tuple(rows))
    return _say(arguments, {"conventions": found}, [text for row in found for text in _fitting(row)])


def _fitting(row: Mapping[str, str]) -> list[str]:
    """One convention in lines of `WIDTH`: its name, its gates, and how the arrays lie; --json gives the rest."""
    said = [f"gates {row['gates']}", row["matrices"], f"biases {row['biases']}", row["run time"]]
    text = "; ".join(part for part in said if part)
    return [row["convention"], *textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")]


COMPARE = Command(
    "Compares the weights of two files, gate by gate. Exit code 0 only if they are equal, up to rounding.",
    "examples:\n  convert compare model.h5 state_dict.safetensors\n  convert compare old.h5 new.keras --json\n",
    _declare_compare,
    _compare,
)
CONVENTIONS = Command(
    "Prints how every framework packs the weights of LSTM, GRU and RNN layers.",
    "examples:\n  convert conventions torch lstm\n  convert conventions --json\n",
    _declare_conventions,
    _conventions,
)
