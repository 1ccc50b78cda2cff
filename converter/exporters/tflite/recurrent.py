"""Recurrent: one fused operator per direction wherever it computes the cell exactly, else a WHILE; then the merge."""

from __future__ import annotations

from collections.abc import Sequence as Items

from converter.errors import Unsupported
from converter.exporters.tflite import fused, integer, loop
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.lower import Inputs, Outputs, lower, present, result
from converter.exporters.tflite.passes import Job, Pass
from converter.exporters.tflite.tensors import Tensor
from converter.exporters.weights import DIRECTIONS
from converter.model import Node
from converter.model.layers import ConvLSTMCell, Recurrent

MERGES = {"sum": "ADD", "mul": "MUL", "ave": "ADD"}


@lower.register
def recurrent(layer: Recurrent, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """See `converter.model.layers.Recurrent`."""
    dtype = result(node)[0]
    x, mask = graph.cast(present(inputs[0]), dtype), inputs[1]
    needed = [value.name in graph.store.needed for value in node.outputs]
    split = len(layer.directions) == 2 and layer.merge is None
    initial, finals = list(inputs[2:]), needed[2 if split else 1 :]
    passes: list[Pass] = []
    for place, direction in enumerate(layer.directions):
        if isinstance(direction.cell, ConvLSTMCell):
            raise Unsupported("ConvLSTM cannot be exported to TFLite")
        count = direction.cell.states
        given, initial = initial[:count], initial[count:]
        wanted, finals = finals[:count], finals[count:]
        side = f"{DIRECTIONS[place]}_" if len(layer.directions) == 2 else ""
        ranges = graph.store.ranges.get(node.name)
        job = Job(
            layer, direction, side, x, mask, tuple(given), needed[place if split else 0], tuple(wanted),
            None if ranges is None or mask is not None or not integer.fits(direction.cell) else ranges[place],
        )  # fmt: skip
        passes.append(_run(graph, job))
    states = [state for one in passes for state in one.states]
    if layer.merge is None:
        return (*(one.y for one in passes), *states)
    return (_merge(graph, layer.merge, [one.y for one in passes]) if needed[0] else None, *states)


def _run(graph: Graph, job: Job) -> Pass:
    if not job.wants_y and not any(job.wants_states):
        return Pass(None, (None,) * len(job.wants_states))
    if job.ranges is not None:
        return integer.run(graph, job, job.ranges)
    return fused.run(graph, job) if job.mask is None and fused.fits(job.direction.cell) else loop.run(graph, job)


def _merge(graph: Graph, merge: str, ys: Items[Tensor | None]) -> Tensor:
    a, b = (present(y) for y in ys)
    if merge == "concat":
        return graph.concat([a, b], a.rank - 1)
    y = graph.op(MERGES[merge], a, b)
    return graph.op("MUL", y, graph.scalar(0.5, y)) if merge == "ave" else y
