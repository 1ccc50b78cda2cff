"""How every framework packs the weights of a recurrent layer, and the way between any two of them.

`notation` says layouts as patterns, `lstm`, `gru` and `rnn` hold one row for each framework (`conventions` joins them),
`repack` goes from any row to any other, `table` prints them.
"""

from __future__ import annotations

from converter.gates.conventions import CONVENTIONS, KINDS, ORDERS, Convention, gate_order, table
from converter.gates.repack import Cell, convention, convert, pack, repack, unpack

__all__ = [
    "CONVENTIONS",
    "KINDS",
    "ORDERS",
    "Cell",
    "Convention",
    "convention",
    "convert",
    "gate_order",
    "pack",
    "repack",
    "table",
    "unpack",
]
