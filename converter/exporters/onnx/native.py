"""Recurrent layers as one native LSTM, GRU or RNN operator (https://onnx.ai/onnx/operators/onnx__LSTM.html).

D is the number of directions in the operator. Y is [time, D, batch, units]; states are [D, batch, units]. Every output
of the operator has a name, read or not: tools that infer shapes stumble over missing ones.
"""

from __future__ import annotations

from collections.abc import Sequence as List
from typing import TypeGuard

from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.masks import Compaction
from converter.exporters.onnx.native_weights import BEHIND, OPERATORS, NativeCell, packed
from converter.exporters.onnx.runtimes import RUNTIMES, Runtime
from converter.exporters.onnx.sequence import Pass, Sequence, sizes_of
from converter.model.activations import Activation, native
from converter.model.layers import Cell, Direction, GRUCell, LSTMCell

ONNXRUNTIME = RUNTIMES["onnxruntime"]
SATURATING = frozenset({"sigmoid", "hard_sigmoid"})  # 0 and 1 at what is far enough from 0


def activations(cell: NativeCell) -> list[Activation]:
    """In the operator's order: LSTM f, g, h; GRU f, g; RNN f."""
    if isinstance(cell, LSTMCell):
        return [cell.recurrent_activation, cell.activation, cell.activation]
    if isinstance(cell, GRUCell):
        return [cell.recurrent_activation, cell.activation]
    return [cell.activation]


def is_native(cell: Cell, runtime: Runtime = ONNXRUNTIME) -> TypeGuard[NativeCell]:
    """Whether an operator of the runtime computes this cell exactly."""
    if OPERATORS.get(type(cell)) not in runtime.operators:
        return False
    if isinstance(cell, LSTMCell) and cell.peephole is not None and not runtime.peepholes:
        return False
    names = [native(a) for a in activations(cell)]  # type: ignore[arg-type]
    return all(name is not None and name.name in runtime.activations for name in names)


def fit_together(first: Direction, second: Direction, runtime: Runtime = ONNXRUNTIME) -> bool:
    """Whether two directions without a mask are one bidirectional operator.

    onnxruntime 1.6 looks for alpha and beta of RNN by direction, newer ones by activation: the two must have the same.
    """
    a, b = first.cell, second.cell
    return (
        runtime.bidirectional
        and type(a) is type(b)
        and is_native(a, runtime)
        and is_native(b, runtime)
        and first.reverse_input != second.reverse_input
        and a.kernel.shape == b.kernel.shape
        and (OPERATORS[type(a)] != "RNN" or activations(a) == activations(b))
        and (not isinstance(a, GRUCell) or a.reset_after == b.reset_after)  # type: ignore[union-attr]
    )


def run(graph: Graph, sequence: Sequence, places: List[int]) -> tuple[list[Pass], Tensor | None]:
    """One operator for these directions of a layer without a mask.

    Args:
        graph: takes the operators.
        sequence: the layer and its inputs.
        places: indices of the directions, in the operator's order: forward before reverse.

    Returns:
        What each of `places` gives; and, where `sequence.joins`, the layer's merged output instead of their y.
    """
    directions = [sequence.directions[place] for place in places]
    x = sequence.steps(graph)
    name = "bidirectional" if len(places) == 2 else "reverse" if directions[0].reverse_input else "forward"
    turned = name == "reverse" and not graph.store.runtime.reverse
    if turned:
        x, name = graph.flip(x, 0), "forward"
    steps, *states = _operator(graph, sequence, places, x, name)
    joined: Tensor | None = None
    if places == [0, 1] and sequence.joins:
        both = graph.transpose(steps, (0, 2, 1, 3) if sequence.time_major else (2, 0, 1, 3))
        joined = graph.reshape(both, (0, 0, 2 * directions[0].cell.units))  # type: ignore[union-attr]
    passes = []
    for k, place in enumerate(places):
        finals = tuple(_side(graph, state, 0, k, len(places)) for state in states)
        y: Tensor | None = None if sequence.layer.return_sequences else finals[0]
        if joined is None and sequence.wants_steps([place]):
            y = _steps(graph, sequence, steps, k, directions, turned)
        passes.append(Pass(y, finals))
    return passes, joined


def _steps(graph: Graph, sequence: Sequence, y: Tensor, k: int, directions: List[Direction], turned: bool) -> Tensor:
    """The outputs of direction k of the operator, as the layer gives them."""
    backwards = directions[k].reverse_input and not turned  # as Y has them: in natural time
    natural = backwards == directions[k].reverse_output
    y = y if natural else graph.flip(y, 0)
    if sequence.time_major:
        return _side(graph, y, 1, k, len(directions))
    # The Transpose must not come last: onnxruntime 1.32 crashes on loading Transpose(1, 0, 2), Cast, MatMul.
    return _side(graph, graph.transpose(y, (2, 0, 1, 3)), 2, k, len(directions))


def _side(graph: Graph, tensor: Tensor, axis: int, k: int, count: int) -> Tensor:
    """One direction of Y or a state."""
    if count == 1:
        return graph.with_axes("Squeeze", tensor, [axis])
    return graph.op("Gather", tensor, graph.const(k), axis=axis)


def run_masked(graph: Graph, sequence: Sequence, mask: Tensor, place: int) -> Pass:
    """One direction under a mask, by compaction: the operator goes forward over the steps in the order taken."""
    direction, initial, rule = sequence.directions[place], sequence.initial[place], sequence.masked_output(place)
    guarded, sizes = sequence.guarded(graph, mask), sizes_of(graph, mask)
    compaction = Compaction.of(graph, guarded, sizes, direction, sequence.time_major)
    x, keeps_c = sequence.x, _keeps_c(sequence, place)
    if keeps_c:
        x = graph.op("Concat", x, compaction.behind(graph, BEHIND, x), axis=2)
    x = compaction.compact(graph, x)
    lengths = compaction.lengths(graph) if graph.store.runtime.lengths else None
    y, _, *others = _operator(graph, sequence, [place], x, "forward", lengths, keeps_c)
    # A step of zeros before the first, or the initial h; then steps and rows merged.
    zeros = graph.op("Flatten", graph.op("Pad", y, graph.const([1, *[0] * 7])), axis=3)
    started = zeros
    if initial[0] is not None:
        steps = [graph.with_axes("Unsqueeze", initial[0], [0]), graph.with_axes("Squeeze", y, [1])]
        started = graph.op("Flatten", graph.op("Concat", *steps, axis=0), axis=2)
    history = started if rule == "state" else zeros
    spread = compaction.spread if sequence.layer.return_sequences else compaction.last
    h = compaction.last(graph, started, "state")
    # A row without any step keeps its initial state; a runtime that stops at sequence_lens gives 0 there.
    c = [_kept(graph, compaction, _side(graph, other, 0, 0, 1), initial[1]) for other in others]
    return Pass(spread(graph, history, rule) if sequence.wants_y[place] else None, (h, *c))


def _keeps_c(sequence: Sequence, place: int) -> bool:
    """Whether final c is read and can be kept by closing the gates past the end; else sequence_lens must keep it."""
    cell = sequence.directions[place].cell
    wanted = isinstance(cell, LSTMCell) and sequence.wants_states[place][1]
    return wanted and cell.recurrent_activation.name in SATURATING  # type: ignore[union-attr]


def _kept(graph: Graph, compaction: Compaction, state: Tensor, initial: Tensor | None) -> Tensor:
    other = graph.scalar(0, state) if initial is None else initial
    return graph.op("Where", compaction.some(graph), state, other, dtype=state.dtype)


def _operator(
    graph: Graph,
    sequence: Sequence,
    places: List[int],
    x: Tensor,
    direction: str,
    lengths: Tensor | None = None,
    behind: bool = False,
) -> list[Tensor]:
    """Y and the final states of the operator for these directions."""
    cells: list[NativeCell] = [sequence.directions[place].cell for place in places]  # type: ignore[misc]
    first, weights = cells[0], packed(graph, cells, x.dtype, behind)
    states = [_stack(graph, [sequence.initial[place][k] for place in places]) for k in range(first.states)]
    names = [name for a in cells for f in activations(a) if (name := native(f))]
    runtime = graph.store.runtime
    made = graph.ops(
        OPERATORS[type(first)],
        (x, weights.W, weights.R, weights.B, lengths, *states, *([weights.P] if weights.P else [])),
        [x.dtype] * (1 + first.states),
        hidden_size=first.units,
        direction=direction if direction != "forward" or runtime.named_forward else None,
        activations=[f.name for f in names],
        activation_alpha=_parameters([f.alpha for f in names], runtime),
        activation_beta=_parameters([f.beta for f in names], runtime),
        linear_before_reset=int(first.reset_after) if isinstance(first, GRUCell) else None,
    )
    return [tensor for tensor in made if tensor is not None]


def _parameters(values: List[float | None], runtime: Runtime) -> list[float] | None:
    """alpha or beta: of the functions that take them alone, in order, as onnxruntime reads them; or of each.

    Of one cell, each is read rightly either way: those before the first that takes one repeat that one's, and no other
    value than the candidate's own follows it.
    """
    taken = [value for value in values if value is not None]
    if not taken or not runtime.each_alpha:
        return taken or None
    return [taken[0] if value is None else value for value in values]


def _stack(graph: Graph, states: list[Tensor | None]) -> Tensor | None:
    """The initial states [batch, units] of all directions as [D, batch, units]; zeros where only another has one."""
    given = next((s for s in states if s is not None), None)
    if given is None:
        return None
    filled = [graph.zeros(graph.op("Shape", given, dtype="int64"), given.dtype) if s is None else s for s in states]
    raised = [graph.with_axes("Unsqueeze", s, [0]) for s in filled]
    return raised[0] if len(raised) == 1 else graph.op("Concat", *raised, axis=0)
