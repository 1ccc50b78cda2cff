"""Loop over time, as tf2onnx writes the loops of recurrent layers: a counter, states, elements at the counter.

https://onnx.ai/onnx/operators/onnx__Loop.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.formats.onnx_tensor import weight
from converter.model import layers
from converter.readers.onnx.counted import Dim
from converter.readers.onnx.loop_elements import elements, first_rows
from converter.readers.onnx.origins import same, size_of
from converter.readers.onnx.tensors import Const, Dims, Filled, Spread, Stack, Tensor, Val
from converter.readers.onnx.values import Builder, Call

_MAX_NODES = 2000
_FAR = 1 << 30  # a bound that is none
_PART = (
    "it takes only as many steps as another axis is long, and fails where there are fewer; Keras 3.15 exports "
    "TimeDistributed over open time so, with the batch for the time. The Keras file itself converts rightly"
)


@dataclass
class Loop:
    """A Loop whose rounds are known before it begins.

    Attributes:
        call: the operator.
        graph: its body.
        count: how many rounds.
        outer: what stands for each tensor that the body reads from outside, and that no round changes.
        states: places, among the variables, of those that are handed on.
        elements: name in the body -> sequence [time, ...] whose element of the round it is.
        nodes: operators that make the states and the outputs; not those that count.
    """

    call: Call
    graph: Any
    count: Dim
    outer: dict[str, Tensor]
    counters: list[int]
    states: list[int]
    elements: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Any] = field(default_factory=list)

    @property
    def variables(self) -> list[str]:
        """Names of what is handed from round to round, before a round."""
        return [info.name for info in self.graph.input[2:]]

    @property
    def results(self) -> list[str]:
        """Names of the same after a round, then of what each round gives."""
        return [info.name for info in self.graph.output[1:]]

    def initial(self, place: int) -> Tensor:
        """A variable before the first round."""
        return self.call.tensor(place + 2)


def read_loop(builder: Builder, call: Call) -> Loop:
    """What a Loop counts and keeps.

    Raises:
        InvalidModel: the body is broken. Unsupported: the number of rounds is computed inside.
    """
    if "body" not in call.attributes:
        raise InvalidModel("Loop without a body")
    graph = call.attributes["body"].g
    variables = len(call.inputs) - 2
    if len(graph.input) != variables + 2 or len(graph.output) < variables + 1 or len(graph.node) > _MAX_NODES:
        raise Unsupported("Loop of this form")
    outer = dict(builder.tensors) | {t.name: builder.constant(weight(t, call.folder)) for t in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    before, after = [i.name for i in graph.input[2:]], [o.name for o in graph.output[1:]]
    kept = [k for k in range(variables) if _source(makers, after[k]) == before[k]]
    outer |= {before[k]: call.tensor(k + 2) for k in kept}
    counters = [k for k in range(variables) if k not in kept and _counts(makers, outer, before[k], after[k])]
    states = [k for k in range(variables) if k not in kept and k not in counters]
    count = _rounds(builder, call, outer, makers, {after[k] for k in counters})
    if any(not _is_number(call.tensor(k + 2), 0) for k in counters):
        raise Unsupported("Loop whose counter does not begin at 0")
    found = Loop(call, graph, count, outer, counters, states)
    _needed(builder, found, makers)
    return found


def _source(makers: Mapping[str, Any], name: str, through: Collection[str] = ("Identity",)) -> str:
    """What an Identity hands on.

    Raises:
        InvalidModel: it hands on itself.
    """
    for _ in range(_MAX_NODES):
        if name not in makers or makers[name].op_type not in through:
            return name
        if len(makers[name].input) != 1:
            raise InvalidModel(f"{makers[name].op_type} of {len(makers[name].input)} inputs in a Loop")
        name = makers[name].input[0]
    raise InvalidModel(f"the body of a Loop goes in a circle at {clean(name, 60)}")


def _uncast(makers: Mapping[str, Any], name: str) -> str:
    """The same, through Casts of a number too."""
    return _source(makers, name, ("Identity", "Cast"))


def _is_number(tensor: Tensor | None, number: int) -> bool:
    if isinstance(tensor, Dims):
        return tensor.items == (number,)
    return isinstance(tensor, Const) and tensor.weight.size == 1 and tensor.array.item() == number


def _counts(makers: Mapping[str, Any], outer: Mapping[str, Tensor], before: str, after: str) -> bool:
    """Whether a variable grows by 1 in each round."""
    node = makers.get(_source(makers, after))
    if node is None or node.op_type != "Add" or before not in node.input:
        return False
    other = [name for name in node.input if name != before]
    return len(other) == 1 and _is_number(outer.get(other[0]), 1)


def _rounds(
    builder: Builder, call: Call, outer: Mapping[str, Tensor], makers: Mapping[str, Any], counters: set[str]
) -> Dim:
    """How many there are: what counters stay below, which the condition before the first round says as well."""
    graph = call.attributes["body"].g
    counted = {_source(makers, name) for name in counters}
    bounds, more = ([] if not call.has(0) else [_bound(call.tensor(0))]), []
    for node in _all_of(makers, graph.output[0].name):
        if node is None or node.op_type != "Less" or len(node.input) != 2:
            raise Unsupported("Loop that does not end at a count")
        below, limit = (_uncast(makers, name) for name in node.input)
        bound = _bound(outer[limit]) if limit in outer else None
        if _source(makers, below) in counted:
            bounds.append(bound)
        elif below == graph.input[0].name:  # the number of this round, not of the next: it ends later
            more.append(bound)
        else:
            raise Unsupported("Loop that does not end at a count")
    every = [*bounds, *more]
    count = every[0] if bounds else None
    if count is None or any(size is None or not _not_below(builder, size, count) for size in every[1:]):
        raise Unsupported("Loop that does not end at a count")
    if call.has(1) and not _begins(builder, call.tensor(1), count):
        raise Unsupported("Loop whose first round is on another condition")
    return count


def _bound(tensor: Tensor) -> Dim | None:
    """A size, also one that was made a floating number to compare it."""
    if isinstance(tensor, Dims) and len(tensor.items) == 1:
        return tensor.items[0]
    number = tensor.array.item() if isinstance(tensor, Const) and tensor.weight.size == 1 else None
    return int(number) if number is not None and isfinite(number) and number == int(number) else None


def _not_below(builder: Builder, size: Dim, count: Dim) -> bool:
    """Whether a bound is the number of rounds, or another that is not reached."""
    return same(builder, size, count) or (
        isinstance(size, int) and (size >= _FAR or (isinstance(count, int) and size >= count))
    )


def _all_of(makers: Mapping[str, Any], name: str) -> list[Any]:
    """What makes each part of a condition that is joined by And."""
    waiting, seen, parts = [name], set[str](), list[Any]()
    while waiting:
        found = _source(makers, waiting.pop())
        if found in seen:
            continue
        seen.add(found)
        node = makers.get(found)
        if node is not None and node.op_type == "And":
            waiting += node.input
        else:
            parts.append(node)
    return parts


def _begins(builder: Builder, condition: Tensor, count: Dim) -> bool:
    """Whether a condition is true where there are rounds at all."""
    if isinstance(condition, Const):
        return condition.weight.size == 1 and bool(condition.array.item())
    made = builder.producer(condition.value) if isinstance(condition, Val) else None
    if made is None:
        return False
    given = [x for x in made.inputs if x is not None]
    if made.layer == layers.Elementwise("and"):
        return all(_begins(builder, Val(x), count) for x in given)
    if isinstance(made.layer, layers.Constant):
        return bool(made.layer.weight.read().all())
    if made.layer != layers.Elementwise("less"):
        return False
    zero, size = (builder.producer(x) for x in given)
    while size is not None and isinstance(size.layer, layers.Cast) and size.inputs[0] is not None:
        size = builder.producer(size.inputs[0])
    if zero is None or not isinstance(zero.layer, layers.Constant) or zero.layer.weight.read().any():
        return False
    if size is not None and isinstance(size.layer, layers.Constant):
        return bool((size.layer.weight.read() > 0).all())
    if size is None or not isinstance(size.layer, layers.Size) or size.inputs[0] is None:
        return False
    return same(builder, size_of(size.inputs[0], size.layer.axis), count)


def _needed(builder: Builder, found: Loop, makers: Mapping[str, Any]) -> None:
    """Finds the elements, and the operators that states and outputs need."""
    counts = {found.graph.input[0].name, *(found.variables[k] for k in found.counters)}
    taken = elements(builder, found.graph.node, sorted(counts), found.outer, found.count)
    places = {k for k in range(len(found.results)) if k in found.states or k >= len(found.variables)}
    wanted, seen = [found.results[k] for k in sorted(places)], set()
    while wanted:
        name = wanted.pop()
        node = makers.get(name)
        if node is None or id(node) in seen:
            if name in counts:
                raise Unsupported("Loop whose steps compute with their number")
            continue
        if name in taken:
            found.elements[name] = _sequence(builder, found, taken[name], 0, part=True)
            continue
        if node.op_type == "Gather" and _uncast(makers, node.input[1]) in counts:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            found.elements[name] = _sequence(builder, found, node.input[0], axis)
            continue
        seen.add(id(node))
        wanted += _reads(node)
    found.nodes = [node for node in found.graph.node if id(node) in seen]


def _reads(node: Any) -> Iterable[str]:
    if any(attribute.HasField("g") for attribute in node.attribute):
        raise Unsupported(f"{node.op_type} in a Loop")
    return [name for name in node.input if name]


def _sequence(builder: Builder, found: Loop, name: str, axis: int, part: bool = False) -> Tensor:
    """What the elements are taken of: as long as there are rounds, or its first elements where `part` allows it."""
    tensor = found.outer.get(name)
    if tensor is None or isinstance(tensor, Dims | Filled | Spread | Stack) or axis != 0:
        raise Unsupported("Loop over something that is no sequence")
    value = tensor if isinstance(tensor, Val) and not tensor.flat else Val(builder.value(tensor, found.call.name))
    if same(builder, size_of(value.value, value.axis(0)), found.count):
        return value
    if not part:
        raise Unsupported("Loop over a part of a sequence")
    builder.warnings.append(f"{found.call.name}: {_PART}")
    return first_rows(builder, value, found.count, found.call.name)
