"""Runs the real framework behind each convention and compares it with the equations; run by hand.

    python -m benchmarks.prove_conventions [CONVENTION ...]

A random cell is packed by `converter.gates.pack`, given to the framework's own layer, and the sequence it computes is
compared with `reference_lstm` in float64 on the unpacked cell. Frameworks that are not installed are listed as such, so
run it in as many environments as you have; the results are in the rows' `proof`.

The second number is the smallest error over all wrong gate orders: it shows that the comparison could have failed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.convention_runners import FEATURES, RUNNERS, UNITS, X
from converter.gates import CONVENTIONS, Cell, pack
from converter.gates.conventions import ORDERS
from converter.gates.notation import parse
from reference_lstm import cell as reference


def random_cell(kind: str, reset_after: bool, second_bias: bool, peephole: bool = False) -> Cell:
    """A cell with every weight random."""
    draw = np.random.default_rng(7).normal
    g = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]

    def weights(*shape: int) -> np.ndarray:
        return (0.6 * draw(size=shape)).astype(np.float32)

    cell = Cell(kind, weights(FEATURES, g * UNITS), weights(UNITS, g * UNITS), weights(g * UNITS))
    cell = replace(cell, reset_after=reset_after, peephole=weights(3 * UNITS) if peephole else None)
    return replace(cell, recurrent_bias=weights(g * UNITS)) if second_bias else cell


def expected(cell: Cell, x: np.ndarray = X) -> np.ndarray:
    """The sequence of outputs by the equations, float64: [batch, time, units]."""
    w, r = cell.kernel.astype(float), cell.recurrent_kernel.astype(float)
    zeros = np.zeros(w.shape[1])
    first, second = (zeros if b is None else b.astype(float) for b in (cell.bias, cell.recurrent_bias))
    if cell.kind == "LSTM":
        peephole = None if cell.peephole is None else cell.peephole.astype(float)
        layer: Any = reference.LSTM(w, r, first + second, peephole=peephole)
    elif cell.kind == "GRU":
        bias = np.stack([first, second]) if cell.reset_after else first + second
        layer = reference.GRU(w, r, bias, reset_after=cell.reset_after)
    else:
        layer = reference.SimpleRNN(w, r, first + second)
    projected = layer.project(x.astype(float).transpose(1, 0, 2))
    states, outputs = layer.zero_states(projected[0]), []
    for step in projected:
        y, states = layer.step(step, states)
        outputs.append(y)
    return np.stack(outputs, axis=1)


PEEPHOLES_RUN = ("onnx/LSTM", "tf1/LSTMCell", "tf1/LSTMBlockCell", "tf/BlockLSTM", "tf/BlockLSTMV2")


def wrong_orders(cell: Cell, y: np.ndarray) -> float:
    """The smallest error that any other order of the gates would have given."""
    g = cell.kernel.shape[1] // UNITS
    worst = np.inf
    for order in list(permutations(range(g)))[1:]:
        columns = np.concatenate([np.arange(UNITS) + UNITS * k for k in order])
        fields = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
        moved = {f: v[..., columns] for f in fields if (v := getattr(cell, f)) is not None}
        worst = min(worst, float(np.abs(y - expected(replace(cell, **moved))).max()))
    return worst


def prove(name: str, peephole: bool = False) -> str:
    """One line: the error of the framework against the equations."""
    row = CONVENTIONS[name]
    runner = RUNNERS.get(name) or RUNNERS.get(name.split("/")[0])
    if runner is None:
        return "no runner"
    layouts = [parse(pattern) for pattern in row.arrays.values()]
    second = sum(len(p.gates) for x in layouts for p in x.pieces if p.content == "rb") == len(ORDERS[row.cell])
    cell = random_cell(row.cell, row.reset_after, second, peephole)
    try:
        y = runner(pack(cell, name), name)
    except ImportError as error:
        return f"not installed ({error.name or error})"
    error = np.abs(y - expected(cell)).max()
    verdict = "ok" if error < 2e-6 else "WRONG"
    return f"{verdict}: error {error:.1e}; nearest wrong order {wrong_orders(cell, y):.1e}"


def main(names: list[str]) -> int:
    """Prints one line per convention; 1 if any is wrong."""
    lines = {name: prove(name) for name in names or CONVENTIONS}
    lines |= {f"{name} + peepholes": prove(name, True) for name in PEEPHOLES_RUN if not names or name in names}
    for name, line in lines.items():
        print(f"{name:45} {line}")
    return int(any("WRONG" in line for line in lines.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
