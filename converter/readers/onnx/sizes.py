"""Arithmetic of sizes: a number, or the size of an axis, wherever the result is one; else the model computes it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from converter.errors import Unsupported
from converter.model import Value, layers
from converter.model.layers import ElementwiseOp, UnaryOp
from converter.readers.onnx.counted import COMPUTED, Dim
from converter.readers.onnx.general import elementwise, reduced, value_of
from converter.readers.onnx.tensors import Const, Dims, Tensor, Val, is_zero
from converter.readers.onnx.values import Builder, Call, broadcast

_ARITHMETIC: Mapping[ElementwiseOp, Callable[[int, int], int]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),  # toward zero, as C does
    "maximum": max,
    "minimum": min,
}
_NEUTRAL: Mapping[ElementwiseOp, int] = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1, "maximum": 1}
"""What leaves a size as it is on the right. Of max(size, 1): our exports guard against empty inputs with it."""


def _single(tensor: Tensor) -> bool:
    return tensor.scalar if isinstance(tensor, Dims) else isinstance(tensor, Const) and tensor.weight.shape == ()


def of_sizes(builder: Builder, op: ElementwiseOp, a: Tensor, b: Tensor, name: str) -> Dims | None:
    """The result of an operator on two vectors of sizes; None where it is none."""
    if not any(isinstance(tensor, Dims) for tensor in (a, b)) or op not in _ARITHMETIC:
        return None
    if any(isinstance(tensor, Const) and len(tensor.weight.shape) > 1 for tensor in (a, b)):
        return None
    left, right = (builder.dims(tensor) for tensor in (a, b))
    if left is None or right is None or (len(left) != len(right) and 1 not in (len(left), len(right))):
        return None
    count = max(len(left), len(right))
    pairs = zip(left * (count // len(left)), right * (count // len(right)), strict=True)
    dtype = next(tensor.dtype for tensor in (a, b) if isinstance(tensor, Dims))
    made = tuple(_size(builder, op, x, y, name) for x, y in pairs)
    return Dims(made, _single(a) and _single(b), dtype)


def _size(builder: Builder, op: ElementwiseOp, x: Dim, y: Dim, name: str) -> Dim:
    if isinstance(x, int) and isinstance(y, int) and not (op == "divide" and y == 0):
        return _ARITHMETIC[op](x, y)
    if y == _NEUTRAL.get(op):
        return x
    if op in ("add", "multiply", "maximum") and x == _NEUTRAL[op]:
        return y
    made = computed(builder, op, builder.size(x, name), builder.size(y, name), name)
    if op == "multiply":
        builder.factors[made.name] = x, y
    return made.name, COMPUTED


def computed(builder: Builder, op: ElementwiseOp, a: Value, b: Value, name: str) -> Value:
    """An operator of ONNX on numbers or arrays; its Div of whole numbers rounds toward zero."""
    shape = broadcast(a.shape, b.shape)
    if op != "divide" or not a.dtype.startswith(("int", "uint")):
        return builder.node(name, layers.Elementwise(op), (a, b), shape)[0]
    sizes, signs = (
        [builder.node(f"{name}/{kind}", layers.Unary(kind), (x,), x.shape)[0] for x in (a, b)] for kind in _PARTS
    )
    sign = builder.node(f"{name}/signs", layers.Elementwise("multiply"), tuple(signs), shape)[0]
    whole = builder.node(f"{name}/floor", layers.Elementwise("floor_divide"), tuple(sizes), shape)[0]
    return builder.node(name, layers.Elementwise("multiply"), (sign, whole), shape)[0]


_PARTS: tuple[UnaryOp, UnaryOp] = ("abs", "sign")


def _extreme(op: ElementwiseOp) -> Callable[[Builder, Call], list[Tensor]]:
    """Max or Min, of sizes or any values."""

    def rule(builder: Builder, call: Call) -> list[Tensor]:
        sizes = of_sizes(builder, op, call.tensor(0), call.tensor(1), call.name) if len(call.inputs) == 2 else None
        return elementwise(op)(builder, call) if sizes is None else [sizes]

    return rule


def _range(builder: Builder, call: Call) -> list[Tensor]:
    """Whole numbers upwards or downwards, of the type that the limit has."""
    step = call.tensor(2)
    by = step.array.item() if isinstance(step, Const) and step.weight.size == 1 else 0
    limit = value_of(builder, call, 1)
    whole = limit.dtype in ("int64", "int32") or isinstance(call.tensor(1), Dims)
    if by not in (1, -1) or not whole or len(limit.shape) > 1:
        raise Unsupported("Range that does not count by 1, or up to what is no whole number")
    count, dtype = builder.cast(limit, "int64", call.name), limit.dtype
    if len(count.shape) == 1:  # as other exporters have it
        (count,) = builder.node(f"{call.name}/limit", layers.Squeeze((0,)), (count,), ())
    start = call.tensor(0)
    first = None if is_zero(start) else builder.cast(value_of(builder, call, 0), "int64", call.name)
    if first is not None:
        pair = (count, first) if by == 1 else (first, count)
        (count,) = builder.node(f"{call.name}/count", layers.Elementwise("subtract"), pair, ())
    elif by == -1:
        (count,) = builder.node(f"{call.name}/count", layers.Unary("negative"), (count,), ())
    (made,) = builder.node(call.name, layers.Range(), (count,), (_counted(call),), dtype="int64")
    if by == -1:
        (made,) = builder.node(f"{call.name}/down", layers.Unary("negative"), (made,), made.shape)
    if first is not None:
        (made,) = builder.node(f"{call.name}/from", layers.Elementwise("add"), (made, first), made.shape)
    return [Val(builder.cast(made, dtype, call.name))]


def _counted(call: Call) -> int | None:
    """How many numbers a Range makes, where that is known."""
    given = [call.tensor(k) for k in range(3)]
    items = [t.items[0] if isinstance(t, Dims) else t.array.item() if isinstance(t, Const) else None for t in given]
    first, limit, by = (n if isinstance(n, int) else None for n in items)
    return None if first is None or limit is None or by is None else len(range(first, limit, by))


def _product(builder: Builder, call: Call) -> list[Tensor]:
    """ReduceProd: of sizes, one of them."""
    tensor, axes = call.tensor(0), call.integers("axes", 1)
    sizes = builder.dims(tensor)
    vector = not _single(tensor) and (not isinstance(tensor, Const) or len(tensor.weight.shape) == 1)
    nothing = not axes and bool(call.integer("noop_with_empty_axes", 0))
    if sizes is None or not vector or axes not in (None, [], [0]) or nothing:
        return reduced("prod")(builder, call)
    dtype = tensor.dtype if isinstance(tensor, Dims) else "int64"
    total: Dim = 1
    for size in sizes:
        total = _size(builder, "multiply", total, size, call.name)
    return [Dims((total,), not call.integer("keepdims", 1), dtype)]


def _only(op: str) -> Callable[[Builder, Call], list[Tensor]]:
    """ReduceMax or ReduceMin, which of one size is that size."""

    def rule(builder: Builder, call: Call) -> list[Tensor]:
        tensor, axes = call.tensor(0), call.integers("axes", 1)
        one = isinstance(tensor, Dims) and not tensor.scalar and len(tensor.items) == 1
        if not isinstance(tensor, Dims) or not one or axes not in (None, [], [0], [-1]):
            return reduced(op)(builder, call)
        return [Dims(tensor.items, not call.integer("keepdims", 1), tensor.dtype)]

    return rule


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "Max": _extreme("maximum"),
    "Min": _extreme("minimum"),
    "Range": _range,
    "ReduceProd": _product,
    "ReduceMax": _only("max"),
    "ReduceMin": _only("min"),
}
