"""How often a loop goes round: what its condition compares its counter with, translated as everything else is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.errors import ConversionError
from converter.model import Value
from converter.tensorflow_graph.definitions import Body, Step
from converter.tensorflow_graph.running import CALLS, body_of
from converter.tensorflow_graph.sizes import Axis
from converter.tensorflow_graph.tracing import Bound, Counter, NotRecurrent, Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import integers_of
from converter.tensorflow_graph.walking import Walk

ENDLESS = (-1, 2**31 - 1)  # limits that are none


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
        if step.op == "Less" and isinstance(inputs[0], Counter):
            return [Bound(((inputs[0].offset, inputs[1]),))]
        if step.op == "LogicalAnd" and all(isinstance(x, Bound) for x in inputs):
            return [Bound((*inputs[0].limits, *inputs[1].limits))]
        if any(isinstance(x, Counter | Bound) or x is CHANGES for x in inputs):
            raise NotRecurrent("a loop whose end depends on what it computes")
        return self.t.step(step, inputs, walk)


CHANGES = object()


def _rounds(start: int, limit: Any) -> Axis | Value:
    """How often a counter goes round until it is at a limit."""
    if not isinstance(limit, Value):
        (number,) = integers_of(limit, "how often a loop goes round")
        rounds: Axis = number if number in ENDLESS else number - start
        return rounds
    if start:
        raise NotRecurrent("a loop that begins at another number than 0 and ends where the model computes it")
    return limit


def length_of(t: Translating, cond: Body, roles: Roles, inputs: Sequence[Any], walk: Walk) -> Axis | Value:
    """How often a loop goes round.

    Raises:
        NotRecurrent: nothing says that before it begins, or the first of several numbers ends it.
    """
    changing = {*roles.states, *roles.written}
    counting = {k: Counter(k, int(inputs[k])) for k in roles.counters}
    arguments = [counting.get(k, CHANGES if k in changing else x) for k, x in enumerate(inputs)]
    try:
        (bound,) = walk.inside(_Condition(t), cond, arguments)
        limits = [_rounds(start, limit) for start, limit in bound.limits]
    except (AttributeError, ConversionError) as error:
        raise NotRecurrent("a loop whose end depends on what it computes") from error
    found: list[Axis | Value] = []
    for one in limits:
        if one not in ENDLESS and one not in found:
            found.append(one)
    above = [t.memory.at_most[one.name] for one in found if isinstance(one, Value) and one.name in t.memory.at_most]
    found = [one for one in found if one not in above]
    if len(found) != 1:
        raise NotRecurrent("a loop that ends at the least of several numbers, or at none")
    return found[0]
