"""The entry point: finds the subcommand, parses its options, and turns errors into one line and an exit code.

Results go to stdout, warnings and errors to stderr, one line each. Exit codes: 0 done, 1 the model cannot be converted,
2 usage, 3 converted but not proved.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from converter import __version__, output
from converter.cli import sandbox, streams
from converter.cli.command import REFUSED, USAGE, Command
from converter.cli.comparing import COMPARE, CONVENTIONS
from converter.cli.converting import CONVERT
from converter.cli.drafting import DRAFT
from converter.cli.failing import Parser, address, fail, misread, outcome, say
from converter.cli.inspecting import INSPECT
from converter.cli.reporting import REPORT
from converter.cli.verifying import VERIFY

COMMANDS: Mapping[str, Command] = {
    "": CONVERT,
    "draft": DRAFT,
    "inspect": INSPECT,
    "verify": VERIFY,
    "report": REPORT,
    "compare": COMPARE,
    "conventions": CONVENTIONS,
}

BROKEN_PIPE = 128 + 13  # as a shell says it of a program that SIGPIPE ended


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code. The program itself (without `argv`) works in a sandbox."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its threads cost memory and gain nothing here
    streams.open_all()
    for number in sandbox.heeded():
        signal.signal(number, _stop)
    words = list(sys.argv[1:] if argv is None else argv)
    name = words.pop(0) if words and words[0] in COMMANDS else ""
    command = COMMANDS[name]
    if words and not name and (why := misread(words[0], [*COMMANDS])):
        return say("--json" in words, USAGE, f"{words[0]}: {why}")
    parser = Parser(
        prog=f"{_program()} {name}".strip(),
        description=command.summary,
        epilog=command.examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.words = words
    command.declare(parser)
    parser.add_argument("--version", action="version", version=f"keras-lstm-convert {__version__}")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--trust", action="store_true", help="do the work without a sandbox: no limits, no watchdog")
    arguments = parser.parse_args(words)
    if not arguments.debug:
        warnings.simplefilter("ignore")  # of NumPy and others; what the user should know is said by this program itself
    if name == "":
        arguments.model = arguments.models[0]
    if wrong := address(arguments):
        return say(arguments.json, USAGE, wrong)
    if argv is None and not arguments.trust and sandbox.fits(arguments):
        models = getattr(arguments, "models", [arguments.model])
        return sandbox.run(lambda: _run(command, arguments), lambda why: _crashed(arguments, why), models)
    return _run(command, arguments)


def _program() -> str:
    """The name that the program was called by."""
    called = Path(sys.argv[0]).stem
    return called if called in ("convert", "keras-lstm-convert") else "keras-lstm-convert"


def _run(command: Command, arguments: argparse.Namespace) -> int:
    try:
        return streams.flushed(command.run(arguments), wrote=command is CONVERT)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return fail(arguments, 130, "interrupted")
    except Exception as error:
        if arguments.debug:
            raise
        return fail(arguments, *outcome(arguments.model, error))


def _stop(number: int, frame: object) -> None:
    """SIGTERM and SIGHUP end the program as Ctrl-C does, so that temporary files go. A second one does not disturb."""
    for name in sandbox.ENDING:
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


def _crashed(arguments: argparse.Namespace, why: str) -> int:
    """The sandbox ended without a word; what it left half-written goes."""
    for file in (arguments.model, getattr(arguments, "output", None)):
        if file:
            output.sweep(Path(file).parent)
    return fail(arguments, REFUSED, why)
