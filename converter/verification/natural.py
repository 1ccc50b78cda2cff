"""A model run from its own inputs by `reference_lstm`, every value kept: the float64 truth, and float32 next to it.

Each node's weights are read once for all cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from converter import interpret
from converter.errors import ConversionError
from converter.holding import with_values
from converter.model import Array, Model, Node, Value, dtype_of
from converter.verification.inputs import Case

Values = Mapping[str, Array]
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Call:
    """One call of a model.

    Attributes:
        given: its inputs, states included, by name.
        values: every value, computed in float64, in the type in which a file holds it.
        exact, single: outputs and new states in float64 and in float32.
    """

    given: Values
    values: Values
    exact: Values
    single: Values


def held_type(dtype: str) -> np.dtype[Any]:
    """The NumPy type in which an exported file holds values of a model's type; it computes bfloat16 in float32."""
    return dtype_of("float32" if dtype == "bfloat16" else dtype)


def run(model: Model, cases: Sequence[Case]) -> list[list[Call]]:
    """All calls of each case; a state is carried from a call to the next.

    Raises:
        ValueError, IndexError, ConversionError: the model does not take these inputs.
    """
    made = attempt(model, cases)
    for one in made:
        if isinstance(one, Exception):
            raise one
    return [one for one in made if not isinstance(one, Exception)]


def attempt(model: Model, cases: Sequence[Case]) -> list[list[Call] | Exception]:
    """The same, with what was raised in place of the calls of a case that the model does not take."""
    done = [_Run(case, [_zeros(model, case.batch) for _ in PRECISIONS]) for case in cases]
    for turn in range(max(len(case.calls) for case in cases)):
        for one in done:
            one.begin(model, turn)
        for node in model.nodes:
            for place, dtype in enumerate(PRECISIONS):
                held = replace(node, layer=with_values(node.layer, dtype))
                for one in done:
                    one.compute(held, place)
                del held  # one copy of the weights at a time
        for one in done:
            one.end(model, turn)
    return [one.failed or one.calls for one in done]


@dataclass
class _Run:
    """A case on its way: states and values in both precisions, the calls so far, and what went wrong."""

    case: Case
    states: Sequence[Values]
    values: Sequence[dict[str, Array]] = ()
    calls: list[Call] = field(default_factory=list)
    failed: Exception | None = None

    def begin(self, model: Model, turn: int) -> None:
        """Gives the inputs of a call."""
        with self._noting():
            inputs = self.case.calls[turn]
            self.values = [_given(model, inputs, *pair) for pair in zip(self.states, PRECISIONS, strict=True)]

    def compute(self, node: Node, place: int) -> None:
        """Runs a node in one precision."""
        if self.failed is None:
            with self._noting():
                _compute(node, self.values[place], PRECISIONS[place])

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, IndexError, ConversionError) as error:
            self.failed = error

    def end(self, model: Model, turn: int) -> None:
        """Notes what the call has made."""
        if self.failed is None:
            self.calls.append(_call(model, self.case.calls[turn], self.states[0], *self.values))
            self.states = [{s.input.name: made[s.output.name] for s in model.states} for made in self.values]


def _zeros(model: Model, batch: int) -> dict[str, Array]:
    return {s.input.name: np.zeros([n or batch for n in s.input.shape], np.float32) for s in model.states}


def _given(model: Model, inputs: Values, states: Values, dtype: str) -> dict[str, Array]:
    fed = [(value, inputs) for value in model.inputs] + [(state.input, states) for state in model.states]
    return {v.name: interpret.fitted(np.asarray(source[v.name]), v, dtype) for v, source in fed}


def _compute(node: Node, values: dict[str, Array], dtype: str) -> None:
    given = tuple(None if value is None else values[value.name] for value in node.inputs)
    for value, made in zip(node.outputs, interpret.outputs_of(node, given, dtype), strict=True):
        values[value.name] = interpret.fitted(made, value, dtype, node.name)


def _call(model: Model, inputs: Values, states: Values, exact: Values, single: Values) -> Call:
    types = {value.name: value for value in all_values(model)}
    held = {name: array.astype(held_type(types[name].dtype), copy=False) for name, array in exact.items()}
    given = {**inputs, **{name: held[name] for name in states}}
    wanted = [value.name for value in model.outputs] + [state.output.name for state in model.states]
    return Call(given, held, *({name: side[name] for name in wanted} for side in (exact, single)))


def all_values(model: Model) -> list[Value]:
    """Inputs, states and what nodes make."""
    made = [value for node in model.nodes for value in node.outputs]
    return [*model.inputs, *(state.input for state in model.states), *made]
