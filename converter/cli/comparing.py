"""`convert compare A B` and `convert conventions`."""

from __future__ import annotations

import argparse
from typing import Any

from converter import lines
from converter.cli.command import DONE, NOT_PROVED, Command, print_json


def _say(arguments: argparse.Namespace, value: Any, said: list[str]) -> None:
    if arguments.json:
        print_json(value)
    else:
        print("\n".join(said))


def _declare_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="A", help="a file of any readable kind")
    parser.add_argument("other", metavar="B", help="another")


def _compare(arguments: argparse.Namespace) -> int:
    from converter import api

    report = api.compare(arguments.model, arguments.other)
    said = [lines.line(line) for line in report.lines()]
    _say(arguments, report.as_json(), said)
    return DONE if report.equal else NOT_PROVED


def _declare_conventions(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(model="conventions")


def _conventions(arguments: argparse.Namespace) -> int:
    from converter.gates import table
    from converter.gates.conventions import CONVENTIONS

    rows = table(tuple(CONVENTIONS.values()))
    _say(arguments, rows, lines.of_rows(rows))
    return DONE


COMPARE = Command(
    "Compares the weights of two files, gate by gate. Exit code 0 only if they are equal, up to rounding.",
    "examples:\n  convert compare model.h5 state_dict.safetensors\n  convert compare old.h5 new.keras --json\n",
    _declare_compare,
    _compare,
)
CONVENTIONS = Command(
    "Prints how every framework packs the weights of LSTM, GRU and RNN layers.",
    "examples:\n  convert conventions\n  convert conventions --json\n",
    _declare_conventions,
    _conventions,
)
