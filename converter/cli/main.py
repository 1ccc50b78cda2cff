"""The entry point: finds the subcommand, parses its options, and turns errors into one line and an exit code.

Results go to stdout, warnings and errors to stderr, one line each. Exit codes: 0 done, 1 the model cannot be converted,
2 usage, 3 converted but not proved.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from converter import lines, output
from converter.cli import sandbox
from converter.cli.command import REFUSED, USAGE, Command
from converter.cli.comparing import COMPARE, CONVENTIONS
from converter.cli.converting import CONVERT
from converter.cli.inspecting import INSPECT
from converter.cli.verifying import VERIFY
from converter.errors import ConversionError

COMMANDS: Mapping[str, Command] = {
    "": CONVERT,
    "inspect": INSPECT,
    "verify": VERIFY,
    "compare": COMPARE,
    "conventions": CONVENTIONS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code. The program itself (without `argv`) works in a sandbox."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its threads cost memory and gain nothing here
    for name in sandbox.ENDING:
        signal.signal(name, _stop)
    words = list(sys.argv[1:] if argv is None else argv)
    name = words.pop(0) if words and words[0] in COMMANDS else ""
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"convert {name}".strip(),
        description=command.summary,
        epilog=command.examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.declare(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--trust", action="store_true", help="do the work without a sandbox: no limits, no watchdog")
    arguments = parser.parse_args(words)
    if argv is None and not arguments.trust and sandbox.fits(arguments):
        return sandbox.run(lambda: _run(command, arguments), lambda why: _crashed(arguments, why), arguments.model)
    return _run(command, arguments)


def _run(command: Command, arguments: argparse.Namespace) -> int:
    try:
        return command.run(arguments)
    except KeyboardInterrupt:
        return _fail(arguments, 130, "interrupted")
    except Exception as error:
        if arguments.debug:
            raise
        return _fail(arguments, *_told(arguments.model, error))


def _stop(number: int, frame: object) -> None:
    """SIGTERM and SIGHUP end the program as Ctrl-C does, so that temporary files go. A second one does not disturb."""
    for name in sandbox.ENDING:
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


def _told(model: str, error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error; readers begin theirs with the file's name, which is printed anyway."""
    if isinstance(error, ConversionError):
        return REFUSED, str(error).removeprefix(f"{Path(model).name}: ")
    if isinstance(error, FileExistsError | IsADirectoryError) and error.errno is None:
        return USAGE, f"{error}" + (" (--force writes over it)" if str(error).endswith("exists") else "")
    if isinstance(error, FileNotFoundError) and error.errno is None:
        return USAGE, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return REFUSED, f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return REFUSED, "not enough memory"
    if isinstance(error, RecursionError):
        return REFUSED, "the model is nested too deeply"
    return REFUSED, f"internal error, {type(error).__name__}: {error} (please report it; --debug shows where)"


def _crashed(arguments: argparse.Namespace, why: str) -> int:
    """The sandbox ended without a word; what it left half-written goes."""
    for file in (arguments.model, getattr(arguments, "output", None)):
        if file:
            output.sweep(Path(file).parent)
    return _fail(arguments, REFUSED, why)


def _fail(arguments: argparse.Namespace, code: int, message: str) -> int:
    line = f"{arguments.model}: {message}"
    if arguments.json:
        print(json.dumps({"error": lines.line(line), "exit_code": code}))
    print(f"error: {lines.line(line)}", file=sys.stderr)
    return code
