"""A recurrent node held to its equation step by step, its masks, states, directions and merging included.

A recurrent network may amplify rounding without bound, so that two right implementations part ways; a single step from
the same x, h and c may not. So each step starts from the h that the runtime itself had: the operator's sequence of
states is looked at, and a reference cell is made to go along it (`Followed`), which compares what its equation makes
of the state before with the state that is there, and goes on from the latter. c, which a native operator does not
show, is the equation's own, with the error that it may have gathered by then.

Where in the operator's sequence a step stands (packed to the front or not, reversed or not) need not be known or
trusted: any sequence whose every step obeys the equation and which ends in the node's outputs is a proof. A few
orders are tried, the one first that fits the first step best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

import reference_lstm
from converter.interpret import cell_of
from converter.model import Array, Node, dtype_of
from converter.model.layers import Direction, Recurrent
from converter.verification.cell_rounding import project_error, step_of
from converter.verification.rounding import TINY, UNIT, Near, shares
from reference_lstm import sequence
from reference_lstm.cell import Cell, States

TRIED = 10  # orders of an operator's states: all of both directions, which states of 0 do not tell apart


@dataclass
class Worst:
    """The largest error met, as a share of what is allowed; the error and what is allowed there."""

    share: float = 0.0
    error: float = 0.0
    allowed: float = 0.0

    def note(self, have: Array, want: Array, allowed: Array | float, where: Array | bool = True) -> None:
        """Compares two arrays where it says."""
        share, off, bound = shares(have, want, allowed)
        share = np.where(where, share, 0.0)
        if share.size and (worst := float(share.max())) > self.share:
            at = int(share.argmax())
            self.share, self.error, self.allowed = worst, float(off.flat[at]), float(bound.flat[at])


@dataclass
class Followed:
    """A cell that goes along given states, for `reference_lstm.sequence`; without them it goes its own way.

    Attributes:
        cell: the reference cell, in float64.
        u: unit roundoff of what is followed.
        reverse: whether steps are taken from the last to the first.
        used: [time, batch, ...] in the order of the steps: False where a step is masked.
        seen: h, or h and c, after each step, in the runtime's type: [time, batch, ...]; none to go its own way.
        worst: of the steps.
        states, errors: h and c after each step, and what they may be off by.
    """

    cell: Cell
    u: float
    reverse: bool
    used: Array
    seen: tuple[Array, ...] = ()
    worst: Worst = field(default_factory=Worst)
    states: list[States] = field(default_factory=list)
    errors: list[States] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state_count = self.cell.state_count
        self._step = step_of(self.cell, self.u)
        self.tiny = _tiny(self.u)

    def project(self, x: Array) -> Array:
        """As the cell does."""
        projected = self.cell.project(x)
        order = slice(None, None, -1) if self.reverse else slice(None)
        self._projected_error = np.broadcast_to(project_error(self.cell, x, self.u), projected.shape)[order]
        return projected

    def zero_states(self, projected: Array) -> States:
        """As the cell does."""
        return self.cell.zero_states(projected)

    def step(self, projected: Array, states: States) -> tuple[Array, States]:
        """One step by the equation, compared with the state that was seen."""
        t = len(self.errors)
        before = self.errors[-1] if self.errors else tuple(np.zeros_like(state) for state in states)
        _, want = self.cell.step(projected, states)
        known = tuple(Near(*pair) for pair in zip(states, before, strict=True))
        near = self._step(Near(projected, self._projected_error[t]), known)
        rows = self.used[t].reshape(*self.used[t].shape, *[1] * (want[0].ndim - self.used[t].ndim))
        made = list(want)
        errors = [np.broadcast_to(b.error + self.tiny, state.shape) for b, state in zip(near, want, strict=True)]
        for k, seen in enumerate(self.seen):
            self.worst.note(seen[t], want[k], errors[k], rows)
            made[k], errors[k] = seen[t].astype(np.float64), np.zeros_like(want[k])
        self.states.append(tuple(made))
        self.errors.append(tuple(np.where(rows, *pair) for pair in zip(errors, before, strict=True)))
        return made[0], tuple(made)


def _tiny(u: float) -> float:
    """What becomes zero on its way in the type of this unit roundoff."""
    return TINY["float16" if u > UNIT["float32"] else "float32"]


class Replayed:
    """A cell whose every step gives what it is told, for `reference_lstm.run` to put where the outputs go."""

    def __init__(self, like: Cell, states: Sequence[States]) -> None:
        self.state_count, self._states, self._next = like.state_count, states, iter(states)
        self.data_format = getattr(like, "data_format", "channels_last")

    def project(self, x: Array) -> Array:
        """Something with the axes of a state at each step."""
        return np.zeros((len(self._states), *self._states[0][0].shape))

    def zero_states(self, projected: Array) -> States:
        """Zeros of the shape of the states."""
        return tuple(np.zeros_like(state) for state in self._states[0])

    def step(self, projected: Array, states: States) -> tuple[Array, States]:
        """The next one."""
        made = next(self._next)
        return made[0], made


@dataclass(frozen=True)
class Truth:
    """What a recurrent node should give: its outputs with their bounds, and how its steps compare.

    `steps` counts the steps of a row that were compared with the runtime's own: none where its states are not known.
    """

    outputs: tuple[Near, ...]
    worst: Worst
    steps: int


def recurrent_truth(
    node: Node, inputs: Sequence[Array | None], seen: Sequence[tuple[Array, ...]], dtype: str, read: Sequence[bool]
) -> Truth:
    """What the node's equation makes of these inputs, along the states that its operators went through.

    Args:
        node: with a Recurrent layer whose weights are read.
        inputs: x, mask or None, initial states or None; floats in float64.
        seen: of each operator that may be this node's the states, h or h and c, each [time, batch, ...].
        dtype: the type computed in.
        read: whether an output depends on each direction; another one need not be in the file.
    """
    layer = node.layer
    assert isinstance(layer, Recurrent)
    x, mask, *initial = inputs
    assert x is not None
    u = UNIT["float32" if dtype == "float64" else dtype]
    cells = followed(layer, inputs, seen, u)
    worst = max((cell.worst for cell, wanted in zip(cells, read, strict=True) if wanted), key=lambda one: one.share)
    compared = sum(int(np.count_nonzero(cell.used)) for cell in cells if cell.seen)
    outputs = _outputs(layer, cells, x, mask, initial, u)
    if any(state.dtype.itemsize > dtype_of(dtype).itemsize for cell in cells for state in cell.seen):
        outputs = tuple(y.plus(Near(np.zeros(()), _tiny(u)), u) for y in outputs)  # a Scan in float32, then rounded
    return Truth(outputs, worst, compared)


def followed(
    layer: Recurrent, inputs: Sequence[Array | None], seen: Sequence[tuple[Array, ...]], u: float
) -> list[Followed]:
    """The cell of each direction along the states that were seen, or on its own where none were; see above."""
    x, mask, *initial = inputs
    assert x is not None
    major = (0, 1) if layer.time_major else (1, 0)
    steps = np.transpose(x, (*major, *range(2, x.ndim)))
    used = np.ones(steps.shape[:2], np.bool_) if mask is None else np.transpose(mask, (*major, *range(2, mask.ndim)))
    cells: list[Followed] = []
    taken = 0
    for direction in layer.directions:
        cell = cell_of(direction.cell, "float64")
        given = tuple(initial[taken : taken + cell.state_count])
        taken += cell.state_count
        cells.append(_follow(direction, cell, u, steps, used, given, seen))
    return cells


def _outputs(
    layer: Recurrent, cells: Sequence[Followed], x: Array, mask: Array | None, initial: Sequence[Array | None], u: float
) -> tuple[Near, ...]:
    """The outputs that the followed states become, and what of these may be wrong."""

    def run(what: Sequence[Sequence[States]], states: Sequence[Array | None], merge: str | None) -> tuple[Array, ...]:
        sides = [
            reference_lstm.Direction(cast(Cell, Replayed(cell.cell, one)), side.reverse_input, side.reverse_output)
            for cell, one, side in zip(cells, what, layer.directions, strict=True)
        ]
        return reference_lstm.run(
            sides, x, mask, states, merge=merge, return_sequences=layer.return_sequences,
            masked_output=layer.masked_output, time_major=layer.time_major,
        )  # fmt: skip

    made, errors = [cell.states for cell in cells], [cell.errors for cell in cells]
    zeros = [None if state is None else np.zeros_like(state) for state in initial]
    values = run(made, initial, layer.merge)
    if layer.merge in (None, "concat"):
        return tuple(Near(*pair) for pair in zip(values, run(errors, zeros, layer.merge), strict=True))
    (a, b, *_), (e_a, e_b, *finals) = run(made, initial, None), run(errors, zeros, None)
    carried = np.abs(a) * e_b + np.abs(b) * e_a + e_a * e_b if layer.merge == "mul" else e_a + e_b
    merging = 4 * u * np.abs(values[0]) + _tiny(u)
    return tuple(Near(*pair) for pair in zip(values, (carried + merging, *finals), strict=True))


def _follow(
    direction: Direction,
    cell: Cell,
    u: float,
    steps: Array,
    used: Array,
    given: tuple[Array | None, ...],
    seen: Sequence[tuple[Array, ...]],
) -> Followed:
    """The cell along the states that fit it best, or on its own where none are known."""
    turned = used[::-1] if direction.reverse_input else used

    def run(states: tuple[Array, ...]) -> Followed:
        one = Followed(cell, u, direction.reverse_input, turned, states)
        sequence.run_direction(reference_lstm.Direction(cast(Cell, one), direction.reverse_input), steps, used, given)
        return one

    first = _first_step(cell, steps[::-1] if direction.reverse_input else steps, turned, given)
    best: Followed | None = None
    own = [states[: cell.state_count] for states in seen]  # the other direction's cell may have more
    for states in sorted(_candidates(turned, own), key=first)[:TRIED]:
        one = run(states)
        if best is None or one.worst.share < best.worst.share:
            best = one
        if best.worst.share <= 1:
            break
    return run(()) if best is None else best


def _rows(used: Array) -> Array:
    """Which steps of a row are used at all, [time, batch]."""
    return np.asarray(np.any(used.reshape(*used.shape[:2], -1), -1))


def _candidates(used: Array, seen: Sequence[tuple[Array, ...]]) -> Iterator[tuple[Array, ...]]:
    """The states that may be those after each step, in the order of the steps, each [time, batch, ...]."""
    rows = _rows(used)
    rank, count = np.cumsum(rows, 0) - 1, rows.sum(0)
    at = np.arange(len(rows))[:, None] + 0 * count
    orders = {o.tobytes(): o for o in (rank, count - 1 - rank, at, at[::-1], rank + len(rows) - count)}
    for states in seen:
        for order in orders.values():
            places = np.clip(order, 0, len(states[0]) - 1)
            yield tuple(np.take_along_axis(s, places.reshape(*places.shape, *[1] * (s.ndim - 2)), 0) for s in states)


def _first_step(
    cell: Cell, steps: Array, used: Array, given: tuple[Array | None, ...]
) -> Callable[[tuple[Array, ...]], float]:
    """How far given states are, after the first step that each row uses, from what the equation makes."""
    rows = _rows(used)
    first, each = rows.argmax(0), np.arange(rows.shape[1])
    projected = cell.project(steps[first, each][None])[0]
    before = tuple(zero if state is None else state
                   for zero, state in zip(cell.zero_states(projected), given, strict=True))  # fmt: skip
    want = cell.step(projected, before)[1][0]
    picked: Any = used[first, each]
    taken = picked.reshape(*picked.shape, *[1] * (want.ndim - picked.ndim))

    def distance(states: tuple[Array, ...]) -> float:
        if states[0].shape[1:] != want.shape:
            return np.inf
        return float(np.nanmax(np.where(taken, np.abs(states[0][first, each] - want), 0.0), initial=0.0))

    return distance
