"""The façade over the flatbuffer: checked operators, constants shared by identity, shapes known to every rule.

A graph is the model's or the body of a WHILE. Nothing of a weight is read before the file is written; the same model
gives the same names in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from converter.errors import clean
from converter.exporters.tflite.tensors import Buffer, Op, Ranges, Scaled, Tensor, element_type
from converter.formats.tflite import TYPES
from converter.model import Array, Shape, Weight, dtype_of
from converter.model.naming import free_name


@dataclass
class Store:
    """What the graphs of a file share."""

    needed: frozenset[str] = frozenset()  # names of the neutral values that somebody reads
    layer: str = ""  # prefix of new names
    ranges: Mapping[str, tuple[Ranges, ...]] = field(default_factory=dict)  # of the layers that become integers
    names: set[str] = field(default_factory=set)
    counters: dict[str, int] = field(default_factory=dict)
    buffers: dict[Hashable, tuple[str, Buffer]] = field(default_factory=dict)
    graphs: list[Graph] = field(default_factory=list)

    def unique(self, suffix: str) -> str:
        """`<layer>/<suffix>`, with a number if it is taken."""
        name = free_name(f"{clean(self.layer)}/{suffix}", self.names, self.counters)
        self.names.add(name)
        return name


class Graph:
    """Operators in order. `body()` gives a graph for a WHILE, which reads nothing of this one."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self.number = len(store.graphs)
        store.graphs.append(self)
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.ops: list[Op] = []
        self.variables: set[Tensor] = set()
        self.constants: dict[Tensor, Buffer] = {}
        self.sizes: dict[Tensor, tuple[Tensor, int]] = {}  # a scalar -> of which axis of what it is the length
        self._made: dict[Hashable, Tensor] = {}

    def body(self, name: str) -> Graph:
        """An empty graph with the same constants."""
        return Graph(self.store, self.store.unique(name))

    def input(self, name: str, dtype: str, shape: Shape) -> Tensor:
        """One more input."""
        element_type(dtype)
        self.inputs.append(Tensor(name, dtype, shape))
        return self.inputs[-1]

    def op(
        self, kind: str, *inputs: Tensor | None, shape: Shape | None = None, dtype: str = "", **options: Any
    ) -> Tensor:
        """One operator with one output; the same call twice gives the same tensor.

        Args:
            kind: as in `OPERATORS`.
            inputs: None for an absent optional one.
            shape: of the output; by default that of the first input.
            dtype: of the output; by default that of the first input.
            options: as the schema calls them.
        """
        first = next(x for x in inputs if x is not None)
        like = Tensor("", dtype or first.dtype, first.shape if shape is None else tuple(shape))
        key = (kind, inputs, like, repr(sorted(options.items())))
        if key not in self._made or not self.variables.isdisjoint(x for x in inputs if x):
            self._made[key] = self.ops_(kind, inputs, [(like.dtype, like.shape)], **options)[0]
        return self._made[key]

    def ops_(
        self, kind: str, inputs: Sequence[Tensor | None], outputs: Sequence[tuple[str, Shape]], **options: Any
    ) -> tuple[Tensor, ...]:
        """One operator with outputs of these types and shapes."""
        made = tuple(self.tensor(kind, dtype, shape) for dtype, shape in outputs)
        self.ops.append(Op(kind, clean(self.store.layer), tuple(inputs), made, options))
        return made

    def add(self, op: Op) -> None:
        """One operator that the other ways do not make."""
        self.ops.append(replace(op, owner=clean(self.store.layer)))

    def into(self, variable: Tensor, kind: str, *inputs: Tensor, **options: Any) -> None:
        """One operator that writes a variable."""
        self.ops.append(Op(kind, clean(self.store.layer), inputs, (variable,), options))

    def variable(self, name: str, shape: Shape, dtype: str = "float32", scaled: Scaled | None = None) -> Tensor:
        """A tensor that an operator changes in place."""
        made = self.tensor(name, dtype, shape, scaled)
        self.variables.add(made)
        return made

    def tensor(self, name: str, dtype: str, shape: Shape, scaled: Scaled | None = None) -> Tensor:
        """A new tensor, which is still to be made."""
        element_type(dtype)
        return Tensor(self.store.unique(name), dtype, tuple(shape), scaled)

    # --- constants ----------------------------------------------------------------------------------------------------

    def const(self, values: Any, dtype: str = "int32") -> Tensor:
        """A small constant."""
        array = np.asarray(values, dtype_of(dtype))
        return self._constant("constant", (array.dtype.name, array.shape, array.tobytes()), dtype, array.shape,
                              lambda: array)  # fmt: skip

    def weight(
        self,
        suffix: str,
        weight: Weight,
        dtype: str = "float32",
        transform: Callable[[Array], Array] = lambda array: array,
        shape: tuple[int, ...] | None = None,
        scaled: Scaled | None = None,
    ) -> Tensor:
        """A weight as a constant `<layer>/<suffix>`, as it is or transformed to `shape`."""
        shape = weight.shape if shape is None else shape
        key = (suffix, weight, dtype, shape, scaled)
        return self._constant(suffix, key, dtype, shape, lambda: transform(weight.read()), scaled)

    def _constant(
        self,
        suffix: str,
        key: Hashable,
        dtype: str,
        shape: tuple[int, ...],
        read: Callable[[], Array],
        scaled: Scaled | None = None,
    ) -> Tensor:
        element_type(dtype)
        buffers = self.store.buffers
        if key not in buffers:
            buffers[key] = self.store.unique(suffix), Buffer(len(buffers) + 1, read)
        name, buffer = buffers[key]
        tensor = Tensor(name, dtype, shape, scaled)
        self.constants.setdefault(tensor, buffer)
        return tensor

    def scalar(self, value: float, like: Tensor) -> Tensor:
        """A 0-d constant of the type of `like`."""
        return self.const(value, like.dtype)

    # --- what many rules need -----------------------------------------------------------------------------------------

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """x as `dtype`; x itself if it is that."""
        if x.dtype == dtype:
            return x
        made = self.op("CAST", x, dtype=dtype, inDataType=element_type(x.dtype), outDataType=element_type(dtype))
        if x in self.sizes:
            self.sizes[made] = self.sizes[x]
        return made

    def pair(self, kind: str, a: Tensor, b: Tensor, dtype: str = "") -> Tensor:
        """A broadcasting operator of two inputs of one type."""
        return self.op(kind, a, b, shape=broadcast(a.shape, b.shape), dtype=dtype)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """x with its axes reordered; x itself where they stay."""
        if list(axes) == sorted(axes):
            return x
        return self.op("TRANSPOSE", x, self.const(list(axes)), shape=tuple(x.shape[axis] for axis in axes))

    def size(self, x: Tensor, axis: int) -> Tensor:
        """The length of one axis, int32 [1]."""
        if (known := x.shape[axis]) is not None:
            return self.const([known])
        sizes = self.op("SHAPE", x, shape=(x.rank,), dtype="int32", outType=TYPES["int32"])
        return self.slice(sizes, 0, axis, axis + 1, shape=(1,))

    def reshape(self, x: Tensor, sizes: Sequence[int | Tensor], shape: Shape) -> Tensor:
        """x in another shape.

        Args:
            x: what is reshaped.
            sizes: of each axis: a number, -1 for one that follows from the others, or a tensor int32 [1].
            shape: of the result, as far as it is known.
        """
        numbers = [n if isinstance(n, int) else known for n, known in zip(sizes, shape, strict=True)]
        if numbers.count(None) == 1 and -1 not in numbers:
            numbers[numbers.index(None)] = -1
        if None not in numbers:
            return self.op("RESHAPE", x, self.const(numbers), shape=shape, newShape=numbers)
        parts = [self.const([n]) if isinstance(n, int) else n for n in sizes]
        wanted = self.op("CONCATENATION", *parts, shape=(len(parts),), axis=0)
        return self.op("RESHAPE", x, wanted, shape=shape)

    def slice(self, x: Tensor, axis: int, start: int, stop: int | None, step: int = 1, *, shape: Shape) -> Tensor:
        """x[start:stop:step] along one axis."""
        return self.slices(x, {axis: (start, stop, step)}, shape)

    def slices(self, x: Tensor, cuts: dict[int, tuple[int | None, int | None, int]], shape: Shape) -> Tensor:
        """x[start:stop:step] along some axes, with Python's meaning."""
        begin, end, steps = [0] * x.rank, [0] * x.rank, [1] * x.rank
        open_begin = open_end = (1 << x.rank) - 1
        for axis, (start, stop, step) in cuts.items():
            begin[axis], end[axis], steps[axis] = start or 0, stop or 0, step
            open_begin &= ~((start is not None) << axis)
            open_end &= ~((stop is not None) << axis)
        numbers = (self.const(values) for values in (begin, end, steps))
        return self.op("STRIDED_SLICE", x, *numbers, shape=shape, beginMask=open_begin, endMask=open_end)

    def pick(self, x: Tensor, axis: int, place: int) -> Tensor:
        """x[..., place, ...] without that axis."""
        begin, end = ([place + more if k == axis else 0 for k in range(x.rank)] for more in (0, 1))
        others = (1 << x.rank) - 1 - (1 << axis)
        last = 1 << axis if place == -1 else 0
        numbers = (self.const(values) for values in (begin, end, [1] * x.rank))
        shape = tuple(n for k, n in enumerate(x.shape) if k != axis)
        return self.op("STRIDED_SLICE", x, *numbers, shape=shape, beginMask=others, endMask=others | last,
                       shrinkAxisMask=1 << axis)  # fmt: skip

    def flip(self, x: Tensor, axis: int) -> Tensor:
        """x reversed along one axis."""
        return self.op("REVERSE_V2", x, self.const([axis]))

    def zeros_along(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """Zeros of the sizes that x has along `axes`, the first of its others."""
        cuts: dict[int, tuple[int | None, int | None, int]] = {k: (0, 1, 1) for k in range(x.rank) if k not in axes}
        part = self.slices(x, cuts, tuple(n if k in axes else 1 for k, n in enumerate(x.shape)))
        return self.op("ZEROS_LIKE", part)

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors joined along an axis."""
        lengths = [x.shape[axis] for x in parts]
        total = None if None in lengths else sum(n or 0 for n in lengths)
        shape = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
        return self.op("CONCATENATION", *parts, shape=shape, axis=axis)

    def split(self, x: Tensor, axis: int, count: int) -> tuple[Tensor, ...]:
        """x cut into equal pieces along an axis of known length."""
        shape = tuple(n // count if k == axis and n is not None else n for k, n in enumerate(x.shape))
        return self.ops_("SPLIT", (self.const(axis), x), [(x.dtype, shape)] * count, numSplits=count)


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of two that are broadcast together."""
    rank = max(len(a), len(b))
    a, b = ((1,) * (rank - len(shape)) + tuple(shape) for shape in (a, b))
    return tuple(m if n == 1 else n if m == 1 or n is not None else m for m, n in zip(a, b, strict=True))
