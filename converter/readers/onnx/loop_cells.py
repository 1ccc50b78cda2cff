"""A Loop whose body is a step of a known cell, as a recurrent layer.

Found by trying, as for SavedModels (tensorflow_graph/cells.py): the body is run on random numbers, its weights random
as well, so that no weights of a file look like another cell; where it is masked, also on rows of which some are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.model import Array, Value, layers
from converter.model.layers import Direction, MaskedOutput, Recurrent
from converter.readers.onnx.fitting import fitting
from converter.readers.onnx.loop import Loop
from converter.readers.onnx.loop_ops import LOOP_OPS
from converter.readers.onnx.steps import run
from converter.readers.onnx.tensors import Const, Tensor, Val, Zeros, is_zero
from converter.readers.onnx.values import Builder
from converter.tensorflow_graph.cells import Found, StepRun, find_cell
from converter.tensorflow_graph.packings import Candidate

_ROWS = 21  # of a batch
_SCALES = (1.0, 0.3, 3.0)  # of these rows in turn
_LARGEST = 1 << 26  # numbers of a weight


@dataclass(frozen=True)
class _Cell:
    """A cell, and what else the loop does.

    Attributes:
        found: the cell; its states are places in `states`.
        states: places of its states among the variables.
        previous: place of the variable that keeps the last output, or None.
        x, mask: names of the elements.
        rule: what masked steps put out.
    """

    found: Found
    states: tuple[int, ...]
    previous: int | None
    x: str
    mask: str | None
    rule: MaskedOutput


def as_cell(builder: Builder, loop: Loop) -> list[Tensor] | None:
    """Final states and sequences; None where the body is no step of a known cell."""
    dtypes = {name: x.value.dtype for name, x in loop.elements.items() if isinstance(x, Val)}
    masks = [name for name, dtype in dtypes.items() if dtype == "bool"]
    xs = [name for name in dtypes if name not in masks]
    if len(xs) != 1 or len(masks) > 1 or not loop.states:
        return None
    try:
        with np.errstate(all="ignore"), fitting("the body of a Loop", loop.call.inputs, ()):
            cell = _Steps(builder, loop, xs[0], masks[0] if masks else None).recognized()
    except Unsupported:
        return None
    if cell is None or (cell.previous is not None and not is_zero(loop.initial(cell.previous))):
        return None
    return _layer(builder, loop, cell)


class _Steps:
    """Runs of a body on samples."""

    def __init__(self, builder: Builder, loop: Loop, x: str, mask: str | None) -> None:
        self.loop, self.x, self.mask = loop, x, mask
        self.random = np.random.default_rng(0)
        self.candidates: list[Candidate] = []
        read = {name for node in loop.nodes for name in node.input if name in loop.outer}
        self.values: dict[str, Array] = {name: self._outer(loop.outer[name]) for name in sorted(read)}
        self.dtype = _val(loop.elements[x]).value.dtype
        self.batch = _val(loop.elements[x]).shape[1] or _ROWS
        self.rows = self.batch * -(-_ROWS // self.batch)
        self.values[x] = self._sample(_val(loop.elements[x]).shape[1:])
        self.states = [loop.variables[place] for place in loop.states]
        self.made = [loop.results[k] for k in range(len(loop.results)) if k in loop.states or k >= len(loop.variables)]
        for place in loop.states:
            self.values[loop.variables[place]] = self._sample(_shape(builder, loop.initial(place)))

    def _outer(self, tensor: Tensor) -> Array:
        """A weight becomes random, and a candidate; other numbers stay."""
        if isinstance(tensor, Zeros) and tensor.shape is not None and len(tensor.shape) == 2:
            return np.zeros(())  # what a masked step puts out
        if not isinstance(tensor, Const):
            raise Unsupported("a step that reads what is computed")
        weight = tensor.weight
        if weight.size > _LARGEST:
            raise Unsupported("a step on a large array")
        if not weight.dtype.startswith("float"):
            return weight.read()
        if weight.size < 2 or (len(weight.shape) == 2 and is_zero(tensor)):  # what a masked step puts out
            return weight.read().astype(np.float64)
        spread = 0.5 if len(weight.shape) < 2 else 0.9 / math.sqrt(max(1, math.prod(weight.shape[:-1])))
        sample = self.random.normal(0, spread, weight.shape)
        self.candidates.append(Candidate(sample, weight))
        return sample

    def _sample(self, shape: tuple[int | None, ...]) -> Array:
        """Random rows, small and large; the first axis is the batch."""
        if len(shape) != 2 or shape[1] is None:
            raise Unsupported("a step on other things than rows")
        return np.resize(_SCALES, (self.rows, 1)) * self.random.normal(0, 1, (self.rows, shape[1]))

    def run(self, on: Array) -> Mapping[str, Array]:
        """What one step makes; `on` [rows] says which are not masked. A batch of known size is run several times."""
        loop, parts = self.loop, []
        changing = {self.x: self.values[self.x]} | {name: self.values[name] for name in self.states}
        if self.mask is not None:
            rank = len(_val(loop.elements[self.mask]).shape) - 1
            changing[self.mask] = on.reshape(-1, *[1] * (rank - 1))
        for start in range(0, self.rows, self.batch):
            values = self.values | {name: array[start : start + self.batch] for name, array in changing.items()}
            run(loop.nodes, values, LOOP_OPS)
            parts.append(values)
        return {name: np.concatenate([values[name] for values in parts]) for name in self.made}

    def recognized(self) -> _Cell | None:
        """The cell, if it is one."""
        loop, values = self.loop, self.run(np.ones(self.rows, np.bool_))
        states = list(loop.states)
        outputs = [values[name] for name in loop.results[len(loop.variables) :]]
        new = {place: values[loop.results[place]] for place in states}
        previous = None
        if self.mask is not None and len(states) > 1 and len(outputs) == 1 and _same(new[states[0]], outputs[0]):
            previous = states.pop(0)
        old = tuple(self.values[loop.variables[place]] for place in states)
        seen = StepRun(self.values[self.x], old, tuple(new[place] for place in states), self.dtype)
        found = find_cell(seen, self.candidates)
        if found is None or len(found.states) != len(states):
            return None
        own = tuple(states[k] for k in found.states)
        if len(outputs) > 1 or any(not _same(y, new[own[0]]) for y in outputs):
            return None
        rule: MaskedOutput | None = "previous" if self.mask is None else self._rule(own, previous)
        return None if rule is None else _Cell(found, own, previous, self.x, self.mask, rule)

    def _rule(self, states: tuple[int, ...], previous: int | None) -> MaskedOutput | None:
        """What masked steps put out; None where they do something else than to keep the states."""
        loop, on = self.loop, np.arange(self.rows) % 3 != 0
        every, some = self.run(np.ones(self.rows, np.bool_)), self.run(on)
        for place in states:
            name, before = loop.results[place], self.values[loop.variables[place]]
            if not _same(some[name], np.where(on[:, None], every[name], before)):
                return None
        outputs = loop.results[len(loop.variables) :]
        if not outputs or (previous is not None and not _same(some[outputs[0]], some[loop.results[previous]])):
            return None
        befores: list[tuple[MaskedOutput, Array]] = [("zero", np.zeros_like(every[outputs[0]]))]
        befores.append(("state", self.values[loop.variables[states[0]]]))
        if previous is not None:
            befores.insert(0, ("previous", self.values[loop.variables[previous]]))
        return next((rule for rule, before in befores
                     if _same(some[outputs[0]], np.where(on[:, None], every[outputs[0]], before))), None)  # fmt: skip


def _val(tensor: Tensor) -> Val:
    assert isinstance(tensor, Val)
    return tensor


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-12, atol=1e-12))


def _shape(builder: Builder, tensor: Tensor) -> tuple[int | None, ...]:
    """Of an initial state."""
    if isinstance(tensor, Const):
        return tensor.weight.shape
    shape: Any = getattr(tensor, "shape", None)
    if shape is None:
        raise Unsupported("a state of unknown shape")
    return tuple(size if isinstance(size, int) else None for size in shape)


def _layer(builder: Builder, loop: Loop, cell: _Cell) -> list[Tensor]:
    """The recurrent layer; its input is not reversed first, but taken backwards."""
    name = loop.call.name
    x = _batch_first(builder, loop, cell.x)
    mask = None if cell.mask is None else _rows(builder, loop, cell.mask)
    turned = [_unturned(builder, value) for value in (x, mask) if value is not None]
    backwards = all(value is not None for value in turned)
    if backwards:
        x, mask = (*turned, None)[:2]  # type: ignore[assignment]
    initial = [None if is_zero(loop.initial(k)) else builder.value(loop.initial(k), name) for k in cell.states]
    layer = Recurrent((Direction(cell.found.cell, backwards),), None, True, cell.rule)
    units = cell.found.cell.units  # type: ignore[union-attr]
    state = (x.shape[0], units)
    y, *finals = builder.node(name, layer, (x, mask, *initial), (*x.shape[:2], units), *[state] * len(initial))
    by_place = dict(zip(cell.states, finals, strict=True))
    if cell.previous is not None:
        last = Recurrent(layer.directions, None, False, cell.rule)
        (h, *_) = builder.node(f"{name}/last", last, (x, mask, *initial), state, *[state] * len(initial))
        by_place[cell.previous] = h
    sequences = loop.results[len(loop.variables) :]
    return [*(Val(by_place[place]) for place in loop.states), *(Val(y, True) for _ in sequences)]


def _batch_first(builder: Builder, loop: Loop, name: str) -> Value:
    element = _val(loop.elements[name])
    return builder.value(Val(element.value, not element.swapped), loop.call.name)


def _rows(builder: Builder, loop: Loop, name: str) -> Value:
    """A mask [time, batch, 1] as [batch, time]."""
    value = _batch_first(builder, loop, name)
    if len(value.shape) == 2:
        return value
    return builder.node(f"{loop.call.name}/mask", layers.Squeeze((2,)), (value,), value.shape[:2])[0]


def _unturned(builder: Builder, value: Value) -> Value | None:
    """What a value was before its time was reversed, if it was."""
    made = builder.producer(value)
    turned = made is not None and made.layer == layers.Slice((1,), (None,), (None,), (-1,))
    return made.inputs[0] if made is not None and turned else None
