"""The steps of LSTM, GRU and SimpleRNN cells in a Scan's body, for activations that no native operator has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converter.exporters.onnx.activations import activate
from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.sequence import Projected, Sequence, Step
from converter.model.activations import Activation
from converter.model.layers import GRUCell, LSTMCell, SimpleRNNCell


def _project(
    graph: Graph, sequence: Sequence, cell: LSTMCell | GRUCell | SimpleRNNCell, step: Step, states: int
) -> Projected:
    """x·kernel + bias of all steps, [time, batch, gates·units]."""
    dtype, bias = sequence.dtype, cell.bias
    x = sequence.steps(graph)
    steps = graph.op("MatMul", x, graph.weight("kernel", cell.kernel, dtype))
    if bias is not None:
        if len(bias.shape) == 2:
            width = bias.shape[1]
            steps = graph.op("Add", steps, graph.weight("bias", bias, dtype, lambda a: a[0], (width,)))
        else:
            steps = graph.op("Add", steps, graph.weight("bias", bias, dtype))
    batch = graph.with_axes("Unsqueeze", graph.size(x, 1), [0])
    shape = graph.op("Concat", batch, graph.const([cell.units]), axis=0)
    return Projected(steps, shape, states, 1, step, lambda t: t, lambda t, lead: t)


def _lstm(graph: Graph, sequence: Sequence, cell: LSTMCell) -> Projected:
    """c' = f·c + i·g; h' = o·activation(c')."""
    units, dtype = cell.units, sequence.dtype
    recurrent = graph.weight("recurrent_kernel", cell.recurrent_kernel, dtype)
    peephole = None
    if cell.peephole is not None:
        peephole = graph.weight("peephole", cell.peephole, dtype)

    def step(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        h, c = states
        z = g.op("Add", x, g.op("MatMul", h, recurrent))
        gates = g.split(z, 1, [units] * 4)
        looks = None if peephole is None else g.split(peephole, 0, [units] * 3)
        return lstm_step(g, gates, c, looks, cell.activation, cell.recurrent_activation)

    return _project(graph, sequence, cell, step, 2)


def lstm_step(
    g: Graph,
    gates: list[Tensor],
    c: Tensor,
    looks: list[Tensor] | None,
    activation: Activation,
    recurrent_activation: Activation,
) -> list[Tensor]:
    """[h', c'] from the sums of the gates i, f, c, o; `looks` are the peepholes of i, f, o."""
    i, f, g_, o = gates
    if looks is not None:
        i, f = (g.op("Add", gate, g.op("Mul", c, look)) for gate, look in zip((i, f), looks[:2], strict=True))
    kept = g.op("Mul", activate(g, f, recurrent_activation), c)
    c = g.op("Add", kept, g.op("Mul", activate(g, i, recurrent_activation), activate(g, g_, activation)))
    if looks is not None:
        o = g.op("Add", o, g.op("Mul", c, looks[2]))
    return [g.op("Mul", activate(g, o, recurrent_activation), activate(g, c, activation)), c]


def _gru(graph: Graph, sequence: Sequence, cell: GRUCell) -> Projected:
    """h' = z·h + (1 - z)·hh; with reset_after r multiplies the recurrent product, else h before it."""
    units, dtype = cell.units, sequence.dtype
    whole = cell.recurrent_kernel
    if cell.reset_after:
        recurrent = graph.weight("recurrent_kernel", whole, dtype)
    else:
        recurrent = graph.weight("recurrent_kernel_zr", whole, dtype, lambda a: a[:, : 2 * units], (units, 2 * units))
        candidate = graph.weight("recurrent_kernel_h", whole, dtype, lambda a: a[:, 2 * units :], (units, units))
    bias = None
    if cell.reset_after and cell.bias is not None:
        bias = graph.weight("recurrent_bias", cell.bias, dtype, lambda a: a[1], (3 * units,))

    def step(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        (h,) = states
        xz, xr, xh = g.split(x, 1, [units] * 3)
        inner = g.op("MatMul", h, recurrent)
        inner = inner if bias is None else g.op("Add", inner, bias)
        hz, hr, *hh = g.split(inner, 1, [units] * (3 if cell.reset_after else 2))
        z, r = (activate(g, g.op("Add", *pair), cell.recurrent_activation) for pair in ((xz, hz), (xr, hr)))
        part = g.op("Mul", r, hh[0]) if hh else g.op("MatMul", g.op("Mul", r, h), candidate)
        new = activate(g, g.op("Add", xh, part), cell.activation)
        rest = g.op("Sub", g.scalar(1, z), z)
        return [g.op("Add", g.op("Mul", z, h), g.op("Mul", rest, new))]

    return _project(graph, sequence, cell, step, 1)


def _simple(graph: Graph, sequence: Sequence, cell: SimpleRNNCell) -> Projected:
    recurrent = graph.weight("recurrent_kernel", cell.recurrent_kernel, sequence.dtype)

    def step(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        # The product comes first: OpenVINO 2026.4 goes wrong where x + product is the state, and sizes are known.
        return [activate(g, g.op("Add", g.op("MatMul", states[0], recurrent), x), cell.activation)]

    return _project(graph, sequence, cell, step, 1)


CELLS: Mapping[type, Callable[..., Projected]] = {LSTMCell: _lstm, GRUCell: _gru, SimpleRNNCell: _simple}
