"""The command line: `convert MODEL`, `convert inspect MODEL`, `convert verify MODEL EXPORTED`, `convert compare A B`.

The only module that prints. Results go to stdout, warnings and errors to stderr, one line each. Exit codes: 0 done,
1 the model cannot be converted, 2 usage, 3 converted but not proved.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.api import ENGINES
from converter.cli import comparing, lines
from converter.errors import ConversionError
from converter.exporters import EXPORTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.api import VerificationFailed
    from converter.cli.comparing import Said

DONE, REFUSED, USAGE, NOT_PROVED = 0, 1, 2, 3

CONVERT_EXAMPLES = """\
other commands:
  convert inspect MODEL            what is in a file, and what a conversion does with each layer
  convert verify MODEL EXPORTED    compare an exported file with the model it was made from
  convert compare A B              the weights of two files, gate by gate, whatever their conventions
  convert conventions              which order the gates are in, for every framework
  (a model that is called like a command is reached as ./inspect)

examples:
  convert model.h5                              writes model.onnx beside it, and proves it
  convert model.keras -o out/model.onnx --force
  convert weights.h5 --architecture model.json
  convert model.h5 --outputs encoder --json     the part of the model that ends with the layer "encoder"
  convert model.h5 --plugin my_attention.py     with a layer of your own, see README.md
"""
INSPECT_EXAMPLES = """\
examples:
  convert inspect model.h5
  convert inspect model.keras --json
"""
VERIFY_EXAMPLES = """\
examples:
  convert verify model.h5 model.onnx
  convert verify model.h5 model.onnx --against tensorflow
"""


@dataclass(frozen=True)
class Command:
    """One subcommand: how its arguments are declared, and what runs it (returning an exit code)."""

    summary: str
    examples: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its threads cost memory and gain nothing here
    signal.signal(signal.SIGTERM, _stop)
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
    arguments = parser.parse_args(words)
    try:
        return command.run(arguments)
    except KeyboardInterrupt:
        return _fail(arguments, 130, "interrupted")
    except Exception as error:
        if arguments.debug:
            raise
        return _fail(arguments, *_told(arguments.model, error))


def _stop(number: int, frame: object) -> None:
    """SIGTERM ends the program as Ctrl-C does, so that temporary files go."""
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


def _fail(arguments: argparse.Namespace, code: int, message: str) -> int:
    line = f"{arguments.model}: {message}"
    if arguments.json:
        print(json.dumps({"error": lines.line(line), "exit_code": code}))
    print(f"error: {lines.line(line)}", file=sys.stderr)
    return code


# --- convert ----------------------------------------------------------------------------------------------------------


def _declare_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Keras file or folder; its kind is found from its content")
    parser.add_argument("--to", choices=sorted(EXPORTERS), default="onnx", help="what to write (default: onnx)")
    parser.add_argument("-o", "--output", metavar="OUT", help="where to (default: beside the model)")
    _declare_reading(parser)
    parser.add_argument("--opset", type=int, metavar="N", help="ONNX operator set (default: 13, or what is needed)")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    parser.add_argument("--strict", action="store_true", help="refuse where there would be a warning")
    parser.add_argument("--no-verify", action="store_true", help="skip the proof")
    parser.add_argument("--keep", action="store_true", help="keep the file even if the proof fails")
    _declare_against(parser)


def _declare_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--architecture", metavar="FILE", help="JSON or YAML, for files that hold weights alone")
    outputs = "layers whose outputs become the model's; MODEL/LAYER in a nested one"
    parser.add_argument("--outputs", metavar="L1,L2", default="", help=outputs)
    parser.add_argument(
        "--plugin", metavar="FILE", action="append", default=[], help="Python file with layers of your own; it is run"
    )


def _declare_against(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", choices=sorted(ENGINES), help="prove it with TensorFlow's own layers as well")


def _convert(arguments: argparse.Namespace) -> int:
    from converter import api

    with _progress() as progress:
        try:
            done = api.convert(
                arguments.model, arguments.output, to=arguments.to, architecture=arguments.architecture,
                outputs=_names(arguments.outputs), plugins=arguments.plugin, opset=arguments.opset,
                force=arguments.force, check=not arguments.no_verify, keep=arguments.keep, strict=arguments.strict,
                against=arguments.against or "", progress=progress,
            )  # fmt: skip
        except api.VerificationFailed as failed:
            return _not_proved(arguments, failed)
    _warn(done.warnings)
    names = [str(file) for file in done.files]
    sizes = sum(file.stat().st_size for file in done.files)
    if arguments.json:
        shown = [report.as_json() for report in done.reports]
        _print_json({"files": names, "bytes": sizes, "verification": shown, "warnings": list(done.warnings)})
        return DONE
    print(f"wrote {lines.line(', '.join(names))} ({lines.size(sizes)})")
    for report in done.reports:
        print("\n".join(lines.of_report(report)))
    return DONE


def _not_proved(arguments: argparse.Namespace, failed: VerificationFailed) -> int:
    kept = f"kept {', '.join(map(str, failed.files))}" if failed.files else "the file was removed"
    first, *others = failed.report.failures
    more = f", and {len(others)} more" if others else ""
    if arguments.json:
        files = [str(file) for file in failed.files]
        _print_json({"files": files, "verification": [failed.report.as_json()], "exit_code": NOT_PROVED})
    line = f"{arguments.model}: not proved against {failed.report.against}: {first}{more} ({kept})"
    print(f"error: {lines.line(line)}", file=sys.stderr)
    return NOT_PROVED


# --- inspect ----------------------------------------------------------------------------------------------------------


def _declare_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Keras file or folder")
    _declare_reading(parser)


def _inspect(arguments: argparse.Namespace) -> int:
    from converter import api

    names = _names(arguments.outputs)
    found = api.inspect(api.load_or_arrays(arguments.model, arguments.architecture, names, arguments.plugin))
    _warn(found.warnings)
    if arguments.json:
        _print_json(found.as_json())
    else:
        print("\n".join(lines.of_inspection(found)))
    return DONE


# --- verify -----------------------------------------------------------------------------------------------------------


def _declare_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the Keras file or folder")
    parser.add_argument("exported", metavar="EXPORTED", help="the ONNX file made from it")
    _declare_reading(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (default: 0)")
    _declare_against(parser)


def _verify(arguments: argparse.Namespace) -> int:
    from converter import api

    with _progress() as progress:
        progress("reading")
        model = api.load(arguments.model, arguments.architecture, _names(arguments.outputs), arguments.plugin)
        against = arguments.against or ""
        report = api.verify(model, Path(arguments.exported), against=against, seed=arguments.seed, progress=progress)
    _warn(model.warnings)
    if arguments.json:
        _print_json(report.as_json())
    else:
        print(f"{'equal' if report.passed else 'NOT equal'}: {lines.line(arguments.exported)}")
        print("\n".join(lines.of_report(report)))
    for failure in report.failures[:3]:
        print(f"error: {lines.line(failure)}", file=sys.stderr)
    return DONE if report.passed else NOT_PROVED


# --- printing ---------------------------------------------------------------------------------------------------------


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"warning: {lines.line(warning)}", file=sys.stderr)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _print_json(value: Any) -> None:
    print(json.dumps(lines.finite(value), indent=2))


def _shown(run: Callable[[argparse.Namespace], Said]) -> Callable[[argparse.Namespace], int]:
    def show(arguments: argparse.Namespace) -> int:
        said = run(arguments)
        print(json.dumps(lines.finite(said.json), indent=2) if arguments.json else "\n".join(said.lines))
        return said.code

    return show


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, shown once the work takes longer than a second."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from tqdm import tqdm

    with tqdm(delay=1, leave=False, file=sys.stderr, bar_format="{desc} [{elapsed}]") as bar:

        def show(what: str) -> None:
            bar.set_description_str(what, refresh=False)
            bar.update()

        yield show


COMMANDS: Mapping[str, Command] = {
    "": Command(
        "Converts a Keras model for use without TensorFlow, and proves that both compute the same.",
        CONVERT_EXAMPLES,
        _declare_convert,
        _convert,
    ),
    "inspect": Command("Shows what is in a Keras file.", INSPECT_EXAMPLES, _declare_inspect, _inspect),
    "verify": Command(
        "Compares an exported file with the model it was made from.", VERIFY_EXAMPLES, _declare_verify, _verify
    ),
    **{name: Command(*more[:3], _shown(more.run)) for name, more in comparing.COMMANDS.items()},
}
