"""Layers around recurrent ones, as public Keras layers where weights are in them and keras.ops operations else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.exporters.keras.activations import apply, name_of, scale, scaled
from converter.exporters.keras.graph import HINT, Graph, Ref, folded, policy, rule
from converter.model import Node, Value, Weight, layers
from converter.model import constant as weight
from converter.model.activations import LINEAR

_BINARY = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "divide": "Divide", "maximum": "Maximum",
    "minimum": "Minimum", "power": "Power", "mod": "Mod", "floor_divide": "FloorDivide", "equal": "Equal",
    "not_equal": "NotEqual", "less": "Less", "less_equal": "LessEqual", "greater": "Greater",
    "greater_equal": "GreaterEqual", "and": "LogicalAnd", "or": "LogicalOr", "xor": "LogicalXor",
    "arctan2": "Arctan2",
}  # fmt: skip
_UNARY = {
    "abs": "Absolute", "negative": "Negative", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "rsqrt": "Rsqrt",
    "square": "Square", "sin": "Sin", "cos": "Cos", "tan": "Tan", "sign": "Sign", "floor": "Floor", "ceil": "Ceil",
    "round": "Round", "reciprocal": "Reciprocal", "not": "LogicalNot", "erf": "Erf", "isnan": "Isnan", "sinh": "Sinh",
    "cosh": "Cosh", "arcsin": "Arcsin", "arccos": "Arccos", "arctan": "Arctan", "arcsinh": "Arcsinh",
    "arccosh": "Arccosh", "arctanh": "Arctanh", "expm1": "Expm1", "log1p": "Log1p",
}  # fmt: skip
_REDUCE = {
    "sum": "Sum", "mean": "Mean", "max": "Max", "min": "Min", "prod": "Prod", "any": "Any", "all": "All",
    "argmax": "Argmax", "argmin": "Argmin", "logsumexp": "Logsumexp",
}  # fmt: skip


def _weighted(
    graph: Graph, node: Node, class_name: str, config: Mapping[str, Any], weights: Mapping[str, Weight | None]
) -> None:
    """A layer with weights, then its activation: by name where Keras 3 has it, else as operations."""
    value, activation = node.outputs[0], getattr(node.layer, "activation", LINEAR)
    arrays = {path: weight for path, weight in weights.items() if weight is not None}
    rest = LINEAR
    found = scaled(activation, len(value.shape) - 1) if activation != LINEAR else None
    if activation != LINEAR:
        if found is None:
            rest = activation
        else:
            config = {**config, "activation": found[0]}
            arrays = {path: scale(weight, found[1:]) for path, weight in arrays.items()}
    dtype, arrays = policy(node, arrays)
    x = graph.tensor(node.inputs[0])
    name = graph.layer(node.name, class_name, {**config, **dtype}, (x,), arrays)
    graph.note_scaled(name, found[1:] if found else ())
    made = Ref(name, 0, value.shape, value.dtype)
    graph.values[value.name] = apply(rest, graph, made, node.name)


def _vars(*weights: Weight | None) -> dict[str, Weight | None]:
    present = [weight for weight in weights if weight is not None]
    return {f"vars/{k}": weight for k, weight in enumerate(present)}


@rule.register
def dense(layer: layers.Dense, graph: Graph, node: Node) -> None:
    """Dense."""
    config = {"units": layer.kernel.shape[1], "use_bias": layer.bias is not None}
    _weighted(graph, node, "Dense", config, _vars(layer.kernel, layer.bias))


@rule.register
def embedding(layer: layers.Embedding, graph: Graph, node: Node) -> None:
    """Embedding, without mask_zero: masks are explicit here."""
    config = {"input_dim": layer.table.shape[0], "output_dim": layer.table.shape[1]}
    _weighted(graph, node, "Embedding", config, _vars(layer.table))


@rule.register
def conv(layer: layers.Conv, graph: Graph, node: Node) -> None:
    """Conv1D to Conv3D."""
    config = {
        "filters": layer.kernel.shape[-1], "kernel_size": list(layer.kernel.shape[: layer.rank]),
        "strides": list(layer.strides), "padding": layer.padding, "data_format": layer.data_format,
        "dilation_rate": list(layer.dilation), "groups": layer.groups, "use_bias": layer.bias is not None,
    }  # fmt: skip
    _weighted(graph, node, f"Conv{layer.rank}D", config, _vars(layer.kernel, layer.bias))


@rule.register
def conv_transpose(layer: layers.ConvTranspose, graph: Graph, node: Node) -> None:
    """Conv1DTranspose to Conv3DTranspose."""
    padding = None if layer.output_padding is None else list(layer.output_padding)
    config = {
        "filters": layer.kernel.shape[-2], "kernel_size": list(layer.kernel.shape[: layer.rank]),
        "strides": list(layer.strides), "padding": layer.padding, "data_format": layer.data_format,
        "dilation_rate": list(layer.dilation), "output_padding": padding, "use_bias": layer.bias is not None,
    }  # fmt: skip
    _weighted(graph, node, f"Conv{layer.rank}DTranspose", config, _vars(layer.kernel, layer.bias))


@rule.register
def pool(layer: layers.Pool, graph: Graph, node: Node) -> None:
    """MaxPooling1D and its kin."""
    kind = "MaxPooling" if layer.kind == "max" else "AveragePooling"
    config = {"pool_size": list(layer.window), "strides": list(layer.strides), "padding": layer.padding}
    _weighted(graph, node, f"{kind}{layer.rank}D", {**config, "data_format": layer.data_format}, {})


@rule.register
def batch_normalization(layer: layers.BatchNormalization, graph: Graph, node: Node) -> None:
    """BatchNormalization."""
    config = {"axis": layer.axis, "momentum": layer.momentum, "epsilon": layer.epsilon}
    config |= {"scale": layer.gamma is not None, "center": layer.beta is not None}
    _weighted(graph, node, "BatchNormalization", config, _vars(layer.gamma, layer.beta, layer.mean, layer.variance))


@rule.register
def layer_normalization(layer: layers.LayerNormalization, graph: Graph, node: Node) -> None:
    """LayerNormalization, or RMSNormalization where no mean is subtracted."""
    axes = list(layer.axes) if len(layer.axes) > 1 else layer.axes[0]
    if layer.rms:
        if layer.beta is not None or layer.gamma is None:
            raise Unsupported("RMSNormalization of Keras 3 has a scale and no offset", where=node.name, hint=HINT)
        _weighted(graph, node, "RMSNormalization", {"axis": axes, "epsilon": layer.epsilon}, _vars(layer.gamma))
        return
    config = {"axis": axes, "epsilon": layer.epsilon}
    config |= {"scale": layer.gamma is not None, "center": layer.beta is not None}
    _weighted(graph, node, "LayerNormalization", config, _vars(layer.gamma, layer.beta))


@rule.register
def activate(layer: layers.Activate, graph: Graph, node: Node) -> None:
    """Activation, or operations."""
    value, x = node.outputs[0], graph.tensor(node.inputs[0])
    name = name_of(layer.activation, len(value.shape) - 1)
    if name is None or name == "linear":
        graph.values[value.name] = apply(layer.activation, graph, x, node.name)
        return
    made = graph.layer(node.name, "Activation", {"activation": name, "dtype": value.dtype}, (x,), {})
    graph.values[value.name] = Ref(made, 0, value.shape, value.dtype)


@rule.register
def constant(layer: layers.Constant, graph: Graph, node: Node) -> None:
    """An array written into the call of whatever reads it."""
    graph.values[node.outputs[0].name] = layer.weight


@rule.register
def lookup(layer: layers.Lookup, graph: Graph, node: Node) -> None:
    """Each number is compared with every key; the values of the one it equals, if any, add up to that."""
    value = node.outputs[0]
    if isinstance(layer.keys[0], str) or isinstance(layer.values[0], str):
        raise Unsupported("a lookup of text cannot be written for Keras 3", where=node.name, hint=HINT)
    keys, values = (weight(name, side, np.int64) for name, side in (("keys", layer.keys), ("values", layer.values)))
    each = Value("", (*value.shape, len(layer.keys)), "bool")
    x = graph.tensor(node.inputs[0])
    hits = graph.op("Equal", (graph.op("ExpandDims", (x,), replace(each, dtype="int64"), axis=-1), keys), each)
    picked = replace(each, dtype="int64")
    chosen = graph.op("Multiply", (graph.op("Cast", (hits,), picked, dtype="int64"), values), picked)
    found = graph.op("Sum", (chosen,), value, axis=-1)
    known = graph.op("Any", (hits,), replace(value, dtype="bool"), axis=-1)
    default = layers.NO_INDEX if layer.default is None else layer.default
    other = weight("default", default, np.int64)
    graph.values[value.name] = graph.op("Where", (known, found, other), value)


@rule.register
def reshape(layer: layers.Reshape, graph: Graph, node: Node) -> None:
    """keras.ops.reshape; the layer Reshape, which leaves the batch alone, where one size besides that is open."""
    value, x = node.outputs[0], graph.tensor(node.inputs[0])
    sizes = [x.shape[k] if size == 0 else size for k, size in enumerate(layer.target)]
    known = [value.shape[k] if size in (None, -1) else size for k, size in enumerate(sizes)]
    shape = [-1 if size is None else size for size in known]
    if shape.count(-1) < 2:
        graph.values[value.name] = graph.op("Reshape", (x,), value, newshape=shape)
        return
    if layer.target[0] != 0 or shape[1:].count(-1) != 1:
        raise Unsupported("a reshape with two open sizes", where=node.name, hint=HINT)
    made = graph.layer(node.name, "Reshape", {"target_shape": shape[1:], "dtype": value.dtype}, (x,), {})
    graph.values[value.name] = Ref(made, 0, value.shape, value.dtype)


def _fold(_: layers.FoldTime, value: Value, x: Ref) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if None in value.shape[1:]:
        raise Unsupported("time of any length around sizes of any length", hint=HINT)
    return "Reshape", (x,), {"newshape": [-1, *value.shape[1:]]}


def _unfold(_: layers.UnfoldTime, value: Value, y: Ref, like: Ref) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if value.shape.count(None) > 1:
        raise Unsupported("TimeDistributed over time of any length", hint=HINT)
    return "Reshape", (y,), {"newshape": [-1 if size is None else size for size in value.shape]}


def _slice(layer: layers.Slice, _: Value, x: Ref) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if set(zip(layer.starts, layer.stops, layer.steps, strict=True)) == {(None, None, -1)}:  # PyTorch has no such slice
        return "Flip", (x,), {"axis": _one(layer.axes)}
    key = [slice(None)] * (max(layer.axes) + 1)
    for axis, start, stop, step in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True):
        key[axis] = slice(start, stop, None if step == 1 else step)
    return "GetItem", (x, key), {}


def _squeeze(layer: layers.Squeeze, _: Value, x: Ref) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """By an index: Keras' own Squeeze refuses an axis whose size it does not know, as after x[:, -1:]."""
    return "GetItem", (x, [0 if axis in layer.axes else slice(None) for axis in range(max(layer.axes) + 1)]), {}


def _reduce(layer: layers.Reduce, _: Value, x: Ref) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    axis = layer.axes[0] if layer.op in ("argmax", "argmin") else list(layer.axes)
    return _REDUCE[layer.op], (x,), {"axis": axis, "keepdims": layer.keepdims}


Line = tuple[str, tuple[Any, ...], dict[str, Any]]
# Layers that are one operation: type -> class name, arguments of the call, configuration.
_LINES: Mapping[type, Callable[..., Line]] = {
    layers.FoldTime: _fold,
    layers.UnfoldTime: _unfold,
    layers.Transpose: lambda layer, _, x: ("Transpose", (x,), {"axes": list(layer.axes)}),
    layers.Concatenate: lambda layer, _, *xs: ("Concatenate", (list(xs),), {"axis": layer.axis}),
    layers.ExpandDims: lambda layer, _, x: ("ExpandDims", (x,), {"axis": _one(layer.axes)}),
    layers.Squeeze: _squeeze,
    layers.Repeat: lambda layer, _, x: ("Repeat", (x,), {"repeats": layer.times, "axis": layer.axis}),
    layers.Tile: lambda layer, _, x: ("Tile", (x,), {"repeats": list(layer.times)}),
    layers.Slice: _slice,
    layers.Gather: lambda layer, _, x, i: ("Take", (x, i), {"axis": layer.axis}),
    layers.TakeAlong: lambda layer, _, x, i: ("TakeAlongAxis", (x, i), {"axis": layer.axis}),
    layers.Cast: lambda layer, _, x: ("Cast", (x,), {"dtype": layer.dtype}),
    layers.Unary: lambda layer, _, x: (_UNARY[layer.op], (x,), {}),
    layers.Where: lambda layer, _, *xs: ("Where", xs, {}),
    layers.Reduce: _reduce,
    layers.CumSum: lambda layer, _, x: ("Cumsum", (x,), {"axis": layer.axis}),
    layers.Einsum: lambda layer, _, *xs: ("Einsum", xs, {"subscripts": layer.equation}),
    layers.OneHot: lambda layer, value, x: ("OneHot", (x,), {"num_classes": layer.depth, "dtype": value.dtype}),
}


def _one(axes: tuple[int, ...]) -> Any:
    return axes[0] if len(axes) == 1 else list(axes)


def _line(layer: object, graph: Graph, node: Node) -> None:
    value = node.outputs[0]
    try:
        name, args, config = _LINES[type(layer)](layer, value, *(graph.tensor(v) for v in node.inputs))
        made = None if config else folded(name, args, value)
        graph.values[value.name] = made or graph.op(name, args, value, **config)
    except Unsupported as error:
        raise error.at(node.name) from error


for _type in _LINES:
    rule.register(_type, _line)


@rule.register
def elementwise(layer: layers.Elementwise, graph: Graph, node: Node) -> None:
    """From left to right."""
    value = node.outputs[0]
    first, *rest = (graph.tensor(v) for v in node.inputs)
    for other in rest:
        args = (first, other)
        first = folded(_BINARY[layer.op], args, value) or graph.op(_BINARY[layer.op], args, value)
    graph.values[value.name] = first


@rule.register
def matmul(layer: layers.MatMul, graph: Graph, node: Node) -> None:
    """Matmul, after Swapaxes where asked."""
    a, b = (graph.tensor(v) for v in node.inputs)
    a = graph.op("Swapaxes", (a,), a, axis1=-2, axis2=-1) if layer.transpose_a else a
    b = graph.op("Swapaxes", (b,), b, axis1=-2, axis2=-1) if layer.transpose_b else b
    graph.values[node.outputs[0].name] = graph.op("Matmul", (a, b), node.outputs[0])


@rule.register
def pad(layer: layers.Pad, graph: Graph, node: Node) -> None:
    """Pad; by the values at the edges, which TensorFlow cannot, as slices put next to the rest."""
    value, x = node.outputs[0], graph.tensor(node.inputs[0])
    if layer.mode != "edge":
        args = (x, layer.value) if layer.mode == "constant" else (x,)
        made = graph.op("Pad", args, value, pad_width=[list(pair) for pair in layer.pads], mode=layer.mode)
        graph.values[value.name] = made
        return
    for axis, (before, after) in enumerate(layer.pads):
        if before or after:
            shape = [*x.shape[:axis], 1, *x.shape[axis + 1 :]]
            ends = [
                graph.op("GetItem", (x, [*[slice(None)] * axis, end]), replace(value, shape=tuple(shape)))
                for end in (slice(0, 1), slice(-1, None))
            ]
            size = x.shape[axis]
            shape[axis] = None if size is None else size + before + after
            parts = [*[ends[0]] * before, x, *[ends[1]] * after]
            x = graph.op("Concatenate", (parts,), replace(value, shape=tuple(shape)), axis=axis)
    graph.values[value.name] = x
