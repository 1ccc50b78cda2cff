"""Seeded inputs that a model accepts and that reach its corners: index ranges, padding patterns, two lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converter.model import Array, Model, Node, Value, dtype_of
from converter.model.layers import (
    Cast,
    Concatenate,
    Constant,
    Elementwise,
    Embedding,
    ExpandDims,
    FoldTime,
    Gather,
    GatherND,
    Lookup,
    LowerCase,
    OneHot,
    Pad,
    RemoveCharacters,
    Repeat,
    Reshape,
    Scan,
    Slice,
    SplitWords,
    Squeeze,
    TakeAlong,
    Tile,
    Transpose,
    Where,
)  # fmt: skip
from converter.verification.corners import PATTERNS, pattern
from converter.verification.text_inputs import Words

# Their output holds values of their first input, unchanged (Concatenate: of all inputs; Where: of the last two).
_CARRIERS = (Cast, FoldTime, Reshape, Transpose, Concatenate, ExpandDims, Squeeze, Repeat, Tile, Pad, Slice, Gather,
             LowerCase, RemoveCharacters, SplitWords, Where)  # fmt: skip


@dataclass
class Traits:
    """What a model expects of one of its inputs.

    Attributes:
        limit: values are integers in [0, limit), or None.
        markers: values that stand for a masked step (Embedding's 0, Masking's mask_value, a lookup's mask token).
        words: what lookups know, or None where none reads it.
    """

    limit: int | None = None
    markers: list[Any] = field(default_factory=list)
    words: Words | None = None

    def read_by(self, layer: Lookup | SplitWords) -> None:
        """A lookup, or what splits text for one, reads the values."""
        self.words = self.words or Words()
        self.words.note(layer)

    def narrow(self, limit: int | None) -> None:
        """Values must also be below `limit`."""
        if limit is not None:
            self.limit = limit if self.limit is None else min(self.limit, limit)


@dataclass(frozen=True)
class Case:
    """Inputs by name for one or more calls, the user's `own` or made here; states are carried from call to call."""

    batch: int
    calls: tuple[Mapping[str, Array], ...]
    own: bool = False

    @property
    def size(self) -> int:
        """How many values its first call holds."""
        return sum(array.size for array in self.calls[0].values())

    @property
    def lengths(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of its inputs, without the batch."""
        return tuple(array.shape[1:] for array in self.calls[0].values())

    @property
    def label(self) -> str:
        """The case in words: the shapes of its inputs."""
        shapes = " ".join(str(list(array.shape)) for array in self.calls[0].values())
        calls = f", {len(self.calls)} calls" if len(self.calls) > 1 else ""
        return f"{'yours: ' if self.own else ''}{shapes}{calls}"


def traits_of(model: Model) -> dict[str, Traits]:
    """The traits of every input, found by following it through the nodes that only move values."""
    traits = {value.name: Traits() for value in model.inputs}
    carried = {value.name: frozenset((value.name,)) for value in model.inputs}
    constants: dict[str, Array] = {}
    tables: dict[str, Node] = {}  # lookups by their output
    for node in _with_bodies(model.nodes):
        if isinstance(node.layer, Constant) and node.layer.weight.size == 1:
            constants[node.outputs[0].name] = node.layer.weight.read()
        if isinstance(node.layer, Lookup):
            tables[node.outputs[0].name] = node
        _note(node, carried, constants, traits)
        _note_words(node, carried, constants, traits, tables)
        if isinstance(node.layer, _CARRIERS):
            read = _sources(node)
            origins = [carried.get(value.name, frozenset()) for value in read if value is not None]
            carried[node.outputs[0].name] = frozenset().union(*origins)
    return traits


def _with_bodies(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes, those of bodies for Scans, behind nodes by which what is read outside goes on inside."""
    for node in nodes:
        if isinstance(node.layer, Scan):
            pairs = zip(node.layer.inputs, node.inputs, strict=True)
            yield from (Node(inner.name, ExpandDims(()), (outer,), (inner,), "") for inner, outer in pairs)
            yield from _with_bodies(node.layer.nodes)
        else:
            yield node


def _sources(node: Node) -> tuple[Value | None, ...]:
    """Inputs whose values a carrier's output holds."""
    if isinstance(node.layer, Concatenate):
        return node.inputs
    return node.inputs[1:] if isinstance(node.layer, Where) else node.inputs[:1]


def _note(
    node: Node, carried: Mapping[str, frozenset[str]], constants: Mapping[str, Array], traits: Mapping[str, Traits]
) -> None:
    """What `node` says of the inputs that reach it unchanged."""
    names = [value.name if value is not None else "" for value in node.inputs]
    layer = node.layer
    if isinstance(layer, Embedding):
        limits = {names[0]: layer.table.shape[0]}
    elif isinstance(layer, OneHot):
        limits = {names[0]: layer.depth}
    elif isinstance(layer, Gather | TakeAlong) and node.inputs[0] is not None:
        limits = {names[1]: node.inputs[0].shape[layer.axis] or 1}
    elif isinstance(layer, GatherND) and node.inputs[0] is not None:
        limits = {names[1]: min(n or 1 for n in node.inputs[0].shape[layer.batch_axes :])}
    elif isinstance(layer, Elementwise) and layer.op in ("equal", "not_equal"):
        for constant in (name for name in set(names) & set(constants) if np.isfinite(constants[name]).all()):
            for origin in {o for name in names for o in carried.get(name, ())}:
                traits[origin].markers.append(float(constants[constant].reshape(())))
        return
    else:
        return
    for name, limit in limits.items():
        for origin in carried.get(name, ()):
            traits[origin].narrow(limit)


def _note_words(
    node: Node,
    carried: Mapping[str, frozenset[str]],
    constants: Mapping[str, Array],
    traits: Mapping[str, Traits],
    tables: Mapping[str, Node],
) -> None:
    """What a lookup says of the inputs that reach it, and a comparison of indices of their mask token."""
    names = [value.name for value in node.inputs if value is not None]
    if isinstance(node.layer, Lookup | SplitWords):
        for origin in carried.get(names[0], ()):
            traits[origin].read_by(node.layer)
    if not isinstance(node.layer, Elementwise) or node.layer.op not in ("equal", "not_equal"):
        return
    for table in (tables[name] for name in names if name in tables):
        assert isinstance(table.layer, Lookup) and table.inputs[0] is not None
        compared = [constants[name].reshape(()).item() for name in names if name in constants]
        masks = [key for key, value in zip(table.layer.keys, table.layer.values, strict=True) if value in compared]
        for origin in carried.get(table.inputs[0].name, ()):
            traits[origin].markers += masks


# Batch and length of each case; the rows of the last have every mask in every pattern, and are no two alike.
SHAPES = ((1, 1), (2, 2), (8, 7))
LENGTHS = (29, 60, 113, 449, 480, 1801, 2520, 7177, 7200)
"""For a model that needs more steps than the last: primes, which leave a rest in every window and stride, and multiples
of many numbers, for a Reshape that takes no other."""


def cases_of(model: Model, seed: int = 0, shapes: Sequence[tuple[int, int]] = SHAPES) -> list[Case]:
    """The cases to verify `model` with, one for each pair of batch and length where these are open.

    Args:
        model: any neutral model.
        seed: of the random values; the same seed gives the same cases.
        shapes: the pairs; where the model fixes both, one case is all there is.
    """
    traits = traits_of(model)
    entries = [*(state.input for state in model.states), *model.inputs]
    fixed = next((value.shape[0] for value in entries if value.shape[0]), None)
    calls = 2 if model.states else 1
    cases: dict[str, Case] = {}
    for index, (batch, length) in enumerate(shapes):
        rng = np.random.default_rng((seed, index))
        made = tuple(
            {
                value.name: _values(value, traits[value.name], fixed or batch, length, rng, index + call + place)
                for place, value in enumerate(model.inputs)
            }
            for call in range(calls)
        )
        case = Case(fixed or batch, made)
        cases[case.label] = case
    return list(cases.values())


def _values(
    value: Value, traits: Traits, batch: int, length: int, rng: np.random.Generator, first_pattern: int
) -> Array:
    shape = tuple(size or (length if axis else batch) for axis, size in enumerate(value.shape))
    dtype = dtype_of(value.dtype)
    if dtype.kind == "b":
        return _steps(shape, rng, first_pattern)
    if dtype.hasobject or (traits.words is not None and traits.limit is None):
        made = (traits.words or Words()).values(shape, length, rng, dtype)
    elif traits.limit is not None or dtype.kind in "iu":
        made = rng.integers(0, traits.limit or 10, shape).astype(dtype)
    else:
        made = rng.standard_normal(shape).astype(dtype)
    if (
        traits.markers
        and len(shape) > 1
        and not (traits.words and traits.words.split)
        and _is(dtype, traits.markers[0])
    ):
        made[~_steps(shape[:2], rng, first_pattern)] = traits.markers[0]
    return made


def _is(dtype: np.dtype[Any], marker: Any) -> bool:
    """Whether a type of whole numbers has a marker; others have all."""
    if dtype.kind not in "iu":
        return True
    return float(marker).is_integer() and np.iinfo(dtype).min <= marker <= np.iinfo(dtype).max


def _steps(shape: tuple[int, ...], rng: np.random.Generator, first_pattern: int) -> Array:
    """True where a step is to be used, [batch, time, ...]; each row is masked in its own way."""
    used = np.ones(shape, np.bool_)
    for row in range(shape[0] if len(shape) > 1 else 0):
        steps = pattern(PATTERNS[(first_pattern + row) % len(PATTERNS)], shape[1], rng)
        used[row] = steps.reshape(-1, *[1] * (len(shape) - 2))
    return used
