"""Which cells a loop's body is, by a run of one step and one of a masked step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from converter.model import Array
from converter.model.layers import MaskedOutput
from converter.tensorflow_graph.cells import Found, StepRun, find_cell
from converter.tensorflow_graph.cells_conv import find_conv_cell
from converter.tensorflow_graph.probing import Probed, Prober
from converter.tensorflow_graph.tracing import NotRecurrent, Roles
from converter.tensorflow_graph.values import TensorList

OFFSETS = (0, 1, -1, 7)  # lengths less the number of the step: from where on a row is masked


@dataclass(frozen=True, eq=False)
class Recognized:
    """What a loop is.

    Attributes:
        cells: one on the other's output, each with the numbers of its states.
        x, mask: numbers of the lists; no mask is None.
        lengths: number of the vector that says how many steps of each row are not masked, or None.
        previous: number of the state that keeps the last output, or None.
        masked_output: what a masked step puts out.
    """

    cells: tuple[tuple[Found, tuple[int, ...]], ...]
    x: int
    mask: int | None
    previous: int | None
    masked_output: MaskedOutput
    lengths: int | None = None


def recognize(prober: Prober, roles: Roles, inputs: Sequence[Any]) -> Recognized:
    """The cells of a loop's body.

    Raises:
        NotRecurrent: some state is not explained.
    """
    floats = [k for k in roles.read if not _is_bool(inputs[k])]
    masks = [k for k in roles.read if _is_bool(inputs[k])]
    if len(floats) != 1 or len(masks) + len(roles.lengths) > 1 or len(roles.written) > 1:
        raise NotRecurrent("a step with several inputs or outputs")
    lengths = next(iter(roles.lengths), None)
    run = prober.run(None if lengths is None else prober.at(0, {lengths: np.ones_like(prober.arguments[lengths])}))
    output = next((np.asarray(run.new[k]) for k in roles.written), None)
    states, previous = list(roles.states), None
    if masks and output is not None and len(states) > 1 and _same(run.new[states[0]], output):
        previous = states.pop(0)
    dtype = np.asarray(run.old[states[0]]).dtype.name if states else ""
    x, cells = run.x[floats[0]].astype(np.float64), []
    while states:
        found = _cell(run, x, states, dtype, roles)
        numbers = tuple(states[k] for k in found.states)
        states = [k for k in states if k not in numbers]
        cells.append((found, numbers))
        x = np.asarray(run.new[numbers[0]]).astype(np.float64)
    if not cells or (output is not None and not _same(run.new[cells[-1][1][0]], output)):
        raise NotRecurrent("a step whose output is not the state of its last cell")
    if lengths is not None:
        _check_lengths(prober, lengths, roles, run)
        return Recognized(tuple(cells), floats[0], None, None, "zero", lengths)
    rule = _masked(prober, masks[0], roles, run, previous) if masks else "previous"
    return Recognized(tuple(cells), floats[0], masks[0] if masks else None, previous, rule)


def _is_bool(items: Any) -> bool:
    return isinstance(items, TensorList) and items.stacked is not None and items.stacked.dtype == "bool"


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and np.array_equal(a, b)


def _cell(run: Probed, x: Array, states: Sequence[int], dtype: str, roles: Roles) -> Found:
    old = tuple(np.asarray(run.old[k]).astype(np.float64) for k in states)
    new = tuple(np.asarray(run.new[k]).astype(np.float64) for k in states)
    seen = StepRun(x, old, new, dtype, roles.scalars)
    found = find_cell(seen, run.candidates) if x.ndim == 2 else find_conv_cell(seen, run.candidates, roles.convolutions)
    if found is None:
        raise NotRecurrent("a step that no cell's equations give")
    return found


def _check_lengths(prober: Prober, lengths: int, roles: Roles, run: Probed) -> None:
    """Refuse what is no masking by lengths: rows are masked from their length on, which puts out zeros.

    Raises:
        NotRecurrent: another step, or another length, gives something else.
    """
    rows, dtype = prober.arguments[lengths].shape, prober.arguments[lengths].dtype
    for time, first in product((0, 1, 4), range(4)):
        counts = (np.resize(np.roll(OFFSETS, first), rows) + time).astype(dtype)
        made, on = prober.run(prober.at(time, {lengths: counts})), counts > time
        for k in (*roles.states, *roles.written):
            new = np.asarray(run.new[k])
            off = np.asarray(run.old[k]) if k in roles.states else np.zeros_like(new)
            rule = on.reshape(-1, *[1] * (new.ndim - 1))
            if new.shape[:1] != rows or not _same(made.new[k], np.where(rule, new, off)):
                raise NotRecurrent("a step that does something else past the lengths than to keep the states")


def _masked(prober: Prober, mask: int, roles: Roles, run: Probed, previous: int | None) -> MaskedOutput:
    """What masked steps put out, by a run of one.

    Raises:
        NotRecurrent: the states change at a masked step, or the output is something else.
    """
    off = prober.run({mask: (np.zeros_like(run.x[mask]),)})
    if any(not _same(off.new[k], off.old[k]) for k in roles.states if k != previous):
        raise NotRecurrent("a masked step that changes the states")
    output = next((np.asarray(off.new[k]) for k in roles.written), None)
    if output is None or (previous is not None and _same(output, off.old[previous])):
        return "previous"
    if not np.any(output):
        return "zero"
    raise NotRecurrent("a masked step with an output of its own")
