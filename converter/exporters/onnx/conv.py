"""Convolutions and pooling; ONNX knows channels first only, so channels_last layers are between two Transposes."""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.exporters.onnx.activations import activate
from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.lower import Inputs, Outputs, lower, present, result_type
from converter.model import Node, Weight
from converter.model.layers import Conv, ConvTranspose, Pool

LAST = "channels_last"


def to_first(graph: Graph, x: Tensor, rank: int, data_format: str, lead: int = 1) -> Tensor:
    """Channels from last to behind the `lead` leading axes, where they are last."""
    axes = [*range(lead), lead + rank, *range(lead, lead + rank)]
    return graph.transpose(x, axes) if data_format == LAST else x


def from_first(graph: Graph, x: Tensor, rank: int, data_format: str, lead: int = 1) -> Tensor:
    """The inverse of `to_first`."""
    axes = [*range(lead), *range(lead + 1, lead + 1 + rank), lead]
    return graph.transpose(x, axes) if data_format == LAST else x


def kernel(graph: Graph, suffix: str, weight: Weight, dtype: str) -> Tensor:
    """[*window, a, b] as [b, a, *window]: ONNX' order for Conv and, as Keras turns a and b round, for ConvTranspose."""
    last = len(weight.shape) - 1
    axes = (last, last - 1, *range(last - 1))
    shape = tuple(weight.shape[axis] for axis in axes)
    return graph.weight(suffix, weight, dtype, lambda a: np.transpose(a, axes), shape)


def single(dtype: str) -> str:
    """onnxruntime convolves and averages no float64."""
    return "float32" if dtype == "float64" else dtype


def same_pads(window: tuple[int, ...], dilation: tuple[int, ...]) -> list[int]:
    """Pads of stride 1 under "same": all before, then all after, where the odd one goes."""
    totals = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
    return [n // 2 for n in totals] + [n - n // 2 for n in totals]


def padded(
    graph: Graph,
    x: Tensor,
    kind: str,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    lengths: tuple[int | None, ...],
) -> tuple[Tensor, dict[str, Any]]:
    """What Conv or a pool takes, channels first, and its attributes, for Keras' padding.

    Pads are explicit wherever the lengths are known or do not matter; else SAME_UPPER, the same rule worked out at run
    time, on what is left when the ends that no window reads are cut off. onnxruntime would pad those by less than
    nothing: its pools refuse that, its Conv moves the windows. It has no SAME_UPPER with dilation either.
    """
    if kind == "valid":
        return x, {}
    if kind == "causal":
        return x, {"pads": [(window[0] - 1) * dilation[0], 0]}
    if all(stride == 1 for stride in strides):
        return x, {"pads": same_pads(window, dilation)}
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if any(n is None and s > 1 for n, s in zip(lengths, strides, strict=True)):
        if any(d > 1 for d in dilation):
            return _pad(graph, x, reach, strides), {}
        return _cut(graph, x, reach, strides), {"auto_pad": "SAME_UPPER"}
    totals = []
    for k, s, n in zip(reach, strides, lengths, strict=True):
        steps = (1 if n is None else -(-n // s)) - 1
        totals.append(max(steps * s + k - (1 if n is None else n), 0))
    return x, {"pads": [n // 2 for n in totals] + [n - n // 2 for n in totals]}


def _cut(graph: Graph, x: Tensor, reach: list[int], strides: tuple[int, ...]) -> Tensor:
    """x [batch, channels, *spatial] without what is behind the last window, where windows leave gaps."""
    for axis, (k, s) in enumerate(zip(reach, strides, strict=True), 2):
        if k < s:
            steps = graph.op("Sub", graph.size(x, axis), graph.const(1))
            start = graph.op("Mul", graph.op("Div", steps, graph.const(s)), graph.const(s))
            stop = graph.op("Reshape", graph.op("Add", start, graph.const(k)), graph.const([1]))
            x = graph.op("Slice", x, graph.const([0]), stop, graph.const([axis]))
    return x


def _pad(graph: Graph, x: Tensor, reach: list[int], strides: tuple[int, ...]) -> Tensor:
    """x [batch, channels, *spatial] with the zeros of "same" around it."""
    sizes = graph.slice(graph.op("Shape", x, dtype="int64"), 0, 2, 2 + len(reach))
    steps = graph.op("Div", graph.op("Sub", sizes, graph.const(1)), graph.const(list(strides)))
    wanted = graph.op("Add", graph.op("Mul", steps, graph.const(list(strides))), graph.const(reach))
    total = graph.op("Max", graph.op("Sub", wanted, sizes), graph.const(0))
    before = graph.op("Div", total, graph.const(2))
    lead = graph.const([0, 0])
    return graph.op("Pad", x, graph.op("Concat", lead, before, lead, graph.op("Sub", total, before), axis=0))


def _whole_windows(graph: Graph, y: Tensor, x: Tensor, layer: Pool, lengths: tuple[int | None, ...]) -> Tensor:
    """y without the window that onnxruntime's pools find in less than one: they divide what is below 0 toward 0."""
    for axis, (k, s, n) in enumerate(zip(layer.window, layer.strides, lengths, strict=True), 2):
        if n is None and k > 1 and s > 1:
            steps = graph.op("Max", graph.op("Sub", graph.size(x, axis), graph.const(k - 1)), graph.const(0))
            stop = graph.op("Reshape", steps, graph.const([1]))
            y = graph.op("Slice", y, graph.const([0]), stop, graph.const([axis]))
    return y


def _lengths(node: Node, rank: int, data_format: str) -> tuple[int | None, ...]:
    value = node.inputs[0]
    assert value is not None
    return value.shape[1 : 1 + rank] if data_format == LAST else value.shape[2 : 2 + rank]


@lower.register
def conv(layer: Conv, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Conv."""
    dtype = result_type(node)
    x = to_first(graph, graph.cast(present(inputs[0]), single(dtype)), layer.rank, layer.data_format)
    window = layer.kernel.shape[: layer.rank]
    lengths = _lengths(node, layer.rank, layer.data_format)
    x, pads = padded(graph, x, layer.padding, window, layer.strides, layer.dilation, lengths)
    y = graph.op(
        "Conv",
        x,
        kernel(graph, "kernel", layer.kernel, x.dtype),
        None if layer.bias is None else graph.weight("bias", layer.bias, x.dtype),
        kernel_shape=list(window),
        strides=list(layer.strides),
        dilations=list(layer.dilation),
        group=layer.groups,
        **pads,
    )
    y = graph.cast(from_first(graph, y, layer.rank, layer.data_format), dtype)
    return (activate(graph, y, layer.activation),)


@lower.register
def conv_transpose(layer: ConvTranspose, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """ConvTranspose. TensorFlow's is the gradient of a convolution over the output, padded as that one would be.

    Uncropped it has (n - 1)·stride + (window - 1)·dilation + 1 steps; what Keras gives less is cropped, the odd one
    after, and what it gives more (source: _get_output_shape_given_tf_padding in keras/src/backend/common/
    backend_utils.py of Keras 3) is added at the end.
    """
    dtype = result_type(node)
    x = to_first(graph, graph.cast(present(inputs[0]), single(dtype)), layer.rank, layer.data_format)
    window = layer.kernel.shape[: layer.rank]
    extra = layer.output_padding or (None,) * layer.rank
    excess = [
        _excess(layer.padding, (k - 1) * d + 1, s, more)
        for k, d, s, more in zip(window, layer.dilation, layer.strides, extra, strict=True)
    ]
    crops = [max(n, 0) for n in excess]
    y = graph.op(
        "ConvTranspose",
        x,
        kernel(graph, "kernel", layer.kernel, x.dtype),
        None if layer.bias is None else graph.weight("bias", layer.bias, x.dtype),
        kernel_shape=list(window),
        strides=list(layer.strides),
        dilations=list(layer.dilation),
        pads=[n // 2 for n in crops] + [n - n // 2 for n in crops],
        output_padding=[max(-n, 0) for n in excess],
    )
    y = graph.cast(from_first(graph, y, layer.rank, layer.data_format), dtype)
    return (activate(graph, y, layer.activation),)


def _excess(kind: str, window: int, stride: int, output_padding: int | None) -> int:
    """By how much (n - 1)·stride + window is longer than what Keras gives."""
    if kind == "valid":
        return -(max(stride - window, 0) if output_padding is None else output_padding)
    if output_padding is None:
        return window - stride
    return window - window % 2 - output_padding


@lower.register
def pool(layer: Pool, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """MaxPool, AveragePool."""
    dtype = result_type(node)
    computed = dtype if layer.kind == "max" else single(dtype)
    x = to_first(graph, graph.cast(present(inputs[0]), computed), layer.rank, layer.data_format)
    lengths = _lengths(node, layer.rank, layer.data_format)
    x, pads = padded(graph, x, layer.padding, layer.window, layer.strides, (1,) * layer.rank, lengths)
    y = graph.op(
        "MaxPool" if layer.kind == "max" else "AveragePool",
        x,
        kernel_shape=list(layer.window),
        strides=list(layer.strides),
        count_include_pad=0 if layer.kind == "average" else None,
        **pads,
    )
    if layer.padding == "valid":
        y = _whole_windows(graph, y, x, layer, lengths)
    return (graph.cast(from_first(graph, y, layer.rank, layer.data_format), dtype),)
