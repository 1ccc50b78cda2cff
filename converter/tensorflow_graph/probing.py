"""Runs a loop's body once, in NumPy, on random inputs, states and weights; the loop itself is never run.

Half precision runs as float32: its rounding would hide which activation it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Array, Value, constant, dtype_of
from converter.tensorflow_graph.definitions import Body
from converter.tensorflow_graph.packings import Candidate
from converter.tensorflow_graph.running import Variable
from converter.tensorflow_graph.running_wide import RunningWide
from converter.tensorflow_graph.sizes import Dim, Dims
from converter.tensorflow_graph.tracing import NotRecurrent, Roles
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import Resource, Stored, TensorList
from converter.tensorflow_graph.walking import Walk

ROWS, OTHER = 7, 3  # of the batch; of other open sizes
MAX_STEPS = 100_000
SCALES = (1.0, 0.3, 3.0)
MAX_SAMPLE = 1 << 26  # values of one weight


@dataclass(frozen=True, eq=False)
class Probed:
    """One step.

    Attributes:
        x: read from each list, by the number of the list.
        old: states before, by number.
        new: what became of every variable; of a list, its last element.
        candidates: weights that the step can read.
    """

    x: Mapping[int, Array]
    old: Mapping[int, Array]
    new: Sequence[Any]
    candidates: tuple[Candidate, ...]


class Prober:
    """Samples for the variables of one loop, and runs of its body."""

    def __init__(self, t: Translating, roles: Roles, body: Body, inputs: Sequence[Any]) -> None:
        self.t, self.roles, self.body, self.inputs = t, roles, body, inputs
        self.random = np.random.default_rng(0)
        self.sizes = self._sizes()
        self.candidates: list[Candidate] = []
        self.arguments = [self._argument(k, x) for k, x in enumerate(inputs)]

    def _sizes(self) -> dict[str, int]:
        """A number for each open size; rows of lists and states are as many as a fixed one says."""
        sizes = dict.fromkeys(self.t.symbols, OTHER)
        rows = [self._axes_of(k)[0] for k in (*self.roles.read, *self.roles.states) if self._axes_of(k)]
        fixed = next((n for n in rows if isinstance(n, int)), ROWS)
        for n in rows:
            if isinstance(n, Dim) and n.name is not None:
                sizes[n.name] = fixed
        return sizes

    def _axes_of(self, k: int) -> Sequence[Any]:
        x = self.inputs[k]
        if isinstance(x, TensorList):
            return () if x.stacked is None else self.t.axes(x.stacked)[1:]
        if isinstance(x, Stored):
            return x.weight.shape
        return self.t.axes(x) if isinstance(x, Value) else np.shape(x) if isinstance(x, np.ndarray) else ()

    def _argument(self, k: int, x: Any) -> Any:
        roles = self.roles
        if k in roles.counters:
            first = next((-place.offset for place in roles.places.values() if place.argument == k), 0)
            return np.asarray(first, x.dtype)
        if isinstance(x, TensorList):
            return self._sample(self._axes_of(k), x.stacked.dtype)[None] if x.stacked is not None else (None,)
        if isinstance(x, Resource):
            return Variable(x.name, self._constant(x.value))
        if isinstance(x, Dims):
            return np.array([self._at(n) for n in x.axes()], x.dtype).reshape(x.array.shape)
        if isinstance(x, Value):
            if x.name in self.t.memory.filled and k not in roles.states:
                shape = [self._at(n) for n in self.t.axes(x)]
                return np.full(shape, self.t.memory.filled[x.name], dtype_of(x.dtype))
            return self._sample(self.t.axes(x), x.dtype)
        if k in roles.states:
            array = np.asarray(x.weight.read() if isinstance(x, Stored) else x)
            return self._sample(array.shape, array.dtype.name)
        return self._constant(x)

    def _at(self, n: Any) -> int:
        return n.at(self.sizes) if isinstance(n, Dim) else int(n)

    def _sample(self, axes: Sequence[Any], dtype: str) -> Array:
        """Random numbers, small in some rows and large in others; True; or zeros for whole numbers."""
        shape = tuple(self._at(n) for n in axes)
        if np.prod(shape, dtype=np.int64) > MAX_SAMPLE:
            raise Unsupported(f"a step on a tensor of shape {list(shape)}")
        if dtype == "bool":
            return np.ones(shape, np.bool_)
        made = self.random.normal(0, 1, shape)
        if shape:
            scales = np.resize(SCALES, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
            made = made * scales
        return made.astype(dtype_of(dtype)) if np.dtype(dtype_of(dtype)).kind not in "iu" else np.zeros(shape, dtype)

    def _constant(self, x: Any) -> Any:
        """A weight becomes random, and a candidate; other constants stay."""
        if isinstance(x, Value):
            return self._sample(self.t.axes(x), x.dtype)
        if not isinstance(x, Stored):
            x = np.asarray(x)
            if x.dtype.kind != "f" or x.size < 2:
                return x
        weight = x.weight if isinstance(x, Stored) else constant("constant", x)
        if not weight.dtype.startswith(("float", "bfloat")):
            return weight.read()
        if weight.size > MAX_SAMPLE:
            raise NotRecurrent(f"a weight of shape {list(weight.shape)}")
        spread = 0.5 if len(weight.shape) < 2 else 0.9 / math.sqrt(max(1, math.prod(weight.shape[:-1])))
        sample = self.random.normal(0, spread, weight.shape).astype(np.float16).astype(dtype_of(weight.dtype))
        self.candidates.append(Candidate(sample.astype(np.float64), weight))
        return sample

    def at(self, time: int, lengths: Mapping[int, Array]) -> dict[int, Any]:
        """The arguments of a step of this number, with these lengths; lists hold the same element at each step."""
        written = {k for k, (every, _) in self.roles.written.items() if every}
        changed: dict[int, Any] = {k: np.asarray(time, self.arguments[k].dtype) for k in self.roles.counters}
        for k in {*self.roles.read, *written}:
            items = self.arguments[k]
            changed[k] = items * (time + 1) if isinstance(items, tuple) else np.repeat(items, time + 1, 0)
        return {**changed, **lengths}

    def run(self, changed: Mapping[int, Any] | None = None) -> Probed:
        """One step, with some arguments replaced.

        Raises:
            NotRecurrent: the body does not run on such samples.
        """
        arguments = [(changed or {}).get(k, x) for k, x in enumerate(self.arguments)]
        try:
            made = Walk(RunningWide(self.t.library), MAX_STEPS).call(self.body, arguments)
        except (Unsupported, InvalidModel) as error:
            raise NotRecurrent(f"a step that cannot be run: {error}") from error
        new = [x[-1] if isinstance(x, tuple) and x else x for x in made]
        x = {k: np.asarray(arguments[k][0]) for k in self.roles.read}
        old = {k: np.asarray(arguments[k]) for k in self.roles.states}
        return Probed(x, old, new, tuple(self.candidates))
