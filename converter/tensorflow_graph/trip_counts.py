"""The trip count of a loop: what its condition compares its counter with, translated as everything else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import ConversionError
from converter.model import Value
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.running import BRANCHES, CALLS, body_of, branches_of
from converter.tensorflow_graph.sizes import Axis, Dim, Dims
from converter.tensorflow_graph.tracing import Bound, Counter, NotRecurrent, Roles, counted
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import integers_of
from converter.tensorflow_graph.walking import Walk

ENDLESS = (-1, 2**31 - 1)  # limits that are none
MIRRORED = {"Less": "Greater", "LessEqual": "GreaterEqual", "Greater": "Less", "GreaterEqual": "LessEqual"}


class _Condition:
    """The meaning of a condition's steps: translated, but for what is done with the counter."""

    def __init__(self, t: Translating) -> None:
        self.t = t

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        """The outputs of one step."""
        if step.op in CALLS:
            return walk.call(body_of(step, self.t.library), inputs)
        if step.op == "Identity":
            return inputs
        moved = counted(step, inputs)
        if moved is not None:
            return [moved]
        if step.op in MIRRORED and isinstance(inputs[0], Counter) != isinstance(inputs[1], Counter):
            first = isinstance(inputs[0], Counter)
            counter, limit = inputs if first else reversed(inputs)
            return [Bound(((counter, step.op if first else MIRRORED[step.op], limit),))]
        if not any(isinstance(x, Counter | Bound) or x is CHANGES for x in inputs):
            return self.t.step(step, inputs, walk)
        if step.op == "LogicalAnd":
            return [_both(*inputs)]
        if step.op in BRANCHES:
            return self._branches(step, inputs, walk)
        if any(isinstance(x, Bound) and x.limits for x in inputs):
            raise NotRecurrent("a loop whose end depends on what it computes")
        return [CHANGES] * max(2, int(step.attributes.get("num", 0)), int(step.attributes.get("num_split", 0)))

    def _branches(self, step: Step, inputs: Sequence[Any], walk: Walk) -> list[Any]:
        """An "and" that AutoGraph wrote as a branch: where the first is false, it is the result."""
        which, *arguments = inputs
        made = [walk.call(body, arguments) for body in branches_of(step, self.t.library)]
        if len(made) == 2 and len(made[0]) == 1 and isinstance(which, Bound):
            (otherwise,), (then,) = made
            if otherwise is which or (isinstance(otherwise, np.ndarray | np.generic) and not np.any(otherwise)):
                return [_both(which, then)]
        if any(isinstance(x, Bound) for x in (which, *(one for branch in made for one in branch))):
            raise NotRecurrent("a loop whose end depends on what it computes")
        return [CHANGES] * len(made[0])


CHANGES = object()


def _both(one: Any, other: Any) -> Any:
    """One condition and another, each a bound or what steps compute."""
    bounds = [x if isinstance(x, Bound) else Bound((), computed=True) for x in (one, other)]
    return Bound(tuple(limit for x in bounds for limit in x.limits), any(x.computed for x in bounds))


@dataclass(frozen=True, eq=False)
class TripCount:
    """How many iterations a loop has.

    Attributes:
        most: so many, or at most so many.
        early: whether what steps compute may end it before.
    """

    most: Axis | Value
    early: bool = False


def _iterations(t: Translating, step: Step, first: Axis, by: int, bound: tuple[Counter, str, Any]) -> Axis | Value:
    """How many steps a counter takes from its first number, each by so much, while it is within a bound."""
    counter, op, limit = bound
    if (by > 0) != op.startswith("Less"):
        raise NotRecurrent("a loop that moves away from its end")
    first = first + counter.offset
    if isinstance(limit, Value):
        if (first, by, op) != (0, 1, "Less"):
            raise NotRecurrent("a loop that begins at another number than 0 and ends where the model computes it")
        return limit
    (number,) = integers_of(limit, "the trip count of a loop")
    if op == "Less" and number in ENDLESS:
        return number
    inside = (number - first if by > 0 else first - number) + op.endswith("Equal")
    if abs(by) == 1 or isinstance(inside, int):
        count: Axis = inside if abs(by) == 1 else -(-inside // abs(by))
        return count
    o = t.ops(step)
    more = t.sizes(step, Dims(np.array(inside + (abs(by) - 1), object), "int64"))
    return o.elementwise("floor_divide", more, o.constant(abs(by), "int64"))


def first_of(x: Any) -> Axis:
    """The number that a counter begins with."""
    (first,) = integers_of(x, "a number that counts")
    return first


def trip_count(t: Translating, step: Step, cond: Body, roles: Roles, inputs: Sequence[Any], walk: Walk) -> TripCount:
    """How many iterations a loop has.

    Raises:
        NotRecurrent: nothing says that before it begins, or the first of several numbers ends it.
    """
    changing = {*roles.states, *roles.written}
    arguments = [Counter(k) if k in roles.counters else CHANGES if k in changing else x for k, x in enumerate(inputs)]
    try:
        (bound,) = walk.inside(_Condition(t), cond, arguments)
        limits = [
            _iterations(t, step, first_of(inputs[one[0].argument]), roles.counters[one[0].argument], one)
            for one in bound.limits
        ]
    except NotRecurrent:
        raise
    except (AttributeError, ConversionError) as error:
        raise NotRecurrent("a loop whose end depends on what it computes") from error
    found: list[Axis | Value] = []
    for one in limits:
        if one not in ENDLESS and one not in found:
            found.append(one)
    above = [t.memory.at_most[one.name] for one in found if isinstance(one, Value) and one.name in t.memory.at_most]
    found = [one for one in found if one not in above and not _above_another(t, one, found)]
    found = [one for one in found if not any(_below(other, one) for other in found)]
    if len(found) != 1:
        raise NotRecurrent("a loop that ends at the least of several numbers, or at none")
    (count,) = found
    if isinstance(count, Dim) and count.at(dict.fromkeys(t.symbols, 1)) < 0:  # which may be none
        o = t.ops(step)
        count = o.elementwise("maximum", t.sizes(step, Dims(np.array(count, object), "int64")), o.constant(0, "int64"))
    return TripCount(max(count, 0) if isinstance(count, int) else count, bound.computed)


def _below(one: Axis | Value, other: Axis | Value) -> bool:
    """Whether one number is less than another, whatever open sizes are."""
    less = 0 if isinstance(one, Value) or isinstance(other, Value) else one - other
    return isinstance(less, int) and less < 0


def _above_another(t: Translating, one: Axis | Value, found: Sequence[Axis | Value]) -> bool:
    """Whether it is not below another of them, as max(n, 0) is not below n."""
    return isinstance(one, Value) and t.memory.at_least.get(one.name) in found
