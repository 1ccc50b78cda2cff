"""What TensorFlow's operators compute, in NumPy: one table, kernel(attributes, *inputs) -> an array or several.

The oracle of this route and its constant folding. Semantics are those of tensorflow/core/ops/*.cc and of the
operators' pages in the API; everything is computed in the dtype of the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.model import Array, dtype_of
from converter.tensorflow_graph.kernels_images import IMAGES
from converter.tensorflow_graph.kernels_matrices import MATRICES, bounded
from converter.tensorflow_graph.kernels_nn import NN
from reference_lstm.activations import FUNCTIONS
from reference_lstm.ops import unary

Attributes = Mapping[str, Any]
Kernel = Callable[..., Any]


def _activation(name: str, *parameters: float) -> Kernel:
    return lambda a, x: FUNCTIONS[name](x, *parameters).astype(x.dtype, copy=False)


def _reduction(function: Callable[..., Any]) -> Kernel:
    def kernel(a: Attributes, x: Array, axes: Array) -> Array:
        given = tuple(int(k) for k in np.ravel(axes))
        return np.asarray(function(x, axis=given, keepdims=bool(a.get("keep_dims")))).astype(x.dtype, copy=False)

    return kernel


def _fill(a: Attributes, dims: Any, value: Any) -> Array:
    return np.full(bounded(dims, np.asarray(value).dtype.itemsize), value)


def _range(a: Attributes, start: Any, limit: Any, delta: Any) -> Any:
    if not delta:
        raise InvalidModel("a range in steps of 0")
    bounded([max(0, math.ceil((limit - start) / delta))])
    return np.arange(start, limit, delta, dtype=np.asarray(start).dtype)


def _tile(a: Attributes, x: Array, times: Array) -> Array:
    bounded([n * t for n, t in zip(x.shape, times.tolist(), strict=True)], x.dtype.itemsize)
    return np.tile(x, times.tolist())


def strided_slice(a: Attributes, x: Array, begin: Array, end: Array, strides: Array) -> Array:
    """tf.strided_slice; bit k of a mask speaks of index k."""
    key: list[Any] = []
    for k, (start, stop, step) in enumerate(zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True)):
        bit = 1 << k
        if a.get("ellipsis_mask", 0) & bit:
            key.append(Ellipsis)
        elif a.get("new_axis_mask", 0) & bit:
            key.append(None)
        elif a.get("shrink_axis_mask", 0) & bit:
            key.append(start)
        else:
            first = None if a.get("begin_mask", 0) & bit else start
            key.append(slice(first, None if a.get("end_mask", 0) & bit else stop, step))
    try:
        return np.asarray(x[tuple(key)])
    except (IndexError, ValueError):
        raise InvalidModel(f"indices {begin.tolist()} of a tensor of shape {x.shape}") from None


def _split_sizes(a: Attributes, x: Array, sizes: Array, axis: Array) -> list[Array]:
    given = sizes.tolist()
    if -1 in given:
        given[given.index(-1)] = x.shape[int(axis)] - sum(given) - 1
    return np.split(x, np.cumsum(given)[:-1].tolist(), axis=int(axis))


def _gather(a: Attributes, x: Array, indices: Array, axis: Array | int = 0) -> Array:
    lead = int(a.get("batch_dims", 0))
    if not lead:
        return np.take(x, indices, axis=int(axis))
    rows = [np.take(one, index, axis=int(axis) - 1) for one, index in zip(x, indices, strict=True)]
    if lead > 1:
        rows = [_gather({"batch_dims": lead - 1}, one, index, int(axis) - 1)
                for one, index in zip(x, indices, strict=True)]  # fmt: skip
    return np.stack(rows)


def _select(a: Attributes, condition: Array, x: Array, y: Array) -> Array:
    """TensorFlow 1's where: a condition of one axis picks rows."""
    condition = condition.reshape(condition.shape + (1,) * (x.ndim - condition.ndim))
    return np.where(condition, x, y)


def _one_hot(a: Attributes, x: Array, depth: Array, on: Array, off: Array) -> Array:
    bounded([*x.shape, int(depth)])
    axis = int(a.get("axis", -1))
    hit = x[..., None] == np.arange(int(depth), dtype=x.dtype)
    return np.moveaxis(np.where(hit, on, off), -1, axis if axis >= 0 else x.ndim)


def _top_k(a: Attributes, x: Array, k: Array) -> tuple[Array, Array]:
    order = np.argsort(-x, axis=-1, kind="stable")[..., : int(k)]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def _cumulative(function: Callable[..., Array], empty: float) -> Kernel:
    def kernel(a: Attributes, x: Array, axis: Array) -> Array:
        at = int(axis)
        x = np.flip(x, at) if a.get("reverse") else x
        made = function(x, axis=at, dtype=x.dtype)
        if a.get("exclusive"):
            shifted = np.roll(made, 1, at)
            np.moveaxis(shifted, at, 0)[:1] = empty
            made = shifted
        return np.flip(made, at) if a.get("reverse") else made

    return kernel


def _matmul(first: str, second: str) -> Kernel:
    def kernel(a: Attributes, x: Array, y: Array) -> Array:
        x = np.swapaxes(x, -1, -2) if a.get(first) else x
        y = np.swapaxes(y, -1, -2) if a.get(second) else y
        return np.asarray(np.matmul(x, y))

    return kernel


def _reverse_sequence(a: Attributes, x: Array, lengths: Array) -> Array:
    batch, time = int(a.get("batch_dim", 0)), int(a["seq_dim"])
    rows = np.moveaxis(x, (batch, time), (0, 1)).copy()
    for row, length in zip(rows, lengths.tolist(), strict=True):
        row[:length] = row[:length][::-1]
    return np.moveaxis(rows, (0, 1), (batch, time))


def _divide(a: Attributes, x: Array, y: Array) -> Array:
    return np.divide(x, y) if np.asarray(x).dtype.kind in "fc" else np.floor_divide(x, y)


def _no_nan(a: Attributes, x: Array, y: Array) -> Array:
    return np.where(y == 0, np.zeros_like(x), np.divide(x, np.where(y == 0, np.ones_like(y), y)))


def _squeeze(a: Attributes, x: Array) -> Array:
    axes = a.get("squeeze_dims") or a.get("axis") or None
    return np.squeeze(x, None if axes is None else tuple(axes))


def _pad(a: Attributes, x: Array, widths: Array, value: Array | float = 0) -> Array:
    bounded([n + int(sum(w)) for n, w in zip(x.shape, widths.tolist(), strict=True)], x.dtype.itemsize)
    return np.pad(x, widths.tolist(), constant_values=value)


def _einsum(a: Attributes, *xs: Array) -> Array:
    return np.asarray(np.einsum(a["equation"], *xs))


def _broadcast_to(a: Attributes, x: Array, shape: Any) -> Array:
    return np.broadcast_to(x, bounded(shape, x.dtype.itemsize))


def _reshape(a: Attributes, x: Array, shape: Array) -> Array:
    try:
        return np.reshape(x, [int(n) for n in np.ravel(shape)])
    except ValueError:
        raise InvalidModel(f"a tensor of shape {x.shape} as {np.ravel(shape).tolist()}") from None


_BINARY: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("Add", "AddV2"), np.add), "Sub": np.subtract, "Mul": np.multiply, "RealDiv": np.divide,
    "Maximum": np.maximum, "Minimum": np.minimum, "Pow": np.power, "FloorMod": np.mod, "FloorDiv": np.floor_divide,
    "Equal": np.equal, "NotEqual": np.not_equal, "Less": np.less, "LessEqual": np.less_equal, "Greater": np.greater,
    "GreaterEqual": np.greater_equal, "LogicalAnd": np.logical_and, "LogicalOr": np.logical_or, "Atan2": np.arctan2,
    "SquaredDifference": lambda x, y: np.square(x - y), "TruncateDiv": lambda x, y: np.trunc(x / y).astype(x.dtype),
    "Mod": np.fmod, "MulNoNan": lambda x, y: np.where(y == 0, np.zeros_like(x), x * y),
    "Xdivy": lambda x, y: np.where(x == 0, np.zeros_like(x), x / y),
    "Xlogy": lambda x, y: np.where(x == 0, np.zeros_like(x), x * np.log(y)),
}  # fmt: skip
_UNARY: Mapping[str, Callable[..., Any]] = {
    "Abs": np.abs, "Neg": np.negative, "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Square": np.square,
    "Rsqrt": lambda x: (1 / np.sqrt(x)).astype(x.dtype, copy=False), "Sin": np.sin, "Cos": np.cos, "Tan": np.tan,
    "Sign": np.sign, "Floor": np.floor, "Ceil": np.ceil, **dict.fromkeys(("Round", "Rint"), np.rint),
    **dict.fromkeys(("Reciprocal", "Inv"), np.reciprocal), "IsNan": np.isnan, "IsInf": np.isinf,
    "IsFinite": np.isfinite, "LogicalNot": np.logical_not, "Sinh": np.sinh, "Cosh": np.cosh, "Asin": np.arcsin,
    "Acos": np.arccos, "Atan": np.arctan, "Asinh": np.arcsinh, "Acosh": np.arccosh, "Atanh": np.arctanh,
    "Expm1": np.expm1, "Log1p": np.log1p, "Erf": lambda x: unary("erf", x),
    "Erfc": lambda x: (1 - unary("erf", x.astype(np.float64))).astype(x.dtype), "Tanh": np.tanh,
    "OnesLike": np.ones_like, "ZerosLike": np.zeros_like, "Real": np.real, "Imag": np.imag, "Conj": np.conj,
    "Angle": np.angle, "ComplexAbs": np.abs,
    **{name: lambda x: x for name in ("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape",
                                      "PlaceholderWithDefault", "CheckNumerics")},
}  # fmt: skip
_REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "Mean": np.mean, "Sum": np.sum, "Max": np.max, "Min": np.min, "Prod": np.prod, "Any": np.any, "All": np.all,
    "EuclideanNorm": lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
}  # fmt: skip

KERNELS: Mapping[str, Kernel] = {
    **{op: (lambda f: lambda a, x, y: f(x, y))(function) for op, function in _BINARY.items()},
    **{op: (lambda f: lambda a, x: np.asarray(f(x)))(function) for op, function in _UNARY.items()},
    **{op: _reduction(function) for op, function in _REDUCTIONS.items()},
    "Div": _divide, "DivNoNan": _no_nan, "AddN": lambda a, *xs: sum(xs[1:], xs[0]),
    "Sigmoid": _activation("sigmoid"), "Relu": _activation("relu", 0.0, math.inf, 0.0),
    "Relu6": _activation("relu", 0.0, 6.0, 0.0), "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"), "Selu": _activation("selu"), "Elu": _activation("elu", 1.0),
    "LeakyRelu": lambda a, x: FUNCTIONS["leaky_relu"](x, a.get("alpha", 0.2)),
    "Softmax": _activation("softmax", -1.0), "LogSoftmax": _activation("log_softmax", -1.0),
    "Const": lambda a: a["value"], "Fill": _fill, "Range": _range, "Tile": _tile, "BroadcastTo": _broadcast_to,
    "BiasAdd": lambda a, x, b: x + (b if a.get("data_format", "NHWC") == "NHWC"
                                    else b.reshape(-1, *[1] * (x.ndim - 2))),
    "MatMul": _matmul("transpose_a", "transpose_b"),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matmul("adj_x", "adj_y")), "Einsum": _einsum,
    "SelectV2": lambda a, c, x, y: np.where(c, x, y), "Select": _select,
    "ClipByValue": lambda a, x, low, high: np.minimum(np.maximum(x, low), high),
    "OneHot": _one_hot, "TopKV2": _top_k, "Cumsum": _cumulative(np.cumsum, 0), "Cumprod": _cumulative(np.cumprod, 1),
    "Cast": lambda a, x: x.astype(dtype_of(a["DstT"])),
    "ArgMax": lambda a, x, axis: np.argmax(x, int(axis)).astype(a.get("output_type", "int64")),
    "ArgMin": lambda a, x, axis: np.argmin(x, int(axis)).astype(a.get("output_type", "int64")),
    "ConcatV2": lambda a, *xs: np.concatenate(xs[:-1], axis=int(xs[-1])),
    "Pack": lambda a, *xs: np.stack(xs, axis=int(a.get("axis", 0))),
    "Unpack": lambda a, x: [np.squeeze(p, int(a.get("axis", 0)))
                            for p in np.split(x, int(a["num"]), axis=int(a.get("axis", 0)))],
    "Split": lambda a, axis, x: np.split(x, int(a["num_split"]), axis=int(axis)), "SplitV": _split_sizes,
    "StridedSlice": strided_slice,
    "Slice": lambda a, x, begin, sizes: x[tuple(slice(b, None if n < 0 else b + n)
                                                for b, n in zip(begin.tolist(), sizes.tolist(), strict=True))],
    "ExpandDims": lambda a, x, axis: np.expand_dims(x, int(np.ravel(axis)[0])), "Squeeze": _squeeze,
    "Shape": lambda a, x: np.array(x.shape, a.get("out_type", "int32")),
    "ShapeN": lambda a, *xs: [np.array(x.shape, a.get("out_type", "int32")) for x in xs],
    "Size": lambda a, x: np.array(x.size, a.get("out_type", "int32")), "Rank": lambda a, x: np.array(x.ndim, np.int32),
    "Reshape": _reshape, "Transpose": lambda a, x, order: np.transpose(x, order.tolist()),
    "ReverseV2": lambda a, x, axes: np.flip(x, tuple(np.ravel(axes).tolist())),
    "ReverseSequence": _reverse_sequence,
    "Roll": lambda a, x, shift, axis: np.roll(x, tuple(np.ravel(shift).tolist()), tuple(np.ravel(axis).tolist())),
    "Pad": _pad, "PadV2": _pad,
    "MirrorPad": lambda a, x, w: np.pad(x, w.tolist(), "reflect" if a["mode"] == "REFLECT" else "symmetric"),
    "GatherV2": _gather, "ResourceGather": _gather, "Gather": _gather,
    "GatherNd": lambda a, x, index: x[tuple(np.moveaxis(index, -1, 0))],
    "BroadcastArgs": lambda a, x, y: np.array(np.broadcast_shapes(tuple(x), tuple(y)), x.dtype),
    **NN, **IMAGES,
    **MATRICES,
}  # fmt: skip


def run_kernel(op: str, attributes: Attributes, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of an operator.

    Raises:
        Unsupported: there is no kernel for it.
        InvalidModel: the inputs do not fit it.
    """
    kernel = KERNELS.get(op)
    if kernel is None:
        raise Unsupported(f"the TensorFlow operator {clean(op, 60)} is not supported")
    try:
        with np.errstate(all="ignore"):
            made = kernel(attributes, *inputs)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidModel(f"{clean(op, 60)} does not take what it is given: {clean(error, 120)}") from error
    return tuple(made) if isinstance(made, list | tuple) else (made,)
