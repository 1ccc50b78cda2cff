"""A model run from its own inputs by `reference_lstm`, every value kept: the float64 truth, and float32 next to it.

Each node's weights are read once for all cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converter import interpret
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
        ValueError, IndexError: the model does not take these inputs.
    """
    done: list[list[Call]] = [[] for _ in cases]
    states = [[_zeros(model, case.batch) for _ in PRECISIONS] for case in cases]
    for turn in range(max(len(case.calls) for case in cases)):
        values = [
            [_given(model, case.calls[turn], carried, dtype) for carried, dtype in zip(pair, PRECISIONS, strict=True)]
            for case, pair in zip(cases, states, strict=True)
        ]
        for node in model.nodes:
            for place, dtype in enumerate(PRECISIONS):
                held = replace(node, layer=with_values(node.layer, dtype))
                for pair in values:
                    _compute(held, pair[place], dtype)
        for case, pair, calls, carried in zip(cases, values, done, states, strict=True):
            calls.append(_call(model, case.calls[turn], carried[0], *pair))
            carried[:] = [{s.input.name: made[s.output.name] for s in model.states} for made in pair]
    return done


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
