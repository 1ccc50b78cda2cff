"""Which recurrent cell a step is, found by computing: equations on random weights against what the step made of them.

The loop's body has been run once on random x, states and weights; here the equations of LSTM (Keras' packing, the
joint kernel of TensorFlow 1 with forget bias and peepholes), GRU (both reset modes, TensorFlow 1's) and SimpleRNN are
tried with every weight in every place it could have, and every activation. Random weights tell all of these apart,
however small or saturated the model's own are. Sources: keras/src/layers/rnn/{lstm,gru,simple_rnn}.py,
tensorflow/python/keras/layers/legacy_rnn/rnn_cell_impl.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from converter.model import Array, Weight, join, layers
from converter.model.activations import NAMES, Activation
from converter.tensorflow_graph.packings import (
    Candidate,
    Packed,
    apart,
    chained,
    gru_apart,
    gru_joint,
    joint,
    limited,
)
from reference_lstm.activations import activate

ACTIVATIONS: tuple[Activation, ...] = tuple(dict.fromkeys([
    *(NAMES[name] for name in ("tanh", "sigmoid", "relu", "linear")),
    Activation("hard_sigmoid", (0.2, 0.5)), Activation("hard_sigmoid", (1 / 6, 0.5)),
    *(Activation("hard_sigmoid", (fifth, 0.5)) for fifth in (0.199951171875, 0.2001953125)),  # as float16, bfloat16
    *(NAMES[name] for name in NAMES if name not in ("softmax", "log_softmax", "sparsemax", "glu")),
    Activation("gelu", (1.0,)), Activation("leaky_relu", (0.3,)), Activation("leaky_relu", (0.01,)),
    Activation("softmax", (1,)),
]))  # fmt: skip
FEW = 8  # numbers on which every pair of activations is tried, before all are
TOLERANCE = 3e-5  # of half precision, too, which is run as float32
TOLERANCES = {"float64": 1e-8}


@dataclass(frozen=True, eq=False)
class Found:
    """A cell.

    Attributes:
        cell: neutral, with the file's weights.
        h, c: numbers of the states, among those not yet explained; c is None but for an LSTM.
        order: of all the states that it explains.
    """

    cell: layers.Cell
    states: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class StepRun:
    """What one run of the step saw and made.

    Attributes:
        x: [batch, input].
        old, new: states before and after.
        dtype: of the states in the graph.
        scalars: floating constants of the step.
    """

    x: Array
    old: tuple[Array, ...]
    new: tuple[Array, ...]
    dtype: str
    scalars: tuple[float, ...] = ()

    def bound(self, want: Array) -> float:
        """How far from `want` counts as rounding."""
        return TOLERANCES.get(self.dtype, TOLERANCE) * max(1.0, float(np.max(np.abs(want), initial=0.0)))

    def equal(self, have: Array, want: Array) -> bool:
        """Whether two arrays are the same but for rounding."""
        return have.shape == want.shape and bool(np.max(np.abs(have - want), initial=0.0) <= self.bound(want))


def find_cell(run: StepRun, candidates: Sequence[Candidate]) -> Found | None:
    """The cell that makes the first states; None if none of those known does."""
    for finder in (_lstm, _gru, _simple):
        found = finder(run, candidates)
        if found is not None:
            return found
    return None


def _lstm(run: StepRun, candidates: Sequence[Candidate]) -> Found | None:
    if len(run.old) < 2 or run.old[0].shape != run.old[1].shape or run.old[0].ndim != 2:
        return None
    inputs, units = run.x.shape[1], run.old[0].shape[1]
    shifts = tuple(dict.fromkeys((0.0, 1.0, *run.scalars)))
    for packed in limited(chained(apart(candidates, inputs, units, 4),
                                  joint(candidates, inputs, units, (0, 2, 1, 3), shifts))):  # fmt: skip
        for h, c in ((0, 1), (1, 0)):
            for holes in _peepholes(candidates, units):
                found = _lstm_activations(run, packed, h, c, holes)
                if found is not None:
                    return found
    return None


def _peepholes(candidates: Sequence[Candidate], units: int) -> Iterator[tuple[Candidate, ...]]:
    yield ()
    diagonals = [c for c in candidates if c.sample.shape == (units,)]
    if 3 <= len(diagonals) <= 6:
        yield from permutations(diagonals, 3)


def _lstm_activations(run: StepRun, packed: Packed, h: int, c: int, holes: tuple[Candidate, ...]) -> Found | None:
    z = run.x @ packed.kernel + run.old[h] @ packed.recurrent + (0.0 if packed.bias is None else packed.bias)
    matched = lstm_activations(run, np.split(z, 4, axis=-1), (h, c), tuple(hole.sample for hole in holes))
    if matched is None:
        return None
    kernel, recurrent_kernel, bias = packed.weights()
    peephole = join("peepholes", tuple(hole.weight for hole in holes), 0) if holes else None
    dtype = run.dtype
    cell = layers.LSTMCell(
        run.old[h].shape[1], kernel.astype(dtype), recurrent_kernel.astype(dtype), as_dtype(bias, dtype),
        *matched, as_dtype(peephole, dtype),
    )  # fmt: skip
    return Found(cell, (h, c))


def lstm_activations(
    run: StepRun, gates: Sequence[Array], places: tuple[int, int], peepholes: Sequence[Array] = ()
) -> tuple[Activation, Activation] | None:
    """Activation and recurrent activation with which these sums i, f, c, o give the states at `places` (h, c)."""
    (h, c), (z_i, z_f, z_c, z_o) = places, gates
    old_c, new_h, new_c = run.old[c], run.new[h], run.new[c]
    p_i, p_f, p_o = peepholes or (0.0, 0.0, 0.0)
    i, f, g = (_all(z) for z in (z_i + p_i * old_c, z_f + p_f * old_c, z_c))
    with np.errstate(all="ignore"):
        made = f[:, None] * old_c[:1, :FEW] + i[:, None] * g[None]
        off = np.abs(made - new_c[:1, :FEW]).max(axis=tuple(range(2, made.ndim)), initial=0.0)
        near = off <= run.bound(new_c)
    for recurrent, activation in ((ACTIVATIONS[r], ACTIVATIONS[a]) for r, a in np.argwhere(near)):
        kept, taken = (_act(recurrent, z) * other for z, other in ((z_f + p_f * old_c, old_c),
                       (z_i + p_i * old_c, _act(activation, z_c))))  # fmt: skip
        if run.equal(kept + taken, new_c) and run.equal(
            _act(recurrent, z_o + p_o * new_c) * _act(activation, new_c), new_h
        ):
            return activation, recurrent
    return None


def _all(z: Array) -> Array:
    """The first few numbers of the first row by every activation: [activations, 1, few]."""
    return np.stack([_act(activation, z[:1])[:, :FEW] for activation in ACTIVATIONS])


def as_dtype(weight: Weight | None, dtype: str) -> Weight | None:
    """The weight in the dtype that the cell computes in, if there is one."""
    return None if weight is None else weight.astype(dtype)


def _act(activation: Activation, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return activate((activation.name, activation.parameters), x)


def _gru(run: StepRun, candidates: Sequence[Candidate]) -> Found | None:
    if run.old[0].ndim != 2:
        return None
    inputs, units = run.x.shape[1], run.old[0].shape[1]
    choices = chained(gru_apart(candidates, inputs, units), gru_joint(candidates, inputs, units))
    for packed, reset_after in ((p, r) for p in limited(choices) for r in (True, False)):
        doubled = packed.bias is not None and packed.bias.ndim == 2
        if reset_after != doubled and packed.bias is not None:
            continue
        found = _gru_activations(run, packed, reset_after)
        if found is not None:
            kernel, recurrent_kernel, bias = packed.weights()
            cell = layers.GRUCell(
                units, kernel.astype(run.dtype), recurrent_kernel.astype(run.dtype), as_dtype(bias, run.dtype), *found,
                reset_after,
            )  # fmt: skip
            return Found(cell, (0,))
    return None


def _simple(run: StepRun, candidates: Sequence[Candidate]) -> Found | None:
    if run.old[0].ndim != 2:
        return None
    inputs, units = run.x.shape[1], run.old[0].shape[1]
    choices = chained(apart(candidates, inputs, units, 1), joint(candidates, inputs, units, (0,), (0.0,)))
    for packed in limited(choices):
        z = run.x @ packed.kernel + run.old[0] @ packed.recurrent + (0.0 if packed.bias is None else packed.bias)
        for activation in ACTIVATIONS:
            if run.equal(_act(activation, z), run.new[0]):
                kernel, recurrent_kernel, bias = packed.weights()
                cell = layers.SimpleRNNCell(
                    units, kernel.astype(run.dtype), recurrent_kernel.astype(run.dtype), as_dtype(bias, run.dtype),
                    activation,
                )  # fmt: skip
                return Found(cell, (0,))
    return None


def _gru_activations(run: StepRun, packed: Packed, reset_after: bool) -> tuple[Activation, Activation] | None:
    """Activation and recurrent activation of a GRU with which the equations of `reference_lstm` hold."""
    old, new = run.old[0], run.new[0]
    x_bias, h_bias = packed.bias if reset_after and packed.bias is not None else (packed.bias, None)
    x_z, x_r, x_h = np.split(run.x @ packed.kernel + (0.0 if x_bias is None else x_bias), 3, axis=-1)
    h_z, h_r, h_h = np.split(old @ packed.recurrent + (0.0 if h_bias is None else h_bias), 3, axis=-1)
    u_h = np.split(packed.recurrent, 3, axis=-1)[2]
    for recurrent in ACTIVATIONS:
        z, r = _act(recurrent, x_z + h_z), _act(recurrent, x_r + h_r)
        with np.errstate(all="ignore"):
            inner = x_h + (r * h_h if reset_after else (r * old) @ u_h)
            made = z[:1, :FEW] * old[:1, :FEW] + (1 - z[:1, :FEW]) * _all(inner)
            near = np.abs(made - new[:1, :FEW]).max(axis=(1, 2), initial=0.0) <= run.bound(new)
            for activation in (ACTIVATIONS[place] for place in np.flatnonzero(near)):
                if run.equal(z * old + (1 - z) * _act(activation, inner), new):
                    return activation, recurrent
    return None
