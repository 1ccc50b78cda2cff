"""Operations that arrange whole parts of tensors: turned, rolled, stacked in rows and columns, cut in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import product, refuse_constant
from converter.keras.building.ops import Ops
from converter.keras.operations.indexing import take
from converter.keras.operations.making import positions
from converter.keras.operations.shapes import concatenate, flip, split
from converter.keras.operations.values import Operand, axis_in, flattened, integers, one_integer, tensor, together
from converter.model import Shape, Value, layers


def ravel(o: Ops, x: Operand) -> Value:
    """All elements in a row."""
    return flattened(o, tensor(x))


def flip_axis(axis: int) -> Any:
    """np.flipud or np.fliplr."""
    return lambda o, x: flip(o, x, axis)


def rot90(o: Ops, x: Operand, times: Any = 1, axes: Any = (0, 1)) -> Value:
    """Turned from the first of two axes toward the second, by right angles."""
    value = tensor(x)
    first, second = (axis_in(a, len(value.shape)) for a in integers(axes, "axes"))
    order = list(range(len(value.shape)))
    order[first], order[second] = second, first
    if one_integer(times, "k") % 4 == 2 and (value.shape[first] is None or value.shape[first] != value.shape[second]):
        raise Unsupported(f"rot90 by two right angles of {value.shape}, which Keras on TensorFlow mixes up")
    for _ in range(one_integer(times, "k") % 4):
        value = o.transpose(o.reverse(value, second), order)
    return value


def roll(o: Ops, x: Operand, shift: Any, axis: Any = None) -> Value:
    """What leaves at one end comes in at the other."""
    value = tensor(x)
    if axis is None:
        size = product(value.shape)
        if size is None:
            raise Unsupported("roll over all axes, where sizes are open")
        rolled = roll(o, flattened(o, value), shift, 0)
        return o.reshape(rolled, [n or 0 for n in value.shape], value.shape)
    for steps, given in zip(integers(shift, "shift"), integers(axis, "axis"), strict=True):
        at = axis_in(given, len(value.shape))
        size = value.shape[at]
        if size is None:
            count = o.one(layers.Size(at), [value], (), "int64")
            places = o.with_scalar("subtract", positions(o, value, at), steps)
            value = take(o, value, o.elementwise("mod", places, count), at)
        elif steps % size:
            steps %= size
            value = o.concatenate([o.slice(value, at, -steps, None), o.slice(value, at, None, -steps)], at)
    return value


def append(o: Ops, a: Operand, b: Operand, axis: Any = None) -> Value:
    """Two tensors one after the other, flattened if no axis is given."""
    x, y = together(o, a, b)
    return concatenate(o, [flattened(o, x), flattened(o, y)] if axis is None else [x, y], axis or 0)


def horizontal_stack(o: Ops, xs: Sequence[Operand]) -> Value:
    """Joined along axis 1, vectors along their only one."""
    values = together(o, *xs)
    return concatenate(o, values, 0 if len(values[0].shape) == 1 else 1)


def vertical_stack(o: Ops, xs: Sequence[Operand]) -> Value:
    """Joined along axis 0."""
    return concatenate(o, together(o, *xs), 0)


def depth_stack(o: Ops, xs: Sequence[Operand]) -> Value:
    """Joined along axis 2, which vectors and matrices get."""
    wide = []
    for x in together(o, *xs):
        x = o.expand_dims(x, 0) if len(x.shape) == 1 else x
        wide.append(o.expand_dims(x, 2) if len(x.shape) == 2 else x)
    return concatenate(o, wide, 2)


def split_along(axis: int) -> Any:
    """np.vsplit, hsplit, dsplit; hsplit of a vector goes along its only axis."""

    def function(o: Ops, x: Operand, sections: Any) -> tuple[Value, ...]:
        return split(o, x, sections, 0 if axis == 1 and len(tensor(x).shape) == 1 else axis)

    return function


def array_split(o: Ops, x: Operand, sections: Any, axis: Any = 0) -> tuple[Value, ...]:
    """In parts as equal as they can be, the longer ones first."""
    value, count = tensor(x), one_integer(sections, "sections")
    size = value.shape[axis_in(axis, len(value.shape))]
    if size is None or count < 1:
        raise Unsupported(f"a split of an axis of size {size} in {count}")
    refuse_constant(count)
    lengths = [size // count + (k < size % count) for k in range(count)]
    return split(o, value, list(np.cumsum(lengths)[:-1].tolist()), axis) if count > 1 else (value,)


def depth_to_space(o: Ops, x: Operand, block: Any, data_format: Any = "channels_last") -> Value:
    """Channels spread over blocks of height and width; the block's place counts before the channel."""
    value, n, first = tensor(x), one_integer(block, "block_size"), _is_first(data_format)
    value = o.transpose(value, (0, 2, 3, 1)) if first else value
    batch, height, width, channels = _sizes(value)
    if channels is None or channels % n**2:
        raise InvalidModel(f"depth_to_space of {channels} channels in blocks of {n}")
    depth = channels // n**2
    cut = _reshaped(o, value, [batch, height, width, n, n, depth])
    mixed = o.transpose(cut, (0, 1, 3, 2, 4, 5))
    result = _reshaped(o, mixed, [batch, _times(height, n), _times(width, n), depth])
    return o.transpose(result, (0, 3, 1, 2)) if first else result


def space_to_depth(o: Ops, x: Operand, block: Any, data_format: Any = "channels_last") -> Value:
    """Blocks of height and width gathered in channels."""
    value, n, first = tensor(x), one_integer(block, "block_size"), _is_first(data_format)
    value = o.transpose(value, (0, 2, 3, 1)) if first else value
    batch, height, width, channels = _sizes(value)
    if height is None or width is None or channels is None or height % n or width % n:
        raise Unsupported(f"space_to_depth of {value.shape} in blocks of {n}")
    cut = _reshaped(o, value, [batch, height // n, n, width // n, n, channels])
    mixed = o.transpose(cut, (0, 1, 3, 2, 4, 5))
    result = _reshaped(o, mixed, [batch, height // n, width // n, channels * n**2])
    return o.transpose(result, (0, 3, 1, 2)) if first else result


def _is_first(data_format: Any) -> bool:
    return data_format in ("channels_first", "NCHW")


def _sizes(x: Value) -> Shape:
    if len(x.shape) != 4:
        raise InvalidModel(f"blocks of a tensor of shape {x.shape}")
    return x.shape


def _times(size: int | None, n: int) -> int | None:
    return None if size is None else size * n


def _reshaped(o: Ops, x: Value, sizes: Sequence[int | None]) -> Value:
    """To sizes of which only the first, the batch, may be open."""
    if None in sizes[1:]:
        raise Unsupported(f"blocks of a tensor of shape {x.shape}")
    return o.reshape(x, [0, *(n or 0 for n in sizes[1:])], tuple(sizes))


def frames(o: Ops, x: Operand, length: Any, step: Any) -> Value:
    """Overlapping pieces of the last axis, [..., pieces, length]."""
    value = tensor(x)
    size, long, apart = value.shape[-1], one_integer(length, "frame_length"), one_integer(step, "frame_step")
    if size is None or apart < 1 or not 0 < long <= size:
        raise Unsupported(f"frames of {clean(length)} every {clean(step)} of an axis of size {size}")
    refuse_constant((size - long) // apart + 1, long)
    starts = np.arange(0, size - long + 1, apart)
    return take(o, value, starts[:, None] + np.arange(long), -1)
