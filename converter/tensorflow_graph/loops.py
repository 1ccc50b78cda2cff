"""A While over lists becomes recurrent layers: what its body computes is recognised, whatever it is called.

What stands round the loop (transposes, reversals, initial states, assignments) are ordinary operators; several cells
in one body become several layers, one on the other's sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.model import Array, Shape, Value, layers
from converter.model.layers import MaskedOutput
from converter.tensorflow_graph.cells import Found, StepRun, find_cell
from converter.tensorflow_graph.cells_conv import find_conv_cell
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.probing import Probed, Prober
from converter.tensorflow_graph.rules_shapes import squeeze, turned
from converter.tensorflow_graph.running import loop_of
from converter.tensorflow_graph.sizes import Axes, Dim, Dims
from converter.tensorflow_graph.tracing import NotRecurrent, Roles, roles_of
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import TensorList, as_array, layer_path
from converter.tensorflow_graph.walking import Walk

MAX_UNROLLED = 256  # steps of an unknown loop
MAX_NODES = 20_000  # that these may take


@dataclass(frozen=True, eq=False)
class Recognised:
    """What a loop is.

    Attributes:
        cells: one on the other's output, each with the numbers of its states.
        x, mask: numbers of the lists; no mask is None.
        previous: number of the state that keeps the last output, or None.
        masked_output: what a masked step puts out.
    """

    cells: tuple[tuple[Found, tuple[int, ...]], ...]
    x: int
    mask: int | None
    previous: int | None
    masked_output: MaskedOutput


def translate_loop(t: Translating, step: Step, inputs: Sequence[Any]) -> list[Any]:
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
    cond, body = loop_of(step, t.library)
    try:
        lists = [isinstance(x, TensorList) for x in inputs]
        roles = roles_of(t.library, cond, body, lists, [_is_zero(x) for x in inputs], [_number(x) for x in inputs])
        inputs = [_as_list(t, x) if k in roles.read else x for k, x in enumerate(inputs)]
        _check_length(t, roles, inputs)
        found = recognise(Prober(t, roles, body, inputs), roles, inputs)
    except NotRecurrent as why:
        refusal = Unsupported(f"the loop is no recurrent layer that is known: {why.what}", where=clean(step.name, 120))
        return unrolled(t, (cond, body), inputs, refusal)
    return _emit(t, step, roles, found, inputs)


def unrolled(t: Translating, bodies: tuple[Body, Body], inputs: Sequence[Any], refusal: Unsupported) -> list[Any]:
    """What a loop ends with whose steps, few and known in number, are written one after the other.

    Raises:
        Unsupported: `refusal`, where how long it goes on is only known when the model runs, or is too long.
    """
    cond, body = bodies
    values, begun = list(inputs), len(t.graph.nodes)
    walk = Walk(t)
    for _ in range(MAX_UNROLLED):
        (more,) = walk.call(cond, values)
        if isinstance(more, Value | Dims) or len(t.graph.nodes) - begun > MAX_NODES:
            raise refusal
        if not np.any(more):
            return values
        values = walk.call(body, values)
    raise refusal


def _is_zero(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.size == 1 and x.dtype.kind == "i" and not np.any(x)


def _number(x: Any) -> Any:
    """A whole number that is known, else None."""
    return x if isinstance(x, np.ndarray) and x.size == 1 and x.dtype.kind == "i" else None


def _as_list(t: Translating, x: Any) -> Any:
    """A tensor that the loop goes along, as the list of its elements."""
    return TensorList(x, t.axes(x)[0]) if isinstance(x, Value) else x


def _check_length(t: Translating, roles: Roles, inputs: Sequence[Any]) -> None:
    """Every list that is read ends where the loop does."""
    limits = []
    for limit in roles.limits:
        value = inputs[limit[0]] if isinstance(limit, tuple) else limit
        limits.append(value.axes()[0] if isinstance(value, Dims) else int(value) if _whole(value) else value)
    lengths = {inputs[k].length for k in roles.read if isinstance(inputs[k], TensorList)}
    if len(lengths) != 1 or not limits:
        raise NotRecurrent("a loop along no list, or along lists of several lengths")
    (length,) = lengths
    if any(limit != length for limit in limits if limit not in (-1, 2**31 - 1)) or length not in limits:
        raise NotRecurrent("a loop that ends before its list does, or where the model computes it")


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.ndarray | np.generic) and np.size(value) == 1


# --- recognition ------------------------------------------------------------------------------------------------------


def recognise(prober: Prober, roles: Roles, inputs: Sequence[Any]) -> Recognised:
    """The cells of a loop's body.

    Raises:
        NotRecurrent: some state is not explained.
    """
    floats = [k for k in roles.read if not _is_bool(inputs[k])]
    masks = [k for k in roles.read if _is_bool(inputs[k])]
    if len(floats) != 1 or len(masks) > 1 or len(roles.written) > 1:
        raise NotRecurrent("a step with several inputs or outputs")
    run = prober.run()
    output = next((np.asarray(run.new[k]) for k in roles.written), None)
    states, previous = list(roles.states), None
    if masks and output is not None and len(states) > 1 and _same(run.new[states[0]], output):
        previous = states.pop(0)
    dtype = np.asarray(run.old[states[0]]).dtype.name if states else ""
    x, cells = run.x[floats[0]].astype(np.float64), []
    while states:
        found = _cell(run, x, states, dtype, roles)
        numbers = tuple(states[k] for k in found.states)
        states = [k for k in states if k not in numbers]
        cells.append((found, numbers))
        x = np.asarray(run.new[numbers[0]]).astype(np.float64)
    if not cells or (output is not None and not _same(run.new[cells[-1][1][0]], output)):
        raise NotRecurrent("a step whose output is not the state of its last cell")
    rule = _masked(prober, masks[0], roles, run, previous) if masks else "previous"
    return Recognised(tuple(cells), floats[0], masks[0] if masks else None, previous, rule)


def _is_bool(items: Any) -> bool:
    return isinstance(items, TensorList) and items.stacked is not None and items.stacked.dtype == "bool"


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and np.array_equal(a, b)


def _cell(run: Probed, x: Array, states: Sequence[int], dtype: str, roles: Roles) -> Found:
    old = tuple(np.asarray(run.old[k]).astype(np.float64) for k in states)
    new = tuple(np.asarray(run.new[k]).astype(np.float64) for k in states)
    seen = StepRun(x, old, new, dtype, roles.scalars)
    found = find_cell(seen, run.candidates) if x.ndim == 2 else find_conv_cell(seen, run.candidates, roles.convolutions)
    if found is None:
        raise NotRecurrent("a step that no cell's equations give")
    return found


def _masked(prober: Prober, mask: int, roles: Roles, run: Probed, previous: int | None) -> MaskedOutput:
    """What masked steps put out, by a run of one.

    Raises:
        NotRecurrent: the states change at a masked step, or the output is something else.
    """
    off = prober.run({mask: (np.zeros_like(run.x[mask]),)})
    if any(not _same(off.new[k], off.old[k]) for k in roles.states if k != previous):
        raise NotRecurrent("a masked step that changes the states")
    output = next((np.asarray(off.new[k]) for k in roles.written), None)
    if output is None or (previous is not None and _same(output, off.old[previous])):
        return "previous"
    if not np.any(output):
        return "zero"
    raise NotRecurrent("a masked step with an output of its own")


# --- nodes ------------------------------------------------------------------------------------------------------------


def _emit(t: Translating, step: Step, roles: Roles, found: Recognised, inputs: Sequence[Any]) -> list[Any]:
    """The layers, and what each variable of the loop ends as."""
    x = _batch_first(t, step, inputs[found.x])
    mask = None if found.mask is None else _batch_first(t, step, inputs[found.mask])
    if mask is not None and len(mask.shape) == 3:
        mask = squeeze(t, _squeezing(step), mask)
    if found.previous is not None and not _is_zeros(t, inputs[found.previous]):
        raise Unsupported("a masked loop whose output does not start from zeros", where=clean(step.name, 120))
    backwards = False
    if len(found.cells) == 1:
        x, mask, backwards = _forwards(t, x, mask)
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
            stacked = turned(t, step, x, (1, 0, *range(2, len(x.shape))))
            t.settle()
            t.memory.last[stacked.name] = last
            results[k] = TensorList(stacked, length, last=last)
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


def _forwards(t: Translating, x: Value, mask: Value | None) -> tuple[Value, Value | None, bool]:
    """What both were before they were reversed in time, if they were."""
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
