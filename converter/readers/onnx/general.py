"""Rules for ONNX operators that mean the same anywhere: arithmetic, comparisons, reductions, convolution, pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from converter.errors import Unsupported
from converter.model import Shape, Value, constant, layers
from converter.readers.onnx.values import Builder, Call, Const, Dims, Filled, Tensor, Val, Zeros

Rule = Callable[[Builder, Call], list[Tensor]]
Sizes = tuple[int, ...]

_BINARY = {
    "Equal": "equal", "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "And": "and", "Or": "or", "Xor": "xor", "Pow": "power", "Min": "minimum",
}  # fmt: skip
_TRUTH = ("equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor")
_UNARY = {
    "Abs": "abs", "Neg": "negative", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Sin": "sin", "Cos": "cos",
    "Tan": "tan", "Sign": "sign", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Reciprocal": "reciprocal",
    "Not": "not", "Erf": "erf", "IsNaN": "isnan", "Sinh": "sinh", "Cosh": "cosh", "Asin": "arcsin", "Acos": "arccos",
    "Atan": "arctan", "Asinh": "arcsinh", "Acosh": "arccosh", "Atanh": "arctanh",
}  # fmt: skip
_REDUCE = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceProd": "prod",
    "ReduceLogSumExp": "logsumexp",
}  # fmt: skip
_EDGE = {"constant": "constant", "reflect": "reflect", "edge": "edge"}


def broadcast(*shapes: Shape) -> Shape:
    """The shape of an elementwise result; an open size gives way to a known one that is not 1."""
    rank = max(map(len, shapes))
    wide = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    columns = zip(*wide, strict=True)
    return tuple(next((n for n in sizes if n not in (1, None)), None if None in sizes else 1) for sizes in columns)


def _value(builder: Builder, call: Call, index: int) -> Value:
    tensor = call.tensor(index)
    if isinstance(tensor, Dims | Filled | Zeros):
        raise Unsupported(f"{call.op} on shapes")
    return builder.value(tensor, call.name)


def _values(builder: Builder, call: Call) -> tuple[Value, ...]:
    return tuple(_value(builder, call, k) for k in range(len(call.inputs)))


def elementwise(op: layers.ElementwiseOp) -> Rule:
    """Any number of inputs, from left to right."""

    def rule(builder: Builder, call: Call) -> list[Tensor]:
        values = _values(builder, call)
        shape, dtype = broadcast(*(value.shape for value in values)), "bool" if op in _TRUTH else values[0].dtype
        return [Val(builder.node(call.name, layers.Elementwise(op), values, shape, dtype=dtype)[0])]

    return rule


def _unary(op: layers.UnaryOp) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = _value(builder, call, 0)
        dtype = "bool" if op in ("not", "isnan") else x.dtype
        return [Val(builder.node(call.name, layers.Unary(op), (x,), x.shape, dtype=dtype)[0])]

    return rule


def _where(builder: Builder, call: Call) -> list[Tensor]:
    condition, a, b = _values(builder, call)
    shape = broadcast(condition.shape, a.shape, b.shape)
    return [Val(builder.node(call.name, layers.Where(), (condition, a, b), shape, dtype=a.dtype)[0])]


def _clip(builder: Builder, call: Call) -> list[Tensor]:
    """Attributes before opset 11, inputs since; a bound that is missing does not bind."""
    x = _value(builder, call, 0)
    for index, name, op in ((1, "min", "maximum"), (2, "max", "minimum")):
        if call.has(index):
            bound = _value(builder, call, index)
        elif name in call.attributes:
            weight = constant(name, np.float32(call.number(name, 0.0)))
            (bound,) = builder.node(f"{call.name}/{name}", layers.Constant(weight), (), (), dtype="float32")
        else:
            continue
        (x,) = builder.node(f"{call.name}/{op}", layers.Elementwise(op), (x, bound), x.shape)  # type: ignore[arg-type]
    return [Val(x)]


def _reduce(op: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x, keep = _value(builder, call, 0), bool(call.integer("keepdims", 1))
        rank = len(x.shape)
        given = call.integers("axes", 1)
        if not given and call.integer("noop_with_empty_axes", 0):
            return [Val(x)]
        axes = tuple(sorted(axis % rank for axis in (given or range(rank))))
        sizes = (1 if k in axes else size for k, size in enumerate(x.shape) if keep or k not in axes)
        layer = layers.Reduce(op, axes, keep)  # type: ignore[arg-type]
        return [Val(builder.node(call.name, layer, (x,), tuple(sizes))[0])]

    return rule


def _cumulative(builder: Builder, call: Call) -> list[Tensor]:
    x, axis = _value(builder, call, 0), call.tensor(1)
    if not isinstance(axis, Const) or call.integer("exclusive", 0):
        raise Unsupported("CumSum of this kind")
    at = int(axis.array.ravel()[0]) % len(x.shape)
    flip = layers.Slice((at,), (None,), (None,), (-1,))
    turned = bool(call.integer("reverse", 0))
    if turned:
        (x,) = builder.node(f"{call.name}/flip", flip, (x,), x.shape)
    (y,) = builder.node(call.name, layers.CumSum(at), (x,), x.shape)
    return [Val(builder.node(f"{call.name}/flip_back", flip, (y,), y.shape)[0] if turned else y)]


def _pad(builder: Builder, call: Call) -> list[Tensor]:
    x, pads = _value(builder, call, 0), call.integers("pads", 1)
    mode = call.attributes["mode"].s.decode("ascii", "replace") if "mode" in call.attributes else "constant"
    rank = len(x.shape)
    if pads is None or len(pads) != 2 * rank or min(pads) < 0 or mode not in _EDGE or call.has(3):
        raise Unsupported("Pad of this kind")
    fill = call.tensor(2) if call.has(2) else None
    if fill is not None and not isinstance(fill, Const):
        raise Unsupported("Pad with a value that is computed")
    value = call.number("value", 0.0) if fill is None else float(fill.array.ravel()[0])
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    shape = tuple(None if size is None else size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True))
    return [Val(builder.node(call.name, layers.Pad(pairs, value, mode), (x,), shape)[0])]  # type: ignore[arg-type]


def _matmul(builder: Builder, call: Call) -> Tensor:
    a, b = _values(builder, call)
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise Unsupported("MatMul with a vector")
    shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return Val(builder.node(call.name, layers.MatMul(), (a, b), shape)[0])


def matmul(builder: Builder, call: Call) -> list[Tensor]:
    """MatMul of two tensors that are computed."""
    return [_matmul(builder, call)]


def _spatial(builder: Builder, call: Call) -> tuple[Value, int]:
    """The input with its channels last, and how many spatial axes it has."""
    x = _value(builder, call, 0)
    rank = len(x.shape) - 2
    if rank not in (1, 2, 3):
        raise Unsupported(f"{call.op} over {rank} axes")
    return builder.transposed(x, (0, *range(2, rank + 2), 1), f"{call.name}/last"), rank


def _padding(
    call: Call, window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...] | str:
    """ "valid", "same", or the sizes before and after each axis where it is neither."""
    auto = call.attributes["auto_pad"].s if "auto_pad" in call.attributes else b"NOTSET"
    if auto == b"SAME_UPPER":
        return "same"
    if auto not in (b"NOTSET", b"VALID"):
        raise Unsupported(f"{call.op} with auto_pad {auto.decode('ascii', 'replace')}")
    pads = tuple(call.attributes["pads"].ints) if "pads" in call.attributes and auto == b"NOTSET" else ()
    if not any(pads):
        return "valid"
    reach = [(w - 1) * d for w, d in zip(window, dilation, strict=True)]
    same = (*(n // 2 for n in reach), *(n - n // 2 for n in reach))
    return "same" if pads == same and set(strides) == {1} else pads


def _sizes(call: Call, name: str, rank: int) -> tuple[int, ...]:
    return tuple(int(n) for n in call.attributes[name].ints) if name in call.attributes else (1,) * rank


def _moved(builder: Builder, call: Call, y: Value, rank: int) -> list[Tensor]:
    return [Val(builder.transposed(y, (0, rank + 1, *range(1, rank + 1)), f"{call.name}/first"))]


def _after(
    shape: Shape, window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> Shape:
    """Spatial sizes after a window has passed."""
    reach = ((w - 1) * d for w, d in zip(window, dilation, strict=True))
    lost = (0 if padding == "same" else r for r in reach)
    return tuple(
        None if n is None else (n - gone - 1) // s + 1 for n, gone, s in zip(shape, lost, strides, strict=True)
    )


def _conv(builder: Builder, call: Call) -> list[Tensor]:
    kernel, bias = call.tensor(1), call.tensor(2) if call.has(2) else None
    if not isinstance(kernel, Const) or not isinstance(bias, Const | None):
        raise Unsupported("Conv whose weights are computed")
    x, rank = _spatial(builder, call)
    weight = kernel.weight
    if len(weight.shape) != rank + 2:
        raise Unsupported(f"Conv with a kernel of shape {weight.shape}")
    window, groups = weight.shape[2:], call.integer("group", 1)
    strides, dilation = _sizes(call, "strides", rank), _sizes(call, "dilations", rank)
    padding = _padding(call, window, strides, dilation)
    if not isinstance(padding, str):
        pairs = ((0, 0), *zip(padding[:rank], padding[rank:], strict=True), (0, 0))
        shape = tuple(None if size is None else size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True))
        (x,) = builder.node(f"{call.name}/pad", layers.Pad(pairs), (x,), shape)
        padding = "valid"
    axes = (*range(2, rank + 2), 1, 0)
    turned = weight.map(lambda w: np.transpose(w, axes), tuple(weight.shape[axis] for axis in axes))
    layer = layers.Conv(
        rank, turned, None if bias is None else bias.weight, strides, padding, dilation, groups, "channels_last"  # type: ignore[arg-type]
    )  # fmt: skip
    shape = (x.shape[0], *_after(x.shape[1:-1], window, strides, dilation, padding), weight.shape[0])
    return _moved(builder, call, builder.node(call.name, layer, (x,), shape)[0], rank)


def _pool(kind: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x, rank = _spatial(builder, call)
        window, strides = _sizes(call, "kernel_shape", rank), _sizes(call, "strides", rank)
        ones = (1,) * rank
        padding = _padding(call, window, strides, ones)
        odd = call.integer("ceil_mode", 0) or _sizes(call, "dilations", rank) != ones or len(call.outputs) > 1
        if odd or not isinstance(padding, str) or (padding == "same" and call.integer("count_include_pad", 0)):
            raise Unsupported(f"{call.op} of this kind")
        layer = layers.Pool(rank, kind, window, strides, padding)  # type: ignore[arg-type]
        sizes = _after(x.shape[1:-1], window, strides, ones, padding)
        return _moved(builder, call, builder.node(call.name, layer, (x,), (x.shape[0], *sizes, x.shape[-1]))[0], rank)

    return rule


def _global_average(builder: Builder, call: Call) -> list[Tensor]:
    x = _value(builder, call, 0)
    axes = tuple(range(2, len(x.shape)))
    shape = (*x.shape[:2], *(1 for _ in axes))
    return [Val(builder.node(call.name, layers.Reduce("mean", axes, True), (x,), shape)[0])]


def _normalise(builder: Builder, call: Call) -> list[Tensor]:
    """LayerNormalization over the axes from `axis` on."""
    x = call.tensor(0)
    arrays = [call.tensor(k) if call.has(k) else None for k in (1, 2)]
    if not isinstance(x, Val) or not all(isinstance(array, Const | None) for array in arrays):
        raise Unsupported("LayerNormalization of this kind")
    value = builder.value(x, call.name)
    rank = len(value.shape)
    axes = tuple(range(call.integer("axis", -1) % rank, rank))
    gamma, beta = (array.weight if isinstance(array, Const) else None for array in arrays)
    layer = layers.LayerNormalization(axes, gamma, beta, call.number("epsilon", 1e-5))
    return [Val(builder.node(call.name, layer, (value,), value.shape)[0])]


def _batch(builder: Builder, call: Call) -> list[Tensor]:
    weights = [call.tensor(k) for k in range(1, 5)]
    if call.integer("training_mode", 0) or not all(isinstance(weight, Const) for weight in weights):
        raise Unsupported("BatchNormalization of this kind")
    gamma, beta, mean, variance = (weight.weight for weight in weights if isinstance(weight, Const))
    x = _value(builder, call, 0)
    layer = layers.BatchNormalization(1, gamma, beta, mean, variance, call.number("epsilon", 1e-5))
    return [Val(builder.node(call.name, layer, (x,), x.shape)[0])]


def _flatten(builder: Builder, call: Call) -> list[Tensor]:
    x = _value(builder, call, 0)
    if call.integer("axis", 1) != 1:
        raise Unsupported("Flatten before another axis than 1")
    size = None if None in x.shape[1:] else prod(n for n in x.shape[1:] if n is not None)
    target = (0, -1) if size is None else (-1, size)
    return [Val(builder.node(call.name, layers.Reshape(target), (x,), (x.shape[0], size))[0])]


RULES: Mapping[str, Rule] = {
    **{name: elementwise(op) for name, op in _BINARY.items()},  # type: ignore[arg-type]
    **{name: _unary(op) for name, op in _UNARY.items()},  # type: ignore[arg-type]
    **{name: _reduce(op) for name, op in _REDUCE.items()},
    "Where": _where, "Clip": _clip, "CumSum": _cumulative, "Pad": _pad, "Conv": _conv, "MaxPool": _pool("max"),
    "AveragePool": _pool("average"), "GlobalAveragePool": _global_average, "LayerNormalization": _normalise,
    "BatchNormalization": _batch, "Flatten": _flatten,
}  # fmt: skip
