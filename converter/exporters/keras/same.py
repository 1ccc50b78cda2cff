"""Whether two neutral models compute the same by the same steps, whatever their values are called."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from msgspec import Struct

from converter.model import Model, Weight
from converter.model.activations import Activation
from converter.model.layers import Constant, Recurrent
from converter.model.prune import prune


def same(a: Model, b: Model, scaled: bool) -> bool:
    """True if every output and state is made by equal nodes from equal inputs.

    Arrays count by shape and type, constants by value.

    Args:
        a, b: the models.
        scaled: whether weights of one were multiplied so that hard_sigmoid of any slope is that of another.
    """
    first, second = prune(a), prune(b)
    if [v.shape for v in a.inputs] != [v.shape for v in b.inputs] or len(a.states) != len(b.states):
        return False
    if [v.dtype for v in a.inputs] != [v.dtype for v in b.inputs]:
        return False
    return _ends(first, scaled) == _ends(second, scaled)


def _ends(model: Model, scaled: bool) -> list[Hashable]:
    """For each output and state: the number of the equivalence class of what makes it."""
    numbers: dict[Hashable, int] = {}
    made: dict[str, int] = {}

    def number(key: Hashable) -> int:
        return numbers.setdefault(key, len(numbers))

    given = [*model.inputs, *(state.input for state in model.states)]
    for k, value in enumerate(given):
        made[value.name] = number(("input", k))
    keyed: list[Hashable] = []
    for node in model.nodes:
        inputs = tuple(None if value is None else made[value.name] for value in node.inputs)
        layer = node.layer
        rule = _rule(layer, inputs) if isinstance(layer, Recurrent) else ""
        key = (_key(layer, scaled, values=isinstance(layer, Constant)), inputs, rule)
        keyed.append(key)
        for k, value in enumerate(node.outputs):
            made[value.name] = number((key, k, value.shape, value.dtype))
    ends = [made[value.name] for value in model.outputs] + [made[state.output.name] for state in model.states]
    keys = list(numbers)
    return [*(keys[end] for end in ends), *keyed]


def _rule(layer: Recurrent, inputs: tuple[int | None, ...]) -> str:
    """What masked steps give: nothing without a mask, and zeros are the carried state where none is given."""
    if len(inputs) < 2 or inputs[1] is None:
        return ""
    return "previous" if layer.masked_output == "state" and not any(inputs[2:]) else layer.masked_output


def _key(part: Any, scaled: bool, values: bool = False) -> Hashable:
    if isinstance(part, Weight):
        return part.shape, part.dtype, part.read().tobytes() if values else b""
    if isinstance(part, Activation):
        return (part.name, part.parameters[1:]) if scaled and part.name == "hard_sigmoid" else part
    if isinstance(part, Struct):
        fields = (name for name in part.__struct_fields__ if name not in ("masked_output", "momentum"))
        return type(part).__name__, tuple(_key(getattr(part, name), scaled, values) for name in fields)
    return tuple(_key(item, scaled, values) for item in part) if isinstance(part, tuple | list) else part
