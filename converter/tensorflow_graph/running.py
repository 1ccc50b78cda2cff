"""Runs a body with NumPy arrays: what the graph means, the oracle of this route.

Loops run here as often as their condition says, within a budget; conversion runs only loops that it has understood.
Lists of tensors are tuples of arrays; TensorArrays are kept in their flow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.model import Array
from converter.tensorflow_graph.definitions import Body, Library, Step
from converter.tensorflow_graph.kernels import run_kernel
from converter.tensorflow_graph.walking import Walk

MAX_LIST = 1 << 20
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
LOOPS = frozenset({"While", "StatelessWhile"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
NOTHING = frozenset({"NoOp", "Assert", "Print", "PrintV2"})


@dataclass(eq=False)
class Variable:
    """A variable while the graph runs: what it holds."""

    name: str
    value: Array


def body_of(step: Step, library: Library) -> Body:
    """The function that a call step names."""
    return library.called(step)


def loop_of(step: Step, library: Library) -> tuple[Body, Body]:
    """The condition and the body of a While."""
    if step.loop is not None:
        return step.loop
    return library.called(step, "cond"), library.called(step, "body")


def branches_of(step: Step, library: Library) -> list[Body]:
    """The branches of a Case, or of an If: that of False, then that of True."""
    if step.op.endswith("If"):
        return [library.called(step, "else_branch"), library.called(step, "then_branch")]
    names = step.attributes.get("branches")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidModel(f"{step.text()} names no branches")
    return [library.function(name) for name in names]


def branch_of(step: Step, bodies: Sequence[Body], which: Any) -> Body:
    """The branch that a number picks; of a Case, any other number picks the last."""
    if step.op.endswith("If"):
        return bodies[int(np.any(which) if np.ndim(which) == 0 else np.size(which) > 0)]
    place = int(which)
    return bodies[place if 0 <= place < len(bodies) else -1]


class Running:
    """The meaning of steps on arrays.

    Attributes:
        library: the functions.
        variables: what a VarHandleOp (or VariableV2) of that name holds.
        feed: values for Placeholders, by name.
    """

    def __init__(
        self, library: Library, variables: Mapping[str, Variable] | None = None, feed: Mapping[str, Array] | None = None
    ) -> None:
        self.library, self.variables, self.feed = library, variables or {}, feed or {}

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        """The outputs of one step."""
        if step.op in CALLS:
            return walk.call(body_of(step, self.library), inputs)
        if step.op in LOOPS:
            return self._loop(step, inputs, walk)
        if step.op in BRANCHES:
            return walk.call(branch_of(step, branches_of(step, self.library), inputs[0]), inputs[1:])
        rule = _RULES.get(step.op)
        if rule is not None:
            made = rule(self, step, *inputs)
            return made if isinstance(made, list) else [made]
        return run_kernel(step.op, step.attributes, inputs)

    def _loop(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        cond, body = loop_of(step, self.library)
        values = list(inputs)
        while bool(walk.call(cond, values)[0]):
            values = walk.call(body, values)
        return values


def _variable(r: Running, step: Step) -> Variable:
    if step.name not in r.variables:
        raise InvalidModel(f"nothing is stored for the variable {clean(step.name, 80)}")
    return r.variables[step.name]


def _placeholder(r: Running, step: Step, *default: Any) -> Any:
    if step.name in r.feed:
        return r.feed[step.name]
    if default:
        return default[0]
    raise InvalidModel(f"nothing is fed to {clean(step.name, 80)}")


def _assign(r: Running, step: Step, variable: Variable, value: Array) -> list[Any]:
    variable.value = np.asarray(value)
    return [variable]


def _read(r: Running, step: Step, variable: Any) -> Any:
    return variable.value if isinstance(variable, Variable) else variable


def _reserve(r: Running, step: Step, shape: Any, count: Any) -> tuple[Any, ...]:
    if not 0 <= int(count) <= MAX_LIST:
        raise Unsupported(f"a list of {int(count)} tensors")
    return (None,) * int(count)


def _put(items: Sequence[Any], index: Any, value: Any) -> tuple[Any, ...]:
    place = int(index)
    if not 0 <= place < MAX_LIST:
        raise InvalidModel(f"element {place} of a list of tensors")
    grown = list(items) + [None] * (place + 1 - len(items))
    grown[place] = np.asarray(value)
    return tuple(grown)


def _get(items: Sequence[Any], index: Any) -> Any:
    place = int(index)
    if not 0 <= place < len(items) or items[place] is None:
        raise InvalidModel(f"element {place} of a list of tensors is not there")
    return items[place]


def _stack(items: Sequence[Any]) -> Array:
    known = next((item for item in items if item is not None), None)
    if known is None:
        raise Unsupported("an empty list of tensors")
    return np.stack([np.zeros_like(known) if item is None else item for item in items])


_RULES: Mapping[str, Callable[..., Any]] = {
    "Placeholder": _placeholder, "PlaceholderWithDefault": _placeholder,
    **dict.fromkeys(("VarHandleOp", "VariableV2", "Variable"), _variable),
    **dict.fromkeys(("ReadVariableOp", "Identity"), _read),
    **dict.fromkeys(("AssignVariableOp", "Assign"), _assign),
    "ResourceGather": lambda r, s, variable, index: run_kernel("GatherV2", s.attributes, [variable.value, index])[0],
    "IdentityN": lambda r, s, *xs: list(xs), **dict.fromkeys(NOTHING, lambda r, s, *xs: []),
    "TensorListReserve": _reserve, "EmptyTensorList": lambda r, s, shape, count: (),
    "TensorListFromTensor": lambda r, s, x, shape: tuple(x),
    "TensorListGetItem": lambda r, s, items, index, shape: _get(items, index),
    "TensorListSetItem": lambda r, s, items, index, value: _put(items, index, value),
    "TensorListPushBack": lambda r, s, items, value: _put(items, len(items), value),
    "TensorListStack": lambda r, s, items, shape: _stack(items),
    "TensorListLength": lambda r, s, items: np.int32(len(items)),
    "TensorArrayV3": lambda r, s, count: ["TensorArray", _reserve(r, s, None, count)],
    "TensorArrayScatterV3": lambda r, s, handle, index, x, flow: _scatter(flow, index, x),
    "TensorArrayReadV3": lambda r, s, handle, index, flow: _get(flow, index),
    "TensorArrayWriteV3": lambda r, s, handle, index, x, flow: _put(flow, index, x),
    "TensorArrayGatherV3": lambda r, s, handle, index, flow: _stack([flow[k] for k in index.tolist()]),
    "TensorArraySizeV3": lambda r, s, handle, flow: np.int32(len(flow)),
}  # fmt: skip


def _scatter(items: Sequence[Any], index: Array, x: Array) -> tuple[Any, ...]:
    for place, value in zip(index.tolist(), x, strict=True):
        items = _put(items, place, value)
    return tuple(items)
