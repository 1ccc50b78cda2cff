"""The proof of one exported file that is run: its weights, its nodes, and what comes of them end to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from converter.errors import InvalidModel, listed
from converter.model import Array, Model, Node, Shape, Value
from converter.model.layers import Recurrent, Scan
from converter.verification import natural
from converter.verification.calls import NothingFits, has_large_weights, own_calls, usable_cases
from converter.verification.corners import corner_values, wanted_of
from converter.verification.coverage import Coverage
from converter.verification.end_to_end import compare_expected, compare_outputs
from converter.verification.natural import Call
from converter.verification.node_checks import PartsRun, check_nodes, constants, needed_values
from converter.verification.own_data import MATCHING, NO_DATA, OwnData
from converter.verification.report import ONLY_ZEROS, NodeResult, OutputError, Report
from converter.verification.rounding import KERNELS_OF
from converter.verification.runnable import Parts, PlacesUnknown, Runnable, differs, opened
from converter.verification.scans import held_inside, inside_of, shown_tensors
from converter.verification.weight_accounting import Accounts

REFERENCE = "reference_lstm, float64"
ROUNDS = 4  # of values made for the nodes alone; one where weights are large
STEPS = 256  # of recurrent nodes that all rounds together should not exceed
NUMBERS = 1 << 25  # of all values, likewise
WEIGHTED = ("Recurrent", "Dense", "Conv", "ConvTranspose", "Embedding")

Values = Mapping[str, Array]
# Inputs and states by neutral name -> outputs and new states.
Run = Callable[[Values, Values], Values]


@dataclass(frozen=True)
class Truth:
    """Another engine that runs the model: its name for the report, and how it does."""

    name: str
    run: Run


def verify(
    model: Model,
    exported: Path,
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda what: None,
    truth: Truth | None = None,
    own: OwnData = NO_DATA,
) -> Report:
    """Compares an exported file with the model it was made from; for the report see `converter.verification`.

    Args:
        model: the neutral model.
        exported: the file, of a kind that `runnable.opened` knows.
        seed: of the inputs.
        progress: called with each step of the work.
        truth: another engine, to compare the outputs with instead of the float64 reference's.
        own: inputs, outputs and a tolerance of the user's.

    Raises:
        InvalidModel, Unsupported: the model cannot be interpreted.
        OSError: the exported file cannot be read.
    """
    with np.errstate(all="ignore"):  # what overflows is compared and reported below
        file = opened(exported)
        before = KERNELS_OF.set(file.kernels)
        try:
            return _prove(model, file, seed, progress, truth, own)
        finally:
            KERNELS_OF.reset(before)


def _prove(
    model: Model, file: Runnable, seed: int, progress: Callable[[str], None], truth: Truth | None, own: OwnData
) -> Report:
    blank = Report(truth.name if truth else REFERENCE, file.title, ())
    if wrong := differs(model, file):
        return replace(blank, wrong=(wrong,))
    model = sized(model, file)
    progress("reference")
    given = own.case(model)
    try:
        cases, calls = usable_cases(model, seed)
    except NothingFits:
        if given is None:
            raise
        cases, calls = [], []
    if given is not None:
        others = ([], []) if file.calibrated and own.tolerance is not None else (cases, calls)
        cases, calls = [given, *others[0]], [*own_calls(model, given), *others[1]]
    blank = replace(blank, cases=tuple(case.label for case in cases))
    progress("exported file")
    try:
        outputs = tuple(_end_to_end(model, file, calls, truth, own))
        if own.tolerance is not None:
            return _tolerated(replace(blank, outputs=outputs), own.tolerance)
        progress("nodes")
        nodes, coverage = _nodes(model, file, calls, progress)
    except PlacesUnknown as error:
        return replace(blank, outputs=outputs, wrong=_off(outputs), unproved=(error.what,))
    except InvalidModel as error:
        return replace(blank, wrong=(error.what,))
    progress("weights")
    accounts = file.account(model, needed_values(model))
    return _report(blank, nodes, accounts, outputs, coverage)


def sized(model: Model, file: Runnable) -> Model:
    """The model with inputs of the sizes that the file has fixed, by this program or by another tool."""

    def one(value: Value, sizes: Shape) -> Value:
        if len(sizes) != len(value.shape):
            return value
        pairs = zip(value.shape, sizes, strict=True)
        return replace(value, shape=tuple(theirs if ours is None else ours for ours, theirs in pairs))

    if not file.sizes:
        return model
    count = len(model.inputs)
    inputs = tuple(map(one, model.inputs, file.sizes[:count]))
    states = [replace(state, input=one(state.input, sizes))
              for state, sizes in zip(model.states, file.sizes[count:], strict=True)]  # fmt: skip
    return replace(model, inputs=inputs, states=tuple(states))


def _tolerated(report: Report, tolerance: float) -> Report:
    """A report of a file that may be off: its outputs are all that is compared."""
    wrong = tuple(f"{line}, more than the tolerance" for line in _off(report.outputs))
    note = f"outputs compared with a tolerance of {tolerance:g}; nothing is proved of weights and nodes"
    return replace(report, wrong=wrong, notes=(note,), tolerance=tolerance)


def _report(
    blank: Report, nodes: Sequence[NodeResult], accounts: Accounts, outputs: Sequence[OutputError], coverage: Coverage
) -> Report:
    wrong = [_wrong(one) for one in nodes if one.wrong]
    wrong += _off(outputs)
    notes = [f"{one.name}: {one.note}" for one in nodes if one.note and not one.wrong]
    notes += [f"not reached: {missed}" for missed in coverage.missed]
    if accounts.unread:
        notes.append(f"no output depends on the arrays of {listed(accounts.unread)}, which are not in the file")
    weighted = [one.note == ONLY_ZEROS for one in nodes if one.kind in WEIGHTED]
    return replace(
        blank,
        nodes=tuple(nodes),
        weights=accounts.found,
        outputs=tuple(outputs),
        wrong=(*wrong, *accounts.wrong),
        unproved=(ONLY_ZEROS,) if weighted and all(weighted) else (),
        notes=tuple(notes),
        sides=coverage.sides,
        missed=coverage.missed,
    )


def _off(outputs: Sequence[OutputError]) -> tuple[str, ...]:
    """The outputs that are too far off, in words."""
    return tuple(f"{one.name}: {one.note or f'off by {one.error:.1e}'}" for one in outputs if not one.passed)


def _wrong(one: NodeResult) -> str:
    return f"{one.name}: {one.note or f'off by {one.error:.2e} where {one.allowed:.2e} is allowed'} ({one.kind})"


def _names(model: Model) -> tuple[list[str], list[str]]:
    """The model's own names for the file's inputs and outputs."""
    given = [value.name for value in model.inputs] + [state.input.name for state in model.states]
    return given, [value.name for value in model.outputs] + [state.output.name for state in model.states]


def _end_to_end(
    model: Model, file: Runnable, calls: Sequence[Call], truth: Truth | None, own: OwnData
) -> list[OutputError]:
    """The file as its users run it, on the inputs of each call; and on the user's, next to what the user expects."""
    given, wanted = _names(model)
    session = file.whole()
    made = []
    for call in calls:
        values = session.run({theirs: call.given[ours] for theirs, ours in zip(file.inputs, given, strict=True)})
        made.append({ours: values[theirs] for theirs, ours in zip(file.outputs, wanted, strict=True)})
    found = compare_outputs(model, calls, made, truth.run if truth else None)
    expected = own.outputs(model)
    if expected and own.inputs is not None:
        names = dict(zip(model.output_names, (value.name for value in model.outputs), strict=True))
        found += [compare_expected(name, expected[name], made[0][names[name]], MATCHING) for name in expected]
    return found if own.tolerance is None else [replace(one, allowed=own.tolerance) for one in found]


def _nodes(
    model: Model, file: Runnable, calls: Sequence[Call], progress: Callable[[str], None]
) -> tuple[list[NodeResult], Coverage]:
    """Every node by itself, on the values of each call and on those of its corners."""
    needed, coverage = needed_values(model), Coverage()
    tensors = _tensors(model, file, needed)
    held: dict[str, list[Value]] = {}
    for value in natural.all_values(model):
        if value.name in tensors:
            held.setdefault(tensors[value.name], []).append(value)
    inner = held_inside(model, needed, file.tensors)
    parts = file.parts(held, shown_tensors(inner))
    copies = _copies(model, file, tensors)
    runs = [_run(parts, file, (held, inner), copies, values) for values in _draws(model, calls)]
    operators = parts.operators
    del parts  # one copy of the weights at a time
    found = check_nodes(model, needed, runs, operators, coverage, progress)
    wires = [
        NodeResult(name, "output", 0, 0, np.inf, np.inf, 0.0, wrong=True, note=f"it is not {tensor}")
        for name, tensor in copies.items()
        if not all(run.copied[name] for run in runs)
    ]
    return [*found, *wires], coverage


def _copies(model: Model, file: Runnable, tensors: Mapping[str, str]) -> dict[str, str]:
    """The file's outputs that are not themselves the tensors that hold the model's, but should be copies of these."""
    _, wanted = _names(model)
    pairs = {theirs: tensors[ours] for theirs, ours in zip(file.outputs, wanted, strict=True)}
    return {name: tensor for name, tensor in pairs.items() if name != tensor}


def _tensors(model: Model, file: Runnable, needed: frozenset[str]) -> dict[str, str]:
    """The tensor that holds each value; the model's inputs are the file's, place by place.

    Raises:
        PlacesUnknown: the file does not say where a value is that an output depends on.
    """
    given, _ = _names(model)
    places = {**file.tensors, **dict(zip(given, file.inputs, strict=True))}
    for value in natural.all_values(model):
        if value.name in needed and places.get(value.name) not in file.known:
            raise PlacesUnknown(value.name)
    return {name: tensor for name, tensor in places.items() if tensor in file.known}


def _draws(model: Model, calls: Sequence[Call]) -> list[Values]:
    """Values for the parts: those of each call, then those made for the corners in the shapes of the last."""
    wanted, fixed = wanted_of(model), constants(model)
    last = calls[-1].values
    steps = sum(_steps(node, last) for node in model.nodes if isinstance(node.layer, Recurrent | Scan))
    numbers = sum(array.size for array in last.values())
    rounds = 1 if has_large_weights(model) else max(1, min(ROUNDS, STEPS // max(1, steps), NUMBERS // max(1, numbers)))
    made = [corner_values(model, wanted, last, fixed, turn) for turn in range(rounds)]
    return [*(call.values for call in calls), *made]


def _steps(node: Node, values: Values) -> int:
    """How many steps a recurrent node takes, in all its directions."""
    if isinstance(node.layer, Scan):
        sequence = node.inputs[node.layer.states]
        return len(values[sequence.name]) if sequence is not None else 0
    x = node.inputs[0]
    assert isinstance(node.layer, Recurrent) and x is not None
    return int(values[x.name].shape[0 if node.layer.time_major else 1]) * len(node.layer.directions)


def _run(
    parts: Parts,
    file: Runnable,
    places: tuple[Mapping[str, Sequence[Value]], Mapping[str, tuple[str, Value]]],
    copies: Mapping[str, str],
    values: Values,
) -> PartsRun:
    """One run of the parts. Values of the model that one tensor holds are one and the same."""
    held, inner = places
    by_tensor = {tensor: values[listed[0].name] for tensor, listed in held.items()}
    by_tensor |= {tensor: file.constant(tensor) for tensor in held if tensor in file.initializers}
    made = {**by_tensor, **parts.run(by_tensor)}
    names = [(value.name, tensor) for tensor, listed in held.items() for value in listed]
    shown = {name: made[name] for one in parts.operators for name in one.shown}
    # A copy that bears the name of the tensor's own node is in one part with it, and copies what that part makes.
    copied = {
        name: any(_same(made[name], side[tensor]) for side in (by_tensor, made)) for name, tensor in copies.items()
    }
    given, results = ({n: side[t] for n, t in names} for side in (by_tensor, made))
    inside = {tensor: made[name] for one in parts.operators for tensor, name in one.inside.items()}
    constants = {n: file.constant(n) for n, _ in inner.values() if n in file.initializers}
    return PartsRun(given, results, shown, copied, dict(names), inside_of(inner, inside, {**by_tensor, **constants}))


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.all((a == b) | (a != a) & (b != b)))
