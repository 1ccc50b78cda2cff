"""Small operators with their shape rules, for layers that are written in terms of others (attention, masks, merges)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Graph
from converter.model import Shape, Value, Weight, constant, dtype_of, layers
from converter.model.activations import Activation
from converter.model.layers import ElementwiseOp, Layer, UnaryOp

COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
SHARES = frozenset({"softmax", "log_softmax", "sparsemax"})  # of a whole along an axis
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def axis_in(axis: int, rank: int) -> int:
    """The axis from 0 on; negative ones count from the end.

    Raises:
        InvalidModel: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise InvalidModel(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape NumPy gives to two shapes together; None where it is open.

    Raises:
        InvalidModel: the shapes do not fit.
    """
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)
    result: list[int | None] = []
    for m, n in zip(a, b, strict=True):
        if m == 1 or n == 1:
            result.append(n if m == 1 else m)
        elif m is None or n is None:
            result.append(n if m is None else m)
        elif m == n:
            result.append(m)
        else:
            raise InvalidModel(f"shapes {a} and {b} do not broadcast")
    return tuple(result)


@dataclass(frozen=True)
class Ops:
    """Emits operators into `graph` for the Keras layer at `path`."""

    graph: Graph
    path: str

    def one(self, layer: Layer, inputs: Sequence[Value | None], shape: Shape, dtype: str) -> Value:
        """Emit a layer of one output."""
        return self.graph.emit(layer, inputs, [(shape, dtype)], self.path)[0]

    def constant(self, values: Any, dtype: str) -> Value:
        """A constant tensor."""
        array = np.asarray(values)
        weight = constant(f"{self.path}/constant", array).astype(dtype)
        return self.weight(weight)

    def numbers(self, start: int, stop: int, step: int = 1) -> Value:
        """range(start, stop, step), int64.

        Raises:
            Unsupported: more numbers than anybody means. InvalidModel: a step of 0.
        """
        if step == 0:
            raise InvalidModel("a range in steps of 0")
        if len(range(start, stop, step)) > limits.ONE_HOT:
            raise Unsupported(f"a range of {len(range(start, stop, step))} numbers")
        return self.constant(np.arange(start, stop, step), "int64")

    def weight(self, weight: Weight) -> Value:
        """A weight as a tensor."""
        return self.one(layers.Constant(weight), [], weight.shape, weight.dtype)

    def elementwise(self, op: ElementwiseOp, *inputs: Value) -> Value:
        """Broadcasting arithmetic, comparison or logic of two or more values of one dtype."""
        shape: Shape = ()
        for value in inputs:
            shape = broadcast(shape, value.shape)
        dtype = "bool" if op in COMPARISONS else inputs[0].dtype
        return self.one(layers.Elementwise(op), inputs, shape, dtype)

    def with_scalar(self, op: ElementwiseOp, x: Value, scalar: float) -> Value:
        """x op scalar, the scalar in x's dtype.

        Raises:
            Unsupported: x holds whole numbers, and the scalar is none or divides them.
        """
        if x.dtype not in FLOATS and (op == "divide" or not float(scalar).is_integer()):
            raise Unsupported(f"{op} of {x.dtype} and {scalar}")
        return self.elementwise(op, x, self.constant(scalar, x.dtype))

    def against_single(self, op: ElementwiseOp, x: Value, number: float) -> Value:
        """A comparison of x with a number that is made a float32 first, in the wider of the two types.

        Whole numbers are made floats, as `result_type` of Keras 3 has it. Nothing equals a number that x's own type
        does not have: NaN says so, whatever a runtime rounds.
        """
        single = float(np.float32(number))
        x = x if x.dtype in FLOATS else self.cast(x, "float32")
        if x.dtype in ("float16", "bfloat16"):
            if op not in ("equal", "not_equal"):
                x = self.cast(x, "float32")
            elif float(np.array(single).astype(dtype_of(x.dtype))) != single:
                single = np.nan
        return self.with_scalar(op, x, single)

    def unary(self, op: UnaryOp, x: Value) -> Value:
        """Elementwise function."""
        return self.one(layers.Unary(op), [x], x.shape, "bool" if op in {"not", "isnan"} else x.dtype)

    def activate(self, x: Value, activation: Activation) -> Value:
        """Activation; nothing is emitted for linear. An "axis" of -1 is resolved here.

        Raises:
            Unsupported: of whole numbers, for which functions but relu have no numbers to give.
        """
        if activation.name == "linear":
            return x
        if x.dtype not in FLOATS and activation.name != "relu":
            raise Unsupported(f"{activation.name} of {x.dtype}")
        if "axis" in activation.arguments and activation.parameters[0] < 0:
            activation = Activation(activation.name, (len(x.shape) + activation.parameters[0],))
        if activation.name in SHARES and x.shape[int(activation.parameters[0])] == 1:
            what = f"{self.path}: {activation.name} over an axis of size 1 is constant"
            self.graph.warnings.append(f"{what}; a function of your own that is called so is not in the file")
        shape = x.shape
        if activation.name == "glu":  # one half of the axis gates the other
            shape = tuple(n if k != activation.parameters[0] or n is None else n // 2 for k, n in enumerate(shape))
        return self.one(layers.Activate(activation), [x], shape, x.dtype)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """a where condition, else b."""
        shape = broadcast(broadcast(condition.shape, a.shape), b.shape)
        return self.one(layers.Where(), [condition, a, b], shape, a.dtype)

    def cast(self, x: Value, dtype: str) -> Value:
        """To another dtype; nothing is emitted if it is that already."""
        return x if x.dtype == dtype else self.one(layers.Cast(dtype), [x], x.shape, dtype)

    def reduce(self, op: str, x: Value, axes: Sequence[int], keepdims: bool = False) -> Value:
        """Reduction over axes (negative ones count from the end)."""
        positive = tuple(sorted(axis_in(a, len(x.shape)) for a in axes))
        kept = [1 if k in positive else n for k, n in enumerate(x.shape) if keepdims or k not in positive]
        dtype = {"any": "bool", "all": "bool", "argmax": "int64", "argmin": "int64"}.get(op, x.dtype)
        return self.one(layers.Reduce(cast(Any, op), positive, keepdims), [x], tuple(kept), dtype)

    def reshape(self, x: Value, target: Sequence[int], shape: Shape) -> Value:
        """Reshape with -1 and 0 as in `layers.Reshape`; `shape` is what comes out."""
        return self.one(layers.Reshape(tuple(target)), [x], shape, x.dtype)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """Axes reordered."""
        return self.one(layers.Transpose(tuple(axes)), [x], tuple(x.shape[a] for a in axes), x.dtype)

    def expand_dims(self, x: Value, axis: int) -> Value:
        """A new axis of size 1 at `axis` of the result (negative counts from its end)."""
        axis = axis_in(axis, len(x.shape) + 1)
        return self.one(layers.ExpandDims((axis,)), [x], (*x.shape[:axis], 1, *x.shape[axis:]), x.dtype)

    def one_hot(self, x: Value, depth: int, dtype: str) -> Value:
        """Integers as unit vectors along a new last axis; zeros where they are out of range.

        Raises:
            Unsupported: longer vectors than anybody means, which would fill the memory.
        """
        if depth > limits.ONE_HOT:
            raise Unsupported(f"vectors of {depth} numbers for integers; more than {limits.ONE_HOT} are not exported")
        return self.one(layers.OneHot(depth), [x], (*x.shape, depth), dtype)

    def squeeze(self, x: Value, axis: int) -> Value:
        """An axis of size 1 removed."""
        axis = axis_in(axis, len(x.shape))
        return self.one(layers.Squeeze((axis,)), [x], (*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype)

    def concatenate(self, inputs: Sequence[Value], axis: int) -> Value:
        """Inputs joined along an axis."""
        rank = len(inputs[0].shape)
        axis %= rank
        if any(len(x.shape) != rank for x in inputs):
            raise InvalidModel(f"cannot concatenate shapes {[x.shape for x in inputs]}")
        sizes = [x.shape[axis] for x in inputs]
        total = None if None in sizes else sum(cast(list[int], sizes))
        shape: list[int | None] = []
        for k in range(rank):
            known = {x.shape[k] for x in inputs} - {None}
            if k != axis and len(known) > 1:
                raise InvalidModel(f"cannot concatenate shapes {[x.shape for x in inputs]} along axis {axis}")
            shape.append(total if k == axis else next(iter(known), None))
        return self.one(layers.Concatenate(axis), list(inputs), tuple(shape), inputs[0].dtype)

    def slice(self, x: Value, axis: int, start: int | None, stop: int | None, step: int = 1) -> Value:
        """x[start:stop:step] along one axis."""
        axis = axis_in(axis, len(x.shape))
        size = x.shape[axis]
        if size is not None:
            size = len(range(*slice(start, stop, step).indices(size)))
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        return self.one(layers.Slice((axis,), (start,), (stop,), (step,)), [x], shape, x.dtype)

    def reverse(self, x: Value, axis: int) -> Value:
        """x reversed along one axis."""
        return self.slice(x, axis, None, None, -1)

    def matmul(self, a: Value, b: Value, transpose_a: bool = False, transpose_b: bool = False) -> Value:
        """Matrix product over the last two axes, leading ones broadcast."""
        m, k1 = (a.shape[-1], a.shape[-2]) if transpose_a else (a.shape[-2], a.shape[-1])
        k2, n = (b.shape[-1], b.shape[-2]) if transpose_b else (b.shape[-2], b.shape[-1])
        if None not in (k1, k2) and k1 != k2:
            raise InvalidModel(f"matrices of shapes {a.shape} and {b.shape} cannot be multiplied")
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), m, n)
        return self.one(layers.MatMul(transpose_a, transpose_b), [a, b], shape, a.dtype)
