"""The conventions, as data: one row for each framework and cell. What reads them is `converter.gates`."""

from __future__ import annotations

from converter.gates.gru import GRU_ROWS
from converter.gates.lstm import LSTM_ROWS
from converter.gates.notation import parse
from converter.gates.rnn import RNN_ROWS
from converter.gates.row import KINDS, ORDERS, Convention
from converter.gates.table import table

CONVENTIONS = {row.name: row for row in (*LSTM_ROWS, *GRU_ROWS, *RNN_ROWS)}

__all__ = ["CONVENTIONS", "KINDS", "ORDERS", "Convention", "gate_order", "table"]


def gate_order(name: str, array: str) -> tuple[int, ...]:
    """The gates that an array of a convention holds, as indices of Keras' own; of the peepholes, of i, f, o."""
    row = CONVENTIONS[name]
    stored = parse(row.arrays[array]).pieces[0].gates
    ours = [gate for gate in ORDERS[row.cell] if gate in stored]
    return tuple(ours.index(gate) for gate in stored)
