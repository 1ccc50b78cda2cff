"""A While over lists becomes recurrent layers: what its body computes is recognised, whatever it is called.

The surroundings of the loop (transposes, reversals, initial states, assignments) are ordinary operators; several cells
in one body become several layers, one on the other's sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.model import Shape, Value, layers
from converter.model.layers import MaskedOutput
from converter.tensorflow_graph import after_loops
from converter.tensorflow_graph.cells import Found
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.probing import Prober
from converter.tensorflow_graph.recognising import Recognised, recognise
from converter.tensorflow_graph.rules_shapes import flipped, rows_reversed, squeeze, turned
from converter.tensorflow_graph.running import loop_of
from converter.tensorflow_graph.scanning import scanned
from converter.tensorflow_graph.sizes import Axes, Axis, Dim, Dims
from converter.tensorflow_graph.tracing import NotRecurrent, Roles, roles_of
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.turns import length_of
from converter.tensorflow_graph.values import TensorList, as_array, layer_path
from converter.tensorflow_graph.walking import Walk

MAX_UNROLLED = 256  # steps of an unknown loop
MAX_NODES = 20_000  # that these may take


def translate_loop(t: Translating, step: Step, inputs: Sequence[Any], walk: Walk) -> list[Any]:
    """The values that a loop ends with.

    Raises:
        Unsupported: it is no recurrent layer that is known.
    """
    if "pfor" in step.name:
        raise Unsupported(
            "a loop of TimeDistributed as Keras 3 exports it: it runs over the batch, so that TensorFlow itself "
            "computes something else than the model",
            where=clean(step.name, 120), hint="convert the .keras file of the model",
        )  # fmt: skip
    bodies = loop_of(step, t.library)
    try:
        roles = _roles(t, bodies, inputs, strict=True)
        given = [_as_list(t, x) if k in roles.read else x for k, x in enumerate(inputs)]
        most = _check_length(t, roles, given)
        found = recognise(Prober(t, roles, bodies[1], given), roles, given)
        if most is not None and (found.lengths is None or t.memory.reaches[most.name] != given[found.lengths]):
            raise NotRecurrent("a loop that ends before its list does")
    except NotRecurrent as why:
        return _no_cell(t, step, bodies, inputs, walk, why)
    results = _emit(t, step, roles, found, given)
    if most is not None:
        for k in roles.counters:
            results[k] = t.ops(step).cast(most, np.asarray(inputs[k]).dtype.name)
    t.settle()
    return results


def _roles(t: Translating, bodies: tuple[Body, Body], inputs: Sequence[Any], strict: bool) -> Roles:
    lists = [isinstance(x, TensorList) for x in inputs]
    zeros, numbers = [_is_zero(x) for x in inputs], [_number(x) for x in inputs]
    return roles_of(t.library, *bodies, lists, zeros, numbers, strict=strict)


def _no_cell(
    t: Translating, step: Step, bodies: tuple[Body, Body], inputs: Sequence[Any], walk: Walk, why: NotRecurrent
) -> list[Any]:
    """What a loop ends with that is no cell: unrolled where its steps are few and known in number, else a Scan.

    Raises:
        Unsupported: it is neither.
    """
    reason = ""
    try:
        roles = _roles(t, bodies, inputs, strict=False)
        length = length_of(t, bodies[0], roles, inputs, walk)
    except NotRecurrent as other:
        length, reason = 0, other.what
    try:
        if isinstance(length, int) and length <= MAX_UNROLLED:
            return unrolled(t, bodies, inputs, walk)
        return scanned(t, step, bodies[1], (roles, length), inputs, walk)
    except NotRecurrent as other:
        what = f"the loop is no recurrent layer that is known ({why.what}), and nothing else: {reason or other.what}"
        raise Unsupported(what, where=clean(step.name, 120)) from other


def unrolled(t: Translating, bodies: tuple[Body, Body], inputs: Sequence[Any], walk: Walk) -> list[Any]:
    """What a loop ends with whose steps, few and known in number, are written one after the other.

    Raises:
        NotRecurrent: how long it goes on is only known when the model runs, or is too long.
    """
    cond, body = bodies
    values, begun = list(inputs), len(t.graph.nodes)
    for _ in range(MAX_UNROLLED):
        (more,) = walk.call(cond, values)
        if isinstance(more, Value | Dims) or len(t.graph.nodes) - begun > MAX_NODES:
            break
        if not np.any(more):
            return values
        values = walk.call(body, values)
    raise NotRecurrent("it goes on for long, or as long as the model computes")


def _is_zero(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.size == 1 and x.dtype.kind == "i" and not np.any(x)


def _number(x: Any) -> Any:
    """A whole number that is known, else None."""
    return x if isinstance(x, np.ndarray) and x.size == 1 and x.dtype.kind == "i" else None


def _as_list(t: Translating, x: Any) -> Any:
    """A tensor that the loop goes along, as the list of its elements."""
    return TensorList(x, t.axes(x)[0]) if isinstance(x, Value) else x


def _check_length(t: Translating, roles: Roles, inputs: Sequence[Any]) -> Value | None:
    """Every list that is read ends where the loop does, or the loop may end before, at a number that reaches lengths.

    Returns:
        That number.
    """
    limits = []
    for limit in roles.limits:
        value = inputs[limit[0]] if isinstance(limit, tuple) else limit
        limits.append(value.axes()[0] if isinstance(value, Dims) else int(value) if _whole(value) else value)
    lengths = {inputs[k].length for k in roles.read if isinstance(inputs[k], TensorList)}
    if len(lengths) != 1 or not limits:
        raise NotRecurrent("a loop along no list, or along lists of several lengths")
    (length,) = lengths
    early = [x for x in limits if isinstance(x, Value) and x.name in t.memory.reaches]
    early = [x for x in early if t.memory.at_most.get(x.name) == length]
    limits = [x for x in limits if x not in early] + [length] * len(early)
    if (
        len(early) > 1
        or any(limit != length for limit in limits if limit not in (-1, 2**31 - 1))
        or length not in limits
    ):
        raise NotRecurrent("a loop that ends before its list does, or where the model computes it")
    return early[0] if early else None


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.ndarray | np.generic) and np.size(value) == 1


# --- nodes ------------------------------------------------------------------------------------------------------------


def _emit(t: Translating, step: Step, roles: Roles, found: Recognised, inputs: Sequence[Any]) -> list[Any]:
    """The layers, and what each variable of the loop ends as."""
    x = _batch_first(t, step, inputs[found.x])
    mask = None if found.mask is None else _batch_first(t, step, inputs[found.mask])
    if mask is not None and len(mask.shape) == 3:
        mask = squeeze(t, _squeezing(step), mask)
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


def _squeezing(step: Step) -> Step:
    """A step of the same name without attributes."""
    return Step(step.name, "Squeeze", (), ())


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
