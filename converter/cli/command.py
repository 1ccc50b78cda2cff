"""What a subcommand is, and what several of them share: options, warnings, JSON, tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter import lines
from converter.api import ENGINES
from converter.cli.goal import UsageError
from converter.errors import Unsupported, clean
from converter.exporters import EXPORTERS

if TYPE_CHECKING:
    from rich.console import RenderableType

DONE, REFUSED, USAGE, NOT_PROVED = 0, 1, 2, 3
DATA = ".npz"  # what --inputs names: data if it ends so, otherwise layers


@dataclass(frozen=True)
class Command:
    """One subcommand: how its arguments are declared, and what runs it (returning an exit code)."""

    summary: str
    examples: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def declare_reading(command: argparse.ArgumentParser) -> None:
    """Options of every command that reads a model."""
    parser = command.add_argument_group("what is read")
    parser.add_argument("--architecture", metavar="FILE", help="JSON, YAML or a whole model, for weights alone")
    by_name = "match arrays with layers by name, as load_weights(by_name=True) does, not by order"
    parser.add_argument("--by-name", action="store_true", help=by_name)
    outputs = "layers whose outputs become the model's; MODEL/LAYER in a nested one, LAYER:1 for one output of several"
    parser.add_argument("--outputs", metavar="L1,L2", action="append", default=[], help=outputs)
    inputs = (
        "with --outputs: layers whose outputs become the model's inputs; or an .npz file: inputs to compare as well"
    )
    parser.add_argument("--inputs", metavar="L1,L2|X.npz", action="append", default=[], help=inputs)
    stateful = "recurrent layers keep their states from call to call, as inputs and outputs, to stream a model"
    parser.add_argument("--stateful", action="store_true", help=stateful)
    route = "read a SavedModel by its Keras configuration or by its function graph (default: the first that serves)"
    parser.add_argument("--route", choices=("keras", "graph"), default="", help=route)
    parser.add_argument(
        "--signature", metavar="NAME", default="", help="which function of a SavedModel's graph to read"
    )
    version = "of the Keras that wrote the file, where the file does not say it"
    parser.add_argument("--keras-version", metavar="VERSION", default="", help=version)
    parser.add_argument(
        "--plugin", metavar="FILE", action="append", default=[], help="Python file with layers of your own; it is run"
    )


def declare_proof(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Options of a proof: other engines, data of the user's own, a tolerance, a certificate."""
    group = command.add_argument_group("the proof")
    what = "prove it with TensorFlow's own layers as well; or run a Keras archive or a PyTorch module there"
    homes = [name for name, row in EXPORTERS.items() if row.home]
    group.add_argument("--against", choices=sorted((*ENGINES, *homes)), help=what)
    group.add_argument("--expected", metavar="Y.npz", help="the outputs that --inputs should give")
    tolerance = "how far outputs may be off, for a file that was quantized or changed on purpose"
    group.add_argument("--tolerance", metavar="T", type=_bound, help=tolerance)
    group.add_argument("--certificate", metavar="FILE.json", help="write what was checked, with bounds and hashes")
    return group


def _bound(text: str) -> float:
    """A tolerance: no negative number, and a finite one."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no tolerance, which is a number from 0 on")
    return number


def proof_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `declare_proof` declared, as the functions of the API take it."""
    named = {name: getattr(arguments, name) for name in ("expected", "tolerance", "certificate")}
    return {**named, "inputs": data_of(arguments)}


def data_of(arguments: argparse.Namespace) -> str | None:
    """The file that --inputs names, next to layers or without.

    Raises:
        UsageError: there are several.
    """
    files = [text for text in arguments.inputs if text.endswith(DATA)]
    if len(files) > 1:
        raise UsageError(f"--inputs takes one {DATA} file, with an array for each input of the model")
    return files[0] if files else None


def warn(warnings: Sequence[str]) -> None:
    """Warnings, one line each, to stderr."""
    for warning in warnings:
        print(f"warning: {lines.line(warning)}", file=sys.stderr)


def reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `declare_reading` declared, as `api.load` and `loading.Reading` take it."""
    return {
        "architecture": arguments.architecture,
        "outputs": names_in(*arguments.outputs),
        "plugins": tuple(arguments.plugin),
        "route": arguments.route,
        "signature": arguments.signature,
        "by_name": arguments.by_name,
        "keras_version": arguments.keras_version,
        "begin": tuple(name for text in arguments.inputs for name in _begin(text)),
        "stateful": arguments.stateful,
    }


def _begin(text: str) -> tuple[str, ...]:
    """The layers that --inputs names.

    Raises:
        Unsupported: it names a file of another kind than is taken.
    """
    if not text.endswith(DATA) and Path(text).is_file():
        hint = 'numpy.savez("x.npz", NAME=array) writes one, by the names of the model\'s inputs'
        raise Unsupported(f"--inputs: {clean(text)} is no {DATA} file", hint=hint)
    return () if text.endswith(DATA) else names_in(text)


def names_in(*texts: str) -> tuple[str, ...]:
    """Lists of names as an option gives them: L1,L2."""
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


def print_json(value: Mapping[str, Any], code: int = DONE) -> None:
    """A result as JSON, to stdout, with the exit code."""
    print(json.dumps(lines.finite({**value, "exit_code": code}), indent=2))


def show(made: RenderableType) -> None:
    """A table: as wide as the terminal and in its colors, or plain where there is none."""
    from rich.console import Console

    from converter.tables import plain

    if sys.stdout.isatty():
        Console(highlight=False).print(made)
    else:
        print("\n".join(plain(made)))
