"""`convert draft WEIGHTS`: an architecture for weights that stand alone, to be filled in."""

from __future__ import annotations

import argparse
import json

from converter import lines
from converter.cli.command import DONE, Command, print_json
from converter.cli.goal import STDOUT

EXAMPLES = """\
examples:
  convert draft weights.h5 -o model.json        then replace each "?" in model.json by what the model had
  convert weights.h5 --architecture model.json
"""


def _declare_draft(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="WEIGHTS", help="a file that holds weights without an architecture")
    parser.add_argument("-o", "--output", metavar="OUT", help="the JSON file to write (default: to the terminal)")
    parser.add_argument("--force", action="store_true", help="write over an existing file")


def _draft(arguments: argparse.Namespace) -> int:
    from converter import api
    from converter.keras.arrays.draft import unfilled

    goal = None if arguments.output == STDOUT else arguments.output
    tree = api.draft(arguments.model, goal, arguments.force)
    if goal is None:
        print(json.dumps(tree, indent=2)) if not arguments.json else print_json({"architecture": tree})
        return DONE
    count = len(list(unfilled(tree)))
    if arguments.json:
        print_json({"files": [arguments.output], "open": count})
        return DONE
    print(f'wrote {lines.line(arguments.output)}: replace {count} "?" in it, then')
    print(lines.line(f"  convert {arguments.model} --architecture {arguments.output}"))
    return DONE


DRAFT = Command("Begins the architecture of a file that holds weights alone.", EXAMPLES, _declare_draft, _draft)
