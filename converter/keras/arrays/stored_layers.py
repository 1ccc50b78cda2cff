"""The layers of a file that holds weights alone: their names, their arrays, and their order where the file says it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from converter.keras.arrays.recognize import Guess, recognize
from converter.keras.source import FlatWeights, NamedWeights, ObjectWeights, PathWeights
from converter.model import Weight

MAX_LAYERS = 200
MAX_ORDERS = 50_000  # states of the search for an order; beyond it the order counts as unknown
# Below an object of a checkpoint: where a layer keeps its arrays.
_OBJECT_ARRAYS = (
    ("embeddings",), ("cell", "kernel"), ("cell", "recurrent_kernel"), ("cell", "bias"), ("kernel",),
    ("recurrent_kernel",), ("bias",), ("gamma",), ("beta",), ("moving_mean",), ("moving_variance",),
)  # fmt: skip


@dataclass(frozen=True)
class StoredLayers:
    """What is known of the layers.

    Attributes:
        layers: in order, if `ordered`.
        ordered: whether the file says the order, or only one is possible.
        chained: whether each layer's input can be what the layer with arrays before it puts out.
        silent: whether the file leaves out layers without arrays.
        unplaced: layers without arrays that the file names, but not where they are.
    """

    layers: tuple[Guess, ...]
    ordered: bool = True
    silent: bool = True
    unplaced: tuple[str, ...] = ()

    @property
    def chained(self) -> bool:
        """Whether each layer's input can be what the layer with arrays before it puts out."""
        return not self.ordered or _follows(self.layers)


def stored_layers(weights: Any) -> StoredLayers:
    """The layers of a file's weights."""
    if isinstance(weights, FlatWeights):
        return StoredLayers(tuple(recognize(name, arrays) for name, arrays in weights.layers.items()), silent=False)
    if isinstance(weights, NamedWeights):
        groups = {name: [*arrays] for name, arrays in itertools.groupby(
            (w for w in weights.arrays.values() if "/" in w.name), key=lambda w: w.name.split("/")[0])}  # fmt: skip
        return _in_order([[recognize(name, _kernels_first(arrays))] for name, arrays in groups.items()], ())
    if isinstance(weights, PathWeights):
        return _of_paths(weights)
    numbered = any(name.startswith("layer_with_weights-") for name in weights.children())
    found = list(_of_objects(weights, numbered))
    return StoredLayers(tuple(found)) if numbered else _in_order([[guess] for guess in found], ())


def _kernels_first(arrays: Sequence[Weight]) -> list[Weight]:
    """The variables of a layer in Keras' order."""
    places = {path[-1]: k for k, path in enumerate(_OBJECT_ARRAYS)}
    return sorted(arrays, key=lambda w: ("backward" in w.name, places.get(w.name.split("/")[-1].split(":")[0], 99)))


def _of_paths(root: PathWeights) -> StoredLayers:
    container = root.group("layers") or root.group("_layer_checkpoint_dependencies")
    top = container or root
    by_class: dict[str, list[tuple[int, Guess]]] = {}
    unplaced: list[str] = []
    for name in top.children():
        group = top.group(name)
        if group is None or name in {"optimizer", "layers"}:
            continue
        match = re.fullmatch(r"(.+?)(?:_(\d+))?", name)
        assert match is not None
        arrays = tuple(_below(group))
        own = group.name() or name
        if arrays:
            kind = match[1] if container is not None else re.sub(r"_\d+$", "", own)
            by_class.setdefault(match[1], []).append((int(match[2] or 0), recognize(own, arrays, kind)))
        elif match[1] != "input_layer":
            unplaced.append(own)
    sequences = [[guess for _, guess in sorted(found, key=lambda pair: pair[0])] for found in by_class.values()]
    if container is None:  # of a sub-classed model: attributes, in no order
        sequences = [[guess] for guesses in sequences for guess in guesses]
    return _in_order(sequences, tuple(unplaced))


def _below(group: PathWeights) -> Iterator[Weight]:
    yield from group.variables()
    for name in sorted(group.children(), key=lambda name: (name != "forward_layer", name)):
        inner = group.group(name)
        if inner is not None:
            yield from _below(inner)


def _of_objects(root: ObjectWeights, numbered: bool) -> Iterator[Guess]:
    """By number; the objects of a sub-classed model by their attributes."""
    names = [name for name in root.children() if name.startswith("layer_with_weights-") or not numbered]
    for name in sorted(names, key=lambda name: int(name.rpartition("-")[2])) if numbered else names:
        node = root.child(name)
        arrays = _of_object(node) if node is not None else ()
        if arrays:
            yield recognize(name if not numbered else _called(arrays, name), arrays)


def _of_object(node: ObjectWeights) -> tuple[Weight, ...]:
    sides = [side for side in (node.child("forward_layer"), node.child("backward_layer")) if side] or [node]
    found = [side.child(*path) for side in sides for path in _OBJECT_ARRAYS]
    arrays = [child.variable() for child in found if child is not None]
    return tuple(weight for weight in arrays if weight is not None)


def _called(arrays: Sequence[Weight], edge: str) -> str:
    """The layer's name as its variables bear it, or else a name of its number."""
    first = arrays[0].name.split("/")
    return first[0] if len(first) > 1 and "ATTRIBUTES" not in arrays[0].name else edge.replace("_with_weights-", "_")


# --- order ------------------------------------------------------------------------------------------------------------


def _follows(layers: Sequence[Guess]) -> bool:
    kept = [guess for guess in layers if guess.arrays]
    return all(_fits(before, after) or _flattened(before, after) for before, after in itertools.pairwise(kept))


def _flattened(before: Guess, after: Guess) -> bool:
    """Whether a Flatten between them explains the features, which are those of all steps."""
    return bool(before.units and after.features) and (after.features or 0) % (before.units or 1) == 0


def _fits(before: Guess, after: Guess) -> bool:
    """Whether `after` can take what `before` puts out: in so many features, or in unknown ones."""
    if after.class_name == "Embedding":
        return False
    if before.units is None or after.features is None:
        return True
    halves = before.class_name == "Bidirectional" and before.units == 2 * after.features
    return before.units == after.features or halves


def _in_order(sequences: list[list[Guess]], unplaced: tuple[str, ...]) -> StoredLayers:
    """Sequences of layers merged in the only way in which each feeds the next; as they stand where there is no such."""
    if len(sequences) == 1:
        return StoredLayers(tuple(sequences[0]), unplaced=unplaced)
    few = sum(map(len, sequences)) <= MAX_LAYERS and prod(len(one) + 1 for one in sequences) <= MAX_ORDERS
    ways = _merges(sequences) if few else []
    if len(ways) == 1:
        return StoredLayers(tuple(ways[0]), unplaced=unplaced)
    return StoredLayers(tuple(guess for one in sequences for guess in one), False, unplaced=unplaced)


def _merges(sequences: list[list[Guess]]) -> list[list[Guess]]:
    """Up to two ways to merge the sequences into one chain, by how many layers of each are taken and which was last."""
    start = tuple(0 for _ in sequences)
    known: dict[tuple[tuple[int, ...], int], list[list[Guess]]] = {}

    def ways(taken: tuple[int, ...], last: int) -> list[list[Guess]]:
        if (taken, last) in known:
            return known[taken, last]
        if all(n == len(one) for n, one in zip(taken, sequences, strict=True)):
            return [[]]
        found: list[list[Guess]] = []
        for k, one in enumerate(sequences):
            n = taken[k]
            if n < len(one) and len(found) < 2 and (last < 0 or _fits(sequences[last][taken[last] - 1], one[n])):
                rest = ways((*taken[:k], n + 1, *taken[k + 1 :]), k)
                found += [[one[n], *way] for way in rest[: 2 - len(found)]]
        known[taken, last] = found
        return found

    return ways(start, -1)
