"""`convert MODEL`: writes a model for another runtime and proves it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from converter import lines
from converter.cli import deploying
from converter.cli.command import (
    DONE,
    NOT_PROVED,
    Command,
    declare_proof,
    declare_reading,
    print_json,
    proof_options,
    reading,
    warn,
)
from converter.cli.goal import STDOUT, UsageError, folder_made, goal_of, named, target_of
from converter.cli.many import convert_all, is_many
from converter.cli.progress import progress_shown
from converter.errors import VerificationFailed
from converter.exporters import EXPORTERS

EXAMPLES = """\
other commands:
  convert inspect MODEL            what is in a file, and what a conversion does with each layer
  convert verify MODEL EXPORTED    compare an exported file with the model it was made from
  convert report MODEL             a page that shows a conversion and its proof
  convert compare A B              the weights of two files, gate by gate, whatever their conventions
  convert draft WEIGHTS            begin the architecture of a file that holds weights alone
  convert conventions              which order the gates are in, for every framework
  (a model that is called like a command is reached as ./inspect)

examples:
  convert model.h5                              writes model.onnx next to it, and proves it
  convert model.keras -o out/model.onnx --force
  convert weights.h5 --architecture model.json
  convert model.h5 --outputs encoder --json     the part of the model that ends with the layer "encoder"
  convert models/ -o converted/ --jobs 2        every model in a folder, and a table at the end
  convert model.h5 --plugin my_attention.py     with a layer of your own
"""


def _declare_convert(parser: argparse.ArgumentParser) -> None:
    model = "a Keras file or folder, found by its content; several, or a folder of them, go to the folder -o names"
    parser.add_argument("models", metavar="MODEL", nargs="+", help=model)
    parser.add_argument("--to", choices=sorted(EXPORTERS), help="what to write (default: as OUT ends, or onnx)")
    parser.add_argument("-o", "--output", metavar="OUT", help="a file, FOLDER/, or - (default: next to the model)")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    parser.add_argument("--dry-run", action="store_true", help="read, convert and prove, but write nothing")
    parser.add_argument("--strict", action="store_true", help="refuse where there would be a warning")
    jobs = "how many models to convert at a time (default: 2)"
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help=jobs)
    parser.add_argument("--junit", metavar="FILE", help="with -o FOLDER: write what became of models as JUnit XML")
    declare_reading(parser)
    deploying.declare(parser)
    proof = declare_proof(parser)
    proof.add_argument("--no-verify", action="store_true", help="skip it")
    proof.add_argument("--keep", action="store_true", help="keep the file even if it fails")
    test_data = "write test_data_set_0 next to it: inputs and outputs as ONNX' own tests have them"
    proof.add_argument("--test-data", action="store_true", help=test_data)


def _convert(arguments: argparse.Namespace) -> int:
    if is_many(arguments):
        return convert_all(arguments)
    to = target_of(arguments.to, arguments.output)
    goal = goal_of(arguments.model, to, arguments.output)
    if arguments.output != STDOUT:
        with folder_made(arguments.output):
            return _written(arguments, to, goal)
    if arguments.json:
        raise UsageError("-o - and --json both want the standard output")
    if arguments.test_data:
        raise UsageError("--test-data is written next to a file, and -o - names none")
    with tempfile.TemporaryDirectory() as folder:
        return _written(arguments, to, Path(folder, named(Path(arguments.model)).stem + EXPORTERS[to].suffix))


def _written(arguments: argparse.Namespace, to: str, goal: Path | None) -> int:
    from converter import api

    with progress_shown() as progress:
        try:
            done = api.convert(
                arguments.model, goal, to=to, opset=arguments.opset, runtime=arguments.runtime,
                quantize=arguments.quantize,
                sizes=deploying.sizes_of(arguments),
                force=arguments.force, check=not arguments.no_verify, keep=arguments.keep, strict=arguments.strict,
                dry=arguments.dry_run, against=arguments.against or "", progress=progress,
                test_data=arguments.test_data, **reading(arguments), **proof_options(arguments),
            )  # fmt: skip
        except VerificationFailed as failed:
            return _not_proved(arguments, failed)
    warn(done.warnings)
    names, size = [str(file) for file in done.files], sum(file.stat().st_size for file in done.files)
    if arguments.json:
        shown = [report.as_json() for report in done.reports]
        said = {"files": names, "bytes": size, "verification": shown, "warnings": list(done.warnings)}
        print_json(said)
        return DONE
    proofs = [text for report in done.reports for text in lines.of_report(report)]
    if arguments.output == STDOUT and not arguments.dry_run:
        _copy(done.files, proofs)
        return DONE
    said_first = "nothing is written (--dry-run)" if arguments.dry_run else _wrote(names, size)
    print("\n".join([said_first, *proofs]))
    return DONE


def _wrote(names: list[str], size: int) -> str:
    return f"wrote {lines.line(', '.join(names))} ({lines.size(size)})"


def _copy(files: tuple[Path, ...], proofs: list[str]) -> None:
    """The one file that was written, on the standard output; what there is to say goes to the other."""
    if len(files) > 1:
        raise UsageError(f"the model becomes {len(files)} files, which the standard output cannot hold")
    try:
        with open(sys.stdout.fileno(), "wb", closefd=False) as whole:  # unbuffered, .buffer may write a part alone
            whole.write(files[0].read_bytes())
    except OSError as error:
        raise OSError(error.errno, error.strerror, "the standard output") from error
    print("\n".join(proofs), file=sys.stderr)


def _not_proved(arguments: argparse.Namespace, failed: VerificationFailed) -> int:
    kept = f"kept {', '.join(map(str, failed.files))}" if failed.files else "the file was removed; --keep keeps it"
    first, *others = failed.report.failures
    more = f", and {len(others)} more" if others else ""
    if arguments.json:
        files = [str(file) for file in failed.files]
        print_json({"files": files, "verification": [failed.report.as_json()]}, NOT_PROVED)
    help_ = "" if failed.report.wrong else "; --no-verify skips the proof"
    line = f"{arguments.model}: {failed.report.verdict}: {first}{more} ({kept}{help_})"
    print(f"error: {lines.line(line)}", file=sys.stderr)
    return NOT_PROVED


CONVERT = Command(
    "Converts a Keras model for use without TensorFlow, and proves that both compute the same.",
    EXAMPLES,
    _declare_convert,
    _convert,
)
