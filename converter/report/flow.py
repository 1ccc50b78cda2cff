"""A graph as boxes on levels, for drawing: what is on a level depends on nothing below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converter.errors import clean
from converter.inspection import connections
from converter.lines import shape
from converter.model import Model
from converter.model.layers import Recurrent
from converter.verification.graph_cutting import NATIVE
from converter.verification.runnable import opened

WIDTH, HEIGHT, ACROSS, DOWN = 168, 40, 14, 26  # of a box, and the space between boxes, in pixels
MOST = 60  # boxes that are drawn
# Operators that are named first.
RECURRENT = (*NATIVE, "Scan", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "WHILE")


@dataclass(frozen=True)
class Box:
    """A layer, or what became of one.

    Attributes:
        name: shown on the first line; `said` on the second.
        layer: path of the Keras layer, which decides its color; "" for inputs and what no layer owns.
        reads: names of the boxes that it reads.
        recurrent: whether it stands out.
    """

    name: str
    said: str
    layer: str
    reads: tuple[str, ...]
    recurrent: bool = False


@dataclass(frozen=True)
class Placed:
    """A box and its upper left corner."""

    box: Box
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """Boxes in their places, and edges as (x, y, x, y) from the foot of one to the head of another."""

    boxes: tuple[Placed, ...]
    edges: tuple[tuple[int, int, int, int], ...]
    width: int
    height: int
    left_out: int


def of_model(model: Model) -> list[Box]:
    """The layers of the original."""
    recurrent = {node.keras_layer for node in model.nodes if isinstance(node.layer, Recurrent)}
    reads = connections(model)
    known = {info.path for info in model.layers}
    inputs = [
        Box(value.name, f"input {shape(value.shape)}", "", ()) for value in model.inputs if value.name not in known
    ]
    return [
        *inputs,
        *(
            Box(info.path, " ".join((info.class_name, *map(shape, info.output_shapes[:1]))), info.path,
                reads[info.path], info.path in recurrent)
            for info in model.layers
            if reads[info.path] or info.path.rpartition("/")[0] not in known  # what a layer wraps is in its box
        ),
    ]  # fmt: skip


def of_exported(model: Model, path: Path) -> list[Box]:
    """A file that is run: the operators of each node of the model as one box, those of none by themselves."""
    file = opened(path)
    layers = {clean(node.name): node for node in model.nodes}
    makers: dict[str, str] = {name: name for name in file.inputs}
    operators: dict[str, list[str]] = {}
    reads: dict[str, dict[str, None]] = {}
    for operator in file.listed:
        name = operator.owner if operator.owner in layers else operator.name
        operators.setdefault(name, []).append(operator.kind)
        read = reads.setdefault(name, {})
        read |= {makers[one]: None for one in operator.inputs if one in makers and makers[one] != name}
        makers |= {one: name for one in operator.outputs if one}
    boxes = [Box(name, "input", "", ()) for name in file.inputs]
    for name, listed in operators.items():
        known = layers.get(name)
        said = ", ".join(dict.fromkeys(sorted(listed, key=lambda kind: kind not in RECURRENT)))
        recurrent = known is not None and isinstance(known.layer, Recurrent)
        boxes.append(Box(name, said, known.keras_layer if known else "", tuple(reads[name]), recurrent))
    return boxes


def drawn(boxes: Sequence[Box]) -> Drawing:
    """The boxes on their levels, each below all that it reads; the first `MOST` of them."""
    shown = list(boxes[:MOST])
    levels = _levels(shown)
    rows: dict[int, list[Box]] = {}
    for box in shown:
        rows.setdefault(levels[box.name], []).append(box)
    width = max((len(row) for row in rows.values()), default=1) * (WIDTH + ACROSS) + ACROSS
    places: dict[str, Placed] = {}
    for level, row in sorted(rows.items()):
        row.sort(key=lambda box: _center(box, places))
        start = (width - len(row) * (WIDTH + ACROSS) + ACROSS) // 2
        for k, box in enumerate(row):
            places[box.name] = Placed(box, start + k * (WIDTH + ACROSS), DOWN // 2 + level * (HEIGHT + DOWN))
    edges = tuple(
        (places[read].x + WIDTH // 2, places[read].y + HEIGHT, one.x + WIDTH // 2, one.y)
        for one in places.values() for read in one.box.reads if read in places
    )  # fmt: skip
    height = DOWN + (max(rows, default=0) + 1) * (HEIGHT + DOWN)
    return Drawing(tuple(places.values()), edges, width, height, len(boxes) - len(shown))


def _levels(boxes: Sequence[Box]) -> dict[str, int]:
    """By name how many boxes lie above at most; what is read of a box further down (a loop) does not count."""
    by_name = {box.name: box for box in boxes}
    levels: dict[str, int] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(box.name, ()) for box in boxes]
    order = {box.name: k for k, box in enumerate(boxes)}
    while waiting:
        name, path = waiting.pop(0)
        reads = [read for read in by_name[name].reads if read in by_name and read != name and read not in path]
        missing = [read for read in reads if read not in levels]
        if missing and len(path) < len(order):
            waiting = [*((read, (*path, name)) for read in missing), (name, path), *waiting]
            continue
        levels.setdefault(name, 1 + max((levels[read] for read in reads if read in levels), default=-1))
    return levels


def _center(box: Box, places: Mapping[str, Placed]) -> float:
    """Where what it reads stands, on average."""
    above = [places[read].x for read in box.reads if read in places]
    return sum(above) / len(above) if above else 0.0
