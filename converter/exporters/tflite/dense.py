"""Dense, Embedding, constants and the normalizations."""

from __future__ import annotations

import numpy as np

from converter.exporters.tflite.activations import FUSED, activate
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.lower import Inputs, Outputs, lower, present, result
from converter.exporters.tflite.operators import NO_ACTIVATION
from converter.exporters.tflite.tensors import Tensor
from converter.model import Array, Node, Weight
from converter.model.layers import BatchNormalization, Constant, Dense, Embedding, LayerNormalization


def linear(graph: Graph, x: Tensor, suffix: str, kernel: Weight, bias: Tensor | None, fused: int = 0) -> Tensor:
    """FULLY_CONNECTED: x·kernel + bias over the last axis; the operator takes the kernel as [units, input]."""
    turned = graph.weight(suffix, kernel, transform=np.transpose, shape=kernel.shape[::-1])
    given = (x, turned) if bias is None else (x, turned, bias)
    shape = (*x.shape[:-1], kernel.shape[1])
    return graph.op("FULLY_CONNECTED", *given, shape=shape, fusedActivationFunction=fused, keepNumDims=x.rank > 2)


@lower.register
def dense(layer: Dense, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """FULLY_CONNECTED."""
    x = graph.cast(present(inputs[0]), result(node)[0])
    bias = None if layer.bias is None else graph.weight("bias", layer.bias)
    fused = FUSED.get(layer.activation)
    y = linear(graph, x, "kernel", layer.kernel, bias, fused or NO_ACTIVATION)
    return (activate(graph, y, layer.activation) if fused is None else y,)


@lower.register
def embedding(layer: Embedding, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """GATHER of rows; Keras casts other index types to int32."""
    x, (dtype, shape) = present(inputs[0]), result(node)
    index = x if x.dtype in ("int32", "int64") else graph.cast(x, "int32")
    return (graph.op("GATHER", graph.weight("embeddings", layer.table, dtype), index, shape=shape, axis=0),)


@lower.register
def constant(layer: Constant, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """A constant."""
    return (graph.weight("value", layer.weight, result(node)[0]),)


@lower.register
def batch_normalization(layer: BatchNormalization, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """(x - mean)·scale + beta; with the mean folded into the offset, a large one would cost digits."""
    x = graph.cast(present(inputs[0]), result(node)[0])
    shape = (layer.mean.size, *(1 for _ in range(layer.axis + 1, x.rank)))
    gamma = layer.gamma

    def scale(variance: Array) -> Array:
        inverse = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
        return (inverse if gamma is None else inverse * gamma.read().astype(np.float64)).reshape(shape)

    centered = graph.op("SUB", x, graph.weight("mean", layer.mean, transform=lambda a: a.reshape(shape), shape=shape))
    y = graph.op("MUL", centered, graph.weight("scale", layer.variance, transform=scale, shape=shape))
    if layer.beta is not None:
        y = graph.op("ADD", y, graph.weight("beta", layer.beta, transform=lambda a: a.reshape(shape), shape=shape))
    return (y,)


@lower.register
def layer_normalization(layer: LayerNormalization, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Composed of means, squares and a division."""
    x = graph.cast(present(inputs[0]), result(node)[0])
    axes = graph.const(list(layer.axes))
    shape = tuple(1 if k in layer.axes else n for k, n in enumerate(x.shape))
    if not layer.rms:
        x = graph.op("SUB", x, graph.op("MEAN", x, axes, shape=shape, keepDims=True))
    variance = graph.op("MEAN", graph.op("MUL", x, x), axes, shape=shape, keepDims=True)
    root = graph.op("SQRT", graph.op("ADD", variance, graph.scalar(layer.epsilon, x)))
    y = graph.op("DIV", x, root)
    for kind, suffix, weight in (("MUL", "gamma", layer.gamma), ("ADD", "beta", layer.beta)):
        if weight is not None:
            y = graph.op(kind, y, _along(graph, suffix, weight, layer.axes, x.rank))
    return (y,)


def _along(graph: Graph, suffix: str, weight: Weight, axes: tuple[int, ...], rank: int) -> Tensor:
    """A weight of the shape of `axes`, shaped to broadcast against an input of this rank."""
    sizes = dict(zip(sorted(axes), weight.shape, strict=True))
    shape = tuple(sizes.get(axis, 1) for axis in range(min(axes), rank))
    return graph.weight(suffix, weight, transform=lambda a: a.reshape(shape), shape=shape)
