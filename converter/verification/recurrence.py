"""A recurrent node held to its equation step by step, its masks, states, directions and merging included.

A recurrent network may amplify rounding without bound, so that two right implementations part ways; a single step from
the same x, h and c may not. So each step starts from the h that the runtime itself had: the operator's sequence of
states is looked at, and a reference cell is made to go along it (`Followed`), which compares what its equation makes
of the state before with the state that is there, and goes on from the latter. c, which a native operator does not
show, is the equation's own, with the error that it may have gathered by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

import reference_lstm
from converter.interpret import cell_of
from converter.model import Array, dtype_of
from converter.model.layers import Recurrent
from converter.verification.cell_rounding import Bounded, bounded
from converter.verification.following import Followed, Worst, follow
from converter.verification.rounding import UNIT, Near
from reference_lstm.cell import Cell, States


class Replayed:
    """A cell whose every step gives states that are known, for `reference_lstm.run` to put where the outputs go."""

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


@dataclass(frozen=True)
class Equation:
    """What a recurrent layer computes, in a type: the cell of each direction with its bounds."""

    layer: Recurrent
    dtype: str
    cells: tuple[Bounded, ...]


def equation_of(layer: Recurrent, dtype: str) -> Equation:
    """The equation of a layer whose weights are read, for all inputs."""
    u = _unit(dtype)
    return Equation(layer, dtype, tuple(bounded(cell_of(one.cell, "float64"), u) for one in layer.directions))


def _unit(dtype: str) -> float:
    """onnxruntime has no recurrent operator in float64: such models run in float32."""
    return UNIT["float32" if dtype == "float64" else dtype]


def recurrent_truth(
    equation: Equation, inputs: Sequence[Array | None], seen: Sequence[tuple[Array, ...]], read: Sequence[bool]
) -> Truth:
    """What the equation makes of these inputs, along the states that its operators went through.

    Args:
        equation: of the node.
        inputs: x, mask or None, initial states or None; floats in float64.
        seen: of each operator that may be this node's the states, h or h and c, each [time, batch, ...].
        read: whether an output depends on each direction; another one need not be in the file.
    """
    x, mask, *initial = inputs
    assert x is not None
    layer, u, tiny = equation.layer, _unit(equation.dtype), equation.cells[0].tiny
    cells = followed(equation, inputs, seen)
    worst = max((cell.worst for cell, wanted in zip(cells, read, strict=True) if wanted), key=lambda one: one.share)
    compared = sum(int(np.count_nonzero(cell.used)) for cell in cells if cell.seen)
    outputs = _outputs(layer, cells, x, mask, initial, u)
    wider = any(state.dtype.itemsize > dtype_of(equation.dtype).itemsize for cell in cells for state in cell.seen)
    if wider or equation.dtype == "float64":  # a Scan in float32, then rounded; float64 states, made float32
        outputs = tuple(y.plus(Near(np.zeros(()), tiny), u) for y in outputs)
    return Truth(outputs, worst, compared)


def followed(equation: Equation, inputs: Sequence[Array | None], seen: Sequence[tuple[Array, ...]]) -> list[Followed]:
    """The cell of each direction along the states that were seen, or on its own where none were; see above."""
    x, mask, *initial = inputs
    assert x is not None
    layer = equation.layer
    major = (0, 1) if layer.time_major else (1, 0)
    steps = np.transpose(x, (*major, *range(2, x.ndim)))
    used = np.ones(steps.shape[:2], np.bool_) if mask is None else np.transpose(mask, (*major, *range(2, mask.ndim)))
    cells: list[Followed] = []
    taken = 0
    for direction, one in zip(layer.directions, equation.cells, strict=True):
        given = tuple(initial[taken : taken + one.cell.state_count])
        taken += one.cell.state_count
        cells.append(follow(direction, one, steps, used, given, seen))
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
    merging = 4 * u * np.abs(values[0]) + cells[0].bounded.tiny
    return tuple(Near(*pair) for pair in zip(values, (carried + merging, *finals), strict=True))
