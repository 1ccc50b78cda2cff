"""`convert verify MODEL EXPORTED`: an exported file next to the model it was made from."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from converter import lines
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
from converter.cli.progress import progress_shown
from converter.converting import guard_certificate
from converter.exporters import EXPORTERS

EXPORTED = "; ".join(
    f"{what}: {', '.join(name for name, row in EXPORTERS.items() if row.proof == proof)}"
    for proof, what in (("run", "run"), ("read back", "read back"), ("arrays", "compared as weights"))
)
EXAMPLES = """\
examples:
  convert verify model.h5 model.onnx
  convert verify model.h5 revived.keras
  convert verify model.h5 weights.safetensors         as --to torch, flax or safetensors wrote it
  convert verify model.h5 model.onnx --against tensorflow
  convert verify model.h5 model.onnx --inputs x.npz --expected y.npz
  convert verify model.h5 quantized.onnx --tolerance 0.05
"""


def _declare_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the Keras file or folder")
    parser.add_argument("exported", metavar="EXPORTED", help=f"the file made from it ({EXPORTED})")
    declare_reading(parser)
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="of the inputs (default: 0)")
    parser.add_argument(
        "--runtime", choices=("openvino", "reference"), default="", help="compare outputs there, if it is installed"
    )
    declare_proof(parser)


def _verify(arguments: argparse.Namespace) -> int:
    from converter import api

    read = [arguments.model, arguments.architecture, *arguments.plugin]
    guard_certificate(arguments.certificate, [Path(file) for file in read if file], force=True)
    with progress_shown() as progress:
        progress("reading")
        model = api.load(arguments.model, **reading(arguments))
        against = arguments.against or ""
        report = api.verify(
            model, Path(arguments.exported), against=against, runtime=arguments.runtime, seed=arguments.seed,
            progress=progress,
            **proof_options(arguments),
        )  # fmt: skip
    warn(model.warnings)
    code = DONE if report.passed else NOT_PROVED
    if arguments.json:
        print_json(report.as_json(), code)
    else:
        print(f"{report.verdict}: {lines.line(arguments.exported)}")
        print("\n".join(lines.of_report(report)))
    for failure in report.failures[:3]:
        print(f"error: {lines.line(failure)}", file=sys.stderr)
    return code


VERIFY = Command("Compares an exported file with the model it was made from.", EXAMPLES, _declare_verify, _verify)
