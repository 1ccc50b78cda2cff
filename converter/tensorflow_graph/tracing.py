"""What a loop does with its variables, found by following them through its bodies; nothing is computed.

Counters count up or down, lists are read at a counter or written, what is given back as it came is invariant, and
what is left are the states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.tensorflow_graph.definitions import Body, Library, Step
from converter.tensorflow_graph.kernels_nn import channels, padding, window
from converter.tensorflow_graph.running import BRANCHES, CALLS, LOOPS, body_of, branches_of
from converter.tensorflow_graph.walking import Walk


class NotRecurrent(Unsupported):
    """The loop does something that no recurrent layer does."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Some tensor, and the arguments it is computed from."""

    reads: frozenset[int]


@dataclass(frozen=True, eq=False)
class Counter:
    """A variable that counts, plus a number."""

    argument: int
    offset: int = 0


@dataclass(frozen=True, eq=False)
class Bound:
    """A counter is below each of these: arguments or numbers; and, perhaps, something is true that steps compute."""

    limits: tuple[Any, ...]
    computed: bool = False


@dataclass(frozen=True, eq=False)
class ListTrace:
    """A list, and what is written to it: index and tensor."""

    argument: int
    index: Any = None
    written: Trace | None = None


@dataclass(frozen=True)
class Convolution:
    """How a step convolves.

    Attributes:
        rank: of the operator, which may be one more than the layer's.
    """

    rank: int
    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]
    data_format: str


@dataclass(frozen=True, eq=False)
class Roles:
    """What the variables of a loop are for, by their numbers.

    Attributes:
        counters: count steps, up or down -> by how much.
        limits: the loop goes on while the counter is below each: numbers of invariant variables, or ints.
        read: lists read at the counter.
        written: list -> whether it is written at the counter (else always at 0), and what the element is made from.
        states: change from step to step.
        scalars: floating constants in the body.
        convolutions: the attributes of each way the body convolves.
        lengths: what the counter is compared with in the body, by their numbers.
        places: list that is read or written -> the counter at which, plus a number.
    """

    counters: Mapping[int, int]
    limits: tuple[Any, ...]
    read: tuple[int, ...]
    written: Mapping[int, tuple[bool, Trace]]
    states: tuple[int, ...]
    scalars: tuple[float, ...]
    convolutions: tuple[Convolution, ...]
    lengths: tuple[int, ...] = ()
    places: Mapping[int, Counter] = field(default_factory=dict)


class _Tracing:
    def __init__(self, library: Library, strict: bool) -> None:
        self.library, self.strict, self.read, self.scalars = library, strict, set[int](), set[float]()
        self.convolutions: dict[Convolution, None] = {}
        self.lengths: set[int] = set()
        self.places: dict[int, Counter] = {}

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        if step.op in CALLS:
            return walk.call(body_of(step, self.library), inputs)
        if step.op in BRANCHES:
            return self._branches(step, inputs, walk)
        if step.op in LOOPS:
            if self.strict:
                raise NotRecurrent("a loop within a loop")
            return [Trace(frozenset[int]().union(*map(_reads, inputs)))] * len(inputs)
        if step.op == "Const":
            value = step.attributes["value"]
            if value.size == 1 and value.dtype.kind == "f":
                self.scalars.add(float(np.ravel(value)[0]))
            return [value]
        if step.op in ("Identity", "EnsureShape"):
            return inputs
        if step.op in ("Conv2D", "Conv3D") and step.attributes.get("padding") != "EXPLICIT":
            a, rank = step.attributes, int(step.op[4])
            one = Convolution(rank, window(a, "strides", rank), padding(a), window(a, "dilations", rank), channels(a))
            self.convolutions[one] = None
        if step.op == "GreaterEqual" and isinstance(inputs[0], Counter):
            self.lengths |= _reads(inputs[1])
        special = self._special(step, inputs)
        if special is not None:
            return [special]
        reads = frozenset[int]().union(*(_reads(x) for x in inputs))
        return [Trace(reads)] * max(2, int(step.attributes.get("num", 0)), int(step.attributes.get("num_split", 0)))

    def _branches(self, step: Step, inputs: Sequence[Any], walk: Walk) -> list[Any]:
        """What all branches make, as one."""
        which, *arguments = inputs
        made = [walk.call(body, arguments) for body in branches_of(step, self.library)]
        results = list[Any]()
        for parts in zip(*made, strict=True):
            if any(isinstance(part, ListTrace) and part is not parts[0] for part in parts):
                raise NotRecurrent("a list that only some branches write to")
            reads = _reads(which).union(*map(_reads, parts))
            results.append(parts[0] if all(part is parts[0] for part in parts) else Trace(reads))
        return results

    def _special(self, step: Step, inputs: Sequence[Any]) -> Any:
        first = inputs[0] if inputs else None
        moved = counted(step, inputs)
        if moved is not None:
            return moved
        if isinstance(first, Counter) and step.op == "Pack":
            return first  # of one element, as indices are
        if step.op == "StridedSlice" and isinstance(first, Trace) and isinstance(inputs[1], Counter):
            return self._sliced(step, first, inputs[1], inputs[2])
        if isinstance(first, Counter) and step.op == "Less":
            return Bound((inputs[1],))
        if step.op == "LogicalAnd" and all(isinstance(x, Bound) for x in inputs):
            return Bound((*inputs[0].limits, *inputs[1].limits))
        if step.op in ("TensorListGetItem", "TensorArrayReadV3"):
            items, index = (inputs[0], inputs[1]) if step.op == "TensorListGetItem" else (inputs[2], inputs[1])
            if isinstance(items, ListTrace) and isinstance(index, Counter):
                return self._element(items.argument, index)
            return self._otherwise("a list that is not read step by step", inputs)
        if step.op in ("TensorListSetItem", "TensorArrayWriteV3"):
            array = step.op == "TensorArrayWriteV3"
            items, index, value = (inputs[3], inputs[1], inputs[2]) if array else inputs
            if isinstance(items, ListTrace) and items.written is None:
                return ListTrace(items.argument, index, Trace(_reads(value)))
            raise NotRecurrent("a list that is written to twice")
        return None

    def _element(self, argument: int, index: Counter) -> Trace:
        """The element of a list at a counter, always the same one."""
        place = self.places.setdefault(argument, index)
        if (place.argument, place.offset) != (index.argument, index.offset):
            return self._otherwise("a list that is read at several places", (ListTrace(argument), index))
        self.read.add(argument)
        return Trace(frozenset({argument}))

    def _otherwise(self, why: str, inputs: Sequence[Any]) -> Trace:
        """What no recurrent layer does, where something else may come of the loop."""
        if self.strict:
            raise NotRecurrent(why)
        return Trace(frozenset[int]().union(*(_reads(x) for x in inputs)))

    def _sliced(self, step: Step, whole: Trace, begin: Counter, end: Any) -> Trace:
        """x[counter] of a tensor that does not change: as good as a list."""
        only = isinstance(end, Counter) and end.argument == begin.argument and end.offset == begin.offset + 1
        if not only or len(whole.reads) != 1 or step.attributes.get("shrink_axis_mask") != 1:
            return self._otherwise("a tensor that is not read step by step", (whole, begin))
        (argument,) = whole.reads
        return self._element(argument, begin)


def counted(step: Step, inputs: Sequence[Any]) -> Counter | None:
    """What adding a number to a counter, or subtracting one from it, makes; None of other steps."""
    if step.op not in ("Add", "AddV2", "Sub") or len(inputs) != 2:
        return None
    one, other = inputs if isinstance(inputs[0], Counter) or step.op == "Sub" else reversed(inputs)
    if not isinstance(one, Counter) or not isinstance(other, np.ndarray) or other.size != 1:
        return None
    return Counter(one.argument, one.offset + int(other) * (-1 if step.op == "Sub" else 1))


def _reads(x: Any) -> frozenset[int]:
    if isinstance(x, Trace):
        return x.reads
    return frozenset({x.argument}) if isinstance(x, Counter | ListTrace) else frozenset()


def roles_of(
    library: Library,
    cond: Body,
    body: Body,
    lists: Sequence[bool],
    zeros: Sequence[bool],
    numbers: Sequence[Any] = (),
    *,
    strict: bool = True,
) -> Roles:
    """What the variables of a loop are for.

    Args:
        lists: which of them are lists. zeros: which are the whole number 0 at first.
        numbers: for each single whole number that it is, an array or sizes, else None.
        strict: as recurrent layers are: lists are read step by step, numbers that change count, limits are variables.

    Raises:
        NotRecurrent: the loop does something else than going along lists step by step.
    """
    arguments = _arguments(library, body, list(zip(lists, zeros, strict=True)), numbers)
    tracing = _Tracing(library, strict)
    results = Walk(tracing).call(body, arguments)
    counters, states, written = dict[int, int](), list[int](), {}
    for k, (before, after) in enumerate(zip(arguments, results, strict=True)):
        if after is before:
            continue
        if isinstance(before, Counter):
            by = after.offset if isinstance(after, Counter) and after.argument == k else 0
            if abs(by) != 1 and strict:
                raise NotRecurrent("a counter that does not count by one")
            counters |= {k: by} if by else {}
            states += [] if by else [k]
        elif isinstance(before, ListTrace):
            if not isinstance(after, ListTrace) or after.argument != k or after.written is None:
                raise NotRecurrent("a list that becomes another")
            written[k] = (_at_counter(after.index, strict), after.written)
            if isinstance(after.index, Counter):
                tracing.places[k] = after.index
        else:
            states.append(k)
    limits = _limits(tracing, cond, arguments) if strict and all(by > 0 for by in counters.values()) else ()
    return Roles(
        counters, limits, tuple(sorted(tracing.read)), written, tuple(states), tuple(tracing.scalars),
        tuple(tracing.convolutions), tuple(sorted(tracing.lengths)), tracing.places,
    )  # fmt: skip


def _arguments(library: Library, body: Body, kinds: Sequence[tuple[bool, bool]], numbers: Sequence[Any]) -> list[Any]:
    """What stands for each variable when the body is walked, by whether it is a list, or 0 at first."""
    arguments: list[Any] = []
    for k, (is_list, is_zero) in enumerate(kinds):
        number = numbers[k] if numbers else None
        plain = number if isinstance(number, np.ndarray) else Trace(frozenset({k}))
        arguments.append(ListTrace(k) if is_list else Counter(k) if is_zero else plain)
    results = Walk(_Tracing(library, strict=False)).call(body, arguments)
    for k, (before, after) in enumerate(zip(arguments, results, strict=True)):
        if numbers and numbers[k] is not None and after is not before:  # numbers that change may count, too
            arguments[k] = Counter(k)
    return arguments


def _limits(tracing: _Tracing, cond: Body, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """What the loop's condition compares a counter with."""
    bound = Walk(tracing).call(cond, arguments)[0]
    if not isinstance(bound, Bound):
        raise NotRecurrent("a loop whose end depends on what it computes")
    return tuple(_limit(limit, arguments) for limit in bound.limits)


def _at_counter(index: Any, strict: bool) -> bool:
    if isinstance(index, Counter):
        return True
    if isinstance(index, np.ndarray) and index.size == 1 and int(index) == 0:
        return False
    if not strict:
        return True
    raise NotRecurrent("a list that is not written step by step")


def _limit(limit: Any, arguments: Sequence[Any]) -> Any:
    """The number of the argument, in a tuple, or the number itself."""
    if isinstance(limit, np.ndarray):
        return int(limit)
    place = next((k for k, argument in enumerate(arguments) if argument is limit), None)
    if place is None:
        raise NotRecurrent("a loop whose end depends on what it computes")
    return (place,)
