"""What stands for an ONNX tensor while a graph is translated.

Recurrent operators of ONNX count time first and directions apart, [time, directions, batch, units]; neutral layers
count the batch first. Transposes around them are therefore not written down but remembered, and vanish in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.model import Array, Node, Shape, Value, Weight, constant, layers
from converter.model.naming import free_name
from converter.readers.onnx.counted import Compact, Counting, Dim, History, Order, Places, Rows, Steps


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
    """Zeros of a shape that does not matter: an initial state."""


@dataclass(frozen=True)
class Dims:
    """Sizes of axes, as integers in a tensor."""

    items: tuple[Dim, ...]


@dataclass(frozen=True)
class Filled:
    """A tensor whose values are all one size."""

    item: Dim


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
    | Counting | Order | Rows | Places | Compact | Steps | History
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Call:
    """One operator: its name and type, the tensors it reads, the names it makes, its attributes by name."""

    name: str
    op: str
    inputs: list[Tensor | None]
    outputs: list[str]
    attributes: Mapping[str, Any]
    folder: Path

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def tensor(self, index: int) -> Tensor:
        """An input that must be there."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise Unsupported(f"{self.op} without its input {index}")
        return found

    def integer(self, name: str, default: int) -> int:
        """An attribute."""
        return int(self.attributes[name].i) if name in self.attributes else default

    def number(self, name: str, default: float) -> float:
        """An attribute."""
        return float(self.attributes[name].f) if name in self.attributes else default

    def text(self, name: str, default: str) -> str:
        """An attribute."""
        return self.attributes[name].s.decode("ascii", "replace") if name in self.attributes else default

    def integers(self, name: str, index: int) -> list[int] | None:
        """An attribute of old operator sets that is an input in new ones."""
        if name in self.attributes:
            return [int(i) for i in self.attributes[name].ints]
        if not self.has(index):
            return None
        given = self.tensor(index)
        if not isinstance(given, Const) or given.weight.size > 64:
            raise Unsupported(f"{self.op} with {name} that are computed")
        return [int(i) for i in given.array.ravel()]


@dataclass
class Builder:
    """The neutral nodes made so far, and what stands for each ONNX tensor."""

    opset: int
    run: Callable[[Any, int, Builder, Path], None]  # translates one operator
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)
    _flat: dict[Val, Value] = field(default_factory=dict)

    def inside(self) -> Builder:
        """One for the body of an operator, which reads what is here; names that are new there are new here."""
        return Builder(self.opset, self.run, [], dict(self.tensors), self._names, self._counts)

    def constant(self, weight: Weight) -> Tensor:
        """An array of the file; small integer vectors may also be sizes."""
        return Const(weight)

    def unique(self, name: str) -> str:
        """A node's name that no other has."""
        free = free_name(name, self._names, self._counts, first=2)
        self._names.add(free)
        return free

    def node(self, name: str, layer: layers.Layer, inputs: tuple[Value | None, ...], *shapes: Shape, dtype: str = "", dtypes: Sequence[str] = ()) -> tuple[Value, ...]:  # fmt: skip  # noqa: E501
        """Adds a node; returns its outputs."""
        name = self.unique(name)
        dtypes = dtypes or [dtype or next(value.dtype for value in inputs if value is not None)] * len(shapes)
        pairs = zip(shapes, dtypes, strict=True)
        outputs = tuple(Value(f"{name}:{k}", shape, kind) for k, (shape, kind) in enumerate(pairs))
        self.nodes.append(Node(name, layer, inputs, outputs, name))
        return outputs

    def size(self, item: Dim, name: str) -> Value:
        """A size as a value, a scalar of int64."""
        if isinstance(item, int):
            weight = constant(f"{name}/size", np.int64(item))
            return self.node(f"{name}/size", layers.Constant(weight), (), (), dtype="int64")[0]
        known = (t.value for t in self.tensors.values() if isinstance(t, Val))
        made = (value for node in self.nodes for value in node.outputs)
        of = next(value for value in (*known, *made) if value.name == item[0])
        return self.node(f"{name}/size", layers.Size(item[1]), (of,), (), dtype="int64")[0]

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value; None for inputs."""
        return next((n for n in reversed(self.nodes) if any(out.name == value.name for out in n.outputs)), None)

    def transposed(self, x: Value, axes: tuple[int, ...], name: str) -> Value:
        """x with its axes in another order; two orders that undo each other vanish."""
        made = self.producer(x)
        if made is not None and isinstance(made.layer, layers.Transpose) and made.inputs[0] is not None:
            before = made.layer.axes
            if tuple(before[axis] for axis in axes) == tuple(range(len(axes))):
                return made.inputs[0]
        shape = tuple(x.shape[axis] for axis in axes)
        return self.node(name, layers.Transpose(axes), (x,), shape)[0]

    def value(self, tensor: Tensor, name: str) -> Value:
        """A neutral value with the axes as ONNX sees them.

        Raises:
            Unsupported: it is none.
        """
        if isinstance(tensor, Val) and tensor.flat:
            if tensor not in self._flat:
                whole = self.value(Val(tensor.value, tensor.swapped), name)
                target = (-1, *(size or 0 for size in whole.shape[2:]))
                self._flat[tensor] = self.node(f"{name}/flat", layers.Reshape(target), (whole,), tensor.shape)[0]
            return self._flat[tensor]
        if isinstance(tensor, Val):
            if not tensor.swapped:
                return tensor.value
            axes = (1, 0, *range(2, len(tensor.value.shape)))
            return self.transposed(tensor.value, axes, f"{name}/transpose")
        if isinstance(tensor, Const):
            weight = tensor.weight
            return self.node(f"{name}/constant", layers.Constant(weight), (), weight.shape, dtype=weight.dtype)[0]
        if isinstance(tensor, Counting | Rows):
            return tensor.value
        if isinstance(tensor, Stack | States):
            return self._stacked(tensor, name)
        raise Unsupported(f"a tensor that is computed from shapes is used as a value, {name}")

    def _stacked(self, tensor: Stack | States, name: str) -> Value:
        axis = 1 if isinstance(tensor, Stack) else 0
        given = tensor.ys if isinstance(tensor, Stack) else tensor.hs
        parts = []
        for value in given:
            if value is None:
                raise Unsupported("a state of zeros is used as a value")
            seen = self.value(Val(value, swapped=isinstance(tensor, Stack)), name)
            shape = (*seen.shape[:axis], 1, *seen.shape[axis:])
            parts.append(self.node(f"{name}/expand", layers.ExpandDims((axis,)), (seen,), shape)[0])
        if len(parts) == 1:
            return parts[0]
        shape = (*parts[0].shape[:axis], len(parts), *parts[0].shape[axis + 1 :])
        return self.node(f"{name}/stack", layers.Concatenate(axis), tuple(parts), shape)[0]

    def dims(self, tensor: Tensor) -> tuple[Dim, ...] | None:
        """The sizes that a tensor of integers says, or None."""
        if isinstance(tensor, Dims):
            return tensor.items
        if isinstance(tensor, Const) and tensor.weight.dtype in ("int64", "int32") and tensor.weight.size <= 64:
            return tuple(int(i) for i in tensor.array.ravel())
        return None


def is_zero(tensor: Tensor) -> bool:
    """Whether all its values are zero."""
    return isinstance(tensor, Zeros) or (isinstance(tensor, Const) and not np.any(tensor.array))


def plain(builder: Builder, call: Call, index: int = 0, flat: bool = False) -> Val:
    """An input as a neutral value, swapped or not; flat only where the axes before the last do not matter."""
    tensor = call.tensor(index)
    return tensor if isinstance(tensor, Val) and (flat or not tensor.flat) else Val(builder.value(tensor, call.name))


def on(builder: Builder, call: Call, x: Val, layer: layers.Layer, shape: Shape) -> Val:
    """A layer on a value whose order of axes stays."""
    return Val(builder.node(call.name, layer, (x.value,), shape)[0], x.swapped, x.flat)
