"""Runs a body that computes in float16 or bfloat16 as if it had float32: what the graph means, but for its rounding.

Half precision rounds so much that two right evaluations of a deep model may differ in the first digit. What the graph
makes of stored numbers alone keeps its type and is rounded as the graph says, since that is part of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converter.model import Array
from converter.tensorflow_graph.definitions import Library, Step
from converter.tensorflow_graph.running import BRANCHES, CALLS, LOOPS, Running, Variable
from converter.tensorflow_graph.walking import Walk

LOW = frozenset({"float16", "bfloat16"})
_PASSED_ON = CALLS | LOOPS | BRANCHES | {"Placeholder", "PlaceholderWithDefault"}


class RunningWide(Running):
    """The meaning of steps on arrays, those of half precision widened to float32."""

    def __init__(
        self, library: Library, variables: Mapping[str, Variable] | None = None, feed: Mapping[str, Array] | None = None
    ) -> None:
        super().__init__(library, variables, {name: _wide(x) for name, x in (feed or {}).items()})
        self._stored: dict[int, Any] = {id(one.value): one.value for one in self.variables.values()}
        self._made: dict[tuple[int, ...], Sequence[Any]] = {}  # of stored numbers, by step and numbers

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        """The outputs of one step."""
        if step.op in _PASSED_ON or any(isinstance(x, Variable) for x in inputs):
            return super().step(step, inputs, walk)
        if all(id(x) in self._stored for x in inputs):
            key = (id(step), *map(id, inputs))
            if key not in self._made:
                self._made[key] = super().step(step, inputs, walk)
                self._stored.update({id(x): x for x in self._made[key] if isinstance(x, np.ndarray | np.generic)})
            return self._made[key]
        if step.op == "Cast" and step.attributes["DstT"] in LOW:
            return [np.asarray(inputs[0]).astype(np.float32)]
        return super().step(step, [_wide(x) for x in inputs], walk)


def _wide(x: Any) -> Any:
    return x.astype(np.float32) if isinstance(x, np.ndarray | np.generic) and x.dtype.name in LOW else x
