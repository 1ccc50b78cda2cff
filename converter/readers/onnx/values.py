"""One operator of an ONNX file, and the neutral nodes that are made of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.model import Array, Node, Shape, Value, Weight, constant, dtype_of, layers
from converter.model.naming import free_name
from converter.readers.onnx.counted import COMPUTED, Counting, Dim, Rows
from converter.readers.onnx.pieces import Blanked, Pieces, Texts
from converter.readers.onnx.tensors import Const, Dims, Filled, Spread, Stack, States, Tensor, Val, Zeros


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

    def string(self, name: str, default: str) -> str:
        """An attribute, text in UTF-8."""
        return self.attributes[name].s.decode() if name in self.attributes else default

    def integers(self, name: str, index: int) -> list[int] | None:
        """An attribute of old operator sets that is an input in new ones."""
        if name in self.attributes:
            return [int(i) for i in self.attributes[name].ints]
        if not self.has(index):
            return None
        given = self.tensor(index)
        if isinstance(given, Dims) and all(isinstance(item, int) for item in given.items):
            return [int(item) for item in given.items if isinstance(item, int)]
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
    values: dict[str, Value] = field(default_factory=dict)  # by their names, those outside of a body as well
    known_sizes: dict[tuple[str, int], Dim] = field(default_factory=dict)  # of values, computed elsewhere in the file
    factors: dict[str, tuple[Dim, Dim]] = field(default_factory=dict)  # of sizes that are products, by their values
    depth: int = 0  # of branches within branches
    warnings: list[str] = field(default_factory=list)  # of the whole file
    _names: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)
    _flat: dict[Val, Value] = field(default_factory=dict)

    def inside(self) -> Builder:
        """One for the body of an operator, which reads what is here; names that are new there are new here."""
        return Builder(
            self.opset, self.run, [], dict(self.tensors), self.values, self.known_sizes, self.factors, self.depth,
            self.warnings, self._names, self._counts,
        )  # fmt: skip

    def given(self, name: str, value: Value) -> None:
        """An input of the graph, or of a body, and the tensor that it is."""
        self.tensors[name] = Val(value)
        self.values[value.name] = value

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
        self.values |= {value.name: value for value in outputs}
        return outputs

    def size(self, item: Dim, name: str) -> Value:
        """A size as a value, a scalar of int64."""
        if isinstance(item, int):
            return self.number(f"{name}/size", np.int64(item))
        if item[1] == COMPUTED:
            return self.values[item[0]]
        return self.node(f"{name}/size", layers.Size(item[1]), (self.values[item[0]],), (), dtype="int64")[0]

    def number(self, name: str, array: Array | np.generic) -> Value:
        """A constant."""
        weight = constant(name, np.asarray(array))
        return self.node(name, layers.Constant(weight), (), weight.shape, dtype=weight.dtype)[0]

    def cast(self, x: Value, dtype: str, name: str) -> Value:
        """x in another type."""
        return x if x.dtype == dtype else self.node(f"{name}/cast", layers.Cast(dtype), (x,), x.shape, dtype=dtype)[0]

    def nowhere(self, shape: Sequence[Dim], name: str) -> Value:
        """False in a shape of numbers and open sizes: what is put where it is true stretches to that shape."""
        fixed = tuple(size if isinstance(size, int) else 1 for size in shape)
        made = self.number(f"{name}/nowhere", np.zeros(fixed, np.bool_))
        for place, size in enumerate(shape):
            if isinstance(size, int):
                continue
            row = self._along(size, name)
            less = self.node(f"{name}/less", layers.Elementwise("less"), (row, row), (None,), dtype="bool")[0]
            along = tuple(-1 if k == place else 1 for k in range(len(shape)))
            open_shape = tuple(None if n == -1 else n for n in along)
            row = self.node(f"{name}/row", layers.Reshape(along), (less,), open_shape)[0]
            wide = tuple(n if a == 1 else None for n, a in zip(made.shape, along, strict=True))
            made = self.node(f"{name}/or", layers.Elementwise("or"), (made, row), wide)[0]
        return made

    def _along(self, size: tuple[str, int], name: str) -> Value:
        """Numbers, as many as a size says: the value's own where it has some, since not every target knows sizes."""
        of, axis = self.values[size[0]], size[1]
        if axis != COMPUTED and of.dtype.startswith(("float", "int")) and of.shape:
            others = tuple(k for k in range(len(of.shape)) if k != axis)
            return self.node(f"{name}/sum", layers.Reduce("sum", others), (of,), (None,))[0] if others else of
        return self.node(f"{name}/range", layers.Range(), (self.size(size, name),), (None,), dtype="int64")[0]

    def stretched(self, x: Value, shape: Sequence[Dim], name: str) -> Value:
        """x broadcast to a shape."""
        where = self.nowhere(shape, name)
        wide = broadcast(where.shape, x.shape)
        return self.node(f"{name}/expand", layers.Where(), (where, x, x), wide, dtype=x.dtype)[0]

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
        if isinstance(tensor, Stack | States | Spread):
            return self._stacked(tensor, name)
        if isinstance(tensor, Dims):
            return self._sizes(tensor, name)
        if isinstance(tensor, Zeros | Filled) and tensor.shape is not None:
            item = tensor.item if isinstance(tensor, Filled) else 0
            if isinstance(item, int):
                one = self.number(f"{name}/number", np.array(item, dtype_of(tensor.dtype)))
            else:
                one = self.cast(self.size(item, name), tensor.dtype, name)
            return self.stretched(one, tensor.shape, name)
        if isinstance(tensor, Texts | Blanked | Pieces):
            raise Unsupported(f"pieces of text, or a text of the file, are used as a value, {name}")
        raise Unsupported(f"a tensor that is computed from shapes is used as a value, {name}")

    def _sizes(self, tensor: Dims, name: str) -> Value:
        """A scalar, or a vector."""
        if all(isinstance(item, int) for item in tensor.items):
            array = np.array(tensor.items, tensor.dtype)
            return self.number(f"{name}/sizes", array[0] if tensor.scalar else array)
        parts = [self.cast(self.size(item, name), tensor.dtype, name) for item in tensor.items]
        if tensor.scalar:
            return parts[0]
        rows = tuple(self.node(f"{name}/row", layers.ExpandDims((0,)), (part,), (1,))[0] for part in parts)
        return self.node(f"{name}/sizes", layers.Concatenate(0), rows, (len(rows),))[0] if len(rows) > 1 else rows[0]

    def _stacked(self, tensor: Stack | States | Spread, name: str) -> Value:
        axis = {Stack: 1, States: 0, Spread: 2}[type(tensor)]
        given = tensor.hs if isinstance(tensor, States) else tensor.ys
        swapped = isinstance(tensor, Stack) or (isinstance(tensor, Spread) and tensor.time_first)
        parts = []
        for value in given:
            if value is None:
                raise Unsupported("a state of zeros is used as a value")
            seen = self.value(Val(value, swapped), name)
            shape = (*seen.shape[:axis], 1, *seen.shape[axis:])
            parts.append(self.node(f"{name}/expand", layers.ExpandDims((axis,)), (seen,), shape)[0])
        if len(parts) == 1:
            return parts[0]
        shape = (*parts[0].shape[:axis], len(parts), *parts[0].shape[axis + 1 :])
        return self.node(f"{name}/stack", layers.Concatenate(axis), tuple(parts), shape)[0]

    def dims(self, tensor: Tensor) -> tuple[Dim, ...] | None:
        """The sizes that a tensor of integers says, or None."""
        if isinstance(tensor, Dims):
            return tensor.items if tensor.dtype in ("int64", "int32") else None
        if isinstance(tensor, Const) and tensor.weight.dtype in ("int64", "int32") and tensor.weight.size <= 64:
            return tuple(int(i) for i in tensor.array.ravel())
        return None


def broadcast(*shapes: Shape) -> Shape:
    """The shape of an elementwise result; an open size gives way to a known one that is not 1."""
    rank = max(map(len, shapes))
    wide = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    columns = zip(*wide, strict=True)
    return tuple(next((n for n in sizes if n not in (1, None)), None if None in sizes else 1) for sizes in columns)


def plain(builder: Builder, call: Call, index: int = 0, flat: bool = False) -> Val:
    """An input as a neutral value, swapped or not; flat only where the axes before the last do not matter."""
    tensor = call.tensor(index)
    return tensor if isinstance(tensor, Val) and (flat or not tensor.flat) else Val(builder.value(tensor, call.name))


def on(builder: Builder, call: Call, x: Val, layer: layers.Layer, shape: Shape) -> Val:
    """A layer on a value whose order of axes stays."""
    return Val(builder.node(call.name, layer, (x.value,), shape)[0], x.swapped, x.flat)
