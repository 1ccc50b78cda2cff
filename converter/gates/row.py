"""What a convention is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# The gates of each cell in Keras' order, by the letters the patterns use: c is the candidate of an LSTM (others
# say g, j or z), h that of a GRU (n, a, o elsewhere).
ORDERS: Mapping[str, str] = {"LSTM": "ifco", "GRU": "zrh", "RNN": "c"}
KINDS: Mapping[int, str] = {len(gates): kind for kind, gates in ORDERS.items()}


@dataclass(frozen=True)
class Convention:
    """How one framework stores one layer, in one direction.

    Attributes:
        name: "framework/cell".
        cell: what it computes.
        letters: the gates in stored order, as the framework itself calls them.
        arrays: the framework's name of each array -> its layout (`converter.gates.notation`).
        forget_bias: LSTM: what the code adds to the forget gate when it runs; it is not in the arrays.
        forget_bias_setting: that amount is an argument of the layer (and may be 0), not a constant in its code.
        bias_required: the layer cannot go without a bias.
        reset_after: GRU: see `converter.gates.Cell`.
        source: where it is written.
        proof: how it was checked: what was run, or "source read", or "not checked".
        note: whatever else to know.
    """

    name: str
    cell: Literal["LSTM", "GRU", "RNN"]
    letters: str
    arrays: Mapping[str, str]
    source: str
    proof: str
    forget_bias: float = 0.0
    forget_bias_setting: bool = False
    bias_required: bool = False
    reset_after: bool = False
    note: str = ""
