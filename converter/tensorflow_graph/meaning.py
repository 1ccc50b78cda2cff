"""What a step of the graph gives: by which rule it becomes neutral nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from converter.model import Value
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.loops import translate_loop
from converter.tensorflow_graph.rules import RULES
from converter.tensorflow_graph.rules_branches import translate_branches
from converter.tensorflow_graph.rules_complex import Complex, on_complex
from converter.tensorflow_graph.rules_spread import Computed, Spread, computed, on_spread
from converter.tensorflow_graph.running import BRANCHES, CALLS, LOOPS, body_of
from converter.tensorflow_graph.sizes import Dims
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import LINEAR
from converter.tensorflow_graph.walking import Walk


def outputs_of(t: Translating, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
    """The outputs of one step, as neutral values or what is known of them.

    Raises:
        Unsupported: an operator, or its operands, that have no meaning here.
    """
    if step.op in CALLS:
        return walk.call(body_of(step, t.library), inputs)
    if step.op in LOOPS:
        return translate_loop(t, step, inputs, walk)
    if step.op in BRANCHES:
        return translate_branches(t, step, inputs, walk)
    if any(isinstance(x, Complex) for x in inputs):
        return [on_complex(t, step, inputs, lambda parts: t.step(step, parts, walk))]
    if any(isinstance(x, Spread) for x in inputs):
        return [on_spread(t, step, inputs, lambda one, given: t.step(one, given, walk))]
    remainder = step.op == "FloorMod" and isinstance(inputs[0], Dims)
    if remainder and isinstance(inputs[1], np.ndarray) and not np.any(np.abs(inputs[1]) != 1):
        return [np.zeros(np.broadcast_shapes(inputs[0].array.shape, inputs[1].shape), inputs[0].dtype)]
    if (remainder or any(isinstance(x, Computed) for x in inputs)) and step.op != "SpaceToBatchND":
        return [computed(step, inputs)]
    rule: Callable[..., Any] | None = RULES.get(step.op)
    made = t.all_folded(step, inputs) if rule is None else rule(t, step, *inputs)
    if made is None:
        made = t.by_row(step, inputs)
    t.settle()
    made = made if isinstance(made, list) else [made]
    if step.op in LINEAR and any(isinstance(x, Value) and t.memory.filled.get(x.name) == 0 for x in inputs):
        t.memory.filled.update({x.name: 0.0 for x in made if isinstance(x, Value)})
    return made
