"""The stages joined: `load`, `convert`, `verify`, `inspect`. Each imports what it needs when it is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter import output
from converter.errors import ConversionError, InvalidModel, Unsupported, VerificationFailed, clean, walled
from converter.lines import Shown, line, of_report

if TYPE_CHECKING:
    from converter.comparing.compare import Comparison
    from converter.exporters import Proof
    from converter.inspection import Inspection
    from converter.keras.layer_type import LayerType
    from converter.model import Model
    from converter.model.sizes import Sizes
    from converter.verification.report import Report

# Engines to prove a conversion against, besides reference_lstm: modules with `engine(model) -> Engine`.
ENGINES = {"tensorflow": "converter.against_tensorflow"}

PathLike = str | Path
Progress = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class Conversion(Shown):
    """A finished conversion.

    Attributes:
        model: what was read.
        files: what was written, the main file first.
        reports: the proofs: against `reference_lstm`, then against another engine if one was asked for.
        warnings: what the user should know, one line each.
    """

    model: Model
    files: tuple[Path, ...]
    reports: tuple[Report, ...]
    warnings: tuple[str, ...]

    def summary(self) -> str:
        """What was written, and whether it was proved."""
        proofs = "; ".join(report.summary() for report in self.reports) or "not verified"
        return f"{', '.join(file.name for file in self.files)}, {proofs}"

    def lines(self) -> list[str]:
        """What was written, the proofs and the warnings."""
        proofs = [text for report in self.reports for text in of_report(report)]
        return [line(f"wrote {', '.join(map(str, self.files))}"), *proofs, *(line(text) for text in self.warnings)]


def _silent(what: str) -> None:
    """No progress is shown."""


@walled
def load(
    path: PathLike,
    architecture: PathLike | None = None,
    outputs: Sequence[str] = (),
    plugins: Sequence[PathLike] = (),
    route: str = "",
    signature: str = "",
    by_name: bool = False,
    keras_version: str = "",
    begin: Sequence[str] = (),
    stateful: bool = False,
    sizes: Sizes | None = None,
) -> Model:
    """Reads any supported Keras file as a neutral model.

    Args:
        path: the file, folder or checkpoint prefix; its kind is found from its content.
        architecture: a JSON or YAML file or a whole model, for files that hold weights alone.
        outputs: layers whose outputs become the model's; by default the model's own.
        plugins: Python files that explain layers of your own, see `converter.plugin`. They are run.
        route: "keras" or "graph": how a SavedModel is read, by Keras' configuration or by its function graph; by
            default by the first that serves.
        signature: of a SavedModel, which is then read by its function graph.
        by_name: match arrays with layers by what the file calls them, as `load_weights(by_name=True)` does. By default
            they are matched by order, as Keras does.
        keras_version: of the Keras that wrote the file, "3.4.1" or "2.2.4-tf", in place of what the file says.
        begin: layers whose outputs become the model's inputs; only together with `outputs`.
        stateful: recurrent layers keep their states from call to call, whatever they were trained with.
        sizes: of the inputs, to fix what the file leaves open.

    Raises:
        InvalidModel: the file is broken.
        InvalidPlugin: a plugin is.
        Unsupported: something in it cannot be read exactly.
        OSError: it cannot be opened.

    >>> load("model.h5")
    <Model: 'sequential', 4 layers, 4 nodes; HDF5 whole model, tf.keras 2.15.0>
    """
    from converter import readers
    from converter.keras.spec import Part
    from converter.model.prune import prune
    from converter.model.sizes import OPEN

    where = Path(architecture) if architecture else None
    wanted = Part(tuple(outputs), tuple(begin), stateful)
    part = None if wanted == Part() else wanted
    how = (route, signature, by_name, keras_version, sizes or OPEN)
    return prune(readers.load(Path(path), where, part, _rows(plugins), *how))


def _rows(plugins: Sequence[PathLike]) -> Mapping[str, LayerType]:
    """The layers that plugins explain."""
    if not plugins:
        return {}
    from converter.keras.architecture.plugins import load_plugins

    return load_plugins([Path(plugin) for plugin in plugins])


@walled
def load_or_arrays(
    path: PathLike,
    architecture: PathLike | None = None,
    outputs: Sequence[str] = (),
    plugins: Sequence[PathLike] = (),
    route: str = "",
    signature: str = "",
    by_name: bool = False,
    keras_version: str = "",
    begin: Sequence[str] = (),
    stateful: bool = False,
) -> Model:
    """As `load`, but a model that cannot be converted comes as its arrays alone, with a warning that says why."""
    try:
        return load(path, architecture, outputs, plugins, route, signature, by_name, keras_version, begin, stateful)
    except Unsupported as why:
        from converter.readers.bare import arrays_of

        return arrays_of(Path(path), why)


@walled
def load_or_survey(
    path: PathLike,
    architecture: PathLike | None = None,
    outputs: Sequence[str] = (),
    plugins: Sequence[PathLike] = (),
    route: str = "",
    signature: str = "",
    by_name: bool = False,
    keras_version: str = "",
    begin: Sequence[str] = (),
    stateful: bool = False,
) -> Model:
    """As `load`, but of a model that cannot be converted come all layers, with a warning for each that is refused.

    It has no outputs then. Where the architecture cannot be read come its arrays alone, as of `load_or_arrays`.
    """
    from converter import readers
    from converter.readers.bare import arrays_of

    try:
        return load(path, architecture, outputs, plugins, route, signature, by_name, keras_version, begin, stateful)
    except Unsupported as why:
        where = Path(architecture) if architecture else None
        try:
            return readers.survey(Path(path), where, _rows(plugins), by_name)
        except ConversionError:
            return arrays_of(Path(path), why)


@walled
def draft(path: PathLike, target: PathLike | None = None, force: bool = False) -> dict[str, Any]:
    """An architecture for a file that holds weights alone, as JSON: what no array tells is "?", with what it may be.

    Filled in, it is what `load` takes as `architecture`.

    Args:
        path: the file, folder or checkpoint prefix.
        target: the JSON file to write, if any; `force` writes over an existing one.

    Raises:
        InvalidModel, Unsupported: as `load`, and where the file holds its architecture.
        FileExistsError: the target exists and `force` is not set.
    """
    from converter.readers import read_draft

    goal = None if target is None else Path(target)
    if goal is not None:
        output.guard(goal, [Path(path)], force)
    tree = read_draft(Path(path))
    if goal is not None:
        goal.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
    return tree


@walled
def inspect(model: Model | PathLike) -> Inspection:
    """What is in a model, and what a conversion does with each layer. Raises as `load_or_survey` does.

    >>> inspect("model.h5").parameters
    340
    """
    from converter.inspection import inspection_of
    from converter.model import Model

    return inspection_of(model if isinstance(model, Model) else load_or_survey(model))


@walled
def verify(
    model: Model | PathLike,
    exported: PathLike,
    *,
    against: str = "",
    runtime: str = "",
    seed: int = 0,
    inputs: PathLike | None = None,
    expected: PathLike | None = None,
    tolerance: float | None = None,
    certificate: PathLike | None = None,
    progress: Progress = _silent,
) -> Report:
    """Compares an exported file with the model it was made from.

    Args:
        model: the model, or its file.
        exported: the ONNX file, which is run; or a Keras file, which is read back; or weights, which are compared.
        against: "" for `reference_lstm`, or a key of `ENGINES`, which must be installed.
        runtime: "openvino" or "reference" to run the file there and compare its outputs; by default onnxruntime, node
            by node.
        seed: of the inputs.
        inputs: an .npz file with inputs of your own, compared beside those made here.
        expected: an .npz file with the outputs they should give.
        tolerance: how far outputs may be off in a file that was changed on purpose; nothing else is compared then.
        certificate: a JSON file to write: what was checked, with bounds and hashes.
        progress: told of each step of the work.

    Raises:
        InvalidModel, Unsupported, OSError: as `load`, and where `exported` cannot be read.

    >>> verify("model.h5", "model.onnx").passed
    True
    """
    from converter.exporters import row_of
    from converter.model import Model
    from converter.verification import by_target
    from converter.verification.own_data import own_data

    neutral = model if isinstance(model, Model) else load(model)
    row = row_of(Path(exported))
    if runtime:
        from converter.verification import elsewhere

        return elsewhere.verify(neutral, Path(exported), runtime, seed)
    own = own_data(inputs, expected, tolerance)
    proof, engine = row.proof if row else "read back", ENGINES.get(against, "")
    report = by_target.prove(neutral, Path(exported), proof, engine=engine, seed=seed, own=own, progress=progress)
    if certificate is not None:
        by_target.certify(Path(certificate), neutral, Path(exported), report)
    return report


@walled
def compare(a: PathLike, b: PathLike) -> Comparison:
    """The weights of two files, gate by gate, whatever their conventions.

    Args:
        a: a file of any readable kind: Keras, ONNX, PyTorch, safetensors, NumPy.
        b: another.

    Raises:
        InvalidModel, Unsupported, OSError: one of them cannot be read.

    >>> compare("model.h5", "weights.npz")
    <Comparison: equal, 3 pairs of layers>
    """
    from converter.comparing.compare import compare as compared

    return compared(a, b)


@walled
def convert(
    source: PathLike,
    target: PathLike | None = None,
    *,
    to: str = "onnx",
    architecture: PathLike | None = None,
    outputs: Sequence[str] = (),
    plugins: Sequence[PathLike] = (),
    route: str = "",
    signature: str = "",
    by_name: bool = False,
    keras_version: str = "",
    begin: Sequence[str] = (),
    stateful: bool = False,
    opset: int | None = None,
    runtime: str = "",
    sizes: Sizes | None = None,
    force: bool = False,
    check: bool = True,
    keep: bool = False,
    strict: bool = False,
    dry: bool = False,
    against: str = "",
    inputs: PathLike | None = None,
    expected: PathLike | None = None,
    tolerance: float | None = None,
    certificate: PathLike | None = None,
    test_data: bool = False,
    progress: Progress = _silent,
) -> Conversion:
    """Reads a Keras model, writes it for another runtime and proves that both compute the same.

    The files are written in a folder beside the target and moved when all is well, see `converter.output`.

    Args:
        source: the model's file, folder or checkpoint prefix.
        architecture: see `load`.
        outputs: see `load`.
        plugins: see `load`.
        route: see `load`.
        signature: see `load`.
        by_name: see `load`.
        keras_version: see `load`.
        begin: see `load`.
        stateful: see `load`.
        target: the file to write; by default beside `source`, with the suffix of the format.
        to: the format, a key of `converter.exporters.EXPORTERS`.
        opset: of ONNX; by default the oldest that serves.
        runtime: what the ONNX file is for, a key of `converter.exporters.onnx.runtimes.RUNTIMES`.
        sizes: see `load`.
        force: write over an existing target.
        check: verify the written file.
        keep: leave the file even where the verification fails.
        strict: refuse where there would be a warning.
        dry: read, convert and prove, but write nothing.
        against: a second engine to prove it against, see `verify`.
        inputs: see `verify`.
        expected: see `verify`.
        tolerance: see `verify`.
        certificate: see `verify`.
        test_data: write `test_data_set_0` beside the target: inputs and outputs in ONNX' own layout.
        progress: told of each step of the work.

    Raises:
        InvalidModel, Unsupported: the model cannot be converted; nothing is written.
        FileExistsError: the target exists and `force` is not set.
        VerificationFailed: the written file does not do the same.
        OSError: something cannot be read or written.

    >>> done = convert("model.h5", "model.onnx")
    >>> [file.name for file in done.files], done.reports[0].passed
    (['model.onnx'], True)
    """
    from converter.exporters import EXPORTERS
    from converter.formats.stamp import check as check_stamp
    from converter.formats.stamp import stamp
    from converter.model.non_finite import non_finite

    if to not in EXPORTERS:
        raise Unsupported(f"there is no target {clean(to)}", hint=f"the targets are {', '.join(EXPORTERS)}")
    row = EXPORTERS[to]
    options = {name: value for name, value in (("opset", opset), ("runtime", runtime or None)) if value is not None}
    if not set(options) <= set(row.options) or (against and row.proof != "run"):
        raise Unsupported(f"{'against' if against else ' and '.join(options)} is not for {to}")
    goal = Path(target) if target is not None else default_target(Path(source), to)
    files_read = [Path(file) for file in (source, architecture) if file]
    if not dry:
        output.guard(goal, [*files_read, *map(Path, plugins)], force)
        row.check(goal)
    before = stamp(*files_read)
    progress("reading")
    reading = (source, architecture, outputs, plugins, route, signature, by_name, keras_version, begin, stateful)
    model = load(*reading, sizes) if row.architecture else load_or_arrays(*reading)
    poisoned = non_finite(model)
    if check and model.origin is not None and not poisoned:
        from converter.verification.origin import check_origin

        progress("running the graph")
        check_origin(model)
    warnings = (*model.warnings, *poisoned, *row.warnings(model))
    if strict and warnings:
        raise InvalidModel(warnings[0], hint="accepted without --strict")
    with (output.scratch if dry else output.staging)(goal) as written:
        progress("writing")
        row.export(model, written, **options)
        engines = ["", *([against] if against else [])] if check and model.nodes and not poisoned else []
        if check and poisoned:
            warnings = (*warnings, "not verified: what is not a number cannot be compared")
        own = (inputs, expected, tolerance)
        reports = tuple(_report(model, written, row.proof, engine, own, progress) for engine in engines)
        failed = next((report for report in reports if not report.passed), None)
        if failed is not None and not keep:
            raise VerificationFailed(failed, ())
        check_stamp(before, *files_read)
        files = () if dry else output.publish(written, goal, force)
    if files and certificate is not None and reports:
        from converter.verification.by_target import certify

        certify(Path(certificate), model, files[0], reports[0])
    if files and test_data:
        from converter.verification.test_data import write_test_data

        write_test_data(model, files[0], Path(inputs) if inputs is not None else None)
    if failed is not None:
        raise VerificationFailed(failed, files)
    return Conversion(model, files, reports, warnings)


def _report(
    model: Model,
    written: Path,
    proof: Proof,
    against: str,
    own: tuple[PathLike | None, PathLike | None, float | None],
    progress: Progress,
) -> Report:
    """The proof of what was written."""
    from converter.verification.by_target import prove
    from converter.verification.own_data import own_data

    engine = ENGINES.get(against, "")
    return prove(model, written, proof, engine=engine, own=own_data(*own), progress=progress)


def default_target(source: Path, to: str) -> Path:
    """The model's name with the suffix of the format, beside the model."""
    from converter.exporters import EXPORTERS

    named = source if source.name not in ("", "..") else source.resolve()  # `.` is a folder with a name, too
    return named.with_suffix(EXPORTERS[to].suffix)
