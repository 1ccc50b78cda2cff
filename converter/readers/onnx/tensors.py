"""What stands for an ONNX tensor while a graph is translated.

Recurrent operators of ONNX count time first and directions apart, [time, directions, batch, units]; neutral layers
count the batch first. Transposes around them are therefore not written down but remembered, and vanish in pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.model import Array, Shape, Value, Weight
from converter.readers.onnx.counted import Compact, Counting, Dim, History, Order, Places, Rows, Steps
from converter.readers.onnx.pieces import Blanked, Pieces, Texts


@dataclass(frozen=True)
class Val:
    """A neutral value as ONNX sees it.

    Attributes:
        value: the value, three axes or any other number.
        swapped: its axes 0 and 1 are exchanged.
        flat: its axes 0 and 1 are then merged (a Dense over all steps at once); the name of the value they were of.
    """

    value: Value
    swapped: bool = False
    flat: str = ""

    @property
    def shape(self) -> Shape:
        """As ONNX sees it."""
        shape = self.value.shape
        if self.flat:
            return (None, *shape[2:])
        return (shape[1], shape[0], *shape[2:]) if self.swapped else shape

    def axis(self, axis: int) -> int:
        """An axis of the neutral value, from one that ONNX names."""
        axis = axis + len(self.value.shape) if axis < 0 else axis
        return 1 - axis if self.swapped and axis < 2 else axis


@dataclass(frozen=True, eq=False)
class Const:
    """An array of the file."""

    weight: Weight

    @property
    def array(self) -> Array:
        """Its values."""
        return self.weight.read()


@dataclass(frozen=True)
class Zeros:
    """Zeros, as initial states are.

    Attributes:
        shape: None where it is not known, since it does not matter.
        dtype: of the values.
    """

    shape: tuple[Dim, ...] | None = None
    dtype: str = "float32"


@dataclass(frozen=True)
class Dims:
    """Sizes of axes, as numbers in a tensor.

    Attributes:
        items: the sizes.
        scalar: whether it is one number, not a vector.
        dtype: of the numbers; models cast sizes to divide by them.
    """

    items: tuple[Dim, ...]
    scalar: bool = False
    dtype: str = "int64"


@dataclass(frozen=True)
class Filled:
    """A tensor whose values are all one size.

    Attributes:
        item: the size.
        shape: None where it is not known.
        dtype: of the values.
    """

    item: Dim
    shape: tuple[Dim, ...] | None = None
    dtype: str = "int64"


@dataclass(frozen=True)
class Stack:
    """The sequences of the directions, each [batch, time, units]; ONNX sees [time, directions, batch, units]."""

    ys: tuple[Value, ...]


@dataclass(frozen=True)
class Spread:
    """The same, seen as [time, batch, directions, units], or [batch, time, ...]."""

    ys: tuple[Value, ...]
    time_first: bool


@dataclass(frozen=True)
class States:
    """One state of each direction, [batch, units] or None for zeros; ONNX sees [directions, batch, units]."""

    hs: tuple[Value | None, ...]


Tensor = (
    Val | Const | Zeros | Dims | Filled | Stack | Spread | States
    | Counting | Order | Rows | Places | Compact | Steps | History | Texts | Blanked | Pieces
)  # fmt: skip


def is_zero(tensor: Tensor) -> bool:
    """Whether all its values are zero."""
    return isinstance(tensor, Zeros) or (isinstance(tensor, Const) and not np.any(tensor.array))


def widened(shape: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    """A shape with 1 put in at `axes`, which count the result."""
    sizes = list(shape)
    for axis in axes:
        sizes.insert(axis, 1)
    return tuple(sizes)
