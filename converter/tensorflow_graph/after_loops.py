"""What the variables of a loop are after it, where it became a Scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.model import Array, Value, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.sizes import Axis, Dims, dims_or_array
from converter.tensorflow_graph.tracing import NotRecurrent, Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import TensorList


@dataclass(frozen=True, eq=False)
class Ends:
    """A loop that is over.

    Attributes:
        length: how often it went round.
        finals: states by their numbers.
        after: what they are in the body after each step.
    """

    t: Translating
    step: Step
    length: Axis | Value
    finals: Mapping[int, Value]
    after: Mapping[int, Value]

    def of(
        self, roles: Roles, inputs: Sequence[Any], written: Mapping[int, Value], sequences: Sequence[Value]
    ) -> list[Any]:
        """All variables.

        Args:
            written: what the body puts into lists, by their numbers.
            sequences: of what is written, each once, in order.

        Raises:
            NotRecurrent: an element is written again and again where the list has several.
        """
        results: list[Any] = list(inputs)
        for k, value in self.finals.items():
            results[k] = value
        for k in roles.counters:
            results[k] = self._count(np.asarray(inputs[k]))
        by_element = dict(zip(dict.fromkeys(value.name for value in written.values()), sequences, strict=True))
        for k, value in written.items():
            same = (self.finals[n] for n, new in self.after.items() if new.name == value.name)
            final, sequence, (every, _) = next(same, None), by_element[value.name], roles.written[k]
            if not every and inputs[k].length not in (0, 1):
                raise NotRecurrent("a loop that writes one element of a list again and again")
            results[k] = self._list(sequence, inputs[k].length, final) if every else self._only(sequence, final)
        return results

    def _count(self, first: Array) -> Any:
        """What a counter is after the loop."""
        dtype = first.dtype.name
        if isinstance(self.length, Value):
            return self.t.ops(self.step).cast(self.length, dtype)
        return dims_or_array(np.array(self.length + int(first), object), dtype)

    def _list(self, sequence: Value, size: Axis, final: Value | None) -> TensorList:
        """A list that was filled as far as the loop went, or that grew with it."""
        if size not in (self.length, 0):
            return TensorList(self._filled(sequence, size), size)
        if final is not None:
            self.t.memory.last[sequence.name] = final
        return TensorList(sequence, self.t.axes(sequence)[0], last=final)

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
        """A list of one element, which every step writes."""
        o = self.t.ops(self.step)
        return TensorList(None, 1, only=final if final is not None else o.squeeze(o.slice(sequence, 0, -1, None), 0))


def numbers(t: Translating, step: Step, count: Axis | Value) -> Value:
    """0, 1, ... below a number, a vector of int64."""
    o = t.ops(step)
    if isinstance(count, int):
        return o.numbers(0, count)
    if isinstance(count, Value):
        return o.one(layers.Range(), [o.cast(count, "int64")], (None,), "int64")
    made = o.one(layers.Range(), [t.sizes(step, Dims(np.array(count, object), "int64"))], (None,), "int64")
    return t.know(made, [count])
