"""What stands for a tensor while a graph is translated, other than neutral values, arrays and `Dims`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.model import Array, Value, Weight
from converter.tensorflow_graph.sizes import Axis, Dims

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("PyFunc", "EagerPyFunc", "PyFuncStateless"), "runs Python code, which is not in the file"),
    **dict.fromkeys(
        ("Switch", "Merge", "RefSwitch"),
        "belongs to a branch as TensorFlow 1 writes it (tf.cond, static_rnn "
        "with sequence_length), and such branches are not read",
    ),
    **dict.fromkeys(("ReadFile", "WriteFile", "MatchingFiles", "TextLineReaderV2"), "reads or writes files"),
}
# Operators that make zeros of zeros, whatever their other operands (which are finite) are.
LINEAR = frozenset({
    "Sum", "Mean", "Mul", "MatMul", "BatchMatMulV2", "Conv2D", "Conv3D", "Reshape", "Transpose", "ExpandDims",
    "Squeeze", "StridedSlice", "Slice", "Tile",
})  # fmt: skip
# Attributes that concern the execution, or say what the inputs already tell.
INERT = frozenset({
    "element_dtype", "shape_type", "dtype", "out_type", "Tout", "Tin", "explicit_paddings", "Taxis", "Tcomplex",
    "Treal", "incompatible_shape_error",
    "grad_x", "grad_y", "begin_type", "bad_indices_policy", "Tcond", "num_split", "dst_type",
})  # fmt: skip


Place = tuple[Axis, int]  # an index in the first step of a loop, and by how much it grows with each


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor of the file, unread."""

    weight: Weight


@dataclass(eq=False)
class Resource:
    """A variable.

    Attributes:
        name: of the step that makes its handle.
        value: Stored, or what was assigned last.
    """

    name: str
    value: Any


@dataclass(frozen=True, eq=False)
class TensorList:
    """A list of tensors of one shape.

    Attributes:
        stacked: its elements along axis 0; None for a list that is still to be filled.
        length: how many elements, int or Dim.
        last: the last element, where that is a value of its own.
        only: where one element alone is there.
        items: elements put in one by one, from the first on.
        tail: those at its end, where its length is open.
        place: in a loop, where each step puts its element.
    """

    stacked: Value | None
    length: Any
    last: Value | None = None
    only: Value | None = None
    items: tuple[Any, ...] = ()
    tail: tuple[Any, ...] = ()
    place: Place | None = None


@dataclass
class Memory:
    """What is known of values beyond their nodes, by their names.

    Attributes:
        turned: value -> what it is a transpose of, and the axes.
        flat: value -> what it is, with all axes but the last made one.
        reversed: value -> what it is the reverse of, and along which axis.
        widened: value -> what it is with one more axis, and which.
        filled: value -> the number that it is everywhere.
        last: sequence, time major -> its last element.
        product: value -> the input and the kernel that it is the product of.
        packed: vector -> its elements, some of which the model computes.
        at_least, at_most: number -> a size that it is not below, not above.
        reaches: number -> a vector none of whose elements is above it, but for those above its `at_most`.
        rows_reversed: value -> what it is with the first steps of each row reversed, and how many of each.
    """

    turned: dict[str, tuple[Value, tuple[int, ...]]] = field(default_factory=dict)
    flat: dict[str, Value] = field(default_factory=dict)
    reversed: dict[str, tuple[Value, int]] = field(default_factory=dict)
    widened: dict[str, tuple[Value, int]] = field(default_factory=dict)
    filled: dict[str, float] = field(default_factory=dict)
    last: dict[str, Value] = field(default_factory=dict)
    product: dict[str, tuple[Value, Stored]] = field(default_factory=dict)
    packed: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    at_least: dict[str, Axis] = field(default_factory=dict)
    at_most: dict[str, Axis] = field(default_factory=dict)
    reaches: dict[str, Value] = field(default_factory=dict)
    rows_reversed: dict[str, tuple[Value, Value]] = field(default_factory=dict)


def path_of(name: str) -> str:
    """The scope of a step: the layer it belongs to, as far as names tell."""
    scope = name.rpartition("/")[0] or name
    return clean(scope.removeprefix("StatefulPartitionedCall/"), 200)


def integers_of(x: Any, what: str) -> list[Axis]:
    """A vector of numbers and open sizes.

    Raises:
        Unsupported: the model computes it otherwise.
    """
    if isinstance(x, Dims):
        return x.axes()
    if isinstance(x, np.ndarray | np.generic):
        return [int(n) for n in np.ravel(x)]
    raise Unsupported(f"{what} that the model computes")


def as_array(x: Any) -> Array | None:
    """A constant's values, or None for what is none."""
    if isinstance(x, Stored):
        return x.weight.read()
    return np.asarray(x) if isinstance(x, np.ndarray | np.generic) else None


def layer_path(name: str, own: Collection[str] = ("while", "rnn")) -> str:
    """The scope of the layer that a loop belongs to ("bidirectional/forward_lstm" of "bidirectional/.../while").

    `own`: scopes that belong to the loop.
    """
    parts = [part for part in name.split("/") if part]
    while len(parts) > 1 and parts[-1].rstrip("_0123456789") in own:
        parts.pop()
    return clean("/".join(parts), 200)
