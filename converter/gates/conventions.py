"""The conventions, as data: one row for each framework and cell. What reads them is `converter.gates`."""

from __future__ import annotations

from converter.gates.gru import GRU_ROWS
from converter.gates.lstm import LSTM_ROWS
from converter.gates.rnn import RNN_ROWS
from converter.gates.row import ORDERS, Convention
from converter.gates.table import table

CONVENTIONS = {row.name: row for row in (*LSTM_ROWS, *GRU_ROWS, *RNN_ROWS)}

__all__ = ["CONVENTIONS", "ORDERS", "Convention", "table"]
