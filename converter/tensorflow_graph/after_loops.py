"""What the variables of a loop are after it, where it became a Scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.model import Value, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.rules_shapes import flipped
from converter.tensorflow_graph.sizes import Axis, Dims, dims_or_array
from converter.tensorflow_graph.tracing import NotRecurrent, Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.trip_counts import first_of
from converter.tensorflow_graph.values import Place, TensorList


@dataclass(frozen=True, eq=False)
class Ends:
    """A loop that is over.

    Attributes:
        length: its trip count, or the most that it may be.
        finals: states by their numbers.
        after: what they are in the body after each step.
        went: its trip count, where that is only seen on the way.
        padded: whether there is a step where there should be none.
    """

    t: Translating
    step: Step
    length: Axis | Value
    finals: Mapping[int, Value]
    after: Mapping[int, Value]
    went: Value | None = None
    padded: bool = False

    def of(
        self,
        roles: Roles,
        inputs: Sequence[Any],
        written: tuple[Mapping[int, Value], Mapping[int, Place | None]],
        sequences: Sequence[Value],
    ) -> list[Any]:
        """All variables.

        Args:
            written: what the body puts into lists, by their numbers, and where.
            sequences: of what is written, each once, in order.

        Raises:
            NotRecurrent: the loop fills a part of a list, of which nothing says what the rest is.
        """
        results: list[Any] = list(inputs)
        for k, value in self.finals.items():
            results[k] = value
        for k, by in roles.counters.items():
            results[k] = self._count(inputs[k], by)
        elements, places = written
        by_element = dict(zip(dict.fromkeys(value.name for value in elements.values()), sequences, strict=True))
        for k, value in elements.items():
            same = (self.finals[n] for n, new in self.after.items() if new.name == value.name)
            final, sequence, place = next(same, None), by_element[value.name], places[k]
            if place is None and inputs[k].length not in (0, 1):
                raise NotRecurrent("a loop that writes one element of a list again and again")
            results[k] = self._only(sequence, final) if place is None else self._list(sequence, inputs[k], place, final)
        return results

    def _count(self, first: Any, by: int = 1) -> Any:
        """What a counter is after the loop."""
        dtype = first.dtype if isinstance(first, Dims) else np.asarray(first).dtype.name
        length = self.length if self.went is None else self.went
        if isinstance(length, Value):
            o = self.t.ops(self.step)
            went = o.elementwise("multiply", o.cast(length, dtype), o.constant(by, dtype))
            return o.elementwise("add", went, self.t.value(self.step, first))
        return dims_or_array(np.array(length * by + first_of(first), object), dtype)

    def _list(self, sequence: Value, before: TensorList, place: Place, final: Value | None) -> TensorList:
        """A list that was filled as far as the loop went, or that grew with it.

        Raises:
            NotRecurrent: the loop leaves gaps, or writes over what is there.
        """
        size, (first, by) = before.length, place
        grown, alone = self.went is not None and size == 0, not before.items and not before.tail
        if place == (0, 1) and alone and size not in (self.length, 0):
            return TensorList(self._filled(sequence, size), size)
        if grown or self.padded:
            sequence = self._taken(sequence, self.went if grown else self.length)
        if place == (0, 1) and alone:
            if final is not None and self.went is None and not self.padded:
                self.t.memory.last[sequence.name] = final
                return TensorList(sequence, self.t.axes(sequence)[0], last=final)
            return TensorList(sequence, self.t.axes(sequence)[0])
        if abs(by) != 1 or isinstance(self.length, Value) or grown:
            raise NotRecurrent("a list that is not written step by step")
        begin = first if by == 1 else first - self.length + 1
        end = begin + self.length + len(before.tail)
        if begin != len(before.items) or None in before.items or size not in (end, 0 if not before.tail else end):
            raise NotRecurrent("a list of which a loop fills a part")
        parts = [*before.items, sequence, *before.tail]
        return TensorList(self._joined(parts, len(before.items), by), end)

    def _joined(self, parts: Sequence[Any], at: int, by: int) -> Value:
        """Elements, and among them at a place the sequence, in the order of the list."""
        t, o, made = self.t, self.t.ops(self.step), list[Value]()
        for k, part in enumerate(parts):
            value = t.value(self.step, part)
            turned = flipped(t, self.step, value, 0) if k == at and by < 0 else value
            made.append(turned if k == at else o.expand_dims(value, 0))
        joined = o.concatenate(made, 0) if len(made) > 1 else made[0]
        t.settle()
        return joined

    def _taken(self, sequence: Value, count: Axis | Value | None) -> Value:
        """As many elements as the loop had iterations."""
        assert count is not None
        places = numbers(self.t, self.step, count)
        o, axes = self.t.ops(self.step), self.t.axes(places)
        made = o.one(layers.Gather(0), [sequence, places], (places.shape[0], *sequence.shape[1:]), sequence.dtype)
        return self.t.know(made, [*axes, *self.t.axes(sequence)[1:]])

    def _filled(self, sequence: Value, size: Axis) -> Value:
        """The sequence, and zeros up to a size: TensorFlow's elements that nobody wrote."""
        t, o = self.t, self.t.ops(self.step)
        places, count = numbers(t, self.step, size), t.value(self.step, self._count(np.zeros((), np.int64)))
        held = o.elementwise("minimum", places, o.elementwise("subtract", count, o.constant(1, "int64")))
        taken = o.one(layers.Gather(0), [sequence, held], (places.shape[0], *sequence.shape[1:]), sequence.dtype)
        inside = o.elementwise("less", places, count)
        for _ in sequence.shape[1:]:
            inside = o.expand_dims(inside, -1)
        made = o.where(inside, taken, o.constant(0, sequence.dtype))
        return t.know(made, [size, *t.axes(sequence)[1:]])

    def _only(self, sequence: Value, final: Value | None) -> TensorList:
        """A list of one element, which every step writes.

        Raises:
            NotRecurrent: which of them is the last is only seen on the way.
        """
        if final is None and (self.went is not None or self.padded):
            raise NotRecurrent("a loop that writes one element again and again, as often as the model computes")
        o = self.t.ops(self.step)
        return TensorList(None, 1, only=final if final is not None else o.squeeze(o.slice(sequence, 0, -1, None), 0))


def whole(t: Translating, step: Step, count: Axis | Value) -> Value:
    """A number as int64."""
    if isinstance(count, Value):
        return t.ops(step).cast(count, "int64")
    return t.value(step, dims_or_array(np.array(count, object), "int64"))


def numbers(t: Translating, step: Step, count: Axis | Value) -> Value:
    """0, 1, ... below a number, a vector of int64."""
    o = t.ops(step)
    if isinstance(count, int):
        return o.numbers(0, count)
    if isinstance(count, Value):
        return o.one(layers.Range(), [o.cast(count, "int64")], (None,), "int64")
    made = o.one(layers.Range(), [t.sizes(step, Dims(np.array(count, object), "int64"))], (None,), "int64")
    return t.know(made, [count])
