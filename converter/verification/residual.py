"""The first criterion: every step of a recurrent layer, from the runtime's own states, against the float64 cell.

A recurrent network may amplify rounding without bound, so that two right implementations part ways; a single step from
the same x, h and c may not. Here x and h are what the exported file itself computed, all its steps in a row; what an
operator does not give for each step (c, and the states of a Scan) comes from stepping the same operator.

The bound is 2e-6 of max(1, |c|), or ten times what the reference itself loses in float32 where large weights or inputs
make that more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from converter.errors import clean
from converter.interpret import cell_of
from converter.model import Array, Model
from converter.model.layers import Cell, ConvLSTMCell, Direction, LSTMCell, Recurrent
from converter.verification.probes import STATE_NAMES, Probe
from converter.verification.report import FACTOR, LayerResidual
from converter.verification.runtime import Exported, Stepper

MAX_STEPS = 32
BOUND, BOUND_FLOAT16 = 2e-6, 1e-2


@dataclass(frozen=True)
class Sequences:
    """What one operator saw and made in one run, in the order of its steps.

    Each direction has its own rows: rows [k·batch, (k+1)·batch) are those of direction k.

    Attributes:
        x: [steps, rows, input] before the projection, or None where that is not known.
        fed: [steps, rows, ...]: what the operator reads.
        h: [steps, rows, units]: the output of each step, or None where the operator does not give it.
        mask: [steps, rows, 1, ...] of a Scan, or None.
        initial: the initial states, each [rows, ...].
        used: [steps, rows]: False past the end of a sequence and where a step is masked.
    """

    x: Array | None
    fed: Array
    h: Array | None
    mask: Array | None
    initial: tuple[Array, ...]
    used: Array


def sequences_of(probe: Probe, values: Mapping[str, Array]) -> Sequences:
    """The operator's values, put in the order in which it took its steps."""
    fed = values[probe.fed]
    time, batch = fed.shape[:2]
    lens = values[probe.lens].astype(np.int64) if probe.lens else np.full(batch, time)
    steps = np.arange(min(time, MAX_STEPS))[:, None]
    orders = [
        np.clip(lens - 1 - steps if backwards else steps + 0 * lens, 0, max(0, time - 1))
        for backwards in probe.directions
    ]

    def ordered(*by_direction: Array) -> Array:
        taken = [np.take_along_axis(a, order.reshape(*order.shape, *[1] * (a.ndim - 2)), 0)
                 for a, order in zip(by_direction, orders, strict=True)]  # fmt: skip
        return np.concatenate(taken, 1)

    count = len(orders)
    h = ordered(*(values[probe.y][:, k] for k in range(count))) if probe.y else None
    mask = ordered(values[probe.mask]) if probe.mask else None
    used = np.concatenate([steps < lens] * count, 1)
    initial = []
    for name in probe.initial:
        state = values[name] if name else np.zeros((count, batch, values[probe.y].shape[-1]), fed.dtype)
        initial.append(state.reshape(-1, state.shape[-1]) if probe.stacked else state)
    return Sequences(
        x=ordered(*[values[probe.x]] * count) if probe.x else None,
        fed=ordered(*[fed] * count),
        h=h,
        mask=mask,
        initial=tuple(initial),
        used=used if mask is None else used & mask.reshape(used.shape),
    )


def run_steps(stepper: Stepper, probes: Sequence[Probe], runs: Sequence[Sequences]) -> list[list[tuple[Array, ...]]]:
    """The states of each probe before the first and after every step, each [rows, ...]."""
    states = [[run.initial] for run in runs]
    for t in range(max((len(run.fed) for run in runs), default=0)):
        made = stepper.step(_feed(probes, runs, [known[-1] for known in states], t))
        for probe, run, known in zip(probes, runs, states, strict=True):
            if t < len(run.fed):
                new = [made[f"{probe.name}:{name}'"] for name in STATE_NAMES[: len(run.initial)]]
                own = [_own_rows(probe, state) for state in new]
                known.append(tuple(own if run.h is None else [run.h[t], *own[1:]]))
    return states


def _feed(
    probes: Sequence[Probe], runs: Sequence[Sequences], states: Sequence[tuple[Array, ...]], t: int
) -> dict[str, Array]:
    """The inputs of step t; an operator whose sequence has ended repeats its last step."""
    feed: dict[str, Array] = {}
    for probe, run, known in zip(probes, runs, states, strict=True):
        at = min(t, len(run.fed) - 1)
        feed[f"{probe.name}:x"] = run.fed[at][None]
        if run.mask is not None:
            feed[f"{probe.name}:mask"] = run.mask[at][None]
        for name, state in zip(STATE_NAMES, known, strict=False):
            feed[f"{probe.name}:{name}"] = _for_each(probe, state)
    return feed


def _for_each(probe: Probe, state: Array) -> Array:
    """[rows, units] -> [directions, rows, units]: the operator runs all rows in all its directions."""
    return np.broadcast_to(state, (len(probe.directions), *state.shape)) if probe.stacked else state


def _own_rows(probe: Probe, state: Array) -> Array:
    """[directions, rows, units] -> [rows, units]: of each direction the rows that are its own."""
    if not probe.stacked:
        return state
    return np.concatenate([rows[k] for k, rows in enumerate(np.split(state, len(probe.directions), 1))])


def cells_of(model: Model, probes: Sequence[Probe]) -> dict[str, tuple[str, tuple[Direction, ...]]]:
    """For each probe the neutral node behind it and the direction behind each of its own.

    The exporter names an operator "<node>/<operator>". Where it made two operators of one node, they stand in the
    order of the directions; where it made one of two directions, the backward one is that which reverses its input.
    """
    nodes = {clean(node.name): node for node in model.nodes if isinstance(node.layer, Recurrent)}
    found: dict[str, tuple[str, tuple[Direction, ...]]] = {}
    taken: dict[str, int] = {}
    for probe in probes:
        node = nodes.get(probe.name.rpartition("/")[0])
        if node is None or not isinstance(node.layer, Recurrent):
            continue
        first = taken.get(node.name, 0)
        chosen = node.layer.directions[first : first + len(probe.directions)]
        taken[node.name] = first + len(probe.directions)
        if len(chosen) == len(probe.directions):
            found[probe.name] = (node.name, tuple(sorted(chosen, key=lambda direction: direction.reverse_input)))
    return found


def residuals(model: Model, file: Exported, runs: Sequence[Mapping[str, Array]]) -> list[LayerResidual]:
    """The worst one-step residual of each probe over some runs of the whole file.

    Args:
        model: the neutral model.
        file: the exported file; its session is ended.
        runs: the values of each run, with those that the probes name.
    """
    probes, behind = file.probes, cells_of(model, file.probes)
    if not behind or not runs:
        return []
    per_run = [[sequences_of(probe, values) for probe in probes] for values in runs]
    stepper = file.stepper([_feed(probes, run, [one.initial for one in run], 0) for run in per_run])
    made = [run_steps(stepper, probes, run) for run in per_run]
    del stepper  # one copy of the weights at a time
    found: dict[str, LayerResidual] = {}
    for index, probe in enumerate(probes):
        if probe.name not in behind:
            continue
        node, directions = behind[probe.name]
        taken = [(run[index], states[index]) for run, states in zip(per_run, made, strict=True)]
        bound = BOUND_FLOAT16 if taken[0][0].fed.dtype == np.float16 else BOUND
        for place, direction in enumerate(directions):
            steps = [_steps_of(run, states, direction.cell, place, len(directions)) for run, states in taken]
            one = _residual(node, direction.cell, steps, bound)
            found[node] = one if node not in found else found[node].joined(one)
    return list(found.values())


@dataclass(frozen=True)
class Steps:
    """Single steps of one direction, rows of all times together, in the layout of the reference.

    Attributes:
        x: [n, input], or None.
        projected: [n, ...]; read where there is no x.
        old, new: the states before and after, each [n, ...].
    """

    x: Array | None
    projected: Array
    old: tuple[Array, ...]
    new: tuple[Array, ...]


def _steps_of(run: Sequences, states: Sequence[tuple[Array, ...]], cell: Cell, place: int, directions: int) -> Steps:
    """The steps of direction `place` that were used."""
    batch = run.fed.shape[1] // directions
    rows = slice(place * batch, (place + 1) * batch)
    used, inward = run.used[:, rows], _layout(cell)
    kept = [inward(np.stack([state[k][rows] for state in states])) for k in range(_states(cell))]
    return Steps(
        x=None if run.x is None else run.x[:, rows][used],
        projected=inward(run.fed[:, rows][used]),
        old=tuple(state[:-1][used] for state in kept),
        new=tuple(state[1:][used] for state in kept),
    )


def _residual(node: str, cell: Cell, steps: Sequence[Steps], bound: float) -> LayerResidual:
    """The worst error of the runtime, and of the reference in float32, over these steps."""
    exact, single = (_expected(cell, steps, dtype) for dtype in ("float64", "float32"))
    error = own = 0.0
    for one, truth, rounded in zip(steps, exact, single, strict=True):
        scale = np.maximum(1.0, np.max([np.abs(state) for state in truth], axis=0, initial=0.0))
        for have, other, want in zip(one.new, rounded, truth, strict=True):
            error = max(error, _difference(have, want, scale))
            own = max(own, _difference(other, want, scale))
    return LayerResidual(node, sum(len(one.projected) for one in steps), error, own, max(bound, FACTOR * own))


def _expected(cell: Cell, steps: Sequence[Steps], dtype: str) -> list[tuple[Array, ...]]:
    """The new states by the reference in `dtype`; its weights are read once."""
    reference = cell_of(cell, dtype)
    found = []
    for one in steps:
        projected = one.projected.astype(dtype) if one.x is None else reference.project(one.x.astype(dtype)[None])[0]
        found.append(reference.step(projected, tuple(state.astype(dtype) for state in one.old))[1])
    return found


def _states(cell: Cell) -> int:
    return 2 if isinstance(cell, LSTMCell | ConvLSTMCell) else 1


def _layout(cell: Cell) -> Callable[[Array], Array]:
    """From the layout inside the exported file, channels first, to the cell's."""
    if isinstance(cell, ConvLSTMCell) and cell.data_format == "channels_last":
        return lambda array: np.moveaxis(array, -1 - cell.rank, -1)
    return lambda array: array


def _difference(have: Array, want: Array, scale: Array) -> float:
    """The largest error for its scale; infinity where one side alone is finite, zero where there is nothing."""
    finite = np.isfinite(want.astype(have.dtype))
    if not np.array_equal(finite, np.isfinite(have)):
        return float("inf")
    return float(np.max((np.abs(have - want) / scale)[finite], initial=0.0))
