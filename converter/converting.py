"""`convert`: read, write, prove, publish; and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from converter import output
from converter.errors import InvalidModel, Unsupported, VerificationFailed, clean, walled
from converter.lines import Shown, line, of_report

if TYPE_CHECKING:
    from converter.exporters import Exporter, Proof
    from converter.loading import Reading
    from converter.model import Model
    from converter.model.sizes import Sizes
    from converter.verification.report import Report

# Engines to prove a conversion against, besides reference_lstm: modules with `engine(model) -> Engine`.
ENGINES = {"tensorflow": "converter.against_tensorflow"}

QUANTIZED = 0.05  # how far outputs may be off where weights are made smaller, unless said otherwise

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


def silent(what: str) -> None:
    """No progress is shown."""


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
    quantize: str = "",
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
    progress: Progress = silent,
) -> Conversion:
    """Reads a Keras model, writes it for another runtime and proves that both compute the same.

    The files are written in a folder next to the target and moved when all is well, see `converter.output`.

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
        target: the file to write; by default next to `source`, with the suffix of the format.
        to: the format, a key of `converter.exporters.EXPORTERS`.
        opset: of ONNX; by default the oldest that serves.
        runtime: what the ONNX file is for, a key of `converter.exporters.onnx.runtimes.RUNTIMES`.
        quantize: "int8" or "float16" for smaller weights in ONNX: outputs are then compared with `tolerance` alone.
        sizes: see `load`.
        force: write over an existing target.
        check: verify the written file.
        keep: leave the file even where the verification fails.
        strict: refuse where there would be a warning.
        dry: read, convert and prove, but write nothing.
        against: a second engine to prove it against, or the framework of the target to run it in, see `verify`.
        inputs: see `verify`.
        expected: see `verify`.
        tolerance: see `verify`; `QUANTIZED` where weights are made smaller.
        certificate: see `verify`.
        test_data: write `test_data_set_0` next to the target: inputs and outputs in ONNX' own layout.
        progress: called with each step of the work.

    Raises:
        InvalidModel, Unsupported: the model cannot be converted; nothing is written.
        FileExistsError: the target exists and `force` is not set.
        VerificationFailed: the written file does not do the same.
        OSError: something cannot be read or written.

    >>> done = convert("model.h5", "model.onnx")
    >>> [file.name for file in done.files], done.reports[0].passed
    (['model.onnx'], True)
    """
    from converter.formats import stamp
    from converter.loading import Reading

    given = {"opset": opset, "runtime": runtime, "quantize": quantize}
    options = {name: value for name, value in given.items() if value not in (None, "")}
    beside = [name for name, asked in (("certificate", certificate is not None), ("test_data", test_data)) if asked]
    row = _row_asked(to, [*options, *beside], against)
    goal = Path(target) if target is not None else default_target(Path(source), to)
    files_read = [Path(file) for file in (source, architecture) if file]
    if not dry:
        others = [*files_read, *(Path(file) for file in (*plugins, inputs, expected) if file)]
        output.guard(goal, others, force)
        guard_certificate(certificate, [*others, goal], force)
        row.check(goal)
    before = stamp.stamp(*files_read)
    reading = Reading(
        architecture, tuple(outputs), tuple(plugins), route, signature, by_name, keras_version, tuple(begin), stateful,
        sizes,
    )  # fmt: skip
    model, warnings, provable = _read(Path(source), row, reading, check=check, strict=strict, progress=progress)
    engines = _engines(model, row, against) if provable else []
    with (output.scratch if dry else output.staging)(goal) as written:
        progress("writing")
        row.export(model, written, **options, **(row.calibrated(model, inputs) if quantize else {}))
        own = (inputs, expected, _allowed(tolerance, quantize, check))
        reports = tuple(_report(model, written, row.proof, engine, own, progress) for engine in engines)
        failed = next((report for report in reports if not report.passed), None)
        if failed is not None and not keep:
            raise VerificationFailed(failed, ())
        stamp.check(before, *files_read)
        files = () if dry else output.publish(written, goal, force)
    _write_beside(model, files, reports, certificate, inputs, test_data=test_data)
    if failed is not None:
        raise VerificationFailed(failed, files)
    return Conversion(model, files, reports, warnings)


def _read(
    source: Path, row: Exporter, reading: Reading, *, check: bool, strict: bool, progress: Progress
) -> tuple[Model, tuple[str, ...], bool]:
    """The model, what the user should know of it in this target, and whether it is to be proved.

    Raises:
        InvalidModel, Unsupported: it cannot be read; or there is a warning, where `strict` refuses them.
    """
    from converter import loading
    from converter.model.non_finite import non_finite

    progress("reading")
    model = (loading.model_of if row.architecture else loading.model_or_arrays)(source, reading)
    poisoned = non_finite(model)
    if check and not poisoned:
        loading.check_graph(model, source, reading, progress)
    warnings = (*model.warnings, *poisoned, *row.warnings(model))
    if strict and warnings:
        raise InvalidModel(warnings[0], hint="accepted without --strict")
    if check and poisoned:
        warnings = (*warnings, "not verified: what is not a number cannot be compared")
    return model, warnings, check and not poisoned


def guard_certificate(certificate: PathLike | None, others: Sequence[Path], force: bool) -> None:
    """Refuses to write a certificate over the files that the run reads, or over the one that it is about.

    Raises:
        FileExistsError, IsADirectoryError, FileNotFoundError: see `output.guard`.
    """
    if certificate is None:
        return
    if Path(certificate).resolve() in [file.resolve() for file in others]:
        raise FileExistsError(f"{certificate} is another file of this run")
    output.guard(Path(certificate), others, force)


def _takes(to: str, row: Exporter, against: str) -> bool:
    """Whether files of a target can be compared with an engine, or run in it."""
    return not against or (against == to and bool(row.home)) or (against in ENGINES and row.proof == "run")


def _row_asked(to: str, options: Sequence[str], against: str) -> Exporter:
    """The row of a target that has all that is asked of it.

    Raises:
        Unsupported: it has not, or there is no such target.
    """
    from converter.exporters import EXPORTERS

    if to not in EXPORTERS:
        raise Unsupported(f"there is no target {clean(to)}", hint=f"the targets are {', '.join(EXPORTERS)}")
    row = EXPORTERS[to]
    wrong = [name for name in options if name not in row.options]
    wrong += [] if _takes(to, row, against) else ["against"]
    if wrong:
        raise Unsupported(f"{' and '.join(wrong)} is not for {to}")
    return row


def _engines(model: Model, row: Exporter, against: str) -> list[str]:
    """What the file is proved by.

    Raises:
        Unsupported: the proof would take too much; it is asked before the export takes as much.
    """
    if model.nodes and row.proof == "run":
        from converter.verification import budget

        budget.check(model)
    return ["", *([against] if against else [])] if model.nodes else []


def _allowed(tolerance: float | None, quantize: str, check: bool) -> float | None:
    """How far outputs may be off.

    Raises:
        Unsupported: weights are made smaller and nothing is compared.
    """
    if quantize and not check:
        raise Unsupported("quantizing without a comparison", hint="leave --no-verify out")
    return QUANTIZED if quantize and tolerance is None else tolerance


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
    home = "" if against in ENGINES else against
    return prove(model, written, proof, engine=engine, home=home, own=own_data(*own), progress=progress)


def _write_beside(
    model: Model, files: Sequence[Path], reports: Sequence[Report], certificate: PathLike | None,
    inputs: PathLike | None, *, test_data: bool,
) -> None:  # fmt: skip
    """The certificate and the test data that go with what was written."""
    if files and certificate is not None and reports:
        from converter.verification.by_target import certified

        output.write_text(Path(certificate), certified(model, files[0], reports[0]))
    if files and test_data:
        from converter.verification.test_data import write_test_data

        write_test_data(model, files[0], Path(inputs) if inputs is not None else None)


def default_target(source: Path, to: str) -> Path:
    """The model's name with the suffix of the format, next to the model."""
    from converter.exporters import EXPORTERS

    named = source if source.name not in ("", "..") else source.resolve()  # `.` is a folder with a name, too
    return named.with_suffix(EXPORTERS[to].suffix)
