"""One step of LSTM, GRU and SimpleRNN cells in builtin operators, for activations and masks that none fuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from converter.exporters.tflite.activations import activate
from converter.exporters.tflite.dense import linear
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.tensors import Tensor
from converter.model import Weight
from converter.model.layers import GRUCell, LSTMCell, SimpleRNNCell

# In the graph of the step: the projected input of one step and the states, [h] or [h, c], give the new states.
Step = Callable[[Graph, Tensor, list[Tensor]], list[Tensor]]


@dataclass(frozen=True)
class Projected:
    """A cell whose input is projected: how many states, and its step."""

    states: int
    step: Step


def project(
    graph: Graph, cell: LSTMCell | GRUCell | SimpleRNNCell, side: str, x: Tensor, at_once: bool
) -> tuple[Projected, Tensor]:
    """The step of a cell, and what it takes of all steps, [time, batch, ...]: x·kernel + bias if `at_once`, else x."""
    layer, step = graph.store.layer, _step(cell, side)

    def projected(g: Graph, x: Tensor) -> Tensor:
        bias = None if cell.bias is None else _row(g, f"{side}bias", cell.bias, 0)
        return linear(g, x, f"{side}kernel", cell.kernel, bias)

    def named(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        g.store.layer = layer
        return step(g, x if at_once else projected(g, x), states)

    return Projected(cell.states, named), projected(graph, x) if at_once else x


def _row(graph: Graph, name: str, bias: Weight, place: int) -> Tensor:
    """A bias, or one of the two of a GRU with reset_after."""
    if len(bias.shape) == 1:
        return graph.weight(name, bias)
    return graph.weight(name, bias, transform=lambda array: array[place], shape=bias.shape[1:])


def _step(cell: LSTMCell | GRUCell | SimpleRNNCell, side: str) -> Step:
    if isinstance(cell, GRUCell):
        return _gru(cell, side)
    return _lstm(cell, side) if isinstance(cell, LSTMCell) else _simple(cell, side)


def _lstm(cell: LSTMCell, side: str) -> Step:
    """c' = f·c + i·g; h' = o·activation(c')."""

    def step(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        h, c = states
        i, f, new, o = g.split(
            g.op("ADD", x, linear(g, h, f"{side}recurrent_kernel", cell.recurrent_kernel, None)), 1, 4
        )
        looks = None if cell.peephole is None else [_third(g, side, cell.peephole, place) for place in range(3)]
        if looks is not None:
            i, f = (g.op("ADD", gate, g.op("MUL", c, look)) for gate, look in zip((i, f), looks[:2], strict=True))
        kept = g.op("MUL", activate(g, f, cell.recurrent_activation), c)
        c = g.op("ADD", kept, g.op("MUL", activate(g, i, cell.recurrent_activation), activate(g, new, cell.activation)))
        if looks is not None:
            o = g.op("ADD", o, g.op("MUL", c, looks[2]))
        return [g.op("MUL", activate(g, o, cell.recurrent_activation), activate(g, c, cell.activation)), c]

    return step


def _third(graph: Graph, side: str, peephole: Weight, place: int) -> Tensor:
    units = peephole.shape[0] // 3
    return graph.weight(f"{side}peephole_{place}", peephole, transform=lambda a: np.split(a, 3)[place], shape=(units,))


def _gru(cell: GRUCell, side: str) -> Step:
    """h' = z·h + (1 - z)·hh; with reset_after r multiplies the recurrent product, else h before it."""
    whole, units = cell.recurrent_kernel, cell.units

    def part(name: str, start: int, stop: int) -> Weight:
        return whole.map(lambda a: a[:, start * units : stop * units], (units, (stop - start) * units))

    both, candidate = (whole, whole) if cell.reset_after else (part("zr", 0, 2), part("h", 2, 3))

    def step(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        (h,) = states
        xz, xr, xh = g.split(x, 1, 3)
        bias = _row(g, f"{side}recurrent_bias", cell.bias, 1) if cell.reset_after and cell.bias is not None else None
        inner = linear(g, h, f"{side}recurrent_kernel{'' if cell.reset_after else '_zr'}", both, bias)
        hz, hr, *hh = g.split(inner, 1, 3 if cell.reset_after else 2)
        z, r = (activate(g, g.op("ADD", *pair), cell.recurrent_activation) for pair in ((xz, hz), (xr, hr)))
        reset = (
            g.op("MUL", r, hh[0]) if hh else linear(g, g.op("MUL", r, h), f"{side}recurrent_kernel_h", candidate, None)
        )
        new = activate(g, g.op("ADD", xh, reset), cell.activation)
        rest = g.pair("SUB", g.scalar(1, z), z)
        return [g.op("ADD", g.op("MUL", z, h), g.op("MUL", rest, new))]

    return step


def _simple(cell: SimpleRNNCell, side: str) -> Step:
    def step(g: Graph, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        inner = linear(g, states[0], f"{side}recurrent_kernel", cell.recurrent_kernel, None)
        return [activate(g, g.op("ADD", x, inner), cell.activation)]

    return step
