"""Evaluates the steps of a body in order: what a result needs, each step once, with any meaning of a step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from converter.errors import ConversionError, InvalidModel, Unsupported, clean, formed
from converter.tensorflow_graph.definitions import Body, Ref, Step

MAX_DEPTH = 100  # of calls
MAX_STEPS = 200_000  # of one translation, calls included
# Operators with an effect: they run though nobody reads what they make.
EFFECTS = frozenset({
    "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "Assign", "AssignAdd", "AssignSub",
    "PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf", "Case",
    "StatelessCase",
})  # fmt: skip


class Domain(Protocol):
    """What steps mean."""

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        """The outputs of one step."""


class Walk:
    """One evaluation: counts steps and calls.

    Attributes:
        active: functions that are being called, the outermost first.
    """

    def __init__(self, domain: Domain, budget: int = MAX_STEPS) -> None:
        self.domain, self.budget, self.active = domain, budget, list[str]()

    def call(self, body: Body, arguments: Sequence[Any]) -> list[Any]:
        """The results of a body.

        Raises:
            InvalidModel: it calls itself, calls too deeply, reads what is not there or its own output.
            Unsupported: it has more steps than any model.
        """
        if body.name in self.active or len(self.active) >= MAX_DEPTH:
            raise InvalidModel(f"function {clean(body.name, 80)} calls itself, or calls go too deep")
        self.active.append(body.name)
        values: dict[str, Sequence[Any]] = {}
        for step in ordered(body):
            self.budget -= 1
            if self.budget < 0:
                raise Unsupported("the graph takes more steps than any model")
            inputs = [self._value(ref, body, arguments, values) for ref in step.inputs]
            try:
                with formed("an operator"):
                    values[step.name] = self.domain.step(step, inputs, self)
            except ConversionError as error:
                raise error if error.where else error.at(clean(step.name, 120)) from None
        results = [self._value(ref, body, arguments, values) for ref in body.results]
        self.active.pop()
        return results

    def inside(self, domain: Domain, body: Body, arguments: Sequence[Any]) -> list[Any]:
        """The results of a body whose steps mean something else; they count as all others do."""
        before, self.domain, depth = self.domain, domain, len(self.active)
        try:
            return self.call(body, arguments)
        finally:
            self.domain = before
            del self.active[depth:]

    @staticmethod
    def _value(ref: Ref, body: Body, arguments: Sequence[Any], values: dict[str, Sequence[Any]]) -> Any:
        place = body.arguments.get(ref)
        if place is not None:
            if place >= len(arguments):
                raise InvalidModel(f"function {clean(body.name, 80)} is called with too few arguments")
            return arguments[place]
        made = values[ref[0]]
        if ref[1] >= len(made):
            raise InvalidModel(f"{clean(ref[0], 80)} has no output {ref[1]}")
        return made[ref[1]]


@lru_cache(maxsize=512)
def ordered(body: Body) -> list[Step]:
    """The steps that the results and the effects need, each after those it reads or must follow.

    Raises:
        InvalidModel: a step is missing, or reads what it makes itself.
    """
    given = {name for name, _ in body.arguments}
    results = [ref[0] for ref in body.results if ref not in body.arguments]
    order: list[Step] = []
    finished: dict[str, bool] = {}
    waiting = [(name, False) for name in reversed([*results, *(name for name in body.effects if name in body.steps)])]
    while waiting:
        name, done = waiting.pop()
        if done:
            finished[name] = True
            order.append(body.steps[name])
        elif name not in finished:
            if name not in body.steps:
                raise InvalidModel(f"the graph reads {clean(name, 80)}, which is not there")
            finished[name] = False
            waiting.append((name, True))
            waiting += [(other, False) for other in _before(body, body.steps[name], given)]
        elif not finished[name]:
            raise InvalidModel(f"the graph goes in a circle at {clean(name, 80)}")
    needed = {*results, *(step.name for step in order if step.op in EFFECTS)}
    for step in reversed(order):
        if step.name in needed:
            needed.update(ref[0] for ref in step.inputs)
    return [step for step in order if step.name in needed]


def _before(body: Body, step: Step, given: set[str]) -> list[str]:
    """Names of the steps that must come before this one."""
    read = [ref[0] for ref in step.inputs if ref not in body.arguments]
    return [*(name for name in step.after if name not in given), *reversed(read)]
