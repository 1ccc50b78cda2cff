"""Loops over time that are no cell as Scans: their body is translated once, by the rules of everything else.

What the loop counts becomes a sequence of numbers, and what it reads at its counter the element of a sequence, which is
reversed where the loop counts down; nodes of the body that no step changes move in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from converter.model import Node, Shape, Value, layers
from converter.tensorflow_graph.after_loops import Ends, numbers, whole
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.rules_shapes import flipped, turned
from converter.tensorflow_graph.sizes import Axis, Dim, Dims, dims_or_array
from converter.tensorflow_graph.tracing import NotRecurrent, Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.trip_counts import TripCount, first_of
from converter.tensorflow_graph.values import Place, TensorList, layer_path
from converter.tensorflow_graph.walking import Walk


class Inside(Translating):
    """The meaning of steps inside a loop, once for all of its steps.

    Attributes:
        outer: of those around it.
        length: the trip count of the loop.
        padded: whether there is one iteration where there should be none, as runtimes want it; nothing comes of that.
        given: the values that each step gets: states, elements, the number of the step.
        taken: sequence -> itself and its element.
    """

    def __init__(self, outer: Translating, path: str, length: Axis | Value) -> None:
        super().__init__(outer.library, outer.resources, outer.meaning)
        self.outer, self.length, self.padded = outer, length, _may_be_none(outer, length)
        self.graph, self.memory, self.feed = outer.graph.inside(), outer.memory, outer.feed
        self.symbols, self._axes, self._constants = dict(outer.symbols), outer._axes, dict(outer._constants)
        self.given: dict[str, Value] = {}
        self.taken: dict[str, tuple[Value, Value]] = {}
        self._path = path
        self.number = self.argument("step", (), "int64", ())
        self._places: dict[str, Place] = {self.number.name: (0, 1)}

    def argument(self, name: str, shape: Shape, dtype: str, axes: Sequence[Axis]) -> Value:
        """A value that each step gets."""
        value = Value(self.graph.unique(f"{self._path}:{name}"), shape, dtype)
        self.given[value.name] = value
        return self.know(value, axes)

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        """The outputs of one step; what is added to a counter is noted."""
        made = super().step(step, inputs, walk)
        if step.op in ("Add", "AddV2", "Sub") and isinstance(made[0], Value) and not made[0].shape:
            places = [self._place(x) for x in inputs]
            if None not in places:
                (a, m), (b, n) = (place for place in places if place is not None)
                self._places[made[0].name] = (a - b, m - n) if step.op == "Sub" else (a + b, m + n)
        return made

    def _place(self, x: Any) -> Place | None:
        if isinstance(x, Value):
            return self._places.get(x.name)
        whole = isinstance(x, Dims) or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "i")
        return (first_of(x), 0) if whole and not np.ndim(x.array if isinstance(x, Dims) else x) else None

    def counter(self, step: Step, first: Any, by: int) -> Value:
        """The number of the step times `by`, counted from `first`."""
        o, dtype, begin = (
            self.ops(step),
            first.dtype if isinstance(first, Dims) else np.asarray(first).dtype.name,
            first,
        )
        made = o.cast(self.number, dtype)
        if by != 1:
            made = o.elementwise("multiply", made, o.constant(by, dtype))
        if isinstance(begin, Dims) or np.any(begin):
            made = o.elementwise("add", made, self.value(step, begin))
        self.settle()
        self._places[made.name] = (first_of(first), by)
        return made

    def element(self, step: Step, x: Value, axis: int, index: Value) -> Value:
        """x at an index: of what goes along with the loop, from either end, the element of this step."""
        own = self.given.keys() | {v.name for node in self.graph.nodes for v in node.outputs}
        size, place = self.axes(x)[axis], self._places.get(index.name)
        if self.padded or place not in ((0, 1), (size - 1, -1)) or x.name in own or size != self.length:
            return super().element(step, x, axis, self._within(step, size, index) if self.padded else index)
        order = (axis, *(k for k in range(len(x.shape)) if k != axis))
        sequence = turned(self.outer, step, x, order)
        self.outer.settle()
        if place != (0, 1):
            sequence = flipped(self.outer, step, sequence, 0)
            self.outer.settle()
        if sequence.name not in self.taken:
            shape, axes = sequence.shape[1:], self.axes(sequence)[1:]
            made = self.argument(f"x{len(self.taken)}", shape, x.dtype, axes)
            self.taken[sequence.name] = sequence, made
        return self.taken[sequence.name][1]

    def _within(self, step: Step, size: Axis, index: Value) -> Value:
        """An index that is there also in a step that should not be."""
        o = self.ops(step)
        last = self.value(step, dims_or_array(np.array(size - 1, object), index.dtype))
        return o.elementwise("minimum", index, last)

    def put(self, step: Step, items: TensorList, index: Value, value: Any) -> TensorList:
        """A list with the element of this step."""
        if index.name not in self._places:
            return super().put(step, items, index, value)
        return TensorList(None, items.length, items=(value,), place=self._places[index.name])


def scanned(
    t: Translating,
    step: Step,
    bodies: tuple[Body, Body],
    how: tuple[Roles, TripCount],
    inputs: Sequence[Any],
    walk: Walk,
) -> list[Any]:
    """What a loop ends with, as one Scan. Steps behind its end, where that is only seen on the way, change nothing.

    Args:
        how: what its variables are for, and its trip count.

    Raises:
        NotRecurrent: it makes what a Scan does not.
        Unsupported, InvalidModel: a step has no neutral form.
    """
    roles, trips = how
    inner = Inside(t, layer_path(step.name, ("while",)), trips.most)
    initial = {k: t.value(step, inputs[k]) for k in roles.states}
    arguments = list(inputs)
    for place, (k, value) in enumerate(initial.items()):
        arguments[k] = inner.argument(f"state{place}", value.shape, value.dtype, t.axes(value))
    before = [arguments[k] for k in initial]
    going = _Going(t, inner, step) if trips.early or inner.padded else None
    for k in roles.counters:
        arguments[k] = inner.counter(step, inputs[k], roles.counters[k])
    for k in roles.written:
        arguments[k] = TensorList(None, inputs[k].length)
    more = walk.inside(inner, bodies[0], arguments)[0] if trips.early else np.asarray(True)
    results = walk.inside(inner, bodies[1], arguments)
    if inner.assigned or inner.pending:
        raise NotRecurrent("a loop that writes to variables, or has layers inside")
    after = [_state(inner.value(step, results[k]), value) for k, value in initial.items()]
    made = {k: inner.value(step, results[k].items[0]) for k in roles.written}
    places = {k: results[k].place for k in roles.written}
    starts, states = list(initial.values()), list(after)
    if going is not None:
        after, made = going.masked(more, before, after, made)
        starts, states = [*starts, *going.starts], [*after, *going.after]
    elements = list({value.name: value for value in made.values()}.values())
    outcome = _emit(t, inner, step, starts, [*states, *elements])
    finals, afterwards = dict(zip(initial, outcome, strict=False)), dict(zip(initial, after, strict=True))
    went = outcome[len(starts) - 1] if trips.early else None
    ends = Ends(t, step, trips.most, finals, afterwards, went, inner.padded)
    return ends.of(roles, inputs, (made, places), outcome[len(starts) :])


class _Going:
    """Whether a loop still goes on, and its iterations so far: two more states of a Scan.

    Attributes:
        starts, after: these states before the loop, and after a step.
    """

    def __init__(self, t: Translating, inner: Inside, step: Step) -> None:
        o = t.ops(step)
        self.inner, self.step = inner, step
        self.starts = [o.constant(True, "bool"), o.constant(0, "int64")]
        t.settle()
        self.before = [inner.argument("on", (), "bool", ()), inner.argument("went", (), "int64", ())]
        self.after: list[Value] = []

    def masked(
        self, more: Any, before: Sequence[Value], after: Sequence[Value], made: Mapping[int, Value]
    ) -> tuple[list[Value], dict[int, Value]]:
        """States that stay once the loop is over, and elements that are zeros then, as those that nobody writes."""
        inner, o = self.inner, self.inner.ops(self.step)
        on = o.elementwise("and", self.before[0], inner.value(self.step, more))
        if inner.padded:
            on = o.elementwise("and", on, o.elementwise("less", inner.number, whole(inner, self.step, inner.length)))
        self.after = [on, o.elementwise("add", self.before[1], o.cast(on, "int64"))]
        kept = [inner.know(o.where(on, new, old), inner.axes(old)) for new, old in zip(after, before, strict=True)]
        written: dict[str, Value] = {}
        for value in made.values():
            if value.name not in written:
                written[value.name] = inner.know(o.where(on, value, o.constant(0, value.dtype)), inner.axes(value))
        inner.settle()
        return kept, {k: written[value.name] for k, value in made.items()}


def _may_be_none(t: Translating, length: Axis | Value) -> bool:
    """Whether a loop may have no iteration, for inputs that have a step."""
    if isinstance(length, Value):
        return not isinstance(least := t.memory.at_least.get(length.name, 0), int) or least < 1
    return isinstance(length, Dim) and length.at(dict.fromkeys(t.symbols, 1)) < 1


def _state(after: Value, before: Value) -> Value:
    """The state after a step.

    Raises:
        NotRecurrent: it is no tensor as before the step.
    """
    same = len(after.shape) == len(before.shape) and after.dtype == before.dtype
    if not same or any(
        a != b and (None not in (a, b) or b == 1) for a, b in zip(after.shape, before.shape, strict=True)
    ):
        raise NotRecurrent(f"a state of shape {before.shape} that becomes one of shape {after.shape}")
    return after


def _emit(
    t: Translating, inner: Inside, step: Step, initial: Sequence[Value], outputs: Sequence[Value]
) -> tuple[Value, ...]:
    """The Scan, behind the nodes of its body that no step changes."""
    needed, kept = {value.name for value in outputs}, list[Node]()
    for node in reversed(inner.graph.nodes):
        if any(value.name in needed for value in node.outputs):
            kept.insert(0, node)
            needed |= {value.name for value in node.inputs if value is not None}
    changing, nodes = set(inner.given), list[Node]()
    path, length = layer_path(step.name, ("while",)), inner.length
    for node in (replace(node, keras_layer=path) for node in kept):
        moves = any(value is not None and value.name in changing for value in node.inputs)
        (nodes if moves else t.graph.nodes).append(node)
        changing |= {value.name for value in node.outputs if moves}
    if any(isinstance(node.layer, layers.Scan | layers.Recurrent) for node in nodes):
        raise NotRecurrent("a loop within it with an iteration for each step of the model's input")
    t.symbols.update({name: place for name, place in inner.symbols.items() if place[0].name not in changing})
    read = [value for node in nodes for value in node.inputs if value is not None] + list(outputs)
    captured = list({value.name: value for value in read if value.name not in changing}.values())
    used = [pair for pair in inner.taken.values() if pair[1].name in needed]
    if not used or inner.number.name in needed:
        if inner.padded:
            length = t.ops(step).elementwise("maximum", whole(t, step, length), t.ops(step).constant(1, "int64"))
        used.append((numbers(t, step, length), inner.number))
    states = list(inner.given.values())[1 : 1 + len(initial)]
    layer = layers.Scan(
        len(initial), len(used), (*states, *(element for _, element in used), *captured), tuple(nodes), tuple(outputs)
    )
    time: Axis | None = None if isinstance(length, Value) else length
    axes = [[*([time] if place >= len(initial) else []), *_outside(inner, value, changing)]
            for place, value in enumerate(outputs)]  # fmt: skip
    shapes = [tuple(n if isinstance(n, int) else None for n in sizes) for sizes in axes]
    made = t.graph.emit(
        layer,
        [*initial, *(sequence for sequence, _ in used), *captured],
        [(shape, value.dtype) for shape, value in zip(shapes, outputs, strict=True)],
        path,
    )
    for value, sizes in zip(made, axes, strict=True):
        t.know(value, sizes)
    return made


def _outside(inner: Inside, value: Value, changing: set[str]) -> Iterator[Axis | None]:
    """The sizes of a value of the body, as far as they are known outside."""
    for size in inner.axes(value):
        names = {name for monomial, _ in size.terms for name in monomial} if isinstance(size, Dim) else set[str]()
        yield None if any(inner.symbols[name][0].name in changing for name in names) else size
