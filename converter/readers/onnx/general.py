"""Rules for ONNX operators that mean the same anywhere: arithmetic, comparisons, reductions, products, orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Value, constant, layers
from converter.readers.onnx.counted import Dim
from converter.readers.onnx.origins import size_of
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder, Call, broadcast

Rule = Callable[[Builder, Call], list[Tensor]]
Sizes = tuple[int, ...]

_BINARY = {
    "Equal": "equal", "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "And": "and", "Or": "or", "Xor": "xor", "Pow": "power", "Sum": "add",
}  # fmt: skip
_TRUTH = ("equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor")
_UNARY = {
    "Abs": "abs", "Neg": "negative", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Sin": "sin", "Cos": "cos",
    "Tan": "tan", "Sign": "sign", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Reciprocal": "reciprocal",
    "Not": "not", "Erf": "erf", "IsNaN": "isnan", "Sinh": "sinh", "Cosh": "cosh", "Asin": "arcsin", "Acos": "arccos",
    "Atan": "arctan", "Asinh": "arcsinh", "Acosh": "arccosh", "Atanh": "arctanh",
}  # fmt: skip
_REDUCE = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min",
    "ReduceLogSumExp": "logsumexp",
}  # fmt: skip
_EDGE = {"constant": "constant", "reflect": "reflect", "edge": "edge"}


def value_of(builder: Builder, call: Call, index: int) -> Value:
    """An input as a neutral value, its axes as ONNX sees them.

    Raises:
        Unsupported: it is none.
    """
    return builder.value(call.tensor(index), call.name)


def _values(builder: Builder, call: Call) -> tuple[Value, ...]:
    return tuple(value_of(builder, call, k) for k in range(len(call.inputs)))


def elementwise(op: layers.ElementwiseOp) -> Rule:
    """Any number of inputs, from left to right."""

    def rule(builder: Builder, call: Call) -> list[Tensor]:
        values = _values(builder, call)
        shape, dtype = broadcast(*(value.shape for value in values)), "bool" if op in _TRUTH else values[0].dtype
        return [Val(builder.node(call.name, layers.Elementwise(op), values, shape, dtype=dtype)[0])]

    return rule


def _unary(op: layers.UnaryOp) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = value_of(builder, call, 0)
        dtype = "bool" if op in ("not", "isnan") else x.dtype
        return [Val(builder.node(call.name, layers.Unary(op), (x,), x.shape, dtype=dtype)[0])]

    return rule


def _where(builder: Builder, call: Call) -> list[Tensor]:
    condition, a, b = _values(builder, call)
    shape = broadcast(condition.shape, a.shape, b.shape)
    return [Val(builder.node(call.name, layers.Where(), (condition, a, b), shape, dtype=a.dtype)[0])]


def _clip(builder: Builder, call: Call) -> list[Tensor]:
    """Attributes before opset 11, inputs since; a bound that is missing does not bind."""
    x = value_of(builder, call, 0)
    for index, name, op in ((1, "min", "maximum"), (2, "max", "minimum")):
        if call.has(index):
            bound = value_of(builder, call, index)
        elif name in call.attributes:
            weight = constant(name, np.float32(call.number(name, 0.0)))
            (bound,) = builder.node(f"{call.name}/{name}", layers.Constant(weight), (), (), dtype="float32")
        else:
            continue
        (x,) = builder.node(f"{call.name}/{op}", layers.Elementwise(op), (x, bound), x.shape)  # type: ignore[arg-type]
    return [Val(x)]


def reduced(op: str) -> Rule:
    """A reduction over some axes, or all."""

    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x, keep = value_of(builder, call, 0), bool(call.integer("keepdims", 1))
        rank = len(x.shape)
        given = call.integers("axes", 1)
        if not given and call.integer("noop_with_empty_axes", 0):
            return [Val(x)]
        axes = tuple(sorted(axis % rank for axis in (given or range(rank))))
        sizes = (1 if k in axes else size for k, size in enumerate(x.shape) if keep or k not in axes)
        layer = layers.Reduce(op, axes, keep)  # type: ignore[arg-type]
        return [Val(builder.node(call.name, layer, (x,), tuple(sizes))[0])]

    return rule


def _norm(op: layers.UnaryOp, root: bool) -> Rule:
    """A sum of squares or sizes, and its square root."""

    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = value_of(builder, call, 0)
        (each,) = builder.node(f"{call.name}/{op}", layers.Unary(op), (x,), x.shape)
        (total,) = reduced("sum")(builder, replace(call, inputs=[Val(each), *call.inputs[1:]]))
        y = builder.value(total, call.name)
        return [Val(builder.node(f"{call.name}/sqrt", layers.Unary("sqrt"), (y,), y.shape)[0])] if root else [total]

    return rule


def _mod(builder: Builder, call: Call) -> list[Tensor]:
    """The remainder, with the divisor's sign, or, with fmod, the dividend's."""
    a, b = _values(builder, call)
    shape = broadcast(a.shape, b.shape)
    if not call.integer("fmod", 0):
        return [Val(builder.node(call.name, layers.Elementwise("mod"), (a, b), shape)[0])]
    (sign,) = builder.node(f"{call.name}/sign", layers.Unary("sign"), (a,), a.shape)
    sizes = tuple(builder.node(f"{call.name}/abs", layers.Unary("abs"), (x,), x.shape)[0] for x in (a, b))
    (rest,) = builder.node(f"{call.name}/mod", layers.Elementwise("mod"), sizes, shape)
    return [Val(builder.node(call.name, layers.Elementwise("multiply"), (sign, rest), shape)[0])]


def _arg(op: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x, keep = value_of(builder, call, 0), bool(call.integer("keepdims", 1))
        if call.integer("select_last_index", 0):
            raise Unsupported(f"{call.op} with select_last_index")
        axis = call.integer("axis", 0) % len(x.shape)
        sizes = tuple(1 if k == axis else size for k, size in enumerate(x.shape) if keep or k != axis)
        layer = layers.Reduce(op, (axis,), keep)  # type: ignore[arg-type]
        return [Val(builder.node(call.name, layer, (x,), sizes, dtype="int64")[0])]

    return rule


def _einsum(builder: Builder, call: Call) -> list[Tensor]:
    """In the explicit form; an axis is as long as any input says."""
    equation = call.attributes["equation"].s.decode("ascii", "replace").replace(" ", "")
    values = _values(builder, call)
    given, arrow, made = equation.partition("->")
    terms = given.split(",")
    if not arrow or "." in equation or [len(term) for term in terms] != [len(value.shape) for value in values]:
        raise Unsupported(f"Einsum {equation}")
    sizes: dict[str, int | None] = {}
    for term, value in zip(terms, values, strict=True):
        sizes |= {letter: size for letter, size in zip(term, value.shape, strict=True) if sizes.get(letter) is None}
    shape = tuple(sizes[letter] for letter in made)
    return [Val(builder.node(call.name, layers.Einsum(equation), values, shape)[0])]


def _tile(builder: Builder, call: Call) -> list[Tensor]:
    x, given = value_of(builder, call, 0), call.tensor(1)
    sizes = builder.dims(given)
    if sizes is not None and len(sizes) == len(x.shape) and not all(isinstance(n, int) for n in sizes):
        return [_stretched(builder, call, x, sizes)]
    times = call.integers("repeats", 1)
    if times is None or len(times) != len(x.shape):
        raise Unsupported("Tile of this kind")
    shape = tuple(None if size is None else size * n for size, n in zip(x.shape, times, strict=True))
    return [Val(builder.node(call.name, layers.Tile(tuple(times)), (x,), shape)[0])]


def _stretched(builder: Builder, call: Call, x: Value, times: Sequence[Dim]) -> Tensor:
    """Axes of 1 that are repeated a size often, the others once."""
    if any(n != 1 and size != 1 for n, size in zip(times, x.shape, strict=True)):
        raise Unsupported("Tile of more than one element, as often as a size is")
    whole = [size_of(x, axis) if n == 1 else n for axis, n in enumerate(times)]
    return Val(builder.stretched(x, whole, call.name))


def _top(builder: Builder, call: Call) -> list[Tensor]:
    """Where the first elements in order stand, and what they are."""
    x, many = value_of(builder, call, 0), builder.dims(call.tensor(1))
    axis = call.integer("axis", -1) % len(x.shape)
    if many is None or len(many) != 1 or not call.integer("sorted", 1):
        raise Unsupported("TopK of this kind")
    whole = many[0] in (x.shape[axis], (x.name, axis))
    if not whole and not isinstance(many[0], int):
        raise Unsupported("TopK of a computed number of elements")
    count = None if whole else int(many[0]) if isinstance(many[0], int) else None
    shape = (*x.shape[:axis], x.shape[axis] if whole else count, *x.shape[axis + 1 :])
    layer = layers.ArgSort(axis, bool(call.integer("largest", 1)), count)
    (places,) = builder.node(call.name, layer, (x,), shape, dtype="int64")
    (values,) = builder.node(f"{call.name}/values", layers.TakeAlong(axis), (x, places), shape)
    return [Val(values), Val(places)]


def _gather_nd(builder: Builder, call: Call) -> list[Tensor]:
    x, places = _values(builder, call)
    lead, depth = call.integer("batch_dims", 0), places.shape[-1]
    if depth is None:
        raise Unsupported("GatherND by places of unknown depth")
    shape = (*places.shape[:-1], *x.shape[lead + depth :])
    return [Val(builder.node(call.name, layers.GatherND(lead), (x, places), shape)[0])]


def _take_along(builder: Builder, call: Call) -> list[Tensor]:
    x, places = _values(builder, call)
    layer = layers.TakeAlong(call.integer("axis", 0) % len(x.shape))
    return [Val(builder.node(call.name, layer, (x, places), places.shape)[0])]


def _cumulative(builder: Builder, call: Call) -> list[Tensor]:
    x, axis = value_of(builder, call, 0), call.tensor(1)
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
    x, pads = value_of(builder, call, 0), call.integers("pads", 1)
    mode = call.attributes["mode"].s.decode("ascii", "replace") if "mode" in call.attributes else "constant"
    rank = len(x.shape)
    if pads is None or len(pads) != 2 * rank or mode not in _EDGE or call.has(3):
        raise Unsupported("Pad of this kind")
    if min(pads) < 0 and mode != "constant":
        raise Unsupported(f"Pad that takes away, of the kind {mode}")
    fill = call.tensor(2) if call.has(2) else None
    if fill is not None and not isinstance(fill, Const):
        raise Unsupported("Pad with a value that is computed")
    value = call.number("value", 0.0) if fill is None else float(fill.array.ravel()[0])
    x = _cropped(builder, call, x, [min(n, 0) for n in pads])
    pairs = tuple((max(n, 0), max(m, 0)) for n, m in zip(pads[:rank], pads[rank:], strict=True))
    if not any(map(any, pairs)):
        return [Val(x)]
    shape = tuple(None if size is None else size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True))
    return [Val(builder.node(call.name, layers.Pad(pairs, value, mode), (x,), shape)[0])]  # type: ignore[arg-type]


def _cropped(builder: Builder, call: Call, x: Value, pads: Sequence[int]) -> Value:
    """What negative pads take away."""
    rank = len(x.shape)
    axes = tuple(axis for axis in range(rank) if pads[axis] or pads[rank + axis])
    if not axes:
        return x
    less = [-pads[axis] - pads[rank + axis] if axis in axes else 0 for axis in range(rank)]
    shape = tuple(None if size is None else size - n for size, n in zip(x.shape, less, strict=True))
    if any(size is not None and size < 0 for size in shape):
        raise InvalidModel("Pad that takes away more than there is")
    starts, stops = tuple(-pads[axis] or None for axis in axes), tuple(pads[rank + axis] or None for axis in axes)
    layer = layers.Slice(axes, starts, stops, (1,) * len(axes))
    return builder.node(f"{call.name}/crop", layer, (x,), shape)[0]


def _matmul(builder: Builder, call: Call) -> Tensor:
    a, b = _values(builder, call)
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise Unsupported("MatMul with a vector")
    shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return Val(builder.node(call.name, layers.MatMul(), (a, b), shape)[0])


def matmul(builder: Builder, call: Call) -> list[Tensor]:
    """MatMul of two tensors that are computed."""
    return [_matmul(builder, call)]


def _flatten(builder: Builder, call: Call) -> list[Tensor]:
    x = value_of(builder, call, 0)
    if call.integer("axis", 1) != 1:
        raise Unsupported("Flatten before another axis than 1")
    size = None if None in x.shape[1:] else prod(n for n in x.shape[1:] if n is not None)
    target = (0, -1) if size is None else (-1, size)
    return [Val(builder.node(call.name, layers.Reshape(target), (x,), (x.shape[0], size))[0])]


RULES: Mapping[str, Rule] = {
    **{name: elementwise(op) for name, op in _BINARY.items()},  # type: ignore[arg-type]
    **{name: _unary(op) for name, op in _UNARY.items()},  # type: ignore[arg-type]
    **{name: reduced(op) for name, op in _REDUCE.items()},
    "ReduceL1": _norm("abs", False), "ReduceSumSquare": _norm("square", False), "ReduceL2": _norm("square", True),
    "Mod": _mod, "ArgMax": _arg("argmax"), "ArgMin": _arg("argmin"),
    "Where": _where, "Clip": _clip, "CumSum": _cumulative, "Pad": _pad,
    "Flatten": _flatten, "Einsum": _einsum, "Tile": _tile, "TopK": _top,
    "GatherND": _gather_nd, "GatherElements": _take_along,
}  # fmt: skip
