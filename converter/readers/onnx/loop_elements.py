"""Arithmetic with the number of a Loop's iteration, as tf2onnx writes what TensorFlow vectorizes (TimeDistributed of
Keras 3): x[places[i]] by Slices whose ends are computed in each iteration. It takes element i of x.

https://github.com/onnx/tensorflow-onnx, StridedSlice: an axis that vanishes ends and steps at 10^9. No axis is as long.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.model import Array, Value, layers
from converter.readers.onnx.counted import Dim
from converter.readers.onnx.origins import number, same
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder

_FAR = 10**9
_MOST = 16  # numbers of one array
_DEEP = 12  # operators one behind the other
_KINDS = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}  # TensorProto.DataType


@dataclass(frozen=True)
class Iteration:
    """The number of the iteration, from 0 on, plus one that is not below 0; always below 10^9."""

    more: int = 0


@dataclass(frozen=True)
class Element:
    """Row i of a tensor of the outside, by its name there; its first axis is still there, of size 1."""

    of: str


class _Unknown(Exception):
    """It cannot be said whatever the iteration is."""


def elements(
    builder: Builder, nodes: Sequence[Any], counters: Sequence[str], outer: Mapping[str, Tensor], count: Dim
) -> dict[str, str]:
    """Names in the body that are element i of a sequence -> the name of the sequence.

    Args:
        builder: what is known outside.
        nodes: the body.
        counters: names of the number of the iteration.
        outer: what stands for each tensor of the outside.
        count: how many iterations.
    """
    known: dict[str, Any] = {name: np.array(Iteration(), object) for name in counters}
    found: dict[str, str] = {}
    for node in nodes:
        try:
            if node.op_type == "Slice":
                made = _sliced(builder, node, known, outer, count)
            elif node.op_type == "Squeeze" and isinstance(known.get(node.input[0]), Element):
                if _axes(node, known, outer) == [0]:
                    found[node.output[0]] = known[node.input[0]].of
                continue
            elif node.op_type in _RULES:
                made = _RULES[node.op_type](node, [_numbers(name, known, outer) for name in node.input])
            else:
                continue
        except (_Unknown, LookupError, ValueError):  # it is none of these, whatever is wrong with it
            continue
        known[node.output[0]] = made
    return found


def _numbers(name: str, known: Mapping[str, Any], outer: Mapping[str, Tensor]) -> Array:
    """A small array of numbers and `Iteration`s."""
    if isinstance(known.get(name), np.ndarray):
        array: Array = known[name]
        return array
    tensor = outer.get(name)
    if name in known or not isinstance(tensor, Const) or tensor.weight.size > _MOST:
        raise _Unknown
    return np.asarray(tensor.array).astype(object)


def _axes(node: Any, known: Mapping[str, Any], outer: Mapping[str, Tensor]) -> list[int]:
    """An attribute before opset 13, an input since."""
    given = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
    if given is None and len(node.input) < 2:
        raise _Unknown
    return given if given is not None else [int(n) for n in _numbers(node.input[1], known, outer).ravel()]


def _sliced(builder: Builder, node: Any, known: Mapping[str, Any], outer: Mapping[str, Tensor], count: Dim) -> Any:
    """One row of what is as long as there are iterations: as numbers, where they are known."""
    if not 4 <= len(node.input) <= 5 or node.input[0] in known or node.input[0] not in outer:
        raise _Unknown
    starts, ends, axes = (_numbers(name, known, outer).ravel() for name in node.input[1:4])
    steps = _numbers(node.input[4], known, outer).ravel() if len(node.input) == 5 else np.ones(starts.size, object)
    if not starts.size == ends.size == axes.size == steps.size or list(axes) != list(range(axes.size)):
        raise _Unknown
    whole = all(
        (s, step) == (0, 1) and _reaches(end) for s, end, step in zip(starts[1:], ends[1:], steps[1:], strict=True)
    )
    one = (ends[0], steps[0]) == (Iteration(1), 1) or (_reaches(ends[0]) and _reaches(steps[0]))
    if not axes.size or starts[0] != Iteration() or not one or not whole:
        raise _Unknown
    tensor = outer[node.input[0]]
    plain = isinstance(tensor, Val) and not tensor.flat and not tensor.swapped
    row = counted(builder, tensor.value) if isinstance(tensor, Val) and plain else None
    if not isinstance(tensor, Val) or row is None:
        return Element(node.input[0])
    if not same(builder, row[0], count):
        raise _Unknown
    return np.full((1, *tensor.shape[1:]), Iteration(row[1]), object)


def _reaches(end: Any) -> bool:
    return not isinstance(end, Iteration) and end >= _FAR


def first_rows(builder: Builder, x: Val, count: Dim, name: str) -> Val:
    """As many rows of a sequence as there are iterations, taken one by one: it fails where there are fewer."""
    size = builder.size(count, name)
    number = None if not isinstance(count, int) else count
    (places,) = builder.node(f"{name}/places", layers.Range(), (size,), (number,), dtype="int64")
    at, shape = x.axis(0), list(x.value.shape)
    shape[at] = number
    return Val(builder.node(f"{name}/rows", layers.Gather(at), (x.value, places), tuple(shape))[0], x.swapped)


def counted(builder: Builder, x: Value, deep: int = 0) -> tuple[Dim, int] | None:
    """How many numbers a value holds, and the first of them, if it is n, n + 1, n + 2, ... along its first axis."""
    node = builder.producer(x)
    if (
        node is None
        or deep > _DEEP
        or any(size != 1 for size in x.shape[1:])
        or not x.shape
        or not x.dtype.startswith("int")
    ):
        return None
    layer, given = node.layer, [value for value in node.inputs if value is not None]
    if isinstance(layer, layers.Range):
        size = number(builder, given[0])
        return None if size is None else (size, 0)
    if isinstance(layer, layers.Cast) or (isinstance(layer, layers.ExpandDims) and 0 not in layer.axes):
        return counted(builder, given[0], deep + 1)
    if isinstance(layer, layers.Gather) and layer.axis == 0:
        of, at = (counted(builder, value, deep + 1) for value in given)
        return of if of is not None and at is not None and at[1] == 0 and same(builder, of[0], at[0]) else None
    if isinstance(layer, layers.Elementwise) and layer.op in ("add", "multiply"):
        return (_shifted if layer.op == "add" else _guarded)(builder, given, deep + 1)
    return None


def _shifted(builder: Builder, given: Sequence[Value], deep: int) -> tuple[Dim, int] | None:
    """Such a value, and a number that is added."""
    for one, other in (given, given[::-1]):
        by, of = _constant(builder, other), counted(builder, one, deep)
        if of is not None and isinstance(by, int) and by >= 0:
            return of[0], of[1] + by
    return None


def _guarded(builder: Builder, given: Sequence[Value], deep: int) -> tuple[Dim, int] | None:
    """0, 1, 2, ... times whether there are more than one of them: the first is 0 anyway."""
    for one, other in (given, given[::-1]):
        of, test = counted(builder, one, deep), builder.producer(other)
        if of is None or of[1] or test is None or not isinstance(test.layer, layers.Cast) or test.inputs[0] is None:
            continue
        test = builder.producer(test.inputs[0])
        if test is None or test.layer != layers.Elementwise("greater"):
            continue
        size, bound = (x for x in test.inputs if x is not None)
        many = number(builder, size)
        if many is not None and same(builder, many, of[0]) and _constant(builder, bound) == 1:
            return of
    return None


def _constant(builder: Builder, x: Value, deep: int = 0) -> int | None:
    """A whole number; also 0 times anything."""
    node = builder.producer(x)
    if node is None or deep > _DEEP or any(size != 1 for size in x.shape):
        return None
    if node.layer == layers.Elementwise("multiply"):
        return 0 if 0 in (_constant(builder, value, deep + 1) for value in node.inputs if value is not None) else None
    if isinstance(node.layer, layers.Cast) and node.inputs[0] is not None:
        return _constant(builder, node.inputs[0], deep + 1)
    value = node.layer.weight.read().item() if isinstance(node.layer, layers.Constant) else None
    return int(value) if value is not None and np.isfinite(value) and value == int(value) else None


def _bounds(value: Any) -> tuple[Any, Any]:
    return (value.more, _FAR - 1) if isinstance(value, Iteration) else (value, value)


def _sum(a: Any, b: Any) -> Any:
    turns, numbers = ([v for v in (a, b) if isinstance(v, Iteration) == kind] for kind in (True, False))
    if len(turns) == 1 and turns[0].more + numbers[0] >= 0:
        return Iteration(turns[0].more + int(numbers[0]))
    if turns:
        raise _Unknown
    return a + b


def _ordered(a: Any, b: Any) -> bool:
    """Whether a < b."""
    if isinstance(a, Iteration) and isinstance(b, Iteration):
        return a.more < b.more
    (low, high), (other_low, other_high) = _bounds(a), _bounds(b)
    if high < other_low:
        return True
    if low >= other_high:
        return False
    raise _Unknown


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, Iteration) == isinstance(b, Iteration):
        return bool(a == b)
    return _ordered(a, b) is False and _ordered(b, a) is False


def _cast(node: Any, given: Sequence[Array]) -> Array:
    kind = _KINDS.get(next((a.i for a in node.attribute if a.name == "to"), 0))
    if kind is None:
        raise _Unknown
    return _each(lambda v: v if isinstance(v, Iteration) else kind(v).item(), 1)(node, given)


def _each(rule: Callable[..., Any], count: int) -> Callable[[Any, Sequence[Array]], Array]:
    """An operator on `count` arrays, element by element."""
    each = np.frompyfunc(rule, count, 1)

    def apply(node: Any, given: Sequence[Array]) -> Array:
        if len(given) != count:
            raise _Unknown
        made = np.empty((), object)
        result = each(*given)
        if isinstance(result, np.ndarray):
            return result
        made[()] = result
        return made

    return apply


def _moved(node: Any, given: Sequence[Array]) -> Array:
    """Squeeze or Unsqueeze of few numbers along the first axis."""
    axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
    if (axes if axes is not None else [int(n) for part in given[1:] for n in part.ravel()]) != [0]:
        raise _Unknown
    if node.op_type == "Unsqueeze":
        return given[0][None]
    if not given[0].ndim or given[0].shape[0] != 1:
        raise _Unknown
    made: Array = given[0].reshape(given[0].shape[1:])
    return made


def _joined(node: Any, given: Sequence[Array]) -> Array:
    if any(array.ndim != 1 for array in given) or any(a.i not in (0, -1) for a in node.attribute if a.name == "axis"):
        raise _Unknown
    return np.concatenate(given)


_RULES: Mapping[str, Callable[[Any, Sequence[Array]], Array]] = {
    "Identity": _each(lambda v: v, 1), "Cast": _cast, "Squeeze": _moved, "Unsqueeze": _moved, "Concat": _joined,
    "Add": _each(_sum, 2), "Less": _each(_ordered, 2), "Greater": _each(lambda a, b: _ordered(b, a), 2),
    "Equal": _each(_alike, 2), "And": _each(operator.and_, 2), "Or": _each(operator.or_, 2),
    "Max": _each(lambda a, b: b if _ordered(a, b) else a, 2), "Min": _each(lambda a, b: a if _ordered(a, b) else b, 2),
    "Where": _each(lambda c, a, b: a if c else b, 3),
}  # fmt: skip
