"""`convert inspect MODEL`: what is in a file, and what becomes of it."""

from __future__ import annotations

import argparse

from converter import lines
from converter.cli.command import DONE, Command, declare_reading, names_in, print_json, warn

EXAMPLES = """\
examples:
  convert inspect model.h5
  convert inspect model.keras --json
"""


def _declare_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Keras file or folder")
    declare_reading(parser)


def _inspect(arguments: argparse.Namespace) -> int:
    from converter import api

    names = names_in(arguments.outputs)
    how = (arguments.route, arguments.signature, arguments.by_name, arguments.keras_version)
    found = api.inspect(api.load_or_survey(arguments.model, arguments.architecture, names, arguments.plugin, *how))
    warn(found.warnings)
    if arguments.json:
        print_json(found.as_json())
    else:
        print("\n".join(lines.of_inspection(found)))
    return DONE


INSPECT = Command("Shows what is in a Keras file.", EXAMPLES, _declare_inspect, _inspect)
