"""The small neutral operators, each as TensorFlow operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from converter.against_tensorflow.stage import Stage, Tensor
from converter.model import layers as neutral

ELEMENTWISE: Mapping[str, str] = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "truediv", "maximum": "maximum",
    "minimum": "minimum", "power": "pow", "mod": "floormod", "floor_divide": "floordiv", "equal": "equal",
    "not_equal": "not_equal", "less": "less", "less_equal": "less_equal", "greater": "greater",
    "greater_equal": "greater_equal", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
    "arctan2": "atan2",
}  # fmt: skip
UNARY: Mapping[str, str] = {
    **{name: name for name in ("abs", "negative", "exp", "log", "sqrt", "rsqrt", "square", "sin", "cos", "tan")},
    **{name: name for name in ("sign", "floor", "ceil", "reciprocal", "erf")},
    "round": "rint", "not": "logical_not", "isnan": "is_nan", "sinh": "sinh", "cosh": "cosh", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "expm1": "expm1", "log1p": "log1p",
}  # fmt: skip
REDUCE: Mapping[str, str] = {
    "sum": "reduce_sum", "mean": "reduce_mean", "max": "reduce_max", "min": "reduce_min", "prod": "reduce_prod",
    "any": "reduce_any", "all": "reduce_all", "logsumexp": "reduce_logsumexp",
}  # fmt: skip


def _reshape(stage: Stage, layer: neutral.Reshape, x: Tensor) -> Tensor:
    return stage.tf.reshape(x, [x.shape[axis] if size == 0 else size for axis, size in enumerate(layer.target)])


def _expand(stage: Stage, layer: neutral.ExpandDims, x: Tensor) -> Tensor:
    return reduce(stage.tf.expand_dims, sorted(layer.axes), x)


def _pad(stage: Stage, layer: neutral.Pad, x: Tensor) -> Tensor:
    if layer.mode != "edge":
        return stage.tf.pad(x, layer.pads, layer.mode.upper(), layer.value if layer.mode == "constant" else 0)
    for axis, (before, after) in enumerate(layer.pads):
        sizes = [[before if n == axis else 0, after if n == axis else 0] for n in range(len(x.shape))]
        while any(before or after for before, after in sizes):  # the edge, once more on each side
            step = [[min(1, a), min(1, b)] for a, b in sizes]
            x = stage.tf.pad(x, step, "SYMMETRIC")
            sizes = [[a - c, b - d] for (a, b), (c, d) in zip(sizes, step, strict=True)]
    return x


def _slice(stage: Stage, layer: neutral.Slice, x: Tensor) -> Tensor:
    picked = [slice(None)] * len(x.shape)
    for axis, *bounds in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True):
        picked[axis] = slice(*bounds)
    return x[tuple(picked)]


def _cast(stage: Stage, layer: neutral.Cast, x: Tensor) -> Tensor:
    return x != stage.tf.zeros_like(x) if layer.dtype == "bool" and x.dtype != bool else x


def _elementwise(stage: Stage, layer: neutral.Elementwise, *inputs: Tensor) -> Tensor:
    name = ELEMENTWISE[layer.op]
    operator = getattr(stage.tf.math, name, None) or getattr(stage.tf, name)
    return reduce(operator, inputs)


def _reduced(stage: Stage, layer: neutral.Reduce, x: Tensor) -> Tensor:
    if layer.op in ("argmax", "argmin"):
        found = getattr(stage.tf, layer.op)(x, layer.axes[0])
        return stage.tf.expand_dims(found, layer.axes[0]) if layer.keepdims else found
    return getattr(stage.tf, REDUCE[layer.op])(x, list(layer.axes), layer.keepdims)


def _matmul(stage: Stage, layer: neutral.MatMul, a: Tensor, b: Tensor) -> Tensor:
    return stage.tf.matmul(a, b, transpose_a=layer.transpose_a, transpose_b=layer.transpose_b)


def _lookup(stage: Stage, layer: neutral.Lookup, x: Tensor) -> Tensor:
    keys, values = stage.tf.constant(layer.keys, x.dtype), stage.tf.constant(layer.values)
    values = values if values.dtype == "string" else stage.tf.cast(values, "int64")
    default = layer.default if layer.default is not None else "" if values.dtype == "string" else -1
    lookup = stage.tf.lookup
    return lookup.StaticHashTable(lookup.KeyValueTensorInitializer(keys, values), default).lookup(x)


def _remove(stage: Stage, layer: neutral.RemoveCharacters, x: Tensor) -> Tensor:
    escaped = "".join(f"\\x{ord(character):02x}" for character in layer.characters)
    return stage.tf.strings.regex_replace(x, f"[{escaped}]", "")


def _argsort(stage: Stage, layer: neutral.ArgSort, x: Tensor) -> Tensor:
    order = stage.tf.argsort(x, layer.axis, "DESCENDING" if layer.descending else "ASCENDING", stable=True)
    return order if layer.count is None else stage.tf.gather(order, range(layer.count), axis=layer.axis)


OPERATORS: Mapping[type, Callable[..., Any]] = {
    neutral.Activate: lambda stage, layer, x: stage.activation(layer.activation)(x),
    neutral.Reshape: _reshape,
    neutral.FoldTime: lambda stage, layer, x: stage.tf.reshape(x, [-1, *x.shape[2:]]),
    neutral.UnfoldTime: lambda stage, layer, y, like: stage.tf.reshape(y, [*like.shape[:2], *y.shape[1:]]),
    neutral.Transpose: lambda stage, layer, x: stage.tf.transpose(x, layer.axes),
    neutral.Concatenate: lambda stage, layer, *inputs: stage.tf.concat(inputs, layer.axis),
    neutral.ExpandDims: _expand,
    neutral.Squeeze: lambda stage, layer, x: stage.tf.squeeze(x, list(layer.axes)),
    neutral.Repeat: lambda stage, layer, x: stage.tf.repeat(x, layer.times, layer.axis),
    neutral.Tile: lambda stage, layer, x: stage.tf.tile(x, layer.times),
    neutral.Pad: _pad,
    neutral.Slice: _slice,
    neutral.Gather: lambda stage, layer, x, indices: stage.tf.gather(x, indices, axis=layer.axis),
    neutral.TakeAlong: lambda stage, layer, x, index: stage.tf.experimental.numpy.take_along_axis(x, index, layer.axis),
    neutral.GatherND: lambda stage, layer, x, index: stage.tf.gather_nd(x, index, batch_dims=layer.batch_axes),
    neutral.ArgSort: _argsort,
    neutral.Size: lambda stage, layer, x: stage.tf.shape(x, "int64")[layer.axis],
    neutral.Range: lambda stage, layer, size: stage.tf.range(size),
    neutral.Cast: _cast,
    neutral.Constant: lambda stage, layer: stage.weight(layer.weight),
    neutral.Elementwise: _elementwise,
    neutral.Unary: lambda stage, layer, x: getattr(stage.tf.math, UNARY[layer.op])(x),
    neutral.Where: lambda stage, layer, condition, a, b: stage.tf.where(condition, a, b),
    neutral.Reduce: _reduced,
    neutral.CumSum: lambda stage, layer, x: stage.tf.cumsum(x, layer.axis),
    neutral.MatMul: _matmul,
    neutral.Einsum: lambda stage, layer, *inputs: stage.tf.einsum(layer.equation, *inputs),
    neutral.OneHot: lambda stage, layer, x: stage.tf.one_hot(stage.tf.cast(x, "int64"), layer.depth, dtype="float64"),
    neutral.Lookup: _lookup,
    neutral.LowerCase: lambda stage, layer, x: stage.tf.strings.lower(x),
    neutral.RemoveCharacters: _remove,
    neutral.SplitWords: lambda stage, layer, x: stage.tf.strings.split(x).to_tensor(""),
}
