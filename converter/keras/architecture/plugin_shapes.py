"""What a node that a plugin emits takes and makes: arrays, axes and sizes, refused where they are wrong.

A rule gives the shape of a layer's output; where there is none, what the plugin says is taken, and the proof holds the
numbers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from math import prod
from typing import Any, get_args, get_type_hints

from converter.errors import InvalidModel
from converter.keras.building.ops import axis_in, broadcast
from converter.model import Shape, Weight, layers

Rule = Callable[[Any, Sequence[Shape]], Shape]
TYPES = ("float32", "float64", "float16", "bfloat16", "bool", "string", "int8", "int16", "int32", "int64",
         "uint8", "uint16", "uint32", "uint64")  # fmt: skip
WRAPPED = 'an array is made a weight by Weight("name", array.shape, array.dtype.name, lambda: array)'


def _same(layer: Any, inputs: Sequence[Shape]) -> Shape:
    return inputs[0]


def _together(layer: Any, inputs: Sequence[Shape]) -> Shape:
    shape: Shape = ()
    for other in inputs:
        shape = broadcast(shape, other)
    return shape


def _dense(layer: layers.Dense, inputs: Sequence[Shape]) -> Shape:
    units, features = layer.kernel.shape[-1], layer.kernel.shape[0]
    if inputs[0][-1] not in (features, None):
        raise InvalidModel(f"Dense with a kernel of shape {layer.kernel.shape} takes {features} features, not "
                           f"{inputs[0][-1]}")  # fmt: skip
    return (*inputs[0][:-1], units)


def _transpose(layer: layers.Transpose, inputs: Sequence[Shape]) -> Shape:
    if sorted(layer.axes) != list(range(len(inputs[0]))):
        raise InvalidModel(f"Transpose has axes {layer.axes} for shape {inputs[0]}: each axis once")
    return tuple(inputs[0][axis] for axis in layer.axes)


def _reduce(layer: layers.Reduce, inputs: Sequence[Shape]) -> Shape:
    axes = {axis_in(axis, len(inputs[0])) for axis in layer.axes}
    kept = [1 if k in axes else n for k, n in enumerate(inputs[0]) if layer.keepdims or k not in axes]
    return tuple(kept)


def _reshape(layer: layers.Reshape, inputs: Sequence[Shape]) -> Shape:
    row, target = inputs[0][1:], layer.target[1:]
    if None not in row and all(n > 0 for n in target) and prod(n or 0 for n in row) != prod(target):
        raise InvalidModel(f"Reshape of rows of shape {row} to {target}: that is not as many numbers")
    return tuple((inputs[0][k] if k < len(inputs[0]) else None) if n == 0 else None if n < 0 else n
                 for k, n in enumerate(layer.target))  # fmt: skip


RULES: Mapping[type, Rule] = {
    layers.Activate: _same, layers.Unary: _same, layers.Cast: _same, layers.CumSum: _same,
    layers.Elementwise: _together, layers.Where: _together, layers.Dense: _dense, layers.Transpose: _transpose,
    layers.Reduce: _reduce, layers.Reshape: _reshape,
}  # fmt: skip


def check(layer: Any, inputs: Sequence[Shape], outputs: Sequence[tuple[Shape, str]]) -> None:
    """Refuses a node that cannot be what it says.

    Raises:
        TypeError: an array where a Weight belongs, or no name of a type.
        InvalidModel: an axis that is not there, sizes that do not go together, or another shape than it makes.
    """
    kind = type(layer).__name__
    for name, hint in get_type_hints(type(layer)).items():
        value = getattr(layer, name)
        if Weight in (hint, *get_args(hint)) and not isinstance(value, Weight | None):
            raise TypeError(f"{kind}.{name} of {type(value).__name__}: {WRAPPED}")
    if inputs and isinstance(axis := getattr(layer, "axis", None), int):
        axis_in(axis, len(inputs[0]))
    for shape, dtype in outputs:
        if dtype not in TYPES:
            raise TypeError(f"there is no type {dtype!r}; there are {', '.join(TYPES)}")
        made = RULES[type(layer)](layer, inputs) if type(layer) in RULES else shape
        pairs = list(zip_longest(made, shape, fillvalue=-1))
        if any(None not in pair and pair[0] != pair[1] for pair in pairs) or len(made) != len(shape):
            raise InvalidModel(f"{kind} makes shape {made} of {', '.join(map(str, inputs))}, not {shape}")
