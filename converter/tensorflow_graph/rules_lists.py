"""Translation of lists of tensors around loops: TensorList of TensorFlow 2, TensorArray of TensorFlow 1.

A list that enters a loop is a tensor whose first axis the loop goes along; what a loop makes is one again. The flow of
a TensorArray stands for its list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Value
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.sizes import Dim, dims_or_array
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import TensorList, integers_of

MAX_ITEMS = 4096  # put into a list one by one


def reserve(t: Translating, step: Step, shape: Any, count: Any) -> TensorList:
    """A list still to be filled."""
    return TensorList(None, integers_of(count, "the length of a list")[0])


def from_tensor(t: Translating, step: Step, x: Any, *shape: Any) -> TensorList:
    """The elements along axis 0."""
    value = t.value(step, x)
    return TensorList(value, t.axes(value)[0])


def stack(t: Translating, step: Step, items: Any, *shape: Any) -> Value:
    """The elements along axis 0, of a list that a loop has filled."""
    if isinstance(items, TensorList) and items.stacked is not None:
        return items.stacked
    if isinstance(items, TensorList) and items.items and None not in items.items and isinstance(items.length, int):
        wide = [t.ops(step).expand_dims(t.value(step, item), 0) for item in items.items]
        return t.ops(step).concatenate(wide, 0) if len(wide) > 1 else wide[0]
    if isinstance(items, TensorList) and items.only is not None:
        made = t.ops(step).expand_dims(items.only, 0)
        t.memory.last[made.name] = items.only
        return made
    raise Unsupported(f"{step.text()} reads a list that no loop has filled")


def get(t: Translating, step: Step, items: Any, index: Any, *shape: Any) -> Value:
    """One element: the last, or one by number."""
    if not isinstance(items, TensorList):
        raise Unsupported(f"{step.text()} reads no list")
    if isinstance(index, Value) and items.stacked is not None:
        return t.element(step, items.stacked, 0, index)
    place = integers_of(index, "an index")[0]
    if items.only is not None and place == 0:
        return items.only
    if isinstance(place, int) and 0 <= place < len(items.items) and items.items[place] is not None:
        return t.value(step, items.items[place])
    if items.stacked is None:
        raise Unsupported(f"{step.text()} reads a list that no loop has filled")
    if isinstance(place - items.length, int) and isinstance(place, Dim):
        place = place - items.length
    if place == -1 and items.last is not None:
        return items.last
    if not isinstance(place, int):
        raise Unsupported(f"{step.text()} reads an element that the model computes")
    o = t.ops(step)
    return o.squeeze(o.slice(items.stacked, 0, place, None if place == -1 else place + 1), 0)


def gather(t: Translating, step: Step, handle: Any, index: Any, flow: Any) -> Value:
    """All elements of a TensorArray, in order; TensorFlow 1 names them one by one."""
    _all(t, index)
    if isinstance(index, np.ndarray) and isinstance(flow, TensorList) and flow.length != len(index):
        raise Unsupported("some elements of a TensorArray without the others")
    return stack(t, step, flow)


def _all(t: Translating, index: Any) -> None:
    """Refuse indices that are not those of all elements in order."""
    if isinstance(index, np.ndarray):
        whole = index.tolist() == list(range(len(index)))
    else:
        node = next((n for n in reversed(t.graph.nodes) if isinstance(index, Value) and index in n.outputs), None)
        if node is not None and type(node.layer).__name__ == "Cast":
            source = node.inputs[0]
            node = next((n for n in t.graph.nodes if source in n.outputs), None)
        whole = node is not None and type(node.layer).__name__ == "Range"
    if not whole:
        raise Unsupported("elements of a TensorArray in another order than its own")


def scatter(t: Translating, step: Step, handle: Any, index: Any, x: Any, flow: Any) -> TensorList:
    """A TensorArray with the elements of a tensor, in order."""
    _all(t, index)
    return from_tensor(t, step, x)


def length(t: Translating, step: Step, handle: Any, flow: Any) -> Any:
    """How many elements."""
    return dims_or_array(flow.length, "int32")


def write(t: Translating, step: Step, items: Any, index: Any, value: Any) -> TensorList:
    """The list with one more element, at a place that is known."""
    if isinstance(items, TensorList) and isinstance(index, Value):
        return t.put(step, items, index, value)
    place = integers_of(index, "an index")[0]
    if isinstance(items, TensorList) and items.stacked is None and place == items.length - 1 and isinstance(place, Dim):
        return replace(items, tail=(value,))
    if not isinstance(items, TensorList) or items.stacked is not None or not isinstance(place, int):
        raise Unsupported(f"{step.text()} writes to a list where the model computes it")
    if not 0 <= place < MAX_ITEMS:
        raise InvalidModel(f"element {place} of a list")
    length = max(place + 1, items.length if isinstance(items.length, int) else 0)
    grown = [*items.items, *[None] * (min(length, MAX_ITEMS) - len(items.items))]
    grown[place] = value
    return replace(items, length=len(grown) if isinstance(items.length, int) else items.length, items=tuple(grown))


RULES: Mapping[str, Callable[..., Any]] = {
    "TensorListReserve": reserve, "TensorListFromTensor": from_tensor, "TensorListStack": stack,
    "TensorListGetItem": get, "TensorListSetItem": write,
    "TensorListLength": lambda t, step, items: length(t, step, None, items),
    "TensorArrayV3": lambda t, step, count: ["TensorArray", reserve(t, step, None, count)],
    "TensorArrayScatterV3": scatter, "TensorArrayGatherV3": gather, "TensorArraySizeV3": length,
    "TensorArrayReadV3": lambda t, step, handle, index, flow: get(t, step, flow, index),
    "TensorArrayWriteV3": lambda t, step, handle, index, value, flow: write(t, step, flow, index, value),
}  # fmt: skip
