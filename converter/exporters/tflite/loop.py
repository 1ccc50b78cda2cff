"""Recurrent cells that no operator computes, or whose steps are masked: a WHILE over time, or each step written out.

The input's products are taken for all steps at once, unless a WHILE would have more to carry then. It carries the
number of the step, the states, the last output where that is not the last h, what is read of each step, and the outputs
so far: a buffer [time, batch, units] into which DYNAMIC_UPDATE_SLICE writes. Where few steps are known, they are
written out instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converter.exporters.tflite.cells import Projected, project
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.passes import Job, Pass
from converter.exporters.tflite.tensors import Tensor
from converter.model.layers import ConvLSTMCell, MaskedOutput

UNROLLED = 32  # steps at most


@dataclass(frozen=True)
class Steps:
    """What is done at each step.

    Attributes:
        cell: the step of the cell.
        rule: what a masked step gives.
        masked: whether steps are masked.
        carries: whether the last output is carried, as it then is not the last h.
    """

    cell: Projected
    rule: MaskedOutput
    masked: bool
    carries: bool

    def take(self, g: Graph, scanned: Sequence[Tensor], carried: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """What is carried to the next step, and the step's output; `scanned` is x and the mask [batch, 1] if any."""
        states = list(carried[: self.cell.states])
        new = self.cell.step(g, scanned[0], states)
        y = new[0]
        if self.masked:
            mask = scanned[1]
            kept = [_choose(g, mask, *pair) for pair in zip(new, states, strict=True)]
            if self.rule == "zero":
                y = _choose(g, mask, y, g.scalar(0, y))
            else:
                y = _choose(g, mask, y, carried[-1]) if self.carries else kept[0]
            new = kept
        return [*new, *([y] if self.carries else [])], y


def _choose(g: Graph, condition: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
    return g.op("SELECT_V2", condition, then, otherwise, shape=then.shape, dtype=then.dtype)


def run(graph: Graph, job: Job) -> Pass:
    """One direction, step by step."""
    direction, cell = job.direction, job.direction.cell
    assert not isinstance(cell, ConvLSTMCell)
    rule = job.layer.masked_output
    if rule == "state" and job.initial[0] is None:  # the state then starts at zeros, as the previous output does
        rule = "previous"
    x = graph.transpose(job.x, (job.time, job.batch, 2))
    scanned = [x]
    if job.mask is not None:
        mask = graph.transpose(graph.cast(job.mask, "bool"), (job.time, job.batch))
        scanned.append(graph.op("EXPAND_DIMS", mask, graph.const(2), shape=(*mask.shape, 1)))
    if direction.reverse_input:
        scanned = [graph.flip(one, 0) for one in scanned]
    batch = x.shape[1]
    column = graph.pick(graph.zeros_along(x, [1]), 0, 0)
    zeros = graph.op("ADD", column, graph.const(np.zeros((1, cell.units)), "float32"), shape=(batch, cell.units))
    states = [zeros if state is None else graph.cast(state, "float32") for state in job.initial]
    length = x.shape[0]
    unrolled = length is not None and length <= UNROLLED
    # A WHILE copies what it carries at each step: the smaller of x and its products.
    at_once = unrolled or (x.shape[2] or 0) >= cell.kernel.shape[1]
    projected, scanned[0] = project(graph, cell, job.side, scanned[0], at_once)
    carries = job.mask is not None and rule == "previous" and job.initial[0] is not None
    steps = Steps(projected, rule, job.mask is not None, carries)
    carried = [*states, zeros] if carries else states
    wants_steps = job.wants_y and job.layer.return_sequences
    if unrolled:
        assert length is not None
        made, y, last = _unrolled(graph, steps, scanned, carried, length)
        y = y if wants_steps else None
    else:
        made, y = _while(graph, steps, scanned, carried, wants_steps)
        last = made[-1] if carries else made[0]
        if job.mask is not None and rule == "zero":
            last = _choose(graph, graph.pick(scanned[1], 0, -1), last, graph.scalar(0, last))
    if y is None:  # the last output stands for no sequence that nobody reads
        return Pass(None if job.layer.return_sequences else last, tuple(made[: cell.states]))
    y = graph.flip(y, 0) if direction.reverse_output else y
    return Pass(graph.transpose(y, (job.time, job.batch, 2)), tuple(made[: cell.states]))


def _unrolled(
    graph: Graph, steps: Steps, scanned: Sequence[Tensor], carried: list[Tensor], length: int
) -> tuple[list[Tensor], Tensor | None, Tensor]:
    """What is carried in the end, all outputs, and the last: read from them all, so that a proof sees every step."""
    outputs: list[Tensor] = []
    for place in range(length):
        carried, y = steps.take(graph, [graph.pick(one, 0, place) for one in scanned], carried)
        outputs.append(y)
    packed = graph.op("PACK", *outputs, shape=(length, *outputs[0].shape), axis=0, valuesCount=length)
    return carried, packed, graph.pick(packed, 0, -1)


def _while(
    graph: Graph, steps: Steps, scanned: Sequence[Tensor], carried: list[Tensor], wants_steps: bool
) -> tuple[list[Tensor], Tensor | None]:
    given = [graph.const(0), *carried, *scanned]
    if wants_steps:
        column = graph.zeros_along(scanned[0], [0, 1])
        units = carried[0].shape[-1] or 0
        zeros = graph.const(np.zeros((1, 1, units)), "float32")
        given.append(graph.op("ADD", column, zeros, shape=(*column.shape[:2], units)))
    condition, body = graph.body("while_condition"), graph.body("while_body")
    _fill_condition(condition, given, 1 + len(carried))
    _fill_body(body, given, steps, len(carried), wants_steps)
    types = [(tensor.dtype, tensor.shape) for tensor in given]
    made = graph.ops_("WHILE", given, types, condSubgraphIndex=condition.number, bodySubgraphIndex=body.number)
    return list(made[1 : 1 + len(carried)]), made[-1] if wants_steps else None


def _inputs(g: Graph, given: Sequence[Tensor]) -> list[Tensor]:
    return [g.input(g.store.unique(f"carried{k}"), t.dtype, t.shape) for k, t in enumerate(given)]


def _fill_condition(g: Graph, given: Sequence[Tensor], steps_at: int) -> None:
    """Whether there are steps left."""
    inputs = _inputs(g, given)
    length = g.size(inputs[steps_at], 0)
    g.outputs.append(g.op("LESS", inputs[0], length, shape=(1,), dtype="bool"))


def _fill_body(g: Graph, given: Sequence[Tensor], steps: Steps, count: int, wants_steps: bool) -> None:
    """One step."""
    inputs = _inputs(g, given)
    place, carried = inputs[0], inputs[1 : 1 + count]
    buffer = inputs[-1] if wants_steps else None
    scanned = inputs[1 + count : -1] if wants_steps else inputs[1 + count :]
    at = [g.op("GATHER", one, place, shape=one.shape[1:], axis=0) for one in scanned]
    new, y = steps.take(g, at, carried)
    g.outputs += [g.op("ADD", place, g.const(1)), *new, *scanned]
    if buffer is not None:
        row = g.op("EXPAND_DIMS", y, g.const(0), shape=(1, *y.shape))
        first = g.op("EXPAND_DIMS", place, g.const(0), shape=(1,))
        start = g.concat([first, g.const([0, 0])], 0)
        g.outputs.append(g.op("DYNAMIC_UPDATE_SLICE", buffer, row, start))
