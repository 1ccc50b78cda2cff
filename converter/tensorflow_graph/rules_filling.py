"""Translation of slices by open sizes, and of operators that make tensors of a shape: fills, repetitions, ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.keras.operations import indexing, making
from converter.keras.operations.sizes import Size
from converter.model import Value, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.kernels import run_kernel
from converter.tensorflow_graph.rules_complex import from_real
from converter.tensorflow_graph.sizes import Axis, Dim, Dims
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import Stored, as_array, integers_of

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def strided_slice(t: Translating, step: Step, x: Any, begin: Any, end: Any, strides: Any) -> Any:
    """tf.strided_slice of sizes, or of a value by numbers; an end that is the whole axis counts as none."""
    if not isinstance(x, Value):
        return t.folded(step, [x, begin, end, strides])
    masks = {key: int(step.attributes.get(key, 0)) for key in MASKS}
    if isinstance(begin, Value):
        return _at_computed(t, step, x, [_items(t, n) for n in (begin, end, strides)], masks)
    starts, stops, steps = (integers_of(n, "an index") for n in (begin, end, strides))
    if _is_last(step.attributes, starts) and x.name in t.memory.last:
        return t.memory.last[x.name]
    return _sliced(t, step, x, (starts, stops, steps), masks)


def _items(t: Translating, vector: Any) -> Sequence[Any]:
    """Its elements.

    Raises:
        Unsupported: the model computes them all at once.
    """
    if isinstance(vector, Value):
        if vector.name not in t.memory.packed:
            raise Unsupported("a slice by indices that the model computes")
        return t.memory.packed[vector.name]
    return integers_of(vector, "an index")


def _at_computed(t: Translating, step: Step, x: Value, spec: Sequence[Sequence[Any]], masks: dict[str, int]) -> Any:
    """A slice of which some indices, of one element each, are computed by the model.

    Raises:
        Unsupported: so is where a slice of more begins or ends.
    """
    starts, stops, steps = spec
    axis = _axes_of(masks, len(x.shape), len(starts))
    computed = [k for k, n in enumerate(starts) if isinstance(n, Value)]
    for k in reversed(computed):
        at = axis[k]
        if not masks["shrink_axis_mask"] & 1 << k or at is None:
            raise Unsupported("a slice that begins where the model computes it")
        x = t.element(step, x, at, starts[k])
        t.settle()
    left = [k for k in range(len(starts)) if k not in computed]
    masks = {key: sum(1 << place for place, k in enumerate(left) if bits & 1 << k) for key, bits in masks.items()}
    rest = [[one for k in left for one in _whole(part[k])] for part in (starts, stops, steps)]
    return _sliced(t, step, x, (rest[0], rest[1], rest[2]), masks)


def _whole(item: Any) -> list[Axis]:
    return [item] if isinstance(item, int | Dim) else integers_of(item, "an index")


def _sliced(
    t: Translating, step: Step, x: Value, spec: tuple[list[Axis], list[Axis], list[Axis]], masks: dict[str, int]
) -> Any:
    starts, stops, steps = spec
    axis = _axes_of(masks, len(x.shape), len(starts))
    for k, at in enumerate(axis):
        if at is None:
            continue
        whole = t.axes(x)[at]
        if isinstance(stops[k], Dim):
            if stops[k] == whole:
                masks["end_mask"] |= 1 << k
            elif isinstance(whole - stops[k], int):
                stops[k] = -(whole - stops[k])
        if isinstance(starts[k], Dim) and isinstance(starts[k] - whole, int):
            starts[k] = starts[k] - whole
        if masks["end_mask"] & 1 << k or masks["ellipsis_mask"] & 1 << k:
            stops[k] = 0
    numbers = [[n for n in part if isinstance(n, int)] for part in (starts, stops, steps)]
    if any(len(part) != len(starts) for part in numbers):
        raise Unsupported("a slice by sizes that the model computes")
    first, end_, by = numbers
    return indexing.strided_slice(t.ops(step), x, first, end_, by, *masks.values())


def _is_last(a: Any, starts: list[Axis]) -> bool:
    first = starts[0] if starts else 0
    return first == -1 and bool(a.get("shrink_axis_mask", 0) == 1) and _plain_rest(a, len(starts))


def _plain_rest(a: Any, count: int) -> bool:
    rest = sum(1 << k for k in range(1, count))
    both = int(a.get("begin_mask", 0)) & int(a.get("end_mask", 0)) | int(a.get("ellipsis_mask", 0))
    return both & rest == rest


def _axes_of(masks: dict[str, int], rank: int, count: int) -> list[int | None]:
    """The axis of x that each index is for; None for new ones and the ellipsis."""
    used = sum(1 for k in range(count) if not (masks["new_axis_mask"] | masks["ellipsis_mask"]) & 1 << k)
    found: list[int | None] = []
    at = 0
    for k in range(count):
        if masks["ellipsis_mask"] & 1 << k:
            found.append(None)
            at += rank - used
        elif masks["new_axis_mask"] & 1 << k:
            found.append(None)
        else:
            found.append(at if at < rank else None)
            at += 1
    return found


def targets(t: Translating, wanted: Sequence[Axis]) -> list[int | Size]:
    """A shape as the operations that make tensors take it.

    Raises:
        Unsupported: a size that is no axis of any value.
    """
    found: list[int | Size] = []
    for n in wanted:
        size = n if isinstance(n, int) else t.size(n)
        if size is None:
            raise Unsupported("a tensor of a shape that the model computes")
        found.append(size)
    return found


def fill(t: Translating, step: Step, dims: Any, number: Any) -> Any:
    """tf.fill."""
    if isinstance(dims, np.ndarray) and not isinstance(number, Value):
        return t.folded(step, [dims, number])
    wanted = integers_of(dims, "a shape")
    o = t.ops(step)
    value = t.value(step, number)
    empty = making.nowhere(o, targets(t, wanted))
    made = t.know(o.where(empty, value, value), wanted)
    known = as_array(number)
    if known is not None:
        t.memory.filled[made.name] = float(known)
    return made


def like(number: float) -> Any:
    """tf.zeros_like and tf.ones_like."""

    def rule(t: Translating, step: Step, x: Any) -> Any:
        if not isinstance(x, Value):
            return t.folded(step, [x])
        o, axes = t.ops(step), t.axes(x)
        if all(isinstance(n, int) or t.size(n) is not None for n in axes):  # so that x need not be computed
            one = o.constant(number, x.dtype)
            made = t.know(o.where(making.nowhere(o, targets(t, axes)), one, one), axes)
        else:
            made = (making.ones_like if number else making.zeros_like)(o, x)
        t.memory.filled[made.name] = number
        return made

    return rule


def tile(t: Translating, step: Step, x: Any, times: Any) -> Any:
    """tf.tile."""
    if not isinstance(x, Value) and isinstance(times, np.ndarray):
        return t.folded(step, [x, times])
    value, counts = t.value(step, x), integers_of(times, "how often to repeat")
    if all(n == 1 for n in counts):
        return value
    if any(isinstance(n, Dim) for n in counts):
        wanted = [n * size for n, size in zip(counts, t.axes(value), strict=True)]
        if any(isinstance(n, Dim) and size != 1 for n, size in zip(counts, t.axes(value), strict=True)):
            raise Unsupported("a repetition as often as the model computes")
        return _stretched(t, step, value, wanted)
    made: Value = making.tiled(t.ops(step), value, counts)
    return _same_number(t, value, made)


def _same_number(t: Translating, x: Value, made: Value) -> Value:
    if x.name in t.memory.filled:
        t.memory.filled[made.name] = t.memory.filled[x.name]
    return made


def _stretched(t: Translating, step: Step, x: Value, wanted: Sequence[Axis]) -> Value:
    o = t.ops(step)
    made = t.know(o.where(making.nowhere(o, targets(t, wanted)), x, x), wanted)
    return _same_number(t, x, made)


def broadcast_to(t: Translating, step: Step, x: Any, dims: Any) -> Any:
    """tf.broadcast_to."""
    if not isinstance(x, Value) and isinstance(dims, np.ndarray):
        return t.folded(step, [x, dims])
    return _stretched(t, step, t.value(step, x), integers_of(dims, "a shape"))


def numbers(t: Translating, step: Step, start: Any, limit: Any, delta: Any) -> Any:
    """tf.range up to an open size."""
    if not any(isinstance(x, Dims | Value) for x in (start, limit, delta)):
        return t.folded(step, [start, limit, delta])
    first, by = integers_of(start, "a start")[0], integers_of(delta, "a step")[0]
    dtype = limit.dtype
    if (first, by) != (0, 1):
        raise Unsupported(f"a range from {first} by {by} up to what the model computes")
    o = t.ops(step)
    made = o.one(layers.Range(), [o.cast(t.value(step, limit), "int64")], (None,), "int64")
    t.know(made, integers_of(limit, "a limit") if isinstance(limit, Dims) else [None])
    return o.cast(made, dtype)


def cast(t: Translating, step: Step, x: Any) -> Any:
    """tf.cast; weights are cast when they are read, and sizes stay sizes among whole numbers."""
    target = step.attributes["DstT"]
    if isinstance(x, Stored):
        return x if x.weight.dtype == target else Stored(x.weight.astype(target))
    if isinstance(x, Dims) and target in ("int32", "int64"):
        return Dims(x.array, target)
    if isinstance(x, np.ndarray | np.generic):
        return run_kernel("Cast", step.attributes, [x])[0]
    if target == "complex64":
        return from_real(t, step, x)
    value = t.value(step, x)
    made = t.ops(step).cast(value, target)
    return _same_number(t, value, made)
