"""Both criteria on one exported file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from converter import interpret
from converter.errors import ConversionError
from converter.model import Array, Model, State
from converter.model.layers import Recurrent
from converter.verification.inputs import Case, cases_of
from converter.verification.report import FACTOR, LayerResidual, OutputError, Report
from converter.verification.residual import residuals
from converter.verification.runtime import Exported

FLOOR = 1e-7  # of the scale: what float32 rounding alone explains
ACTIVATION = 2.7e-7  # what onnxruntime's tanh and sigmoid are off by, however small their values are
ILL_CONDITIONED = 1e-3
FLOAT16 = 1e-2
REFERENCE = "reference_lstm, float64"
_ATTEMPTS = ((1, 0), (1, 1), (8, 0), (8, 1), (64, 0))  # longer sequences and other seeds, until a model says something

Values = Mapping[str, Array]
# Inputs and states by neutral name -> outputs and new states.
Run = Callable[[Values, Values], Values]


@dataclass(frozen=True)
class Truth:
    """What an exported file is compared with: its name for the report, and how it runs the model."""

    name: str
    run: Run


def verify(
    model: Model,
    exported: Path,
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda what: None,
    truth: Truth | None = None,
) -> Report:
    """Compares an exported ONNX file with the model it was made from.

    Args:
        model: the neutral model.
        exported: the file.
        seed: of the inputs.
        progress: told of each step of the work.
        truth: what to compare with, by default the float64 reference.

    Returns:
        A report; it fails where anything differs by more than its bound, and where nothing could be compared.

    Raises:
        InvalidModel, Unsupported: the model cannot be interpreted.
        OSError: the exported file cannot be read.
    """
    with np.errstate(all="ignore"):  # what overflows is compared, and told, below
        return _prove(model, exported, seed, progress, truth or Truth(REFERENCE, _reference(model, "float64")))


def _prove(model: Model, exported: Path, seed: int, progress: Callable[[str], None], truth: Truth) -> Report:
    progress("reference, float32")
    cases, single = _usable_cases(model, seed)
    progress(truth.name)
    exact = [_calls(model, case, truth.run) for case in cases]
    progress("exported file")  # loaded only now: one copy of the weights at a time
    file = Exported(exported)
    wrong = _interface(model, file)
    if wrong:
        return Report(truth.name, _runtime(), (), (), (), (wrong,))
    runs: list[Values] = []
    runtime = _runtime_engine(model, file, runs)
    results = list(zip(exact, single, [_calls(model, case, runtime) for case in cases], strict=True))
    outputs = _compare(model, results)
    progress("one-step residuals")
    layers = residuals(model, file, runs)
    failures = [*_missing(model, layers), *_failed(layers, outputs)]
    notes = [f"{one.name}: ill-conditioned, float32 itself is off by {one.reference_error:.1e}; "
             "the proof rests on the one-step residual" for one in outputs if one.allowed is None]  # fmt: skip
    labels = tuple(case.label for case in cases)
    return Report(truth.name, _runtime(), labels, tuple(layers), tuple(outputs), tuple(failures), tuple(notes))


def _runtime() -> str:
    return f"onnxruntime {onnxruntime.__version__}"


def _usable_cases(model: Model, seed: int) -> tuple[list[Case], list[list[Values]]]:
    """The shortest cases that the model takes, and what the float32 reference makes of them.

    Convolutions and pooling may need more steps than we begin with; other seeds are tried where every output is zero.
    """
    engine = _reference(model, "float32")
    for stretch, shift in _ATTEMPTS:
        cases = cases_of(model, seed + shift, stretch)
        try:
            made = [_calls(model, case, engine) for case in cases]
        except (ValueError, IndexError, ConversionError):
            if (stretch, shift) == _ATTEMPTS[-1]:
                raise
            continue
        if any(np.any(call[value.name]) for calls in made for call in calls for value in model.outputs):
            break
    return cases, made


def _reference(model: Model, dtype: str) -> Run:
    def engine(inputs: Values, states: Values) -> Values:
        return interpret.run(model, dict(inputs), dtype=dtype, states=dict(states) or None)

    return engine


def _runtime_engine(model: Model, file: Exported, keep: list[Values]) -> Run:
    """The exported file as an engine: its names are replaced by the neutral ones, place by place."""
    wanted = [value.name for value in model.inputs] + [state.input.name for state in model.states]
    made = [value.name for value in model.outputs] + [state.output.name for state in model.states]
    watched = [name for probe in file.probes for name in probe.values]

    def engine(inputs: Values, states: Values) -> Values:
        given = {**inputs, **states}
        feed = {theirs: given[ours] for theirs, ours in zip(file.inputs, wanted, strict=True)}
        values = file.run(feed, watched)
        keep.append(values)
        return {ours: values[theirs] for theirs, ours in zip(file.outputs, made, strict=True)}

    return engine


def _interface(model: Model, file: Exported) -> str:
    """Why the file's inputs and outputs cannot be this model's, or ""."""
    for what, have, want in (
        ("inputs", len(file.inputs), len(model.inputs) + len(model.states)),
        ("outputs", len(file.outputs), len(model.outputs) + len(model.states)),
    ):
        if have != want:
            return f"the exported file has {have} {what}, the model {want} (states included)"
    return ""


def _calls(model: Model, case: Case, engine: Run) -> list[Values]:
    """All calls of a case in a row, the states carried from each to the next."""
    states = {state.input.name: _zeros(state, case.batch) for state in model.states}
    made = []
    for inputs in case.calls:
        values = engine(inputs, states)
        made.append(values)
        states = {state.input.name: values[state.output.name] for state in model.states}
    return made


def _zeros(state: State, batch: int) -> Array:
    return np.zeros([size or batch for size in state.input.shape], np.float32)


def _compare(
    model: Model, results: Sequence[tuple[Sequence[Values], Sequence[Values], Sequence[Values]]]
) -> list[OutputError]:
    """The second criterion for each output and carried state."""
    named = [(value.name, name) for value, name in zip(model.outputs, model.output_names, strict=True)]
    named += [(state.output.name, state.output.name) for state in model.states]
    low = any(
        v is not None and v.dtype in ("float16", "bfloat16") for n in model.nodes for v in (*n.inputs, *n.outputs)
    )
    found = []
    for value, name in named:
        triples = [tuple(call[value] for call in calls) for case in results for calls in zip(*case, strict=True)]
        found.append(_output_error(name, triples, low))
    return found


def _as_numbers(want: Array, single: Array, have: Array) -> tuple[Array, ...]:
    """Strings as ones where they are those wanted, and zeros where not."""
    return np.ones(want.shape), *((made == want).astype(np.float64) if made.shape == want.shape else made
                                  for made in (single, have))  # fmt: skip


def _output_error(name: str, triples: Sequence[tuple[Array, ...]], low_precision: bool) -> OutputError:
    scale = error = reference_error = 0.0
    count = 0
    note = ""
    for triple in triples:
        want, single, have = _as_numbers(*triple) if triple[0].dtype.hasobject else triple
        if have.shape != want.shape:
            note = note or f"shape {have.shape}, expected {want.shape}"
            continue
        exact, single, have = (np.asarray(a).astype(np.float64) for a in (want, single, have))
        if not any(np.array_equal(np.isfinite(have), np.isfinite(other)) for other in (exact, single)):
            note = note or "infinite or not a number"
            continue
        finite = np.isfinite(exact) & np.isfinite(single) & np.isfinite(have)
        exact, single, have = exact[finite], single[finite], have[finite]
        count += exact.size
        scale = max(scale, float(np.abs(exact).max(initial=0.0)))
        error = max(error, float(np.abs(have - exact).max(initial=0.0)))
        reference_error = max(reference_error, float(np.abs(single - exact).max(initial=0.0)))
    allowed: float | None = max(FACTOR * max(reference_error, FLOOR * scale), 2 * ACTIVATION)
    if low_precision:
        allowed = max(FLOAT16 * scale, allowed or 0.0)
    elif reference_error > ILL_CONDITIONED * scale:
        allowed = None
    return OutputError(name, count, scale, error, reference_error, allowed, note)


def _missing(model: Model, layers: Sequence[LayerResidual]) -> list[str]:
    """Recurrent layers of which no operator was found."""
    found = {one.layer for one in layers}
    return [
        f"{node.name}: the exported file has no recurrent operator of this name"
        for node in model.nodes
        if isinstance(node.layer, Recurrent) and node.name not in found
    ]


def _failed(layers: Sequence[LayerResidual], outputs: Sequence[OutputError]) -> list[str]:
    failures = [
        f"{one.layer}: one-step residual {one.error:.2e}, allowed {one.allowed:.0e}"
        if one.steps
        else f"{one.layer}: no step was compared"
        for one in layers
        if not one.passed
    ]
    for one in outputs:
        if one.note:
            failures.append(f"{one.name}: {one.note}")
        elif not one.passed:
            failures.append(f"{one.name}: error {one.error:.2e}, allowed {one.allowed:.2e}")
    if not any(one.values for one in outputs):
        failures.append("nothing was compared")
    elif all(one.scale == 0 for one in outputs):
        failures.append("all outputs are zero, so equality proves nothing")
    return failures
