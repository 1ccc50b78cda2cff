"""ConvLSTM cells in a Scan: the input's convolution is done once over batch·time, the body convolves h alone.

Inside, everything is channels first, as ONNX' Conv wants it.
"""

from __future__ import annotations

from converter.exporters.onnx.cells import lstm_step
from converter.exporters.onnx.conv import LAST, from_first, kernel, padded, same_pads, to_first
from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.sequence import Projected, Sequence
from converter.model.activations import FUNCTIONS, Activation
from converter.model.layers import ConvLSTMCell


def project(graph: Graph, sequence: Sequence, cell: ConvLSTMCell) -> Projected:
    """See `Projected`; steps are [time, batch, 4·filters, *spatial]."""
    rank, filters, work = cell.rank, cell.filters, "float32" if sequence.dtype == "float64" else sequence.dtype
    x = sequence.steps(graph)
    x = to_first(graph, graph.cast(x, work), rank, cell.data_format, lead=2)
    shape = graph.op("Shape", x, dtype="int64")
    lead, sizes = graph.slice(shape, 0, 0, 2), graph.slice(shape, 0, 3, 3 + rank)
    flat = graph.op("Reshape", x, graph.op("Concat", graph.const([-1, cell.kernel.shape[rank]]), sizes, axis=0))
    made = _convolved(graph, flat, cell, work, _known(sequence, cell))
    inner = graph.slice(graph.op("Shape", made, dtype="int64"), 0, 2, 2 + rank)
    steps = graph.op("Reshape", made, graph.op("Concat", lead, graph.const([4 * filters]), inner, axis=0))
    batch = graph.slice(shape, 0, 1, 2)
    recurrent = kernel(graph, "recurrent_kernel", cell.recurrent_kernel, work)
    pads = same_pads(cell.recurrent_kernel.shape[:rank], (1,) * rank)
    activations = [_channels_first(a, cell) for a in (cell.activation, cell.recurrent_activation)]

    def step(g: Graph, z: Tensor, states: list[Tensor]) -> list[Tensor]:
        h, c = states
        moved = g.op("Conv", g.cast(h, work), recurrent, pads=pads)
        gates = g.split(g.op("Add", z, g.cast(moved, z.dtype)), 1, [filters] * 4)
        return lstm_step(g, gates, c, None, *activations)

    return Projected(
        graph.cast(steps, sequence.dtype),
        graph.op("Concat", batch, graph.const([filters]), inner, axis=0),
        2,
        rank + 1,
        step,
        lambda state: to_first(graph, state, rank, cell.data_format),
        lambda state, before: from_first(graph, state, rank, cell.data_format, lead=before + 1),
    )


def _convolved(graph: Graph, x: Tensor, cell: ConvLSTMCell, work: str, spatial: tuple[int | None, ...]) -> Tensor:
    """The input's convolution at all steps at once."""
    window = cell.kernel.shape[: cell.rank]
    x, padding = padded(graph, x, cell.padding, window, cell.strides, cell.dilation, spatial)
    return graph.op(
        "Conv",
        x,
        kernel(graph, "kernel", cell.kernel, work),
        None if cell.bias is None else graph.weight("bias", cell.bias, work),
        kernel_shape=list(window),
        strides=list(cell.strides),
        dilations=list(cell.dilation),
        **padding,
    )


def _known(sequence: Sequence, cell: ConvLSTMCell) -> tuple[int | None, ...]:
    """Spatial lengths as far as the model says."""
    start = 2 if cell.data_format == LAST else 3
    return sequence.shape[start : start + cell.rank]


def _channels_first(activation: Activation, cell: ConvLSTMCell) -> Activation:
    """The same activation where it works along an axis, which counts that of a state in Keras' layout."""
    if FUNCTIONS[activation.name] != ("axis",) or cell.data_format != LAST:
        return activation
    axis = int(activation.parameters[0]) % (cell.rank + 2)
    return Activation(activation.name, (1 if axis == cell.rank + 1 else axis + (axis > 0),))
