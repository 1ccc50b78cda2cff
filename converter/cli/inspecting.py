"""`convert inspect MODEL`: what is in a file, and what becomes of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from converter.cli.command import DONE, Command, declare_reading, print_json, reading, show, warn

EXAMPLES = """\
examples:
  convert inspect model.h5
  convert inspect model.keras --json
  convert inspect model.keras --graph > model.mmd    a diagram for Mermaid, which GitHub and GitLab draw
"""


def _declare_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Keras file or folder")
    declare_reading(parser)
    parser.add_argument("--graph", action="store_true", help="print the layers as a flowchart of Mermaid")


def _inspect(arguments: argparse.Namespace) -> int:
    from converter import api, loading, tables

    model = loading.model_or_survey(Path(arguments.model), loading.Reading(**reading(arguments)))
    found = api.inspect(model)
    warn(found.warnings)
    if arguments.json:
        print_json(found.as_json())
    elif arguments.graph:
        print("\n".join(tables.mermaid(found)))
    else:
        show(tables.of_inspection(found))
    return DONE


INSPECT = Command("Shows what is in a Keras file.", EXAMPLES, _declare_inspect, _inspect)
