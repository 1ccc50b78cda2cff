"""Loops over time that are no cell as Scans: their body is translated once, by the rules of everything else.

What the loop counts becomes a sequence of numbers, and what it reads at its counter the element of a sequence, which is
reversed where the loop counts down; nodes of the body that no step changes move in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from converter.model import Node, Shape, Value, layers
from converter.tensorflow_graph.after_loops import Ends, numbers
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.rules_shapes import flipped, turned
from converter.tensorflow_graph.sizes import Axis, Dim, Dims
from converter.tensorflow_graph.tracing import NotRecurrent, Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.turns import first_of
from converter.tensorflow_graph.values import Place, TensorList, layer_path
from converter.tensorflow_graph.walking import Walk


class Inside(Translating):
    """The meaning of steps inside a loop, once for all of its steps.

    Attributes:
        outer: of those round it.
        length: how often the loop goes round.
        given: the values that each step gets: states, elements, the number of the step.
        taken: sequence -> itself and its element.
    """

    def __init__(self, outer: Translating, path: str, length: Axis | Value) -> None:
        super().__init__(outer.library, outer.resources)
        self.outer, self.length = outer, length
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
        if place not in ((0, 1), (size - 1, -1)) or x.name in own or size != self.length:
            return super().element(step, x, axis, index)
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

    def put(self, step: Step, items: TensorList, index: Value, value: Any) -> TensorList:
        """A list with the element of this step."""
        if index.name not in self._places:
            return super().put(step, items, index, value)
        return TensorList(None, items.length, items=(value,), place=self._places[index.name])


def scanned(
    t: Translating, step: Step, body: Body, turns: tuple[Roles, Axis | Value], inputs: Sequence[Any], walk: Walk
) -> list[Any]:
    """What a loop ends with, as one Scan.

    Args:
        turns: what its variables are for, and how often it goes round.

    Raises:
        NotRecurrent: it makes what a Scan does not.
        Unsupported, InvalidModel: a step has no neutral form.
    """
    roles, length = turns
    path = layer_path(step.name, ("while",))
    inner = Inside(t, path, length)
    initial = {k: t.value(step, inputs[k]) for k in roles.states}
    arguments = list(inputs)
    for place, (k, value) in enumerate(initial.items()):
        arguments[k] = inner.argument(f"state{place}", value.shape, value.dtype, t.axes(value))
    for k in roles.counters:
        arguments[k] = inner.counter(step, inputs[k], roles.counters[k])
    for k in roles.written:
        arguments[k] = TensorList(None, inputs[k].length)
    results = walk.inside(inner, body, arguments)
    if inner.assigned or inner.pending:
        raise NotRecurrent("a loop that writes to variables, or has layers inside")
    after = [_state(inner.value(step, results[k]), value) for k, value in initial.items()]
    made = {k: inner.value(step, results[k].items[0]) for k in roles.written}
    places = {k: results[k].place for k in roles.written}
    elements = list({value.name: value for value in made.values()}.values())
    outcome = _emit(t, inner, step, list(initial.values()), [*after, *elements])
    ends = Ends(t, step, length, dict(zip(initial, outcome, strict=False)), dict(zip(initial, after, strict=True)))
    return ends.of(roles, inputs, (made, places), outcome[len(initial) :])


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
    path = layer_path(step.name, ("while",))
    for node in (replace(node, keras_layer=path) for node in kept):
        moves = any(value is not None and value.name in changing for value in node.inputs)
        (nodes if moves else t.graph.nodes).append(node)
        changing |= {value.name for value in node.outputs if moves}
    t.symbols.update({name: place for name, place in inner.symbols.items() if place[0].name not in changing})
    read = [value for node in nodes for value in node.inputs if value is not None] + list(outputs)
    captured = list({value.name: value for value in read if value.name not in changing}.values())
    used = [pair for pair in inner.taken.values() if pair[1].name in needed]
    if not used or inner.number.name in needed:
        used.append((numbers(t, step, inner.length), inner.number))
    states = list(inner.given.values())[1 : 1 + len(initial)]
    layer = layers.Scan(
        len(initial), len(used), (*states, *(element for _, element in used), *captured), tuple(nodes), tuple(outputs)
    )
    time: Axis | None = None if isinstance(inner.length, Value) else inner.length
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
