"""Masks as our own exports write them (exporters/onnx/masks.py), read back as masks of recurrent layers.

Unmasked steps are moved to the front, the operator runs over them, its outputs are spread back by index. Here each part
of that is recognized, from the counting of steps to the spreading, and becomes the mask that it stands for. What is
recognized is also computed as it is, so that any other use of it keeps its meaning; `prune` drops what is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from msgspec import structs

from converter.errors import Unsupported
from converter.model import Node, Value, layers
from converter.model.layers import MaskedOutput, Recurrent
from converter.readers.onnx.counted import Compact, Counting, History, Order, Places, Rows, Steps
from converter.readers.onnx.places import numbered, placed, scaled
from converter.readers.onnx.tensors import Const, States, Tensor, Val, is_zero
from converter.readers.onnx.values import Builder, Call

Rule = Callable[[Builder, Call], list[Tensor]]
Recognizer = Callable[[Builder, Call, Rule | None], "list[Tensor] | None"]

_INT64 = 7
_SWAP = [1, 0, 2]


def recognized(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """What an operator makes as a part of a mask; None where it is none. `rule` computes it as it is."""
    found = _RECOGNIZERS.get(call.op)
    return found(builder, call, rule) if found is not None and call.inputs else None


def _also(builder: Builder, call: Call, rule: Rule | None, like: Counting | Rows) -> list[Tensor]:
    """The same, computed as well."""
    if rule is None:
        raise Unsupported(f"operator {call.op} is not read back from ONNX")
    (made,) = rule(builder, call)
    return [replace(like, value=builder.value(made, call.name))]


def _cast(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x = call.tensor(0)
    if isinstance(x, Counting) and x.what in ("count", "lengths"):
        return _also(builder, call, rule, replace(x, what="lengths"))
    if isinstance(x, Const) and x.weight.dtype == "bool" and len(x.weight.shape) == 2:
        x = Val(builder.value(x, call.name))
    if not isinstance(x, Val) or call.integer("to", 0) != _INT64:
        return None
    mask: Value | None = builder.value(x, call.name) if len(x.value.shape) == 2 else x.value
    made = builder.producer(x.value)
    if made is not None and made.layer == layers.ExpandDims((2,)):
        mask = made.inputs[0]
    if mask is None or mask.dtype != "bool" or len(mask.shape) != 2:
        return None
    return _also(builder, call, rule, Counting(x.value, mask, "ones"))


def _cumulative(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x, axis = call.tensor(0), call.tensor(1)
    if not isinstance(x, Counting) or x.what != "ones" or not isinstance(axis, Const) or axis.array.item() != 1:
        return None
    return _also(builder, call, rule, replace(x, what="from end" if call.integer("reverse", 0) else "from start"))


def _product(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x, ones = call.tensor(0), call.tensor(1)
    if not isinstance(ones, Counting):
        return scaled(builder, x, ones)
    if not isinstance(x, Counting) or not isinstance(ones, Counting) or x.kept:
        return None
    if x.what == "count" and ones.what in ("first", "last") and x.mask == ones.mask:
        return _also(builder, call, rule, replace(x, what=f"count if {ones.what}"))
    if ones.what != "ones" or x.mask != ones.mask or not x.what.startswith("from"):
        return None
    return _also(builder, call, rule, replace(x, kept=True))


def _gather(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """Steps counted from the end, at the first step: how many there are. All steps, the last first: reversed."""
    x, index = call.tensor(0), call.tensor(1)
    if isinstance(index, Places) and index.placed:
        return _picked(builder, x, index)
    if not isinstance(x, Counting) or not isinstance(index, Const) or call.integer("axis", 0) != 1:
        return None
    size = index.weight.size
    reversing = size > 1 and x.value.shape[1:] == (size,) and index.array.tolist() == [*range(size)][::-1]
    if reversing and x.what.startswith("from"):
        return _also(builder, call, rule, replace(x, flipped=not x.flipped))
    if x.kept or x.flipped or size != 1 or (x.what, index.array.item()) != ("from end", 0):
        return None
    return _also(builder, call, rule, replace(x, what="count"))


def _picked(builder: Builder, x: Tensor, index: Places) -> list[Tensor] | None:
    """Outputs where they belong."""
    if not isinstance(x, History) or index.steps.mask != x.steps.mask:
        return None
    found = _spread(builder, x, index.steps)
    return [replace(found, swapped=not found.swapped) if index.turned else found]


def _flatten(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """Time and batch merged, of outputs [1 + time, batch, units], or with an axis of 1 behind the first."""
    x = call.tensor(0)
    return [x] if isinstance(x, History) and call.integer("axis", 1) == (2 if x.rule == "state" else 3) else None


def _unsqueeze(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x = call.tensor(0)
    if isinstance(x, Counting) and x.what == "some" and call.integers("axes", 1) == [1]:
        return _also(builder, call, rule, x)
    if isinstance(x, Order) and call.integers("axes", 1) == [2]:
        return [x]
    if isinstance(x, Rows) and not x.column and call.integers("axes", 1) == [1]:
        return _also(builder, call, rule, replace(x, column=True))
    return None


def _squeeze(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x = call.tensor(0)
    if isinstance(x, Steps) and call.integers("axes", 1) == [1]:
        return [x]
    if isinstance(x, Counting) and x.what in ("first", "last"):
        return _also(builder, call, rule, x)
    return _also(builder, call, rule, replace(x, what="lengths")) if _is(x, "count") else None  # type: ignore[arg-type]


def _is_zero(tensor: Tensor) -> bool:
    return isinstance(tensor, Const) and tensor.weight.size == 1 and tensor.array.item() == 0


def _is(tensor: Tensor, what: str) -> bool:
    return isinstance(tensor, Counting) and tensor.what == what and not tensor.kept


def _greater(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x, zero = call.tensor(0), call.tensor(1)
    if not _is(x, "count") or not _is_zero(zero):
        return None
    return _also(builder, call, rule, replace(x, what="some"))  # type: ignore[arg-type]


def _where(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """A final state that rows without any step keep: that is what a masked layer does by itself."""
    condition, state = call.tensor(0), call.tensor(1)
    if not _is(condition, "some") or not isinstance(state, Val):
        return None
    made = builder.producer(state.value)
    if made is None or not isinstance(made.layer, Recurrent) or made.inputs[1] is None:
        return None
    place = made.outputs.index(state.value)  # the states come after the outputs, and after x and the mask
    start = made.inputs[place + 1] if 0 < place < len(made.inputs) - 1 else None
    return [state] if place and _starts(builder, start, call.tensor(2)) else None


def _starts(builder: Builder, start: Value | None, tensor: Tensor) -> bool:
    """Whether a tensor, with or without an axis for the direction, is an initial state (None: zeros)."""
    if start is None:
        return is_zero(tensor)
    if isinstance(tensor, States):
        return tensor.hs == (start,)
    if isinstance(tensor, Val):
        return tensor == Val(start)
    made = builder.producer(start)
    if not isinstance(tensor, Const) or made is None or not isinstance(made.layer, layers.Constant):
        return False
    held = made.layer.weight.read()
    return tensor.weight.shape[-2:] == held.shape and np.array_equal(tensor.array.reshape(held.shape), held)


def _flip(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x = call.tensor(0)
    if _is(x, "ones") and call.integers("axes", 3) == [1]:
        ends = call.integers("starts", 1), call.integers("ends", 2), call.integers("steps", 4)
        what = "first" if ends == ([0], [1], [1]) else "last" if ends[0] == [-1] and ends[2] == [1] else ""
        return _also(builder, call, rule, replace(x, what=what)) if what else None  # type: ignore[arg-type]
    if not isinstance(x, Counting) or not x.what.startswith("from"):
        return None
    if call.integers("axes", 3) != [1] or call.integers("steps", 4) != [-1]:
        return None
    return _also(builder, call, rule, replace(x, flipped=not x.flipped))


def _top(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """Unmasked steps are sorted by how many there are from them on, masked ones by 0."""
    x = call.tensor(0)
    if not isinstance(x, Counting) or x.flipped or not x.kept:
        return None
    if call.integer("axis", -1) != 1 or not call.integer("largest", 1) or not call.integer("sorted", 1):
        return None
    return [x, Order(x.mask, x.what == "from start")]


def _gather_nd(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x, index = call.tensor(0), call.tensor(1)
    if call.integer("batch_dims", 0) != 1:
        return None
    if isinstance(index, Order) and not isinstance(x, History):
        return [Compact(builder.value(x, call.name), index.mask, index.backwards)]
    if isinstance(x, History) and isinstance(index, Counting) and index.mask == x.steps.mask:
        return [_spread(builder, x, index)]
    return None


def _spread(builder: Builder, history: History, index: Counting) -> Val:
    """The outputs at the steps where they belong, or the last one."""
    steps = history.steps
    node = builder.producer(steps.y)
    assert node is not None
    assert isinstance(node.layer, Recurrent)
    started = node.inputs[2] is not None
    if index.what == "count" and not index.kept and (history.rule == "state" or not started):
        return Val(node.outputs[1])  # the last output is the final h
    if index.what == "count" and not index.kept:
        return _last(builder, node, "previous")
    if index.what == ("count if first" if steps.backwards else "count if last"):
        return _last(builder, node, "zero")
    if index.what != ("from end" if steps.backwards else "from start"):
        raise Unsupported("outputs of a masked layer that are picked by another count")
    (direction,) = node.layer.directions
    turned = structs.replace(direction, reverse_output=steps.backwards != index.flipped)
    rule = "zero" if index.kept else history.rule
    layer = structs.replace(node.layer, directions=(turned,), masked_output=rule)
    builder.nodes[builder.nodes.index(node)] = replace(node, layer=layer)
    return Val(steps.y)


def _last(builder: Builder, node: Node, rule: MaskedOutput) -> Val:
    """The last output, or what a layer gives where the step taken last is masked: another one over the same weights."""
    assert isinstance(node.layer, Recurrent)
    y = node.outputs[0]
    layer = structs.replace(node.layer, return_sequences=False, masked_output=rule)
    shapes = ((y.shape[0], y.shape[2]), *(value.shape for value in node.outputs[1:]))
    return Val(builder.node(f"{node.name}/last", layer, node.inputs, *shapes)[0])


def _transpose(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x = call.tensor(0)
    if isinstance(x, Places):
        exchange = "perm" in call.attributes and list(call.attributes["perm"].ints) == [1, 0]
        return [replace(x, turned=not x.turned)] if exchange else None
    swap = "perm" in call.attributes and list(call.attributes["perm"].ints) == _SWAP
    if isinstance(x, Compact) and swap:
        return [replace(x, time_first=not x.time_first)]
    return [x] if isinstance(x, History) and swap else None


def _pad(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    x, pads = call.tensor(0), call.integers("pads", 1)
    fits = isinstance(x, Steps) and pads in ([1, 0, 0, 0, 0, 0], [1, *[0] * 7]) and not call.has(2)
    return [History(x, "previous")] if fits and isinstance(x, Steps) else None


def _concat(builder: Builder, call: Call, rule: Rule | None) -> list[Tensor] | None:
    """The initial h before the outputs."""
    if len(call.inputs) != 2 or call.integer("axis", 0) != 0:
        return None
    first, steps = call.tensor(0), call.tensor(1)
    if not isinstance(first, States | Const) or not isinstance(steps, Steps):
        return None
    node = builder.producer(steps.y)
    start = None if node is None else node.inputs[2]
    return [History(steps, "state")] if start is not None and _starts(builder, start, first) else None


_RECOGNIZERS: Mapping[str, Recognizer] = {
    "Cast": _cast, "CumSum": _cumulative, "Mul": _product, "Gather": _gather, "Squeeze": _squeeze, "Greater": _greater,
    "Where": _where, "Slice": _flip, "TopK": _top, "GatherND": _gather_nd, "Transpose": _transpose, "Pad": _pad,
    "Concat": _concat, "Flatten": _flatten, "Unsqueeze": _unsqueeze, "Range": numbered, "Add": placed,
}  # fmt: skip
