"""`convert report MODEL [EXPORTED]`: a page that shows what a conversion did, and how that was proved."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from converter import lines, output
from converter.cli.command import (
    DATA,
    DONE,
    NOT_PROVED,
    Command,
    data_of,
    declare_reading,
    print_json,
    reading,
    warn,
)
from converter.cli.goal import STDOUT, UsageError, folder_made, in_folder, named
from converter.cli.progress import progress_shown

if TYPE_CHECKING:
    from converter.model import Model

EXAMPLES = """\
examples:
  convert report model.h5 -o report.html                the conversion to ONNX, which is not kept
  convert report model.h5 model.onnx                    a file converted before; writes model.report.html
  convert report model.h5 model.onnx --inputs x.npz     with an input of your own in the pictures
"""
SUFFIX = ".report.html"


def _declare_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Keras file or folder")
    parser.add_argument("exported", metavar="EXPORTED", nargs="?", help="the file made from it (default: made anew)")
    parser.add_argument("-o", "--output", metavar="OUT", help="the page, or FOLDER/ (default: next to the model)")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    declare_reading(parser)


def _report(arguments: argparse.Namespace) -> int:
    if arguments.output == STDOUT:
        raise UsageError("a report goes to a file: -o report.html")
    with folder_made(arguments.output):
        return _written(arguments)


def _written(arguments: argparse.Namespace) -> int:
    from converter import api
    from converter.report import page
    from converter.verification.own_data import own_data

    name = named(Path(arguments.model))
    goal = in_folder(arguments.output, name.stem + SUFFIX) if arguments.output else name.with_name(name.stem + SUFFIX)
    data = data_of(arguments)
    read = [arguments.model, arguments.exported, arguments.architecture, *arguments.plugin, data]
    output.guard(goal, [Path(file) for file in read if file], arguments.force)
    own = own_data(data, None, None)
    with progress_shown() as progress, tempfile.TemporaryDirectory() as folder:
        progress("reading")
        model = api.load(arguments.model, **reading(arguments))
        exported = Path(arguments.exported or _exported(model, Path(folder, _new(name))))
        report = api.verify(model, exported, inputs=own.inputs, progress=progress)
        progress("drawing")
        text = page.write(model, exported, report, arguments.exported or exported.name, own, _options(arguments))
    with output.staging(goal) as written:
        written.write_text(text, encoding="utf-8")
        output.publish(written, goal, arguments.force)
    warn(model.warnings)
    code = DONE if report.passed else NOT_PROVED
    if arguments.json:
        print_json({"files": [str(goal)], "bytes": len(text.encode()), "verdict": report.verdict}, code)
    else:
        print(f"wrote {lines.line(goal)} ({lines.size(len(text.encode()))}): {report.verdict}")
    return code


def _new(model: Path) -> str:
    """What the file is called that is made anew: not as the model itself."""
    return f"{model.stem}.new.onnx" if model.suffix == ".onnx" else f"{model.stem}.onnx"


def _options(arguments: argparse.Namespace) -> list[str]:
    """The options that say how the model is read, as they were given."""
    given: list[str] = []
    for name in ("architecture", "outputs", "inputs", "route", "signature", "keras_version", "plugin"):
        value = getattr(arguments, name)
        for one in value if isinstance(value, list) else [value]:
            if one and not (name == "inputs" and one.endswith(DATA)):
                given += [f"--{name.replace('_', '-')}", one]
    return given + [f"--{name.replace('_', '-')}" for name in ("by_name", "stateful") if getattr(arguments, name)]


def _exported(model: Model, path: Path) -> Path:
    from converter.exporters import EXPORTERS

    EXPORTERS["onnx"].export(model, path)
    return path


REPORT = Command("Writes a page that shows a conversion and its proof.", EXAMPLES, _declare_report, _report)
