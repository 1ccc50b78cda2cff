"""Proofs of files that are not run themselves, one for each word of `exporters.Proof` but "run".

What is read back is taken as the file of a stranger, and both models are run by the float64 reference. Arrays are
brought to Keras' packing and compared gate by gate.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from converter import interpret, readers
from converter.comparing.compare import compare_parts
from converter.comparing.comparison import Pair
from converter.comparing.part import Part
from converter.comparing.parts import has_graph, parts_of, parts_of_graph, parts_of_model, parts_read
from converter.formats.keras_metadata import scaled_weights
from converter.lines import shape
from converter.model import Array, Model, Shape
from converter.verification.calls import usable_cases
from converter.verification.inputs import Case
from converter.verification.report import OutputError, Report

# Both sides are the float64 reference with weights that should be the same: all that may differ is the order of sums.
ORDER = 1e-9  # of the largest value of an output
# Unless weights were scaled, or the slope of an activation became a constant of float32, which rounds them once more:
# times float32's own error, of the largest value.
SCALED, FLOOR, REDUCED = 10.0, 1e-6, 1e-2
ZEROS = "nothing but zeros to compare"
OTHER_SCALES = (0.1, 0.01, -1.0, 10.0, 100.0)  # of inputs, where all that a model gives for the usual ones is zero


def read_back(model: Model, exported: Path, seed: int = 0) -> Report:
    """Compares a file that holds a whole model with the model it was made from.

    Raises:
        InvalidModel, Unsupported, OSError: the file cannot be read back, or the model takes no inputs that are tried.
    """
    again = readers.load(exported)
    runtime = f"reference_lstm, on {again.source.format} read back"
    if len(again.inputs) != len(model.inputs) or len(again.outputs) != len(model.outputs):
        return Report("the original", runtime, (), wrong=("it has other inputs or outputs",))
    pairs = [(a, b) for a, b in zip(model.inputs, again.inputs, strict=True) if not _taken(a.shape, b.shape)]
    if pairs:
        others = (f"its input {b.name} is {shape(b.shape)}, the model's {a.name} {shape(a.shape)}" for a, b in pairs)
        return Report("the original", runtime, (), wrong=tuple(others))
    cases, _ = usable_cases(model, seed)  # convolutions and pools may need more steps
    outputs = _outputs(model, again, cases)
    if any(one.scale == 0 for one in outputs):
        outputs = _outputs(model, again, [*cases, *(_times(case, by) for case in cases for by in OTHER_SCALES)])
    rounded = bool(scaled_weights(exported)) or not all(one.passed for one in outputs)
    outputs = [_rounded(model, one) for one in outputs] if rounded else outputs
    silent = tuple(f"{one.name}: {one.note}" for one in outputs if one.note == ZEROS)
    failed = [one for one in outputs if not one.passed and one.note != ZEROS]
    failures = tuple(f"{one.name}: {one.note or f'off by {one.error:.1e}'}" for one in failed)
    if rounded:  # the outputs tell less, so the weights are compared one by one, too
        failures += _compared(
            parts_of_model(model, every_call=True), parts_read(again, exported, every_call=True)
        ).wrong
    labels = tuple(case.label for case in cases)
    return Report("the original", runtime, labels, outputs=tuple(outputs), wrong=failures, unproved=silent)


def _times(case: Case, factor: float) -> Case:
    """The same inputs, those with a fraction multiplied."""
    calls = [
        {name: a * a.dtype.type(factor) if a.dtype.kind == "f" else a for name, a in one.items()} for one in case.calls
    ]
    return replace(case, calls=tuple(calls))


def _taken(ours: Shape, theirs: Shape) -> bool:
    """Whether all that one input takes can be given to the other."""
    return len(ours) == len(theirs) and all(b in (None, a) for a, b in zip(ours, theirs, strict=True))


def _run(model: Model, like: Model, case: Case, dtype: str) -> list[Array]:
    """The outputs of all calls, states carried along, inputs matched by place."""
    states: dict[str, Array] = {}
    made: list[Array] = []
    for call in case.calls:
        given = {b.name: call[a.name] for a, b in zip(like.inputs, model.inputs, strict=True)}
        values = interpret.run(model, given, dtype=dtype, states=states or None)
        states = {state.input.name: values[state.output.name] for state in model.states}
        made += [values[value.name] for value in model.outputs]
    return made


def _rounded(model: Model, one: OutputError) -> OutputError:
    """With the bound of weights or constants that are rounded once more."""
    reduced = any(v.dtype in ("float16", "bfloat16") for node in model.nodes for v in node.outputs)
    floor = (REDUCED if reduced else FLOOR) * one.scale
    return replace(one, allowed=max(one.allowed or 0.0, SCALED * one.reference_error, floor))


def _outputs(model: Model, again: Model, cases: list[Case]) -> list[OutputError]:
    found = []
    runs = [(_run(model, model, c, "float64"), _run(model, model, c, "float32"), _run(again, model, c, "float64"))
            for c in cases]  # fmt: skip
    for k, name in enumerate(model.output_names):
        scale = error = own = 0.0
        count, note = 0, ""
        step = len(model.outputs)
        for exact, single, have in (trio for run in runs for trio in list(zip(*run, strict=True))[k::step]):
            if exact.shape != have.shape:
                note = f"shape {have.shape}, expected {exact.shape}"
                continue
            count += exact.size
            scale = max(scale, float(np.abs(exact).max(initial=0)))
            error = max(error, float(np.abs(have - exact).max(initial=0)))
            own = max(own, float(np.abs(single - exact).max(initial=0)))
        note = note or (ZEROS if scale == 0 and error == 0 else "" if np.isfinite(error) else "not a number")
        found.append(OutputError(name, count, scale, error, own, ORDER * scale, note))
    return found


def arrays(model: Model, exported: Path) -> Report:
    """Compares a file of weights with the model it was made from; nothing is run.

    Raises:
        InvalidModel, Unsupported, OSError: the file cannot be read.
    """
    return _compared((parts_of_graph if has_graph(exported) else parts_of_model)(model), parts_of(exported))


def _compared(ours: list[Part], theirs: list[Part]) -> Report:
    compared = compare_parts(ours, theirs)
    outputs = tuple(_pair(pair) for pair in compared.pairs)
    failures = [f"{one.name}: {one.note}" for one in outputs if not one.passed]
    failures += [f"{name}: its weights are missing" for name in compared.only_a]
    failures += [f"{name}: it is not in the original" for name in compared.only_b]
    failures += [] if compared.pairs else ["no weights to compare"]
    notes = ("the weights are compared, gate by gate; nothing was run",)
    cases = (f"{len(outputs)} layers",)
    return Report("the original's weights", "", cases, outputs=outputs, wrong=tuple(failures), notes=notes)


def _pair(pair: Pair) -> OutputError:
    error = max((finding.difference for finding in pair.findings), default=0.0)
    right = pair.verdict in ("equal", "rounding")
    note = "" if right else pair.explanation or "different weights"
    return OutputError(pair.a, sum(finding.of for finding in pair.findings), 0.0, error, 0.0, error, note)
