"""Operations that move values: joining, splitting, reshaping, repeating."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import product, refuse_constant
from converter.keras.building.ops import Ops
from converter.keras.operations.sizes import flat, joined, settle
from converter.keras.operations.values import (
    Operand,
    axis_in,
    flattened,
    integers,
    number,
    one_integer,
    tensor,
    together,
)
from converter.keras.shared.windows import replaced
from converter.model import Value, layers


def concatenate(o: Ops, xs: Sequence[Operand], axis: Any = 0) -> Value:
    """Inputs joined along an axis."""
    sizes = joined(o, _listed(xs), 1)
    if sizes is not None:
        return sizes
    values = together(o, *_listed(xs))
    return o.concatenate(values, axis_in(axis, len(values[0].shape))) if len(values) > 1 else values[0]


def stack(o: Ops, xs: Sequence[Operand], axis: Any = 0) -> Value:
    """Inputs joined along a new axis."""
    sizes = joined(o, _listed(xs), 0)
    if sizes is not None:
        return sizes
    values = together(o, *_listed(xs))
    at = axis_in(axis, len(values[0].shape) + 1)
    wide = [o.expand_dims(x, at) for x in values]
    return o.concatenate(wide, at) if len(wide) > 1 else wide[0]


def _listed(xs: Any) -> list[Any]:
    if isinstance(xs, list | tuple) and xs:
        return list(xs)
    raise InvalidModel("an operation on a list of tensors has none")


def unstack(o: Ops, x: Operand, num: Any = None, axis: Any = 0) -> tuple[Value, ...]:
    """The slices along an axis, each without it."""
    value = tensor(x)
    at = axis_in(axis, len(value.shape))
    size = value.shape[at]
    if size is None:
        raise Unsupported("unstack along an axis of open size")
    return tuple(o.squeeze(o.slice(value, at, k, k + 1), at) for k in range(size))


def split(o: Ops, x: Operand, sections: Any, axis: Any = 0) -> tuple[Value, ...]:
    """np.split: into equal parts, or at indices."""
    value = tensor(x)
    at = axis_in(axis, len(value.shape))
    size = value.shape[at]
    if isinstance(sections, int):
        if size is None or sections < 1 or size % sections:
            raise Unsupported(f"a split of an axis of size {size} in {sections}")
        refuse_constant(sections)
        bounds: list[int | None] = list(range(0, size + 1, size // sections))
    else:
        bounds = [0, *integers(sections, "indices"), None]
    return tuple(o.slice(value, at, a, b) for a, b in pairwise(bounds))


def split_sizes(o: Ops, x: Operand, sizes: Any, axis: Any = 0, num: Any = None) -> tuple[Value, ...]:
    """tf.split: into a number of parts, or parts of these sizes."""
    if not isinstance(sizes, list | tuple | np.ndarray):
        return split(o, x, sizes, axis)
    given, bounds = integers(sizes, "sizes"), [0]
    if -1 in given:
        total = tensor(x).shape[axis_in(axis, len(tensor(x).shape))]
        if total is None or given.count(-1) > 1:
            raise Unsupported(f"a split of an axis of size {total} in parts of {given}")
        given[given.index(-1)] = total - sum(given) - 1
    for n in given[:-1]:
        bounds.append(bounds[-1] + n)
    return split(o, x, bounds[1:], axis)


def expand_dims(o: Ops, x: Operand, axis: Any) -> Value:
    """New axes of size 1."""
    value = tensor(x)
    given = integers(axis, "axis")
    rank = len(value.shape) + len(given)
    for at in sorted(axis_in(a, rank) for a in given):
        value = o.expand_dims(value, at)
    return value


def squeeze(o: Ops, x: Operand, axis: Any = None) -> Value:
    """Axes of size 1 removed: those given, or all."""
    value = tensor(x)
    if axis is None or axis == []:
        if None in value.shape:
            raise Unsupported("squeeze of every axis, where sizes are open")
        axes = [k for k, n in enumerate(value.shape) if n == 1]
    else:
        axes = [axis_in(a, len(value.shape)) for a in integers(axis, "axis")]
    if any(value.shape[a] not in (1, None) for a in axes):
        raise InvalidModel(f"squeeze of {value.shape} along {axes}")
    for at in sorted(axes, reverse=True):
        value = o.squeeze(value, at)
    return value


def reshape(o: Ops, x: Operand, shape: Any) -> Value:
    """To a shape that counts the batch; None keeps the size of the axis in its place."""
    value = tensor(x)
    given = settle(value, flat(shape))
    if given and given[0] is None:
        rest = integers(given[1:], "shape")
        target = [0, *rest]
    else:
        target = integers(given, "shape")
    total = product(value.shape)
    known = product(tuple(n for n in target if n > 0)) or 1
    sizes: list[int | None] = [
        value.shape[k] if n == 0 else (None if total is None else total // known) if n == -1 else n
        for k, n in enumerate(target)
    ]
    if total is None and target[:1] == [-1] and value.shape[0] is None:
        sizes[0] = None
    elif total is None and -1 in target:
        sizes = _inferred(value, target, sizes)
    return o.reshape(value, target, tuple(sizes))


def _inferred(x: Value, target: list[int], sizes: list[int | None]) -> list[int | None]:
    """What -1 stands for, where the batch is open and kept."""
    rest = product(x.shape[1:])
    known = product(tuple(n for n in target[1:] if n > 0)) or 1
    if target[0] == 0 and rest is not None:
        sizes[target.index(-1)] = rest // known
    return sizes


def transpose(o: Ops, x: Operand, axes: Any = None) -> Value:
    """Axes reordered, or reversed if no order is given."""
    value = tensor(x)
    rank = len(value.shape)
    order = list(range(rank))[::-1] if axes is None else [axis_in(a, rank) for a in integers(axes, "axes")]
    if sorted(order) != list(range(rank)):
        raise InvalidModel(f"{clean(axes)} is no order of {rank} axes")
    return o.transpose(value, order)


def swap_axes(o: Ops, x: Operand, first: Any, second: Any) -> Value:
    """Two axes exchanged."""
    value = tensor(x)
    order = list(range(len(value.shape)))
    a, b = axis_in(first, len(order)), axis_in(second, len(order))
    order[a], order[b] = order[b], order[a]
    return o.transpose(value, order)


def move_axes(o: Ops, x: Operand, source: Any, destination: Any) -> Value:
    """Axes put elsewhere, one or several."""
    value = tensor(x)
    rank = len(value.shape)
    come, go = ([axis_in(a, rank) for a in integers(given, "axes")] for given in (source, destination))
    if len(come) != len(go) or len(set(come)) != len(come) or len(set(go)) != len(go):
        raise InvalidModel(f"axes {clean(source)} moved to {clean(destination)}")
    order = [k for k in range(rank) if k not in come]
    for to, at in sorted(zip(go, come, strict=True)):
        order.insert(to, at)
    return o.transpose(value, order) if order != sorted(order) else value


def flip(o: Ops, x: Operand, axis: Any = None) -> Value:
    """Reversed along axes."""
    value = tensor(x)
    given = list(range(len(value.shape))) if axis is None else integers(axis, "axis")
    for a in given:
        value = o.reverse(value, axis_in(a, len(value.shape)))
    return value


def repeat(o: Ops, x: Operand, repeats: Any, axis: Any = None) -> Value:
    """Each slice along an axis, several times in place."""
    value, times = tensor(x), one_integer(repeats, "repeats")
    if times < 1:
        raise Unsupported(f"repeat {times} times")
    value = flattened(o, value) if axis is None else value
    at = 0 if axis is None else axis_in(axis, len(value.shape))
    size = value.shape[at]
    shape = replaced(value.shape, [at], [None if size is None else size * times])
    return o.one(layers.Repeat(at, times), [value], shape, value.dtype)


def tile(o: Ops, x: Operand, repeats: Any) -> Value:
    """The whole input, several times per axis."""
    value, times = tensor(x), integers(repeats, "repeats")
    if any(n < 1 for n in times):
        raise Unsupported(f"tile of {value.shape} by {times}")
    for _ in range(len(times) - len(value.shape)):
        value = o.expand_dims(value, 0)
    times = [1] * (len(value.shape) - len(times)) + times
    shape = tuple(None if n is None else n * t for n, t in zip(value.shape, times, strict=True))
    return o.one(layers.Tile(tuple(times)), [value], shape, value.dtype)


def pad(o: Ops, x: Operand, width: Any, mode: Any = "constant", value: Any = None) -> Value:
    """Constants (or reflections, or edges) added before and after axes."""
    given = tensor(x)
    if isinstance(width, int):
        width = [[width, width]] * len(given.shape)
    pairs = [integers(pair, "pad_width") for pair in width]
    if len(pairs) == 1:
        pairs = pairs * len(given.shape)
    pads = tuple((p[0], p[-1]) for p in pairs)
    if len(pads) != len(given.shape) or any(n < 0 for p in pads for n in p):
        raise InvalidModel(f"pad_width {clean(width)} of a tensor with {len(given.shape)} axes")
    name = str(mode).lower()
    if name == "symmetric":
        return _mirrored(o, given, pads)
    if name not in {"constant", "reflect", "edge"}:
        raise Unsupported(f"pad with mode {clean(mode)}")
    shape = tuple(None if n is None else n + sum(p) for n, p in zip(given.shape, pads, strict=True))
    layer = layers.Pad(pads, number(value or 0.0, "a padding"), name)  # type: ignore[arg-type]
    return o.one(layer, [given], shape, given.dtype)


def _mirrored(o: Ops, x: Value, pads: Sequence[tuple[int, int]]) -> Value:
    """The edges turned outwards, the outermost element repeated."""
    for axis, (before, after) in enumerate(pads):
        size = x.shape[axis]
        if size is not None and max(before, after) > size:
            raise InvalidModel(f"a symmetric padding of {max(before, after)} on {size} elements")
        parts = [o.reverse(o.slice(x, axis, None, before), axis)] if before else []
        parts += [x, *([o.reverse(o.slice(x, axis, -after, None), axis)] if after else [])]
        x = o.concatenate(parts, axis) if len(parts) > 1 else x
    return x


def copy(o: Ops, x: Operand) -> Value:
    """x itself."""
    return tensor(x)
