"""The recurrent layers that a recognized loop becomes, and what each of its variables ends as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.keras.shared.masks import for_all_rows
from converter.model import Shape, Value, layers
from converter.model.layers import MaskedOutput
from converter.tensorflow_graph import after_loops
from converter.tensorflow_graph.cells import Found
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.recognizing import Recognized
from converter.tensorflow_graph.rules_shapes import flipped, rows_reversed, turned, without_axis
from converter.tensorflow_graph.sizes import Axes, Axis, Dim, Dims
from converter.tensorflow_graph.tracing import Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import TensorList, as_array, layer_path


def layers_of(t: Translating, step: Step, roles: Roles, found: Recognized, inputs: Sequence[Any]) -> list[Any]:
    """The layers, and what each variable of the loop ends as."""
    x = _batch_first(t, step, inputs[found.x])
    mask = None if found.mask is None else _mask_of(t, step, inputs[found.mask], x)
    counts = None if found.lengths is None else inputs[found.lengths]
    if counts is not None:
        mask = _before(t, step, counts, inputs[found.x].length)
    if found.previous is not None and not _is_zeros(t, inputs[found.previous]):
        raise Unsupported("a masked loop whose output does not start from zeros", where=clean(step.name, 120))
    backwards = False
    if len(found.cells) == 1:
        x, mask, backwards = _forwards(t, x, mask, counts)
    results: list[Any] = list(inputs)
    last = x
    for cell, numbers in found.cells:
        initial = [None if _is_zeros(t, inputs[k]) else t.value(step, inputs[k]) for k in numbers]
        axes = _axes_of(t, inputs[numbers[0]])
        x, last, finals = _layer(t, step, cell, (x, mask, initial), (found.masked_output, backwards), axes)
        for k, final in zip(numbers, finals, strict=True):
            results[k] = final
    length = inputs[found.x].length
    for k in roles.counters:
        results[k] = Dims(np.array(length, object), "int32") if isinstance(length, Dim) else np.int32(length)
    if found.previous is not None:
        results[found.previous] = last
    for k, (every, _) in roles.written.items():
        if every:
            y = rows_reversed(t, step, flipped(t, step, x, 1), counts) if backwards and counts is not None else x
            stacked = turned(t, step, y, (1, 0, *range(2, len(y.shape))))
            t.settle()
            if y is x:
                t.memory.last[stacked.name] = last
            results[k] = TensorList(stacked, length, last=last if y is x else None)
        else:
            results[k] = TensorList(None, 1, only=last)
    return results


def _mask_of(t: Translating, step: Step, items: TensorList, x: Value) -> Value:
    """The mask [batch, time] of the steps of x; one row is for all."""
    mask = _batch_first(t, step, items)
    if len(mask.shape) == 3:
        mask = without_axis(t, step, mask, 2)
    if mask.shape[0] == 1 and x.shape[0] != 1:
        mask = for_all_rows(t.ops(step), x, mask)
        t.settle()
    return mask


def _batch_first(t: Translating, step: Step, items: TensorList) -> Value:
    assert items.stacked is not None
    made = turned(t, step, items.stacked, (1, 0, *range(2, len(items.stacked.shape))))
    t.settle()
    return made


def _before(t: Translating, step: Step, counts: Value, time: Axis) -> Value:
    """The mask [batch, time] whose rows are True as often as `counts` [batch] says."""
    o = t.ops(step)
    places = o.expand_dims(after_loops.numbers(t, step, time), 0)
    made = o.elementwise("less", places, o.expand_dims(o.cast(counts, "int64"), 1))
    t.settle()
    return t.know(made, (t.axes(counts)[0], time))


def _forwards(t: Translating, x: Value, mask: Value | None, counts: Value | None) -> tuple[Value, Value | None, bool]:
    """What both were before they were reversed in time, if they were; a mask by counts stays with reversed rows."""
    if counts is not None:
        whole, by = t.memory.rows_reversed.get(x.name, (x, None))
        return (whole, mask, True) if by == counts else (x, mask, False)
    before = t.memory.reversed.get(x.name)
    if before is None or before[1] != 1:
        return x, mask, False
    if mask is None:
        return before[0], None, True
    mask_before = t.memory.reversed.get(mask.name)
    if mask_before is None or mask_before[1] != 1:
        return x, mask, False
    return before[0], mask_before[0], True


def _is_zeros(t: Translating, x: Any) -> bool:
    if isinstance(x, Value):
        return t.memory.filled.get(x.name) == 0
    array = as_array(x)
    return array is not None and not np.any(array)


def _axes_of(t: Translating, state: Any) -> Axes:
    """The sizes of a state."""
    return t.axes(state) if isinstance(state, Value) else np.asarray(as_array(state)).shape


def _layer(
    t: Translating,
    step: Step,
    found: Found,
    given: tuple[Value, Value | None, list[Value | None]],
    options: tuple[MaskedOutput, bool],
    axes: Axes,
) -> tuple[Value, Value, tuple[Value, ...]]:
    """The sequence, the last output and the final states of one recurrent layer; `axes` are those of a state."""
    x, mask, initial = given
    masked, backwards = options
    direction = layers.Direction(found.cell, reverse_input=backwards)
    layer = layers.Recurrent((direction,), return_sequences=True, masked_output=masked)
    state = (t.axes(x)[0], *axes[1:])
    sequence = (state[0], t.axes(x)[1], *state[1:])
    path = layer_path(step.name)
    y, *finals = t.graph.emit(
        layer, [x, mask, *initial], [(known(sequence), x.dtype), *[(known(state), x.dtype)] * len(initial)], path
    )
    t.know(y, sequence)
    for final in finals:
        t.know(final, state)
    last = Value(t.graph.unique(f"{path}:last"), known(state), x.dtype)
    t.know(last, state)
    t.pending[last.name] = (last, y, finals[0] if mask is None else None)
    return y, last, tuple(finals)


def known(axes: Axes) -> Shape:
    """Sizes as a neutral shape."""
    return tuple(n if isinstance(n, int) else None for n in axes)
