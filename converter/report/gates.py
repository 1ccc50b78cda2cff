"""What the gates of a cell do at each step: the equations of `reference_lstm.cell`, with every gate kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converter.model import Array
from reference_lstm import GRU, LSTM, SimpleRNN, activate
from reference_lstm.cell import Cell, States


@dataclass
class Recorder:
    """A cell that keeps what each step began with and ended with."""

    cell: Cell
    projections: list[Array] = field(default_factory=list)
    before: list[States] = field(default_factory=list)
    after: list[States] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state_count = self.cell.state_count

    def project(self, x: Array) -> Array:
        """As the cell does."""
        return self.cell.project(x)

    def zero_states(self, projected: Array) -> States:
        """As the cell does."""
        return self.cell.zero_states(projected)

    def step(self, projected: Array, states: States) -> tuple[Array, States]:
        """As the cell does."""
        output, new = self.cell.step(projected, states)
        self.projections.append(projected)
        self.before.append(states)
        self.after.append(new)
        return output, new


def gates_of(cell: Cell, steps: Recorder) -> dict[str, Array]:
    """Gates, then states, [time, units] each; of a ConvLSTM its states alone, all places side by side."""
    taken = [EQUATIONS[type(cell)](cell, z, s) for z, s in zip(steps.projections, steps.before, strict=True)] \
        if type(cell) in EQUATIONS else []  # fmt: skip
    shown: dict[str, list[Array]] = {name: [one[name] for one in taken] for name in (taken[0] if taken else ())}
    for k, name in reversed(list(enumerate(("h", "c")[: cell.state_count]))):
        shown[name] = [states[k] for states in steps.after]
    return {name: np.stack(arrays).reshape(len(arrays), -1) for name, arrays in shown.items()}


def _lstm(cell: LSTM, projected: Array, states: States) -> dict[str, Array]:
    """i and f see the old c through peepholes, o the new one."""
    h, c = states
    z_i, z_f, z_c, z_o = np.split(projected + h @ cell.recurrent_kernel, 4, axis=-1)
    p_i, p_f, p_o = (0.0,) * 3 if cell.peephole is None else np.split(cell.peephole, 3)
    i, f = (activate(cell.recurrent_activation, z + p * c) for z, p in ((z_i, p_i), (z_f, p_f)))
    candidate = activate(cell.activation, z_c)
    o = activate(cell.recurrent_activation, z_o + p_o * (f * c + i * candidate))
    return {"i": i, "f": f, "candidate": candidate, "o": o}


def _gru(cell: GRU, projected: Array, states: States) -> dict[str, Array]:
    (h,) = states
    u_z, u_r, u_h = np.split(cell.recurrent_kernel, 3, axis=-1)
    x_z, x_r, x_h = np.split(projected, 3, axis=-1)
    both = cell.bias is not None and cell.reset_after
    b_z, b_r, b_h = np.split(cell.bias[1], 3) if both and cell.bias is not None else (0.0,) * 3
    z = activate(cell.recurrent_activation, x_z + h @ u_z + b_z)
    r = activate(cell.recurrent_activation, x_r + h @ u_r + b_r)
    recurrent = r * (h @ u_h + b_h) if cell.reset_after else (r * h) @ u_h
    return {"z": z, "r": r, "candidate": activate(cell.activation, x_h + recurrent)}


EQUATIONS: Mapping[type, Callable[[Any, Array, States], dict[str, Array]]] = {
    LSTM: _lstm,
    GRU: _gru,
    SimpleRNN: lambda cell, projected, states: {},
}
MEANINGS = {
    "i": "input gate: how much of the candidate is written",
    "f": "forget gate: how much of c is kept",
    "o": "output gate: how much of c is shown",
    "z": "update gate: how much of the old h is kept",
    "r": "reset gate: what the candidate sees of h",
    "candidate": "candidate: what could be written",
    "c": "c: what the cell remembers",
    "h": "h: what the layer puts out",
}
