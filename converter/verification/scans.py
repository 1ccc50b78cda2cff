"""A Scan held to its own equation: each node of its body in each step, and what goes from step to step.

The exported Scan shows every value of its body after each step. A node of the body is then held to its equation as any
other node is, on what the file itself gave it in that step; and what a step gets must be, bit for bit, what the step
before made, the element of the sequence, the initial state. By induction over the steps the Scan is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from converter.errors import InvalidModel
from converter.model import Array, Model, Node, Value
from converter.model.layers import Scan

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Inside:
    """The values of a model's bodies in one run, by the model's names.

    Attributes:
        stepped: what they were in each step, [time, ...].
        fixed: those that are the same in all.
    """

    stepped: Values = field(default_factory=dict)
    fixed: Values = field(default_factory=dict)


def own_values(layer: Scan) -> list[Value]:
    """What each step gets for itself, and what its nodes make."""
    given = layer.inputs[: layer.states + layer.sequences]
    return [*given, *(value for node in layer.nodes for value in node.outputs)]


def held_inside(model: Model, needed: frozenset[str], tensors: Mapping[str, str]) -> dict[str, tuple[str, Value]]:
    """The tensor that holds each value of the bodies of Scans that an output depends on, and the value.

    Raises:
        InvalidModel: the file does not say where one is.
    """
    found: dict[str, tuple[str, Value]] = {}
    for node in model.nodes:
        if isinstance(node.layer, Scan) and any(value.name in needed for value in node.outputs):
            for value in own_values(node.layer):
                if value.name not in tensors:
                    raise InvalidModel(f"the file does not say which of its tensors is {value.name}")
                found[value.name] = tensors[value.name], value
    return found


def inside_of(held: Mapping[str, tuple[str, Value]], shown: Values, others: Values) -> Inside:
    """The values of one run.

    Args:
        held: see `held_inside`.
        shown: what the Scans showed of their tensors, by tensor.
        others: of tensors outside of them.

    Raises:
        InvalidModel: a tensor is nowhere.
    """
    stepped, fixed = dict[str, Array](), dict[str, Array]()
    for name, (tensor, _) in held.items():
        if tensor in shown:
            stepped[name] = shown[tensor]
        elif tensor in others:
            fixed[name] = others[tensor]
        else:
            raise InvalidModel(f"the file has no tensor {tensor}, which should be {name}")
    return Inside(stepped, fixed)


def steps_of(node: Node, given: Values, inside: Inside) -> Iterator[dict[str, Array]]:
    """Every value that the body of a Scan reads or makes, in one step after the other."""
    layer, first = _parts(node)
    stepped = layer.states + layer.sequences
    outer = zip(layer.inputs[stepped:], node.inputs[stepped:], strict=True)
    captured = {value.name: given[theirs.name] for value, theirs in outer if theirs is not None}
    own = [value.name for value in own_values(layer)]
    for step in range(len(given[first])):
        yield {**captured, **{name: _at(inside, name, step) for name in own}}


def _parts(node: Node) -> tuple[Scan, str]:
    """The layer, and its first sequence."""
    assert isinstance(node.layer, Scan)
    sequence = node.inputs[node.layer.states]
    assert sequence is not None
    return node.layer, sequence.name


def _at(inside: Inside, name: str, step: int) -> Array:
    return np.asarray(inside.stepped[name][step]) if name in inside.stepped else inside.fixed[name]


def wires(node: Node, given: Values, made: Values, inside: Inside) -> Iterator[tuple[Array, Array]]:
    """Pairs that must be the same: what each step got and what it should get, what the Scan made and what it should."""
    layer, first = _parts(node)
    count = len(given[first])
    steps = list(steps_of(node, given, inside))
    after = [np.stack([step[value.name] for step in steps]) for value in layer.outputs]
    for place, value in enumerate(layer.inputs[: layer.states + layer.sequences]):
        outer = node.inputs[place]
        assert outer is not None
        wanted = given[outer.name]
        if place < layer.states:
            wanted = np.concatenate([wanted[None], after[place][: count - 1]])
        yield _seen(inside, value.name, count), wanted
    for place, value in enumerate(node.outputs):
        if value.name in made:  # float16 is computed in float32, and rounded at the end
            have = made[value.name]
            yield have, (after[place][-1] if place < layer.states else after[place]).astype(have.dtype)


def _seen(inside: Inside, name: str, count: int) -> Array:
    if name in inside.stepped:
        return inside.stepped[name]
    return np.stack([inside.fixed[name]] * count)


def shown_tensors(held: Mapping[str, tuple[str, Value]]) -> dict[str, Sequence[Value]]:
    """The values of bodies by their tensors."""
    found: dict[str, list[Value]] = {}
    for tensor, value in held.values():
        found.setdefault(tensor, []).append(value)
    return dict(found)
