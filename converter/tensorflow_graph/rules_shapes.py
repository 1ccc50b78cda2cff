"""Translation of operators that move values, where sizes may be open: shapes, reshapes, transposes, reversals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.operations import indexing
from converter.model import Value, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.sizes import Axis, Dim, Dims, OpenSize, dims_or_array, product
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import Stored, as_array, integers_of


def array_of(x: Any) -> Any:
    """A constant in a row.

    Raises:
        Unsupported: the model computes it.
    """
    array = as_array(x)
    if array is None:
        raise Unsupported("axes that the model computes")
    return np.ravel(array)


def shape(t: Translating, step: Step, x: Any) -> Any:
    """tf.shape."""
    axes: Sequence[Axis] = t.axes(x) if isinstance(x, Value) else _known(x)
    return dims_or_array(list(axes), step.attributes.get("out_type", "int32"))


def _known(x: Any) -> tuple[int, ...]:
    if isinstance(x, Stored):
        return x.weight.shape
    return tuple(np.shape(x.array if isinstance(x, Dims) else x))


def size(t: Translating, step: Step, x: Any) -> Any:
    """tf.size."""
    return dims_or_array(product(tuple(t.axes(x) if isinstance(x, Value) else _known(x))),
                         step.attributes.get("out_type", "int32"))  # fmt: skip


def rank(t: Translating, step: Step, x: Any) -> Any:
    """tf.rank."""
    return np.array(len(t.axes(x) if isinstance(x, Value) else _known(x)), np.int32)


def reshape(t: Translating, step: Step, x: Any, target: Any) -> Any:
    """tf.reshape to numbers and open sizes."""
    if not isinstance(x, Value):
        return t.folded(step, [x, target])
    wanted = integers_of(target, "a shape")
    axes = t.axes(x)
    if -1 in wanted:
        rest = product(tuple(n for n in wanted if n != -1))
        try:
            wanted[wanted.index(-1)] = product(axes) // rest
        except (OpenSize, ZeroDivisionError):
            return _unknown(t, step, x, wanted)
    return reshaped(t, step, x, tuple(wanted))


def _unknown(t: Translating, step: Step, x: Value, wanted: list[Axis]) -> Value:
    """A reshape whose inferred size is not one of those known."""
    target = [n if isinstance(n, int) else 0 if k < len(t.axes(x)) and t.axes(x)[k] == n else None
              for k, n in enumerate(wanted)]  # fmt: skip
    if None in target or target.count(-1) > 1:
        raise Unsupported("a reshape by several sizes that the model computes")
    shape = tuple(n if isinstance(n, int) and n >= 0 else None for n in wanted)
    made = t.ops(step).reshape(x, [n for n in target if n is not None], shape)
    return t.know(made, [None if n == -1 else n for n in wanted])


def reshaped(t: Translating, step: Step, x: Value, wanted: tuple[Axis, ...]) -> Value:
    """x in a shape that is wholly known, but for what open sizes are."""
    axes = t.axes(x)
    if wanted == axes:
        return x
    base = t.memory.flat.get(x.name)
    if base is not None and t.axes(base) == wanted:
        return base
    o, shape = t.ops(step), tuple(n if isinstance(n, int) else None for n in wanted)
    target = [n if isinstance(n, int) else 0 if k < len(axes) and axes[k] == n else -1 for k, n in enumerate(wanted)]
    made = _unfolded(t, step, x, wanted) if target.count(-1) > 1 else o.reshape(x, target, shape)
    t.know(made, wanted)
    if len(axes) > 2 and wanted == (product(axes[:-1]), axes[-1]):
        t.memory.flat[made.name] = x
    return made


def _unfolded(t: Translating, step: Step, x: Value, wanted: tuple[Axis, ...]) -> Value:
    """Two leading open sizes taken apart, by a value that has them."""
    o, inner = t.ops(step), wanted[2:]
    like = t.like(wanted[:2])
    if like is None or any(isinstance(n, Dim) for n in inner):
        raise Unsupported("a reshape by several sizes that the model computes")
    sizes = [n for n in inner if isinstance(n, int)]
    flat = o.reshape(x, [-1, *sizes], (None, *sizes))
    t.know(flat, (wanted[0] * wanted[1], *inner))
    return o.one(layers.UnfoldTime(), [flat, like], (None, None, *sizes), x.dtype)


def transpose(t: Translating, step: Step, x: Any, order: Any) -> Any:
    """tf.transpose; several in a row become one, and none if they cancel."""
    if not isinstance(x, Value):
        return t.folded(step, [x, order])
    axes = [int(n) % len(x.shape) for n in array_of(order)]
    return turned(t, step, x, axes)


def turned(t: Translating, step: Step, x: Value, axes: Sequence[int]) -> Value:
    """x with its axes reordered."""
    if sorted(axes) != list(range(len(x.shape))):
        raise InvalidModel(f"{list(axes)} is no order of {len(x.shape)} axes")
    base, before = t.memory.turned.get(x.name, (x, tuple(range(len(x.shape)))))
    order = tuple(before[a] for a in axes)
    if order == tuple(range(len(order))):
        return base
    made = t.ops(step).transpose(base, order)
    t.memory.turned[made.name] = (base, order)
    return made


def reverse(t: Translating, step: Step, x: Any, axes: Any) -> Any:
    """tf.reverse; along an axis of a transposed value, it is the value behind that is reversed."""
    if not isinstance(x, Value):
        return t.folded(step, [x, axes])
    for axis in array_of(axes).tolist():
        x = flipped(t, step, x, axis % len(x.shape))
    return x


def flipped(t: Translating, step: Step, x: Value, axis: int) -> Value:
    """x reversed along one axis."""
    if x.name in t.memory.turned:
        base, order = t.memory.turned[x.name]
        return turned(t, step, flipped(t, step, base, order[axis]), order)
    before, along = t.memory.reversed.get(x.name, (x, -1))
    if along == axis:
        return before
    made = t.ops(step).reverse(x, axis)
    t.memory.reversed[made.name] = (x, axis)
    return made


def reverse_sequence(t: Translating, step: Step, x: Any, lengths: Any) -> Any:
    """tf.reverse_sequence; twice by the same lengths is nothing."""
    if not isinstance(x, Value):
        return t.folded(step, [x, lengths])
    if not isinstance(lengths, Value) or step.attributes.get("seq_dim") != 1 or step.attributes.get("batch_dim", 0):
        return t.by_row(step, [x, lengths])
    return rows_reversed(t, step, x, lengths)


def rows_reversed(t: Translating, step: Step, x: Value, lengths: Value) -> Value:
    """x [batch, time, ...] with the first steps of each row reversed, as many as its length."""
    before, by = t.memory.rows_reversed.get(x.name, (x, None))
    if by == lengths:
        return before
    made: Value = indexing.reverse_sequence(t.ops(step), x, lengths, 1, 0)
    t.know(made, t.axes(x))
    t.memory.rows_reversed[made.name] = (x, lengths)
    return made


def expand_dims(t: Translating, step: Step, x: Any, axis: Any) -> Any:
    """tf.expand_dims."""
    if not isinstance(x, Value):
        return t.folded(step, [x, axis])
    at = int(array_of(axis)[0]) % (len(x.shape) + 1)
    made = t.ops(step).expand_dims(x, at)
    t.memory.widened[made.name] = (x, at)
    return made


def squeeze(t: Translating, step: Step, x: Any) -> Any:
    """tf.squeeze."""
    if not isinstance(x, Value):
        return t.folded(step, [x])
    axes = step.attributes.get("squeeze_dims") or [k for k, n in enumerate(t.axes(x)) if n == 1]
    for axis in sorted((a % len(x.shape) for a in axes), reverse=True):
        x = without_axis(t, step, x, axis)
    return x


def without_axis(t: Translating, step: Step, x: Value, axis: int) -> Value:
    """x without an axis of size 1; what it was before, if it was widened there."""
    before, at = t.memory.widened.get(x.name, (x, -1))
    x = before if at == axis else t.ops(step).squeeze(x, axis)
    t.settle()
    return x
