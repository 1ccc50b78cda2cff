"""A While over lists becomes recurrent layers: what its body computes is recognized, whatever it is called.

The surroundings of the loop (transposes, reversals, initial states, assignments) are ordinary operators; several cells
in one body become several layers, one on the other's sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.model import Value
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.loop_layers import layers_of
from converter.tensorflow_graph.probing import Prober
from converter.tensorflow_graph.recognizing import recognize
from converter.tensorflow_graph.rules_shapes import flipped
from converter.tensorflow_graph.running import loop_of
from converter.tensorflow_graph.scanning import scanned
from converter.tensorflow_graph.sizes import Dims, dims_or_array
from converter.tensorflow_graph.tracing import NotRecurrent, Roles, roles_of
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.trip_counts import TripCount, first_of, trip_count
from converter.tensorflow_graph.values import TensorList
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
        if backwards(roles, given):
            return _backwards(t, step, bodies, roles, given, walk)
        most = _check_length(t, roles, given)
        found = recognize(Prober(t, roles, bodies[1], given), roles, given)
        if most is not None and (found.lengths is None or t.memory.reaches[most.name] != given[found.lengths]):
            raise NotRecurrent("a loop that ends before its list does")
    except NotRecurrent as why:
        return _no_cell(t, step, bodies, inputs, walk, why)
    results = layers_of(t, step, roles, found, given)
    if most is not None:
        for k in roles.counters:
            results[k] = t.ops(step).cast(most, np.asarray(inputs[k]).dtype.name)
    t.settle()
    return results


def backwards(roles: Roles, inputs: Sequence[Any]) -> bool:
    """Whether a loop goes along its lists from their ends, and not from their beginnings.

    Raises:
        NotRecurrent: neither, or along some so and along others otherwise.
    """
    ways = set()
    for k in {*roles.read, *(k for k, (every, _) in roles.written.items() if every)}:
        place = roles.places[k]
        by, length = roles.counters.get(place.argument), getattr(inputs[k], "length", None)
        first = first_of(inputs[place.argument]) + place.offset
        if by is None or length is None or (first, by) not in ((0, 1), (length - 1, -1)):
            raise NotRecurrent("a list that is not read or written step by step")
        ways.add(by)
    plain = all(_is_zero(inputs[place.argument]) and not place.offset for place in roles.places.values())
    if len(ways) > 1 or (1 in ways and not plain):
        raise NotRecurrent("lists that are read in several directions")
    return ways == {-1}


def _backwards(
    t: Translating, step: Step, bodies: tuple[Body, Body], roles: Roles, inputs: list[Any], walk: Walk
) -> list[Any]:
    """What a loop from the ends of its lists ends with: that of the reversed lists, its own reversed again.

    Raises:
        NotRecurrent: it is no recurrent layer.
    """
    trips = trip_count(t, step, bodies[0], roles, inputs, walk)
    length = trips.most
    if trips.early or roles.lengths or any(inputs[k].length != length for k in roles.read):
        raise NotRecurrent("a loop from the end of its list that does not reach the beginning")
    found = recognize(Prober(t, roles, bodies[1], inputs), roles, inputs)
    turned_round = list(inputs)
    for k in roles.read:
        turned_round[k] = TensorList(flipped(t, step, inputs[k].stacked, 0), length)
        t.settle()
    results = layers_of(t, step, roles, found, turned_round)
    for k, (every, _) in roles.written.items():
        if every:
            results[k] = TensorList(flipped(t, step, results[k].stacked, 0), length)
    assert not isinstance(length, Value)
    for k, by in roles.counters.items():
        last = np.array(length * by + first_of(inputs[k]), object)
        results[k] = dims_or_array(last, inputs[k].dtype.name if isinstance(inputs[k], np.ndarray) else inputs[k].dtype)
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
    trips, reason = TripCount(0), ""
    try:
        roles = _roles(t, bodies, inputs, strict=False)
        trips = trip_count(t, step, bodies[0], roles, inputs, walk)
    except NotRecurrent as other:
        reason = other.what
    try:
        if isinstance(trips.most, int) and trips.most <= MAX_UNROLLED:
            try:
                return unrolled(t, bodies, inputs, walk)
            except NotRecurrent:
                if reason:
                    raise
        return scanned(t, step, bodies, (roles, trips), inputs, walk)
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
    """A whole number, or a size, else None."""
    if isinstance(x, Dims):
        return x if x.array.size == 1 else None
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
