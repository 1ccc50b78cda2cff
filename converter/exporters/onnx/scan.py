"""Recurrent cells that no ONNX operator computes: a Scan over time, with the input's projection done once before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onnx import helper

from converter.exporters.onnx import cells, convlstm
from converter.exporters.onnx.graph import Graph, Tensor, value_info
from converter.exporters.onnx.masks import last_taken
from converter.exporters.onnx.sequence import Pass, Projected, Sequence
from converter.model.layers import ConvLSTMCell, Direction, MaskedOutput

CELLS: Mapping[type, Callable[..., Projected]] = {**cells.CELLS, ConvLSTMCell: convlstm.project}


def run(graph: Graph, sequence: Sequence, place: int) -> Pass:
    """One direction of a recurrent layer as one Scan."""
    direction, rule = sequence.directions[place], sequence.masked_output(place)
    cell = CELLS[type(direction.cell)](graph, sequence, direction.cell)
    zeros = graph.zeros(cell.state_shape, sequence.dtype)
    states = [zeros if state is None else cell.inward(state) for state in sequence.initial[place]]
    started = sequence.initial[place][0] is not None
    mask = sequence.mask
    carries = mask is not None and rule == "previous" and started  # the last output, which then is not the last h
    carried = [*states, zeros] if carries else states
    scanned = [cell.steps]
    if mask is not None:
        order = (1, 0, *range(2, sequence.mask_axes))
        time_mask = mask if sequence.time_major else graph.transpose(mask, order)
        scanned.append(graph.with_axes("Unsqueeze", time_mask, range(2, 4 + cell.feature_axes - sequence.mask_axes)))
    wants_steps = sequence.wants_steps([place])
    body = _body(graph, sequence, cell, mask is not None, carries, rule, wants_steps)
    axis = 0 if sequence.time_major else 1
    made = _scan(graph, body, carried, scanned, direction, wants_steps, axis, 2 + cell.feature_axes)
    finals = [cell.outward(state, 0) for state in made[: len(states)]]
    if wants_steps:
        return Pass(cell.outward(made[-1], 1), tuple(finals))
    if not sequence.wants_y[place]:
        return Pass(None, tuple(finals))
    y = cell.outward(made[len(states)], 0) if carries else finals[0]
    if mask is not None and rule == "zero":
        batch_first = graph.transpose(mask, (1, 0)) if sequence.time_major else mask
        real = graph.with_axes("Squeeze", last_taken(graph, batch_first, direction), [1])
        last = 1 + cell.feature_axes
        real = graph.with_axes("Unsqueeze", real, range(sequence.mask_axes - 1, last))
        y = graph.op("Where", real, y, graph.scalar(0, y), dtype=y.dtype)
    return Pass(y, tuple(finals))


def _body(
    graph: Graph,
    sequence: Sequence,
    cell: Projected,
    masked: bool,
    carries: bool,
    rule: MaskedOutput,
    wants_steps: bool,
) -> Any:
    """One step: states, then the last output if carried, then the projected input and its mask."""
    body, dtype = graph.body(), sequence.dtype
    states = [body.input(f"state{k}", dtype) for k in range(cell.states)]
    previous = [body.input("previous", dtype)] if carries else []
    x = body.input("x", dtype)
    mask = [body.input("mask", "bool")] if masked else []
    new = cell.step(body, x, states)
    y = new[0]
    if mask:
        kept = [body.op("Where", mask[0], *pair, dtype=dtype) for pair in zip(new, states, strict=True)]
        if rule == "zero":
            y = body.op("Where", mask[0], y, body.scalar(0, y), dtype=dtype)
        else:
            y = body.op("Where", mask[0], y, previous[0], dtype=dtype) if carries else kept[0]
        new = kept
    outputs = [*new, *([y] if carries else []), *([y] if wants_steps else [])]
    # An output must be made here, once, and not be another output or an input.
    outputs = [body.op("Identity", t) if t in outputs[:k] else t for k, t in enumerate(outputs)]
    inputs = [*states, *previous, x, *mask]
    axes = (None,) * (1 + cell.feature_axes)  # onnxruntime wants to know how many
    infos, made = ([value_info(t.name, t.dtype, axes) for t in side] for side in (inputs, outputs))
    return helper.make_graph(body.nodes, graph.store.unique(f"{graph.store.layer}/step"), infos, made)


def _scan(
    graph: Graph,
    body: Any,
    carried: list[Tensor],
    scanned: list[Tensor],
    direction: Direction,
    wants_steps: bool,
    axis: int,
    rank: int,
) -> list[Tensor]:
    """Final states and, if wanted, the outputs of all steps along `axis`, in the order the direction gives them.

    `rank` is that of those outputs. Where the runtime's Scan knows no directions and no axes, operators around it do
    the same.
    """
    dtype = carried[0].dtype
    if not graph.store.runtime.scan_options:
        turned = [graph.flip(x, 0) for x in scanned] if direction.reverse_input else scanned
        outputs = [dtype] * (len(carried) + wants_steps)
        made = graph.ops("Scan", [*carried, *turned], outputs, body=body, num_scan_inputs=len(scanned))
        found = [t for t in made if t is not None]
        if wants_steps:
            y = graph.flip(found[-1], 0) if direction.reverse_output else found[-1]
            found[-1] = graph.transpose(y, (1, 0, *range(2, rank))) if axis else y
        return found
    made = graph.ops(
        "Scan",
        [*carried, *scanned],
        [dtype] * (len(carried) + wants_steps),
        body=body,
        num_scan_inputs=len(scanned),
        scan_input_directions=[int(direction.reverse_input)] * len(scanned),
        scan_output_directions=[int(direction.reverse_output)] if wants_steps else None,
        scan_output_axes=[axis] if wants_steps else None,
    )
    return [t for t in made if t is not None]
