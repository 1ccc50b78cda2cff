"""LSTM and SimpleRNN as UNIDIRECTIONAL_SEQUENCE_LSTM and UNIDIRECTIONAL_SEQUENCE_RNN.

The operators keep their states in variable tensors, from one call of the interpreter to the next; a Keras layer starts
anew. So an operator before each writes what the layer starts from into them, which a variable takes as any tensor does
(its memory alone is permanent): zeros of the batch's size, or the initial states that are given. Every call is right
then, without a reset, whatever was called before.

The final c is read from the variable, after the operator. Runtimes may run operators in any order that the tensors
allow (delegates do), so what reads it reads the operator's output as well.

Source: tensorflow/lite/kernels/unidirectional_sequence_lstm.cc, lstm_eval.cc, unidirectional_sequence_rnn.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter.exporters.tflite.activations import FUSED_RECURRENT
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.passes import Job, Pass
from converter.exporters.tflite.tensors import Tensor
from converter.model import Array, Weight
from converter.model.activations import SIGMOID, TANH
from converter.model.layers import Cell, LSTMCell, SimpleRNNCell

# Places of the coefficients of a layer normalization; TFLite Micro counts on them, absent as they are.
NO_NORMALIZATION = (None,) * 4


def fits(cell: Cell) -> bool:
    """Whether an operator computes this cell, in every runtime.

    LiteRT's LSTM takes a linear activation for something else, and TFLite Micro's takes tanh of c whatever is asked for
    (lstm_eval.h).
    """
    if isinstance(cell, LSTMCell):
        return (cell.activation, cell.recurrent_activation) == (TANH, SIGMOID)
    return isinstance(cell, SimpleRNNCell) and cell.activation in FUSED_RECURRENT


def run(graph: Graph, job: Job) -> Pass:
    """One direction by one operator."""
    cell, direction = job.direction.cell, job.direction
    assert isinstance(cell, LSTMCell | SimpleRNNCell)
    x = graph.flip(job.x, job.time) if direction.reverse_input else job.x
    states = [_started(graph, job, x, name, place) for place, name in enumerate("hc"[: cell.states])]
    if isinstance(cell, LSTMCell):
        kind, given = _lstm(graph, cell, job.side, states)
    else:
        kind, given = _rnn(graph, cell, job.side, states)
    shape = (*x.shape[:2], cell.units)
    fused = FUSED_RECURRENT[cell.activation]
    ((y),) = graph.ops_(kind, (x, *given), [("float32", shape)], fusedActivationFunction=fused,
                        timeMajor=job.layer.time_major)  # fmt: skip
    last = graph.pick(y, job.time, -1)
    finals = [last] if cell.states == 1 else [last, _beside(graph, states[1], last, cell.units)]
    if job.layer.return_sequences:
        return Pass(graph.flip(y, job.time) if direction.reverse_output else y, tuple(finals))
    return Pass(last, tuple(finals))


def _started(graph: Graph, job: Job, x: Tensor, name: str, place: int) -> Tensor:
    """A variable with what the state starts from."""
    cell, initial = job.direction.cell, job.initial[place]
    assert isinstance(cell, LSTMCell | SimpleRNNCell)
    batch = x.shape[job.batch]
    state = graph.variable(name, (batch, cell.units))
    if initial is not None:
        graph.into(state, "CONCATENATION", graph.cast(initial, "float32"), axis=0)
    elif batch == 1:
        graph.into(state, "ZEROS_LIKE", graph.const(np.zeros((1, cell.units)), "float32"))
    else:
        # By operators that no delegate takes: one that does computes after an operator whose output's size is not known
        # before it runs (RANGE), and LiteRT then has room for a single row in the variable.
        rows = (batch, x.shape[2])
        zeros = graph.op("ZEROS_LIKE", graph.op("GATHER", job.x, graph.const(0), shape=rows, axis=job.time))
        graph.into(state, "GATHER", zeros, graph.const(np.zeros(cell.units)), axis=1)
    return state


def _beside(graph: Graph, state: Tensor, last: Tensor, units: int) -> Tensor:
    """A variable's value after the operator whose last output is `last`."""
    both = graph.concat([last, state], 1)
    return graph.slice(both, 1, units, None, shape=state.shape)


def _gates(graph: Graph, weight: Weight, names: Sequence[str]) -> list[Tensor]:
    """The gates of [..., gates·units] by name, each transposed."""
    units = weight.shape[-1] // len(names)

    def gate(place: int) -> Tensor:
        def turned(array: Array) -> Array:
            return np.transpose(array[..., place * units : (place + 1) * units])

        return graph.weight(names[place], weight, transform=turned, shape=(units, *weight.shape[:-1]))

    return [gate(place) for place in range(len(names))]


def _lstm(graph: Graph, cell: LSTMCell, side: str, states: list[Tensor]) -> tuple[str, list[Tensor | None]]:
    """Gates in the order i, f, c, o, as the runtime calls them; no projection, no normalization."""
    gates = ("input", "forget", "cell", "output")
    biases: list[Tensor] = [graph.const(np.zeros(cell.units), "float32")] * len(gates)
    if cell.bias is not None:
        names = ("input_gate_bias", "forget_gate_bias", "cell_bias", "output_gate_bias")
        biases = _gates(graph, cell.bias, [side + name for name in names])
    looks: list[Tensor | None] = [None] * 3
    if cell.peephole is not None:
        looks = [*_gates(graph, cell.peephole, [f"{side}cell_to_{g}_weights" for g in gates if g != "cell"])]
    return "UNIDIRECTIONAL_SEQUENCE_LSTM", [
        *_gates(graph, cell.kernel, [f"{side}input_to_{g}_weights" for g in gates]),
        *_gates(graph, cell.recurrent_kernel, [f"{side}recurrent_to_{g}_weights" for g in gates]),
        *looks, *biases, None, None, *states, *NO_NORMALIZATION,
    ]  # fmt: skip


def _rnn(graph: Graph, cell: SimpleRNNCell, side: str, states: list[Tensor]) -> tuple[str, list[Tensor | None]]:
    nothing = graph.const(np.zeros(cell.units), "float32")
    bias = nothing if cell.bias is None else graph.weight(f"{side}bias", cell.bias)
    turned = [
        graph.weight(f"{side}{name}", weight, transform=np.transpose, shape=weight.shape[::-1])
        for name, weight in (("kernel", cell.kernel), ("recurrent_kernel", cell.recurrent_kernel))
    ]
    return "UNIDIRECTIONAL_SEQUENCE_RNN", [*turned, bias, *states]
