"""Recurrent layers as one native LSTM, GRU or RNN operator (https://onnx.ai/onnx/operators/onnx__LSTM.html).

D is the number of directions in the operator. Y is [time, D, batch, units]; states are [D, batch, units].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.masks import Compaction
from converter.exporters.onnx.sequence import Pass, Sequence
from converter.model import Array, Weight, dtype_of
from converter.model.activations import Activation, native
from converter.model.layers import Cell, Direction, GRUCell, LSTMCell, SimpleRNNCell

NativeCell = LSTMCell | GRUCell | SimpleRNNCell


@dataclass(frozen=True)
class Form:
    """How a cell becomes an operator.

    Attributes:
        operator: its name.
        gates: the operator's gates as indices of ours: LSTM i, o, f, c of i, f, c, o; GRU z, r, h of z, r, h.
        states: outputs after Y.
    """

    operator: str
    gates: tuple[int, ...]
    states: int


FORMS: dict[type, Form] = {
    LSTMCell: Form("LSTM", (0, 3, 1, 2), 2),
    GRUCell: Form("GRU", (0, 1, 2), 1),
    SimpleRNNCell: Form("RNN", (0,), 1),
}
PEEPHOLES = (0, 2, 1)  # i, o, f of i, f, o
HELD_WHOLE = 1 << 27  # bytes of a weight that may be held in memory


def activations(cell: NativeCell) -> list[Activation]:
    """In the operator's order: LSTM f, g, h; GRU f, g; RNN f."""
    if isinstance(cell, LSTMCell):
        return [cell.recurrent_activation, cell.activation, cell.activation]
    if isinstance(cell, GRUCell):
        return [cell.recurrent_activation, cell.activation]
    return [cell.activation]


def is_native(cell: Cell) -> bool:
    """Whether an operator computes this cell exactly."""
    return type(cell) in FORMS and all(native(a) for a in activations(cell))  # type: ignore[arg-type]


def fit_together(first: Direction, second: Direction) -> bool:
    """Whether two directions are one bidirectional operator."""
    a, b = first.cell, second.cell
    return (
        type(a) is type(b)
        and is_native(a)
        and is_native(b)
        and first.reverse_input != second.reverse_input
        and a.kernel.shape == b.kernel.shape
        and (not isinstance(a, GRUCell) or a.reset_after == b.reset_after)  # type: ignore[union-attr]
    )


def run(graph: Graph, sequence: Sequence, places: list[int]) -> tuple[list[Pass], Tensor | None]:
    """One operator for these directions of a layer.

    Args:
        graph: takes the operators.
        sequence: the layer and its inputs.
        places: indices of the directions, in the operator's order: forward before reverse.

    Returns:
        What each of `places` gives; and, where `sequence.joins`, the layer's merged output instead of their y.
    """
    directions = [sequence.directions[place] for place in places]
    cells = [direction.cell for direction in directions]
    form = FORMS[type(cells[0])]
    compaction = None
    if sequence.mask is None:
        x = sequence.steps(graph)
    else:
        compaction = Compaction.of(graph, sequence.mask, sequence.time_major)
        x = sequence.guarded(graph, compaction.compact(graph, sequence.x, cells[0].kernel.shape[0]))
    outputs = _operator(graph, sequence, form, places, x, compaction)
    units = cells[0].units  # type: ignore[union-attr]
    found = _Found(graph, sequence, directions, units, compaction, outputs[0], list(outputs[1:]))
    joined = found.joined() if places == [0, 1] and sequence.joins else None
    return [found.result(k, place, joined is None) for k, place in enumerate(places)], joined


def _operator(
    graph: Graph, sequence: Sequence, form: Form, places: list[int], x: Tensor, compaction: Compaction | None
) -> tuple[Tensor | None, ...]:
    directions = [sequence.directions[place] for place in places]
    cells: list[NativeCell] = [direction.cell for direction in directions]  # type: ignore[misc]
    weights = _weights(graph, form, cells, x.dtype)
    lengths = None if compaction is None else compaction.lengths(graph)
    states = [_stack(graph, [sequence.initial[place][k] for place in places]) for k in range(form.states)]
    wanted = [sequence.wants_steps(places), *(sequence.wants_state(k, places) for k in range(form.states))]
    names = [name for a in cells for f in activations(a) if (name := native(f))]
    first = cells[0]
    return graph.ops(
        form.operator,
        (x, *weights[:3], lengths, *states, *weights[3:]),
        [x.dtype if want else None for want in wanted],
        hidden_size=first.units,
        direction="bidirectional" if len(cells) == 2 else "reverse" if directions[0].reverse_input else "forward",
        activations=[f.name for f in names],
        # Only the functions that take them, in order: onnxruntime reads them so.
        activation_alpha=[f.alpha for f in names if f.alpha is not None] or None,
        activation_beta=[f.beta for f in names if f.beta is not None] or None,
        linear_before_reset=int(first.reset_after) if isinstance(first, GRUCell) else None,
    )


def _stack(graph: Graph, states: list[Tensor | None]) -> Tensor | None:
    """The initial states [batch, units] of all directions as [D, batch, units]; zeros where only another has one."""
    given = next((s for s in states if s is not None), None)
    if given is None:
        return None
    filled = [graph.zeros(graph.op("Shape", given, dtype="int64"), given.dtype) if s is None else s for s in states]
    raised = [graph.with_axes("Unsqueeze", s, [0]) for s in filled]
    return raised[0] if len(raised) == 1 else graph.op("Concat", *raised, axis=0)


# --- weights: read when written, one at a time, gate by gate ----------------------------------------------------------


def _weights(graph: Graph, form: Form, cells: list[NativeCell], dtype: str) -> list[Tensor | None]:
    """W [D, gates·units, input], R [D, gates·units, units], B [D, 2·gates·units], and P [D, 3·units] of an LSTM."""
    count, units, features = len(cells), cells[0].units, cells[0].kernel.shape[0]
    height = len(form.gates) * units

    def matrix(suffix: str, sources: tuple[Weight, ...], width: int) -> Tensor:
        blocks = partial(_each, sources, partial(_columns, gates=form.gates, units=units), dtype)
        return graph.packed(suffix, sources, dtype, (count, height, width), blocks)

    bias = None
    if any(cell.bias is not None for cell in cells):
        biases = tuple(cell.bias for cell in cells)
        blocks = partial(_each, biases, partial(_bias, gates=form.gates, units=units), dtype)
        bias = graph.packed("B", (form.operator, biases), dtype, (count, 2 * height), blocks)
    weights: list[Tensor | None] = [
        matrix("W", tuple(cell.kernel for cell in cells), features),
        matrix("R", tuple(cell.recurrent_kernel for cell in cells), units),
        bias,
    ]
    peepholes = tuple(cell.peephole for cell in cells if isinstance(cell, LSTMCell))
    if any(peepholes):
        blocks = partial(_each, peepholes, partial(_peephole, units=units), dtype)
        weights.append(graph.packed("P", peepholes, dtype, (count, 3 * units), blocks))
    return weights


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


# --- outputs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What the operator gave, and how to make a direction's outputs of it."""

    graph: Graph
    sequence: Sequence
    directions: list[Direction]
    units: int
    compaction: Compaction | None
    steps: Tensor | None
    states: list[Tensor | None]

    def joined(self) -> Tensor:
        """Both directions beside each other, [batch, time, 2·units] or time-major."""
        assert self.steps is not None
        y = self.graph.transpose(self.steps, (0, 2, 1, 3) if self.sequence.time_major else (2, 0, 1, 3))
        return self.graph.reshape(y, (0, 0, len(self.directions) * self.units))

    def result(self, k: int, place: int, with_y: bool) -> Pass:
        """The outputs of direction `place` of the layer, the operator's k-th."""
        sequence = self.sequence
        raw = [None if state is None else self._side(state, 0, k) for state in self.states]
        states = [self._kept(state, sequence.initial[place][i]) for i, state in enumerate(raw)]
        y = None
        if with_y and sequence.wants_y[place]:
            y = self._sequence(k, place) if self.steps is not None else self._last(k, place, raw[0], states[0])
        return Pass(y, tuple(states))

    def _side(self, tensor: Tensor, axis: int, k: int) -> Tensor:
        """One direction of Y or a state."""
        if len(self.directions) == 1:
            return self.graph.with_axes("Squeeze", tensor, [axis])
        return self.graph.op("Gather", tensor, self.graph.const(k), axis=axis)

    def _kept(self, state: Tensor | None, initial: Tensor | None) -> Tensor | None:
        """A row without any step keeps its initial state; runtimes give 0, or anything, there."""
        if state is None or self.compaction is None:
            return state
        other = self.graph.scalar(0, state) if initial is None else initial
        return self.graph.op("Where", self.compaction.some(self.graph), state, other, dtype=state.dtype)

    def _sequence(self, k: int, place: int) -> Tensor:
        graph, sequence, direction = self.graph, self.sequence, self.directions[k]
        assert self.steps is not None
        if self.compaction is None:
            natural = direction.reverse_input == direction.reverse_output
            y = self.steps if natural else graph.flip(self.steps, 0)
            if sequence.time_major:
                return self._side(y, 1, k)
            # The Transpose must not come last: onnxruntime 1.32 crashes on loading Transpose(1, 0, 2), Cast, MatMul.
            return self._side(graph.transpose(y, (2, 0, 1, 3)), 2, k)
        rule, places = sequence.masked_output(place), len(self.directions)
        y = self.compaction.spread(graph, self.steps, k, places, direction, rule)
        if rule != "state":
            return y
        initial = sequence.initial[place][0]
        assert initial is not None
        first = graph.with_axes("Unsqueeze", initial, [0 if sequence.time_major else 1])
        return graph.op("Where", self.compaction.leading(graph, direction), first, y, dtype=y.dtype)

    def _last(self, k: int, place: int, raw: Tensor | None, kept: Tensor | None) -> Tensor:
        graph, rule = self.graph, self.sequence.masked_output(place)
        assert raw is not None
        assert kept is not None
        if self.compaction is None or rule == "state":
            return kept
        last = self.compaction.last(graph, self.directions[k])
        real = last if rule == "zero" else self.compaction.some(graph)
        return graph.op("Where", real, raw, graph.scalar(0, raw), dtype=raw.dtype)
