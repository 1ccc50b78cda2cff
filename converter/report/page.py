"""The page of a report: what is on it, in order, and how large it may become."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter import __version__, lines
from converter.errors import Unsupported
from converter.exporters import Exporter, row_of
from converter.formats.archive import sha256
from converter.inspection import inspection_of
from converter.model import Model
from converter.report import flow
from converter.report.traces import Output, Trace, outputs, shown_call, traces
from converter.report.traces import row_of as row_shown
from converter.report.weights import Grid, grids
from converter.verification.own_data import NO_DATA, OwnData
from converter.verification.prove import sized
from converter.verification.report import PROVED, WITHIN, Report
from converter.verification.runnable import opened

if TYPE_CHECKING:
    from jinja2 import Template

LARGEST = 300_000  # bytes of a page
KEPT = 20_000  # of them for what comes after the pictures
HUES = 360
# What no proof of this kind covers, see docs/proof.md.
NEVER = (
    "That the file was read as its Keras meant it: both sides start from one reading. Files of the genuine versions"
    " hold that in the tests.",
    "Other runtimes, and other versions of this one.",
    "Every input: between those that were tried a node is taken to go on as its arithmetic says.",
    "What follows from values that overflow or are not a number.",
)


@dataclass(frozen=True)
class Layer:
    """A recurrent layer: facts, and pictures as SVG."""

    name: str
    facts: str
    grids: tuple[str, ...]
    errors: str
    heats: tuple[str, ...]
    notes: tuple[str, ...]


def write(
    model: Model, exported: Path, report: Report, named: str, own: OwnData = NO_DATA, options: Sequence[str] = ()
) -> str:
    """The page as HTML.

    Args:
        model: the original.
        exported: the file made of it.
        report: the proof.
        named: what the exported file is called where it is not at its place yet.
        own: an input of the user's, to be shown.
        options: of the command line that the model was read with.

    Raises:
        Unsupported: what draws the pictures is not installed.
    """
    template, figures = _tools()
    graph = exported if (row := row_of(exported)) is not None and row.proof == "run" else None
    run = graph if report.outputs else None  # a file of another model takes other inputs
    kept = Path(named).resolve() == exported.resolve()
    call = shown_call(sized(model, opened(run)) if run else model, own)
    shown = row_shown(model, call)
    page: dict[str, Any] = {
        "model": lines.line(model.name or Path(model.source.path).name),
        "passed": report.passed,
        "report": report,
        "said": lines.of_report(report),
        "facts": _facts(model, exported, named, report),
        "inspection": inspection_of(model),
        "drawings": _drawings(model, graph),
        "hues": _hues(model),
        "shape": lines.shape,
        "legends": figures.legends(),
        "input": ", ".join(f"{name} {list(array.shape)}" for name, array in call.given.items()),
        "row": shown,
        "not_covered": [*report.notes, *(f"not reached: {side}" for side in report.missed), *NEVER],
        "next": _next(Next(Path(model.source.path).name, named, options), report, row, kept),
        "layers": [],
        "outputs": [],
        "left_out": [],
    }
    room = LARGEST - KEPT - len(template.render(page).encode())
    for one in outputs(model, run, call, shown):
        room = _added(page["outputs"], page["left_out"], room, one.name, partial(_output, figures, one))
    drawn = {grid.name: grid for grid in grids(model, exported, report)}
    for trace in traces(model, run, call, shown):
        make = partial(_layer, figures, trace, _grids_of(trace, drawn), page["inspection"])
        room = _added(page["layers"], page["left_out"], room, trace.node, make)
    return template.render(page)


def _tools() -> tuple[Template, Any]:
    """The page to be filled in, and what draws its pictures.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import matplotlib  # noqa: F401 - the figures import it when they are drawn
        from jinja2 import Environment, PackageLoader, StrictUndefined

        from converter.report import figures
    except ImportError as error:
        hint = "pip install 'keras-lstm-convert[report]'"
        raise Unsupported(f"a report needs {error.name}, which is not installed", hint=hint) from error
    environment = Environment(loader=PackageLoader("converter.report", ""), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    return environment.get_template("page.html"), figures


def _added(listed: list[Any], left_out: list[str], room: int, name: str, make: Callable[[], Any]) -> int:
    """Adds a section while there is room for it; gives the room that is left."""
    made = make() if room > 0 else None
    size = len(repr(made))
    if made is None or size > room:
        left_out.append(name)
        return room
    listed.append(made)
    return room - size


def _grids_of(trace: Trace, drawn: dict[str, Grid]) -> list[Grid]:
    """Those of a node: one, or one for each direction."""
    return [grid for name, grid in drawn.items() if name == trace.node or name.startswith(f"{trace.node} ")]


def _output(figures: Any, one: Output) -> tuple[str, str]:
    return one.name, figures.output(one)


def _layer(figures: Any, trace: Trace, drawn: Sequence[Grid], inspection: Any) -> Layer:
    info = next((layer for layer in inspection.layers if layer.path == trace.layer), None)
    facts = f"{info.class_name}: {info.formula} = {info.parameters:,} parameters; {info.gates}" if info else ""
    return Layer(
        trace.node,
        facts,
        tuple(figures.grid(grid) for grid in drawn),
        figures.errors(trace),
        tuple(figures.heat(panels, trace.used) for panels in trace.panels),
        tuple(_notes(trace, drawn)),
    )


def _notes(trace: Trace, drawn: Sequence[Grid]) -> Iterator[str]:
    if trace.exported is None:
        yield "The exported file does not show what this layer makes at each step, so its own curve is missing."
    if not drawn:
        yield "Its weights are in the picture of a layer that shares them."
    yield from (f"{grid.name}: {grid.said}" for grid in drawn if grid.said)


def _drawings(model: Model, graph: Path | None) -> list[tuple[str, flow.Drawing]]:
    drawn = [("Keras layers", flow.drawn(flow.of_model(model)))]
    if graph is not None:
        drawn.append(("ONNX operators, a box for each layer", flow.drawn(flow.of_exported(model, graph))))
    return drawn


def _hues(model: Model) -> dict[str, int]:
    """A color for each layer, far from its neighbors'."""
    return {info.path: (210 + k * 137) % HUES for k, info in enumerate(model.layers)}


def _facts(model: Model, exported: Path, named: str, report: Report) -> list[tuple[str, str]]:
    source = model.source
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "onnx", "onnxruntime"))
    return [
        ("original", f"{source.path}: {source.format}, {source.era}"),
        ("SHA-256", source.sha256),
        ("exported", named),
        ("SHA-256", sha256(exported)),
        ("compared", f"{report.against} in {report.runtime}: {'; '.join(report.cases)}"),
        ("versions", f"keras-lstm-convert {__version__}, Python {platform.python_version()}, {versions}"),
    ]


@dataclass(frozen=True)
class Next:
    """The words of a next command."""

    source: str
    exported: str
    options: Sequence[str]

    def line(self, *words: str) -> str:
        """A command with the options that the model was read with."""
        return shlex.join(["keras-lstm-convert", *words, *self.options])


def _next(words: Next, report: Report, row: Exporter | None, kept: bool) -> list[tuple[str, str]]:
    """What to do, and the command for it."""
    source, exported = words.source, words.exported
    if report.verdict not in (PROVED, WITHIN):
        compare = shlex.join(["keras-lstm-convert", "compare", source, exported])
        return [
            ("convert it anew; nothing is written unless it is proved", words.line(source, "-o", "new.onnx")),
            ("see which weights differ, gate by gate", compare),
        ]
    first = [] if kept else [("write it, which this page did not", words.line(source, "-o", exported))]
    if row is None or row.proof != "run":
        return [*first, ("compare it again", words.line("verify", source, exported))]
    purpose = "run it, its states carried from call to call where it has any"
    run = [(purpose, shlex.join(["python", "examples/stream.py", exported]))] if row.suffix == ".onnx" else []
    return [
        *first,
        *run,
        ("compare it on inputs of your own", f"{words.line('verify', source, exported)} --inputs x.npz"),
    ]
