"""Weights of a native recurrent operator, read when they are written, one at a time, gate by gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from converter.exporters.onnx.graph import Graph, Tensor
from converter.gates import gate_order
from converter.model import Array, Weight, dtype_of
from converter.model.layers import GRUCell, LSTMCell, SimpleRNNCell

NativeCell = LSTMCell | GRUCell | SimpleRNNCell
OPERATORS: dict[type, str] = {LSTMCell: "LSTM", GRUCell: "GRU", SimpleRNNCell: "RNN"}
HELD_WHOLE = 1 << 27  # bytes of a weight that may be held in memory
# Rows of W for the feature that is 1 past the end of a sequence, by gate of ours: its input gate is shut and its forget
# gate open, whatever else is added. BEHIND is that feature's value there; both stay finite in float16.
CLOSED = {"i": -32768.0, "f": 32768.0}
BEHIND = 32768.0


# The operator's gates as indices of ours.
GATES: dict[type, tuple[int, ...]] = {cell: gate_order(f"onnx/{kind}", "W") for cell, kind in OPERATORS.items()}
PEEPHOLES = gate_order("onnx/LSTM", "P")


@dataclass(frozen=True)
class Packed:
    """W [D, gates·units, input], R [D, gates·units, units], B [D, 2·gates·units], P [D, 3·units] of the operator."""

    W: Tensor
    R: Tensor
    B: Tensor | None
    P: Tensor | None


def packed(graph: Graph, cells: Sequence[NativeCell], dtype: str, behind: bool = False) -> Packed:
    """The weights of one operator, for each of its directions.

    Args:
        graph: takes the initializers.
        cells: one for each direction, of one shape.
        dtype: of the initializers.
        behind: with a last feature of the input that keeps c as it is, see `CLOSED`.
    """
    kind, units, features = type(cells[0]), cells[0].units, cells[0].kernel.shape[0]
    gates, count = GATES[kind], len(cells)
    height = len(gates) * units
    columns = partial(_columns, gates=gates, units=units)
    kernels, recurrent = tuple(cell.kernel for cell in cells), tuple(cell.recurrent_kernel for cell in cells)
    kernel = partial(_with_closed, gates=[kind.gates[k] for k in gates], units=units) if behind else columns
    bias = peephole = None
    if any(cell.bias is not None for cell in cells):
        biases = tuple(cell.bias for cell in cells)
        rows = partial(_bias, gates=gates, units=units)
        bias = graph.own("B", biases, dtype, (count, 2 * height), partial(_each, biases, rows, dtype))
    peepholes = tuple(cell.peephole for cell in cells if isinstance(cell, LSTMCell))
    if any(peepholes):
        blocks = partial(_each, peepholes, partial(_peephole, units=units), dtype)
        peephole = graph.own("P", peepholes, dtype, (count, 3 * units), blocks)
    return Packed(
        graph.own("W", kernels, dtype, (count, height, features + behind), partial(_each, kernels, kernel, dtype)),
        graph.own("R", recurrent, dtype, (count, height, units), partial(_each, recurrent, columns, dtype)),
        bias,
        peephole,
    )


def _each(sources: tuple[Weight | None, ...], pieces: partial[Iterator[Array]], dtype: str) -> Iterator[Array]:
    """The pieces of each direction's weight, none kept while the next is read."""
    for source in sources:
        for piece in pieces(source):
            yield np.ascontiguousarray(piece, dtype_of(dtype))


def _columns(source: Weight, gates: tuple[int, ...], units: int) -> Iterator[Array]:
    """The columns of each gate as rows; a large weight is read anew for every piece, never held whole."""
    if source.nbytes <= HELD_WHOLE or source.read_rows is None:
        array = source.read()
        for gate in gates:
            yield array[:, gate * units : (gate + 1) * units].T
        return
    height = source.shape[0]
    step = max(1, HELD_WHOLE * source.shape[1] // source.nbytes)
    for gate in gates:
        for start in range(gate * units, (gate + 1) * units, step):
            piece = np.empty((min(step, (gate + 1) * units - start), height), dtype_of(source.dtype))
            done = 0
            for block in source.rows():
                piece[:, done : done + len(block)] = block[:, start : start + len(piece)].T
                done += len(block)
            yield piece


def _with_closed(source: Weight, gates: Sequence[str], units: int) -> Iterator[Array]:
    """As `_columns`, each row with the weight of the feature that is 1 past the end."""
    done = 0
    for rows in _columns(source, GATES[LSTMCell], units):
        closed = np.full((len(rows), 1), CLOSED.get(gates[done // units], 0.0), rows.dtype)
        done += len(rows)
        yield np.concatenate([rows, closed], axis=1)


def _bias(source: Weight | None, gates: tuple[int, ...], units: int) -> Iterator[Array]:
    """The input bias and the recurrent one, which only GRU(reset_after) has."""
    rows = np.zeros((2, len(gates) * units), np.float32)
    if source is not None:
        array = np.atleast_2d(source.read())
        rows = np.concatenate([array, np.zeros_like(array)])[:2]
    yield rows.reshape(2, len(gates), units)[:, list(gates)]


def _peephole(source: Weight | None, units: int) -> Iterator[Array]:
    array = np.zeros(3 * units, np.float32) if source is None else source.read()
    yield array.reshape(3, units)[list(PEEPHOLES)]
