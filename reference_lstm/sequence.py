"""A cell over time, in one direction or two, step by step as Keras' `backend.rnn` does it.

A masked step leaves every state as it was. What it puts out depends on `masked_output`:

    "previous"  the output of the step before, zeros before the first unmasked step, whatever the initial state
    "state"     the h carried, so the initial h before the first unmasked step
    "zero"      zeros
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_lstm.cell import Cell, States

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Direction:
    """One pass of a cell over time.

    `reverse_input`: steps are taken from the last to the first, mask included. `reverse_output`: the sequence of
    outputs is reversed afterwards. Keras' `go_backwards` is the first alone, a backward half is both.
    """

    cell: Cell
    reverse_input: bool = False
    reverse_output: bool = False


MERGE: Mapping[str, Callable[[Array, Array, int], Array]] = {
    "concat": lambda a, b, axis: np.concatenate([a, b], axis=axis),
    "sum": lambda a, b, axis: a + b,
    "mul": lambda a, b, axis: a * b,
    "ave": lambda a, b, axis: (a + b) / 2,
}


def channel_axis(cell: Cell, sequences: bool) -> int:
    """Which axis of a layer's output holds the units or filters."""
    if getattr(cell, "data_format", "channels_last") == "channels_first":
        return 2 if sequences else 1
    return -1


def run_direction(
    direction: Direction,
    x: Array,
    mask: Array | None = None,
    initial_states: Sequence[Array | None] = (),
    *,
    return_sequences: bool = False,
    masked_output: str = "previous",
) -> tuple[Array, States]:
    """All steps of one direction, time major.

    Args:
        direction: the cell and the order of steps.
        x: [time, batch, *features].
        mask: [time, batch] of bool, False where a step is to be passed over; [time, batch, *spatial] for a ConvLSTM's
            places one by one.
        initial_states: each [batch, units], None for zeros; empty for all zeros.
        return_sequences: whether all outputs are wanted or the last.
        masked_output: see the module.

    Returns:
        Outputs [time, batch, units], or the last [batch, units]; and the final states.
    """
    order = slice(None, None, -1) if direction.reverse_input else slice(None)
    projected = direction.cell.project(x)[order]
    steps = None if mask is None else mask[order].reshape(*mask.shape, *[1] * (projected.ndim - mask.ndim))
    zeros = direction.cell.zero_states(np.zeros(projected.shape[1:], projected.dtype))
    given = initial_states or (None,) * len(zeros)
    states = tuple(zero if state is None else state for zero, state in zip(zeros, given, strict=True))
    output = zero_output = np.zeros_like(zeros[0])
    outputs = np.empty((len(projected) if return_sequences else 0, *output.shape), output.dtype)
    for t, projected_t in enumerate(projected):
        new_output, new_states = direction.cell.step(projected_t, states)
        if steps is not None:
            passed_over = {"previous": output, "state": states[0], "zero": zero_output}[masked_output]
            new_output = np.where(steps[t], new_output, passed_over)
            new_states = tuple(np.where(steps[t], new, old) for new, old in zip(new_states, states, strict=True))
        output, states = new_output, new_states
        if return_sequences:
            outputs[t] = output
    if not return_sequences:
        return output, states
    return outputs[::-1] if direction.reverse_output else outputs, states


def run(
    directions: Sequence[Direction],
    x: Array,
    mask: Array | None = None,
    initial_states: Sequence[Array | None] = (),
    *,
    merge: str | None = None,
    return_sequences: bool = False,
    masked_output: str = "previous",
    time_major: bool = False,
) -> tuple[Array, ...]:
    """A recurrent layer: every direction over the whole sequence, then merged.

    Args:
        directions: one or two.
        x: [batch, time, *features], or [time, batch, *features] if time_major.
        mask: bool, [batch, time], or [time, batch] if time_major.
        initial_states: of each direction in turn; None stands for zeros. Empty: all zeros.
        merge: how two outputs become one: "concat" along the channels, "sum", "mul", "ave", or None: both are returned.
        return_sequences: y is [batch, time, units] ([time, batch, units] if time_major), else the last, [batch, units].
        masked_output: see the module.
        time_major: order of the first two axes of x, mask and sequences.

    Returns:
        y (or y of each direction if there are two and no merge), then the final states, ordered as the initial ones.
    """
    if not time_major:
        x = np.swapaxes(x, 0, 1)
        mask = None if mask is None else np.swapaxes(mask, 0, 1)
    ys: list[Array] = []
    finals: list[Array] = []
    for direction in directions:
        given = initial_states[len(finals) : len(finals) + direction.cell.state_count]
        y, states = run_direction(
            direction, x, mask, given, return_sequences=return_sequences, masked_output=masked_output
        )
        ys.append(y if time_major or not return_sequences else np.swapaxes(y, 0, 1))
        finals.extend(states)
    if merge is not None and len(ys) == 2:
        ys = [MERGE[merge](ys[0], ys[1], channel_axis(directions[0].cell, return_sequences))]
    return *ys, *finals
