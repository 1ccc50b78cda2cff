"""Dense, Embedding and the normalizations."""

from __future__ import annotations

import numpy as np

from converter.exporters.onnx.activations import activate
from converter.exporters.onnx.graph import Graph, Tensor
from converter.exporters.onnx.lower import Inputs, Outputs, lower, present, rank, result_type
from converter.model import Array, Node, Weight
from converter.model.layers import BatchNormalization, Constant, Dense, Embedding, LayerNormalization


@lower.register
def dense(layer: Dense, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """MatMul and Add: they broadcast over any leading axes."""
    dtype, given = result_type(node), present(inputs[0])
    x = graph.cast(given, dtype)
    if given.dtype != dtype and rank(node) > 2:
        x = graph.op("Clip", x)  # no bounds, no effect: onnxruntime 1.32 crashes on loading Transpose, Cast, MatMul
    y = graph.op("MatMul", x, graph.weight("kernel", layer.kernel, dtype))
    if layer.bias is not None:
        y = graph.op("Add", y, graph.weight("bias", layer.bias, dtype))
    return (activate(graph, y, layer.activation),)


@lower.register
def embedding(layer: Embedding, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Gather of rows; Keras casts other index types to int32."""
    x = present(inputs[0])
    index = x if x.dtype in ("int32", "int64") else graph.cast(x, "int32")
    return (graph.op("Gather", graph.weight("embeddings", layer.table, result_type(node)), index, axis=0),)


@lower.register
def constant(layer: Constant, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """An initializer."""
    return (graph.weight("value", layer.weight, result_type(node)),)


@lower.register
def batch_normalization(layer: BatchNormalization, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """(x - mean)·scale + beta; with the mean folded into the offset, a large one would cost digits."""
    dtype = result_type(node)
    x = graph.cast(present(inputs[0]), dtype)
    shape = (-1, *(1 for _ in range(layer.axis + 1, rank(node))))
    broadcast = (layer.mean.size, *shape[1:])
    gamma = layer.gamma

    def scale(variance: Array) -> Array:
        inverse = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
        return (inverse if gamma is None else inverse * gamma.read().astype(np.float64)).reshape(broadcast)

    centered = graph.op("Sub", x, graph.weight("mean", layer.mean, dtype, lambda a: a.reshape(shape), broadcast))
    y = graph.op("Mul", centered, graph.weight("scale", layer.variance, dtype, scale, broadcast))
    if layer.beta is not None:
        y = graph.op("Add", y, graph.weight("beta", layer.beta, dtype, lambda a: a.reshape(shape), broadcast))
    return (y,)


@lower.register
def layer_normalization(layer: LayerNormalization, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """Composed, as the operator of that name needs opset 17; statistics in float32 at least, as Keras takes them."""
    dtype = result_type(node)
    work = "float64" if dtype == "float64" else "float32"
    x = graph.cast(present(inputs[0]), work)
    if not layer.rms:
        x = graph.op("Sub", x, graph.with_axes("ReduceMean", x, layer.axes, keepdims=1))
    variance = graph.with_axes("ReduceMean", graph.op("Mul", x, x), layer.axes, keepdims=1)
    epsilon = graph.scalar(layer.epsilon, x)
    y = graph.op("Div", x, graph.op("Sqrt", graph.op("Add", variance, epsilon)))
    for kind, suffix, weight in (("Mul", "gamma", layer.gamma), ("Add", "beta", layer.beta)):
        if weight is not None:
            y = graph.op(kind, y, _along(graph, suffix, weight, layer.axes, node, work))
    return (graph.cast(y, dtype),)


def _along(graph: Graph, suffix: str, weight: Weight, axes: tuple[int, ...], node: Node, dtype: str) -> Tensor:
    """A weight of the shape of `axes`, shaped to broadcast against the node's input."""
    sizes = dict(zip(sorted(axes), weight.shape, strict=True))
    shape = tuple(sizes.get(axis, 1) for axis in range(min(axes), rank(node)))
    return graph.weight(suffix, weight, dtype, lambda a: a.reshape(shape), shape)
