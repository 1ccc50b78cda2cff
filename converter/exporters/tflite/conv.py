"""Convolutions and pooling. TFLite knows channels last and two spatial axes; one axis is two of which one is 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.exporters.tflite.activations import FUSED, activate
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.lower import Inputs, Outputs, lower, present, result
from converter.exporters.tflite.operators import NO_ACTIVATION, SAME, VALID
from converter.exporters.tflite.tensors import Tensor
from converter.model import Array, Node, Shape
from converter.model.layers import Conv, ConvTranspose, Pool

FIRST = "channels_first"


def _moved(graph: Graph, x: Tensor, data_format: str, back: bool = False) -> Tensor:
    """Channels last, where they are first; or `back`."""
    if data_format != FIRST:
        return x
    spatial = range(1, x.rank - 1) if back else range(2, x.rank)
    return graph.transpose(x, [0, x.rank - 1, *spatial] if back else [0, *spatial, 1])


def _flat(graph: Graph, x: Tensor) -> Tensor:
    """[batch, steps, channels] as [batch, 1, steps, channels]."""
    return graph.op("EXPAND_DIMS", x, graph.const(1), shape=(x.shape[0], 1, *x.shape[1:])) if x.rank == 3 else x


def _end(graph: Graph, y: Tensor, rank: int, data_format: str) -> Tensor:
    if rank == 1:
        y = graph.op("SQUEEZE", y, shape=(y.shape[0], *y.shape[2:]), squeezeDims=[1])
    return _moved(graph, y, data_format, back=True)


def _spatial(node: Node, rank: int, data_format: str) -> Shape:
    """Sizes of the spatial axes of the output, two of them."""
    shape = node.outputs[0].shape
    sizes = shape[2:] if data_format == FIRST else shape[1:-1]
    return (1, *sizes) if rank == 1 else sizes


def _two(numbers: tuple[int, ...]) -> tuple[int, int]:
    """Of the height and of the width."""
    height, width = numbers if len(numbers) == 2 else (1, *numbers)
    return height, width


@lower.register
def conv(layer: Conv, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """CONV_2D, or DEPTHWISE_CONV_2D where each channel has filters of its own."""
    if layer.rank > 2:
        raise Unsupported(f"a convolution over {layer.rank} axes cannot be exported to TFLite")
    x = _moved(graph, graph.cast(present(inputs[0]), result(node)[0]), layer.data_format)
    if layer.padding == "causal":
        before = (layer.kernel.shape[0] - 1) * layer.dilation[0]
        wide = (x.shape[0], None if x.shape[1] is None else x.shape[1] + before, x.shape[2])
        x = graph.op("PADV2", x, graph.const([[0, 0], [before, 0], [0, 0]]), graph.const([0], "float32"), shape=wide)
    x = _flat(graph, x)
    *window, inner, filters = layer.kernel.shape
    window = [1] * (2 - layer.rank) + window
    fused = FUSED.get(layer.activation)
    (stride_h, stride_w), (dilation_h, dilation_w) = _two(layer.strides), _two(layer.dilation)
    options: dict[str, Any] = {
        "padding": SAME if layer.padding == "same" else VALID, "strideH": stride_h, "strideW": stride_w,
        "dilationHFactor": dilation_h, "dilationWFactor": dilation_w, "fusedActivationFunction": fused or NO_ACTIVATION,
    }  # fmt: skip
    shape = (x.shape[0], *_spatial(node, layer.rank, layer.data_format), filters)
    depthwise = layer.groups > 1 and inner == 1

    def turned(kernel: Array) -> Array:
        return np.transpose(kernel.reshape(*window, inner, filters), (2, 0, 1, 3) if depthwise else (3, 0, 1, 2))

    sizes = (1, *window, filters) if depthwise else (filters, *window, inner)
    kernel = graph.weight("kernel", layer.kernel, transform=turned, shape=sizes)
    nothing = graph.const(np.zeros(filters), "float32")
    bias = nothing if layer.bias is None else graph.weight("bias", layer.bias)
    if depthwise:
        options["depthMultiplier"] = filters // layer.groups
    y = graph.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", x, kernel, bias, shape=shape, **options)
    y = _end(graph, y, layer.rank, layer.data_format)
    return (activate(graph, y, layer.activation) if fused is None else y,)


@lower.register
def pool(layer: Pool, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """MAX_POOL_2D, AVERAGE_POOL_2D."""
    if layer.rank > 2:
        raise Unsupported(f"pooling over {layer.rank} axes cannot be exported to TFLite")
    x = _flat(graph, _moved(graph, graph.cast(present(inputs[0]), result(node)[0]), layer.data_format))
    (stride_h, stride_w), (height, width) = _two(layer.strides), _two(layer.window)
    shape = (x.shape[0], *_spatial(node, layer.rank, layer.data_format), x.shape[-1])
    y = graph.op(
        "MAX_POOL_2D" if layer.kind == "max" else "AVERAGE_POOL_2D", x, shape=shape,
        padding=SAME if layer.padding == "same" else VALID, strideH=stride_h, strideW=stride_w,
        filterHeight=height, filterWidth=width, fusedActivationFunction=NO_ACTIVATION,
    )  # fmt: skip
    return (_end(graph, y, layer.rank, layer.data_format),)


@lower.register
def conv_transpose(layer: ConvTranspose, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """TRANSPOSE_CONV, which pads as the convolution over its output would, TensorFlow's rule.

    Raises:
        Unsupported: three axes, dilated, or to open sizes.
    """
    spatial = _spatial(node, layer.rank, layer.data_format) if layer.rank < 3 else (None,)
    if None in spatial or any(n != 1 for n in layer.dilation):
        raise Unsupported("ConvTranspose over 3 axes, dilated or of open sizes cannot be exported to TFLite")
    x = _flat(graph, _moved(graph, graph.cast(present(inputs[0]), result(node)[0]), layer.data_format))
    *window, filters, inner = layer.kernel.shape
    sizes = [1] * (2 - layer.rank) + window

    def turned(kernel: Array) -> Array:
        return np.transpose(kernel.reshape(*sizes, filters, inner), (2, 0, 1, 3))

    kernel = graph.weight("kernel", layer.kernel, transform=turned, shape=(filters, *sizes, inner))
    wanted = graph.concat([graph.size(x, 0), graph.const([*spatial, filters])], 0)
    stride_h, stride_w = _two(layer.strides)
    y = graph.op(
        "TRANSPOSE_CONV", wanted, kernel, x, shape=(x.shape[0], *spatial, filters), dtype=x.dtype,
        padding=SAME if layer.padding == "same" else VALID, strideH=stride_h, strideW=stride_w,
    )  # fmt: skip
    if layer.bias is not None:
        y = graph.op("ADD", y, graph.weight("bias", layer.bias))
    return (activate(graph, _end(graph, y, layer.rank, layer.data_format), layer.activation),)
