"""Layers that ONNX files say in several operators, put together again as far as their weights go.

BatchNormalization is (x - mean)·scale + beta there, see exporters/onnx/dense.py, its gamma and variance are one factor;
a ConvLSTM is a convolution of its input before a Scan, see exporters/onnx/convlstm.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from converter.comparing.calls import layer_name
from converter.comparing.part import Part
from converter.model import Array, Node, Weight
from converter.model.layers import (
    BatchNormalization,
    Constant,
    Conv,
    ConvLSTMCell,
    Elementwise,
    Recurrent,
    Reshape,
    Transpose,
)  # fmt: skip

FOLDED = "BatchNormalization, gamma and variance as one factor"
ARRAY = "array"
_WEIGHTS = ("float", "bfloat", "int8", "uint8")
_CONSTANT = re.compile(r"(__\d+)?((/[A-Z]\w*)?/constant(_\d+)?)?$")  # what names of constants have behind their layer's


def folded(name: str, layer: BatchNormalization) -> Part:
    """A BatchNormalization as `computed_with` finds one."""

    def read() -> Mapping[str, Array]:
        variance = layer.variance.read()
        scale = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
        if layer.gamma is not None:
            scale = scale * layer.gamma.read().astype(np.float64)
        held = {"mean": layer.mean.read(), "scale": scale.astype(variance.dtype)}
        return held if layer.beta is None else {**held, "beta": layer.beta.read()}

    return Part(name, FOLDED, (layer.mean.size, layer.beta is not None), read)


def computed_with(nodes: Sequence[Node]) -> list[Part]:
    """The arrays that a graph's arithmetic takes: normalizations, and whatever else is neither a number nor a size."""
    makers = {value.name: node for node in nodes for value in node.outputs}
    chains = list(_chains(nodes, makers))
    known = {id(weight) for _, weights in chains for weight in weights}
    uses = Counter(_ids(found) for _, found in chains)
    once = {_ids(found): (name, found) for name, found in reversed(chains)}
    parts = [Part(layer_name(name), FOLDED, (found[0].size, len(found) > 2), _flat(found), uses=uses[_ids(found)])
             for name, found in reversed(once.values())]  # fmt: skip
    counts: Counter[str] = Counter()
    values: set[tuple[object, ...]] = set()  # Keras' files write an array again for each operation that takes it
    for value in (value for node in nodes for value in node.inputs if value is not None):  # in the order of their use
        maker = makers.get(value.name)
        if maker is None or not isinstance(maker.layer, Constant) or id(maker.layer.weight) in known:
            continue
        weight = maker.layer.weight
        known.add(id(weight))
        sizes = tuple(size for size in weight.shape if size != 1)
        if not weight.shape or not weight.dtype.startswith(_WEIGHTS):
            continue
        key = (sizes, weight.read().tobytes())
        if key not in values:
            values.add(key)
            layer = _CONSTANT.sub("", maker.name)
            counts[layer] += 1
            parts.append(Part(f"{layer} array {counts[layer]}", ARRAY, sizes, _flat([weight], ("values",))))
    return parts


def _chains(nodes: Sequence[Node], makers: Mapping[str, Node]) -> Iterator[tuple[str, list[Weight]]]:
    """Each (x - mean)·scale [+ beta] over arrays that lie along one axis."""
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for value in node.inputs:
            if value is not None:
                readers.setdefault(value.name, []).append(node)
    for node in nodes:
        found, last, after = [], node, [node]
        for op in ("subtract", "multiply", "add"):
            weight = _array(after[0], op, makers) if len(after) == 1 else None
            if weight is None:
                break
            found.append(weight)
            last = after[0]
            after = readers.get(last.outputs[0].name, [])
        if len(found) > 1 and len({weight.size for weight in found}) == 1:
            yield node.name, found


def _ids(weights: Sequence[Weight]) -> tuple[int, ...]:
    return tuple(id(weight) for weight in weights)


def _array(node: Node, op: str, makers: Mapping[str, Node]) -> Weight | None:
    """The array that a node of `op` takes besides its input, if it lies along one axis."""
    if not isinstance(node.layer, Elementwise) or node.layer.op != op or len(node.inputs) != 2:
        return None
    given = [makers.get(value.name) if value is not None else None for value in node.inputs]
    held = [maker.layer.weight if maker is not None and isinstance(maker.layer, Constant) else None for maker in given]
    (first, second) = held if op == "subtract" else sorted(held, key=lambda weight: weight is not None)
    along = second is not None and second.shape and second.size == max(second.shape)
    return second if first is None and along else None


def _flat(
    weights: Sequence[Weight], names: Sequence[str] = ("mean", "scale", "beta")
) -> Callable[[], Mapping[str, Array]]:
    return lambda: {name: weight.read().reshape(-1) for name, weight in zip(names, weights, strict=False)}


def convolved(nodes: Sequence[Node]) -> dict[int, list[Node]]:
    """The convolutions of the input before each ConvLSTM whose kernel gives each channel back, by the cell's id.

    Only the last of them has weights: the others are by the identity, from ONNX files that were read and written again.
    """
    makers = {value.name: node for node in nodes for value in node.outputs}
    found: dict[int, list[Node]] = {}
    for node in nodes:
        cell = node.layer.directions[0].cell if isinstance(node.layer, Recurrent) else None
        if not isinstance(cell, ConvLSTMCell) or cell.bias is not None or channels(cell.kernel) is None:
            continue
        before = _before(node, makers)
        while before is not None and isinstance(before.layer, Reshape | Transpose | Conv):
            if isinstance(before.layer, Conv):
                found.setdefault(id(cell), []).append(before)
                if not _nothing(before.layer):
                    break
            before = _before(before, makers)
    return found


def _nothing(conv: Conv) -> bool:
    """Whether a convolution gives back its input."""
    return conv.bias is None and conv.padding == "same" and set(conv.strides) == {1} and _same(conv.kernel)


def _before(node: Node, makers: Mapping[str, Node]) -> Node | None:
    return makers.get(node.inputs[0].name) if node.inputs and node.inputs[0] is not None else None


def _same(kernel: Weight) -> bool:
    """Whether a convolution by it changes nothing, as those that readers/onnx/scan.py makes."""
    factors = channels(kernel)
    return factors is not None and bool(np.all(factors == 1))


def channels(kernel: Weight) -> Array | None:
    """What a convolution multiplies each channel by, if it does nothing else: 1, or as exporters/keras scales gates."""
    *window, given, made = kernel.shape
    if given != made:
        return None
    array = kernel.read()
    factors = np.diagonal(array[tuple((n - 1) // 2 for n in window)])
    alone = np.zeros(kernel.shape, array.dtype)
    alone[tuple((n - 1) // 2 for n in window)] = np.diag(factors)
    return factors if np.all(factors > 0) and np.array_equal(array, alone) else None
