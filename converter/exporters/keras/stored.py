"""model.weights.h5 as groups of arrays, which archive.py writes and structure.py binds to the layers again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from converter.exporters.keras.graph import Op
from converter.keras.arrays.binding import snake_case
from converter.keras.source import PathWeights
from converter.model import Weight


@dataclass(frozen=True, eq=False)
class Group(PathWeights):
    """A group: its arrays by number, the groups below it, and the layer it is of ("" where that has no name)."""

    layer: str = ""
    arrays: dict[str, Weight] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    def group(self, *path: str) -> Group | None:
        """See `PathWeights`."""
        found: Group | None = self
        for name in path:
            found = None if found is None else found.groups.get(name)
        return found

    def children(self) -> tuple[str, ...]:
        """See `PathWeights`."""
        return tuple(self.groups)

    def variables(self) -> tuple[Weight, ...]:
        """See `PathWeights`."""
        return tuple(self.arrays.values())

    def array(self, name: str) -> Weight | None:
        """See `PathWeights`."""
        return self.arrays.get(name)

    def vocabulary(self) -> Weight | None:
        """None: no layer with words is written."""
        return None

    def name(self) -> str | None:
        """See `PathWeights`."""
        return self.layer or None


def group_of(ops: Iterable[Op], layer: str = "") -> Group:
    """The group of a model.

    Args:
        ops: its layers and operations, in Keras' own order: those of one class are numbered in it
            (keras/src/saving/saving_lib.py, `_save_container_state`).
        layer: its name in the model around it.
    """
    counts: Counter[str] = Counter()
    below: dict[str, Group] = {}
    for op in (op for op in ops if op.module == "keras.layers" or op.inside is not None):
        stem = snake_case(op.class_name)
        name = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
        below[name] = _leaf(op.name, op.weights) if op.inside is None else _nested(op)
    return Group(layer, {}, {"layers": Group("", {}, below)})


def _nested(op: Op) -> Group:
    assert op.inside is not None
    graph, outputs = op.inside
    return group_of(graph.ordered(outputs), op.name)


def _leaf(layer: str, weights: Mapping[str, Weight]) -> Group:
    made = Group(layer)
    for path, weight in weights.items():
        *names, number = path.split("/")
        here = made
        for name in names[:-1]:  # the last is "vars"
            here = here.groups.setdefault(name, Group())
        here.arrays[number] = weight
    return made
