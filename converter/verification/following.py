"""A cell that goes along the states that a runtime went through, each step compared with what its equation makes.

Where in the operator's sequence a step stands (packed to the front or not, reversed or not) need not be known or
trusted: any sequence whose every step obeys the equation and which ends in the node's outputs is a proof. A few
orders are tried, the one first that fits the first step best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

import reference_lstm
from converter.model import Array
from converter.model.layers import Direction
from converter.verification.cell_rounding import Bounded
from converter.verification.rounding import Near, shares
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

    Where the states are given, what each step makes of the h before it is one product for all steps.

    Attributes:
        bounded: the reference cell, with its bounds.
        projected: of all steps, with what it may be off by, in the order of the steps.
        used: [time, batch, ...] in the order of the steps: False where a step is masked.
        seen: h, or h and c, after each step, in the runtime's type: [time, batch, ...]; none to go its own way.
        worst: of the steps.
        states, errors: h and c after each step, and what they may be off by.
    """

    bounded: Bounded
    projected: Near
    used: Array
    seen: tuple[Array, ...] = ()
    worst: Worst = field(default_factory=Worst)
    states: list[States] = field(default_factory=list)
    errors: list[States] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cell = self.bounded.cell
        self.state_count = self.cell.state_count
        self._errors = np.broadcast_to(self.projected.error, self.projected.value.shape)
        self._recurrent: Array | None = None

    def project(self, x: Array) -> Array:
        """What the cell makes of x, which is known already."""
        return self.projected.value

    def zero_states(self, projected: Array) -> States:
        """As the cell does."""
        return self.cell.zero_states(projected)

    def step(self, projected: Array, states: States) -> tuple[Array, States]:
        """One step by the equation, compared with the state that was seen."""
        t = len(self.errors)
        before = self.errors[-1] if self.errors else tuple(np.zeros_like(state) for state in states)
        recurrent = self._recur(t, states[0])
        _, want = self.cell.step(projected, states, recurrent)
        known = tuple(Near(*pair) for pair in zip(states, before, strict=True))
        near = self.bounded.advance(Near(projected, self._errors[t]), known, recurrent)
        rows = _with_rank(self.used[t], want[0].ndim)
        made = list(want)
        tiny = self.bounded.tiny
        errors = [np.broadcast_to(b.error + tiny, state.shape) for b, state in zip(near, want, strict=True)]
        for k, seen in enumerate(self.seen):
            self.worst.note(seen[t], want[k], errors[k], rows)
            made[k], errors[k] = seen[t].astype(np.float64), np.zeros_like(want[k])
        self.states.append(tuple(made))
        self.errors.append(tuple(np.where(rows, *pair) for pair in zip(errors, before, strict=True)))
        return made[0], tuple(made)

    def _recur(self, t: int, h: Array) -> Array:
        """The product of h, the one before step t."""
        if not self.seen:
            return self.cell.recur(h)
        if self._recurrent is None:
            before = [h]
            for used, seen in zip(self.used[:-1], self.seen[0][:-1], strict=True):
                before.append(np.where(_with_rank(used, h.ndim), seen.astype(np.float64), before[-1]))
            self._recurrent = self.cell.recur(np.stack(before))
        made: Array = self._recurrent[t]
        return made


def _with_rank(used: Array, rank: int) -> Array:
    """Which rows, with axes of size 1 behind it."""
    return used.reshape(*used.shape, *[1] * (rank - used.ndim))


def follow(
    direction: Direction,
    bounded: Bounded,
    steps: Array,
    used: Array,
    given: tuple[Array | None, ...],
    seen: Sequence[tuple[Array, ...]],
) -> Followed:
    """The cell along the states that fit it best, or on its own where none are known.

    Args:
        direction: of the steps.
        bounded: its cell.
        steps: x, [time, batch, ...].
        used: False where a step is masked, [time, batch, ...].
        given: the initial states, None for zeros.
        seen: what may be the states after each step, h or h and c, each [time, batch, ...] in some order.
    """
    cell, order = bounded.cell, slice(None, None, -1) if direction.reverse_input else slice(None)
    turned, values = used[order], cell.project(steps)
    projected = Near(values[order], np.broadcast_to(bounded.projected_error(steps), values.shape)[order])

    def run(states: tuple[Array, ...]) -> Followed:
        one = Followed(bounded, projected, turned, states)
        sequence.run_direction(reference_lstm.Direction(cast(Cell, one)), steps, turned, given)
        return one

    first = _first_step(cell, projected.value, turned, given)
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
    cell: Cell, projected: Array, used: Array, given: tuple[Array | None, ...]
) -> Callable[[tuple[Array, ...]], float]:
    """How far given states are, after the first step that each row uses, from what the equation makes."""
    rows = _rows(used)
    first, each = rows.argmax(0), np.arange(rows.shape[1])
    start = projected[first, each]
    before = tuple(zero if state is None else state
                   for zero, state in zip(cell.zero_states(start), given, strict=True))  # fmt: skip
    recurrent = None if np.any(before[0]) else np.zeros((len(start), *cell.recur(before[0][:0]).shape[1:]))
    want = cell.step(start, before, recurrent)[1][0]
    taken = _with_rank(used[first, each], want.ndim)

    def distance(states: tuple[Array, ...]) -> float:
        if states[0].shape[1:] != want.shape:
            return np.inf
        return float(np.nanmax(np.where(taken, np.abs(states[0][first, each] - want), 0.0), initial=0.0))

    return distance
