"""Recurrent: a native operator wherever one computes the cell exactly, else a Scan; then the merge of directions."""

from __future__ import annotations

from converter.exporters.onnx import native, scan
from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.lower import Inputs, Outputs, lower, rank
from converter.exporters.onnx.sequence import Pass, Sequence
from converter.model import Node
from converter.model.layers import ConvLSTMCell, Recurrent

MERGES = {"sum": "Add", "mul": "Mul", "ave": "Add"}
# onnxruntime 1.32 on the CPU has no float64 kernels of the operators, and crashes on loading a Scan in float16.
NATIVE_AS = {"float64": "float32"}
SCAN_AS = {"float16": "float32"}


@lower.register
def recurrent(layer: Recurrent, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """See `converter.model.layers.Recurrent`."""
    sequence = Sequence.of(graph, layer, node, inputs)
    passes, joined = _passes(graph, sequence)
    states = [state for one in passes for state in one.states]
    if layer.merge is None:
        return (*(one.y for one in passes), *states)
    needed = node.outputs[0].name in graph.store.needed
    return (_merge(graph, layer, rank(node), passes) if needed and joined is None else joined, *states)


def _passes(graph: Graph, sequence: Sequence) -> tuple[list[Pass], Tensor | None]:
    """What each direction gives, and the merged output if one operator gave that."""
    directions, runtime = sequence.directions, graph.store.runtime
    fits = runtime.time_major or not sequence.time_major
    together = fits and len(directions) == 2 and native.fit_together(*directions, runtime)
    if together and sequence.mask is None:
        return _native(graph, sequence, [1, 0] if directions[0].reverse_input else [0, 1])
    passes = []
    for place, direction in enumerate(directions):
        if not sequence.wants(place):
            passes.append(Pass(None, (None,) * direction.cell.states))
        elif fits and native.is_native(direction.cell, runtime) and (sequence.mask is None or runtime.compaction):
            passes += _native(graph, sequence, [place])[0]
        else:
            worked = sequence.astype(graph, SCAN_AS.get(sequence.dtype, sequence.dtype))
            passes.append(scan.run(graph, worked, place).astype(graph, sequence.dtype))
    return passes, None


def _native(graph: Graph, sequence: Sequence, places: list[int]) -> tuple[list[Pass], Tensor | None]:
    """What the operator gives for `places`, in the layer's order."""
    worked = sequence.astype(graph, NATIVE_AS.get(sequence.dtype, sequence.dtype))
    if worked.mask is not None:
        (place,) = places
        return [native.run_masked(graph, worked, worked.mask, place).astype(graph, sequence.dtype)], None
    found, joined = native.run(graph, worked, places)
    passes = [found[places.index(place)].astype(graph, sequence.dtype) for place in sorted(places)]
    return passes, None if joined is None else graph.cast(joined, sequence.dtype)


def _merge(graph: Graph, layer: Recurrent, ndim: int, passes: list[Pass]) -> Tensor:
    """Two outputs as one; `ndim` counts the axes of the layer's input."""
    a, b = (one.y for one in passes)
    assert a is not None
    if layer.merge == "concat":
        ndim = ndim if layer.return_sequences else ndim - 1
        cell = layer.directions[0].cell
        first = isinstance(cell, ConvLSTMCell) and cell.data_format == "channels_first"
        axis = ndim - 1 - (cell.rank if first and isinstance(cell, ConvLSTMCell) else 0)
        return graph.op("Concat", a, b, axis=axis)
    assert layer.merge is not None
    y = graph.op(MERGES[layer.merge], a, b)
    return graph.op("Mul", y, graph.scalar(0.5, y)) if layer.merge == "ave" else y
