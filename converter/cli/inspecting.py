"""`convert inspect MODEL`: what is in a file, and what becomes of it."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from converter.cli.command import DONE, Command, declare_reading, print_json, reading, show, warn

EXAMPLES = """\
examples:
  convert inspect model.h5
  convert inspect model.keras --json
  convert inspect model.tflite                       its operators, and what TFLite Micro needs for them
  convert inspect model.keras --graph > model.mmd    a diagram for Mermaid, which GitHub and GitLab draw
"""


def _declare_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Keras file or folder, or a TFLite file")
    declare_reading(parser)
    parser.add_argument("--graph", action="store_true", help="print the layers as a flowchart of Mermaid")


def _inspect(arguments: argparse.Namespace) -> int:
    from converter import api, loading, tables
    from converter.exporters import row_of

    if target := row_of(Path(arguments.model), "overview"):
        return _inspect_target(arguments, target.overview)
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


def _inspect_target(arguments: argparse.Namespace, module: str) -> int:
    """A file that this program writes and does not read as a model: what a runtime needs for it."""
    found = import_module(module).overview(Path(arguments.model))
    if arguments.json:
        print_json(found.as_json())
    else:
        print("\n".join(found.lines()))
    return DONE


INSPECT = Command("Shows what is in a Keras file.", EXAMPLES, _declare_inspect, _inspect)
