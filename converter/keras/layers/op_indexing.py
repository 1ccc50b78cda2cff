"""Operations that pick values: indexing, slicing, gathering; and integers as unit vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converter import layers
from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.layers.op_sizes import Sizes, pick
from converter.keras.layers.op_values import Operand, axis_in, integers, one_integer, tensor, to_value
from converter.keras.ops import Ops
from converter.model import Value


def get_item(o: Ops, x: Operand, key: Any) -> Value:
    """x[key] of numbers, slices, new axes and an ellipsis.

    Raises:
        Unsupported: indices that are tensors or lists. InvalidModel: an index beyond the size.
    """
    if isinstance(x, Sizes):
        return pick(x, key)
    value = tensor(x)
    items = list(key) if isinstance(key, list | tuple) else [key]
    items = [Ellipsis if isinstance(i, Mapping) and i.get("class_name") == "__ellipsis__" else i for i in items]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > len(value.shape) or sum(item is Ellipsis for item in items) > 1:
        raise InvalidModel(f"{len(items)} indices into a tensor with {len(value.shape)} axes")
    gone: list[int] = []  # axes of x that an index takes away
    new: list[int] = []  # axes of the result that are new
    axis = 0
    for item in items:
        if item is None:
            new.append(axis - len(gone) + len(new))
        elif item is Ellipsis:
            axis += len(value.shape) - used
        else:
            value, taken = _index(o, value, axis, item)
            gone += [axis] * taken
            axis += 1
    for axis in reversed(gone):
        value = o.squeeze(value, axis)
    for axis in new:
        value = o.expand_dims(value, axis)
    return value


def _index(o: Ops, x: Value, axis: int, item: Any) -> tuple[Value, bool]:
    """x sliced along one axis, and whether the axis is to go."""
    if isinstance(item, slice):
        parts = [None if p is None else one_integer(p, "a slice") for p in (item.start, item.stop, item.step)]
        if parts == [None, None, None]:
            return x, False
        if parts[2] == 0:
            raise InvalidModel("a slice with step 0")
        return o.slice(x, axis, parts[0], parts[1], 1 if parts[2] is None else parts[2]), False
    if type(item) is not int:
        raise Unsupported(f"indexing by {clean(type(item).__name__)}")
    size = x.shape[axis]
    if size is not None and not -size <= item < size:
        raise InvalidModel(f"index {item} of an axis of size {size}")
    return o.slice(x, axis, item, None if item == -1 else item + 1), True


def strided_slice(
    o: Ops, x: Operand, begin: Any, end: Any, strides: Any, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0,
) -> Value:  # fmt: skip
    """tf.strided_slice: bit k of a mask speaks of index k."""
    starts, stops, steps = integers(begin, "begin"), integers(end, "end"), integers(strides, "strides")
    key: list[Any] = []
    for k, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        bit = 1 << k
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(start)
        else:
            key.append(slice(None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return get_item(o, x, key)


def take(o: Ops, x: Operand, indices: Operand, axis: Any = None) -> Value:
    """np.take along an axis."""
    if axis is None:
        raise Unsupported("take without an axis")
    value = tensor(x)
    at = axis_in(axis, len(value.shape))
    index = to_value(o, indices, "int64")
    shape = (*value.shape[:at], *index.shape, *value.shape[at + 1 :])
    return o.one(layers.Gather(at), [value, index], shape, value.dtype)


def gather(o: Ops, x: Operand, indices: Operand, validate: Any = None, axis: Any = None, batch_dims: Any = 0) -> Value:
    """tf.gather."""
    if batch_dims:
        raise Unsupported("gather with batch_dims")
    return take(o, x, indices, 0 if axis is None else axis)


def one_hot_of(o: Ops, x: Operand, depth: Any, on: Any, off: Any, axis: Any = -1) -> Value:
    """TensorFlow's OneHot of ones and zeros."""
    if on != 1 or off != 0:
        raise Unsupported(f"one_hot of {clean(on)} and {clean(off)}")
    return one_hot(o, x, depth, axis)


def one_hot(o: Ops, x: Operand, classes: Any, axis: Any = -1, dtype: Any = None) -> Value:
    """Integers as unit vectors along a new last axis."""
    value, depth = tensor(x), one_integer(classes, "num_classes")
    if axis not in (-1, len(value.shape)):
        raise Unsupported(f"one_hot along axis {clean(axis)}")
    return o.one(layers.OneHot(depth), [value], (*value.shape, depth), dtype or "float32")
