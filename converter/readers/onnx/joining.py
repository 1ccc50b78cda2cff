"""What is made simpler once all nodes are known: by who reads what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from converter.model import Model, Node, Value
from converter.model.layers import Concatenate, Recurrent


def _readers(nodes: Iterable[Node], ends: Iterable[Value]) -> Mapping[str, list[Node | None]]:
    """Who reads each value; None is the caller of the model."""
    readers: dict[str, list[Node | None]] = {value.name: [None] for value in ends}
    for node in nodes:
        for value in node.inputs:
            if value is not None:
                readers.setdefault(value.name, []).append(node)
    return readers


def joined(model: Model) -> Model:
    """The same model with fewer nodes."""
    ends = (*model.outputs, *(state.output for state in model.states))
    return replace(model, nodes=_lasts(_sides(model.nodes, ends), ends))


def _sides(nodes: Sequence[Node], ends: Sequence[Value]) -> tuple[Node, ...]:
    """The nodes, where a pair of directions that is only ever concatenated becomes one output."""
    readers = _readers(nodes, ends)
    swap: dict[int, Node] = {}
    gone: set[int] = set()
    for node in nodes:
        if isinstance(node.layer, Recurrent) and len(node.layer.directions) == 2:
            used = [readers.get(value.name, []) for value in node.outputs[:2]]
            only = used[0][0] if len(used[0]) == len(used[1]) == 1 and used[0][0] is used[1][0] else None
            if only is not None and only.layer == Concatenate(2) and only.inputs == node.outputs[:2]:
                layer = structs.replace(node.layer, merge="concat")
                swap[id(node)] = replace(node, layer=layer, outputs=(only.outputs[0], *node.outputs[2:]))
                gone.add(id(only))
    return tuple(swap.get(id(node), node) for node in nodes if id(node) not in gone)


def _lasts(nodes: Sequence[Node], ends: Sequence[Value]) -> tuple[Node, ...]:
    """The nodes, where a layer whose sequence nobody reads gives its last output itself, which a second one gave."""
    readers = _readers(nodes, ends)
    swap: dict[int, Node] = {}
    gone: set[int] = set()
    beside: dict[tuple[Value | None, ...], list[Node]] = {}
    for node in nodes:
        beside.setdefault(node.inputs, []).append(node)
    for node in nodes:
        if not isinstance(node.layer, Recurrent) or not node.layer.return_sequences or len(node.layer.directions) != 1:
            continue
        others = [other for other in beside[node.inputs] if _is_last_of(other, node)]
        unread = node.outputs[0].name not in readers and all(
            v.name not in readers for o in others for v in o.outputs[1:]
        )
        if unread and len(others) == 1:
            swap[id(node)] = replace(others[0], name=node.name, outputs=(others[0].outputs[0], *node.outputs[1:]))
            gone.add(id(others[0]))
    return tuple(swap.get(id(node), node) for node in nodes if id(node) not in gone)


def _is_last_of(other: Node, node: Node) -> bool:
    first, second = node.layer, other.layer
    if other is node or not isinstance(first, Recurrent) or not isinstance(second, Recurrent):
        return False
    cells = [direction.cell for direction in first.directions], [direction.cell for direction in second.directions]
    same = len(cells[0]) == len(cells[1]) and all(a is b for a, b in zip(*cells, strict=True))
    return same and not second.return_sequences
