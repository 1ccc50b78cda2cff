"""Operations that pick values: indexing, slicing, gathering; and integers as unit vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.operations.making import positions
from converter.keras.operations.shapes import move_axes, pad, repeat
from converter.keras.operations.sizes import Sizes, pick
from converter.keras.operations.values import (
    Operand,
    axis_in,
    either,
    flattened,
    integers,
    one_integer,
    tensor,
    to_value,
)
from converter.model import Value, layers


def get_item(o: Ops, x: Operand, key: Any) -> Value:
    """x[key] of numbers, slices, new axes and an ellipsis.

    Raises:
        Unsupported: indices that are tensors or lists. InvalidModel: an index beyond the size.
    """
    sizes = pick(o, x, key) if isinstance(x, Sizes) else None
    if sizes is not None:
        return sizes
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
    o: Ops, x: Operand, begin: Any, end: Any, strides: Any = None, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0,
) -> Value:  # fmt: skip
    """tf.strided_slice: bit k of a mask speaks of index k."""
    starts, stops = integers(begin, "begin"), integers(end, "end")
    steps = [1] * len(starts) if strides is None else integers(strides, "strides")
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
    """np.take along an axis, or from all elements in a row; x may be a constant."""
    value = either(o, x)
    value = flattened(o, value) if axis is None else value
    at = 0 if axis is None else axis_in(axis, len(value.shape))
    index = to_value(o, indices, "int64")
    shape = (*value.shape[:at], *index.shape, *value.shape[at + 1 :])
    return o.one(layers.Gather(at), [value, index], shape, value.dtype)


def gather(o: Ops, x: Operand, indices: Operand, validate: Any = None, axis: Any = None, batch_dims: Any = 0) -> Value:
    """tf.gather; the first `batch_dims` axes are common to x and the indices."""
    if not batch_dims:
        return take(o, x, indices, 0 if axis is None else axis)
    value, index = tensor(x), to_value(o, indices, "int64")
    lead = axis_in(batch_dims, len(index.shape) + 1)
    at = lead if axis is None else axis_in(axis, len(value.shape))
    between, picked = at - lead, len(index.shape) - lead
    if between < 0:
        raise InvalidModel(f"gather along axis {clean(axis)} with batch_dims {clean(batch_dims)}")
    moved = move_axes(o, value, [at], [lead])
    made = gather_nd(o, moved, o.expand_dims(index, -1), lead)
    come = [lead + k for k in range(picked)]
    return move_axes(o, made, come, [k + between for k in come])


def gather_nd(o: Ops, x: Operand, indices: Operand, batch_dims: Any = 0) -> Value:
    """tf.gather_nd: the last axis of the indices counts along the first axes of x after the common ones."""
    value, index = tensor(x), to_value(o, indices, "int64")
    lead, depth = one_integer(batch_dims, "batch_dims"), index.shape[-1] if index.shape else None
    if depth is None or not 0 < depth <= len(value.shape) - lead or lead >= len(index.shape):
        raise Unsupported(f"gather_nd of shape {value.shape} by indices of shape {index.shape}")
    shape = (*index.shape[:-1], *value.shape[lead + depth :])
    return o.one(layers.GatherND(lead), [value, index], shape, value.dtype)


def take_along(o: Ops, x: Operand, indices: Operand, axis: Any = -1) -> Value:
    """np.take_along_axis; other axes may be of size 1 in one of the two."""
    value, index = tensor(x), to_value(o, indices, "int64")
    if axis is None:
        value, axis = flattened(o, value), 0
    if len(value.shape) != len(index.shape):
        raise InvalidModel(f"indices of shape {index.shape} for a tensor of shape {value.shape}")
    at = axis_in(axis, len(value.shape))
    value, index = _alike(o, value, index, at), _alike(o, index, value, at)
    return o.one(layers.TakeAlong(at), [value, index], index.shape, value.dtype)


def _alike(o: Ops, x: Value, other: Value, axis: int) -> Value:
    """x with the axes of size 1 stretched to the other's, all but one axis."""
    for k, (have, want) in enumerate(zip(x.shape, other.shape, strict=True)):
        if k == axis or have == want:
            continue
        if have == 1 and want is None:
            raise Unsupported(f"take_along_axis of shapes {x.shape} and {other.shape}")
        x = repeat(o, x, want, k) if have == 1 else x
    return x


def reverse_sequence(o: Ops, x: Operand, lengths: Operand, axis: Any = None, batch_axis: Any = 0) -> Value:
    """tf.reverse_sequence: the first steps of each row reversed, as many as its length."""
    value, counts = tensor(x), o.expand_dims(to_value(o, lengths, "int64"), 1)
    if (axis, batch_axis) != (1, 0):
        raise Unsupported(f"reverse_sequence along axis {clean(axis)}, batch {clean(batch_axis)}")
    steps = o.expand_dims(positions(o, value, 1), 0)
    back = o.with_scalar("subtract", o.elementwise("subtract", counts, steps), 1)
    index = o.where(o.elementwise("less", steps, counts), back, steps)
    return gather(o, value, index, None, 1, 1)


def part(o: Ops, x: Operand, begin: Any, sizes: Any) -> Value:
    """tf.slice: so many elements of every axis from a place on; -1 for all that follow."""
    value = tensor(x)
    starts, counts = integers(begin, "begin"), integers(sizes, "size")
    if len(starts) != len(value.shape) or len(counts) != len(value.shape):
        raise InvalidModel(f"a slice of {len(value.shape)} axes from {starts} of sizes {counts}")
    for axis, (start, count) in enumerate(zip(starts, counts, strict=True)):
        size = value.shape[axis]
        if start < 0 or count < -1 or (size is not None and start + max(count, 0) > size):
            raise InvalidModel(f"{count} elements from {start} of {size}")
        stop = None if count == -1 or start + count == size else start + count
        value = value if (start, stop) == (0, None) else o.slice(value, axis, start, stop)
    return value


def update_part(o: Ops, x: Operand, begin: Any, updates: Operand) -> Value:
    """keras.ops.slice_update: other values from a place on."""
    value = tensor(x)
    new, starts = to_value(o, updates, value.dtype), integers(begin, "start_indices")
    if len(starts) != len(value.shape) or len(new.shape) != len(value.shape):
        raise InvalidModel(f"an update of {new.shape} from {starts} on in {value.shape}")
    inside: Value | None = None
    pads = []
    for axis, (start, count, size) in enumerate(zip(starts, new.shape, value.shape, strict=True)):
        if start == 0 and count == size:
            pads.append([0, 0])
            continue
        if count is None or size is None or start < 0 or start + count > size:
            raise Unsupported(f"an update of {new.shape} from {starts} on in {value.shape}")
        pads.append([start, size - start - count])
        place = np.arange(size).reshape([-1 if k == axis else 1 for k in range(len(starts))])
        here = o.constant((place >= start) & (place < start + count), "bool")
        inside = here if inside is None else o.elementwise("and", inside, here)
    return new if inside is None else o.where(inside, pad(o, new, pads), value)


def one_hot_of(
    o: Ops, x: Operand, depth: Any, on: Any = None, off: Any = None, axis: Any = -1, dtype: Any = None
) -> Value:
    """TensorFlow's OneHot of any two numbers."""
    kind = dtype or ("int32" if int in (type(on), type(off)) else "float32")
    if on in (None, 1) and off in (None, 0):
        return one_hot(o, x, depth, -1 if axis is None else axis, kind)
    high, low = o.constant(1 if on is None else on, kind), o.constant(0 if off is None else off, kind)
    return o.where(one_hot(o, x, depth, -1 if axis is None else axis, "bool"), high, low)


def one_hot(o: Ops, x: Operand, classes: Any, axis: Any = -1, dtype: Any = None) -> Value:
    """Integers as unit vectors along a new axis."""
    value, depth = tensor(x), one_integer(classes, "num_classes")
    if value.dtype == "bool" or value.dtype in FLOATS:
        value = o.cast(value, "int64")
    made = o.one_hot(value, depth, dtype or "float32")
    return move_axes(o, made, [-1], [axis])


def multi_hot(o: Ops, x: Operand, classes: Any, axis: Any = -1, dtype: Any = None) -> Value:
    """Which integers occur in each row."""
    value = tensor(x)
    found = one_hot(o, value, classes, axis, "bool")
    at = 1 if len(value.shape) > 1 else 0
    return o.cast(o.reduce("any", found, [at]), dtype or "float32")
