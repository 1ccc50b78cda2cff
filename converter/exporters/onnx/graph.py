"""The façade over `onnx.helper`: checked operators, names after Keras layers, initializers shared by identity.

Requirements: a wrong operator or attribute name fails at the caller's line, not when the file is loaded; nothing of a
weight is read before it is written; the same model gives the same names. It infers no shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from converter.errors import Unsupported, clean
from converter.exporters.onnx.runtimes import DEFAULT, RUNTIMES, Runtime
from converter.model import Array, Shape, Weight, dtype_of
from converter.model.naming import free_name

COPIED_UP_TO = 1 << 26  # bytes
Blocks = Callable[[], Iterator[Array]]

# Types of a neutral value that the graph computes in another, and takes and gives as that: onnxruntime has next to no
# bfloat16 on the CPU, and its Python and JavaScript interfaces have no arrays of it.
COMPUTED_AS = {"bfloat16": "float32"}
# Integers that arithmetic of opset 13 or onnxruntime 1.6 does not take, and one that they do; casting back wraps.
WIDER = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64"}
ELEMENT_TYPES: dict[str, int] = {
    "float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE, "float16": onnx.TensorProto.FLOAT16,
    "bfloat16": onnx.TensorProto.BFLOAT16, "bool": onnx.TensorProto.BOOL, "int8": onnx.TensorProto.INT8,
    "int16": onnx.TensorProto.INT16, "int32": onnx.TensorProto.INT32, "int64": onnx.TensorProto.INT64,
    "uint8": onnx.TensorProto.UINT8, "uint16": onnx.TensorProto.UINT16, "uint32": onnx.TensorProto.UINT32,
    "uint64": onnx.TensorProto.UINT64, "string": onnx.TensorProto.STRING,
}  # fmt: skip
# Operators outside of ONNX' own domain, with the version that onnxruntime 1.6 and all since know.
DOMAINS: dict[str, tuple[str, int]] = {"LabelEncoder": ("ai.onnx.ml", 2)}
# From these opsets on, an operator's axes are an input; before, an attribute (the ONNX changelog of each operator).
AXES_INPUT_SINCE = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13} | dict.fromkeys(
    ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp"), 18
)


def computed(dtype: str) -> str:
    """The type in which the graph computes values of `dtype`."""
    return COMPUTED_AS.get(dtype, dtype)


def element_type(dtype: str) -> int:
    """TensorProto's number of a NumPy dtype name.

    Raises:
        Unsupported: ONNX graphs of ours have no such type.
    """
    if dtype not in ELEMENT_TYPES:
        raise Unsupported(f"values of type {dtype} cannot be exported to ONNX")
    return ELEMENT_TYPES[dtype]


@dataclass(frozen=True)
class Tensor:
    """A value of the ONNX graph: its name and NumPy dtype name."""

    name: str
    dtype: str


@dataclass(frozen=True)
class Initializer:
    """A constant of the graph; `blocks` reads its values, in order, when the file is written."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    blocks: Blocks

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks together."""
        return int(np.prod(self.shape, dtype=np.int64)) * dtype_of(self.dtype).itemsize


@dataclass
class Store:
    """What a graph and the bodies of its Scans share."""

    opset: int
    needed: frozenset[str] = frozenset()  # names of the neutral values that somebody reads
    runtime: Runtime = RUNTIMES[DEFAULT]
    layer: str = ""  # prefix of new names
    copied: int = 0  # bytes of initializers that are written again for an operator of their own
    names: set[str] = field(default_factory=set)
    counters: dict[str, int] = field(default_factory=dict)
    initializers: dict[str, Initializer] = field(default_factory=dict)
    shared: dict[Hashable, Tensor] = field(default_factory=dict)
    inside: dict[str, Tensor] = field(default_factory=dict)  # what the values of bodies became

    def unique(self, base: str) -> str:
        """`base`, with a number if it is taken."""
        name = free_name(base, self.names, self.counters)
        self.names.add(name)
        return name


class Graph:
    """Operators in order. `body()` gives a graph for a Scan, which may read this one's tensors."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.nodes: list[onnx.NodeProto] = []
        self._made: dict[Hashable, tuple[Tensor | None, ...]] = {}

    def body(self) -> Graph:
        """An empty graph with the same names and initializers."""
        return Graph(self.store)

    def input(self, name: str, dtype: str) -> Tensor:
        """A fresh tensor that no node makes: an input of a Scan's body."""
        return Tensor(self.store.unique(self._scoped(name)), dtype)

    def op(self, kind: str, *inputs: Tensor | None, dtype: str | None = None, **attributes: Any) -> Tensor:
        """One operator with one output; the same call twice gives the same tensor.

        Args:
            kind: the operator's name in ONNX.
            inputs: None for an absent optional one.
            dtype: of the output; by default that of the first input.
            attributes: as in ONNX' documentation; None for an absent one.

        Raises:
            TypeError: the operator has no such attribute.
            Unsupported: the operator is newer than the chosen opset.
        """
        kind_of_output = dtype or next(x.dtype for x in inputs if x is not None)
        made = self.shared_ops(kind, inputs, (kind_of_output,), **attributes)[0]
        assert made is not None
        return made

    def shared_ops(
        self, kind: str, inputs: Sequence[Tensor | None], outputs: Sequence[str | None], **attributes: Any
    ) -> tuple[Tensor | None, ...]:
        """As `ops`; the same call twice gives the same tensors."""
        key = (kind, tuple(inputs), tuple(outputs), repr(sorted(attributes.items())))
        if key not in self._made:
            self._made[key] = self.ops(kind, inputs, outputs, **attributes)
        return self._made[key]

    def ops(
        self, kind: str, inputs: Sequence[Tensor | None], outputs: Sequence[str | None], **attributes: Any
    ) -> tuple[Tensor | None, ...]:
        """One operator with outputs of these dtypes, None for one that nobody reads."""
        attributes = {name: value for name, value in attributes.items() if value is not None}
        domain, version = DOMAINS.get(kind, ("", self.store.opset))
        self._check(kind, attributes, domain, version)
        name = self.store.unique(self._scoped(kind))
        made = [
            None if dtype is None else Tensor(name if i == 0 else self.store.unique(f"{name}:{i}"), dtype)
            for i, dtype in enumerate(outputs)
        ]
        names_in, names_out = ([x.name if x else "" for x in side] for side in (inputs, made))
        while names_in and not names_in[-1]:
            names_in.pop()
        while not names_out[-1]:
            names_out.pop()
        self.nodes.append(helper.make_node(kind, names_in, names_out, name, domain=domain, **attributes))
        return tuple(made)

    def _check(self, kind: str, attributes: dict[str, Any], domain: str, version: int) -> None:
        try:
            schema = onnx.defs.get_schema(kind, version, domain)
        except onnx.defs.SchemaError as error:
            what = f"operator {kind} is not in opset {version}"
            raise Unsupported(what, hint="choose a newer one") from error
        unknown = set(attributes) - set(schema.attributes)
        if unknown:
            raise TypeError(f"{kind} of opset {version} has no attribute {sorted(unknown)}")

    def _scoped(self, name: str) -> str:
        return f"{clean(self.store.layer)}/{name}"

    # --- constants ----------------------------------------------------------------------------------------------------

    def const(self, values: Any, dtype: str = "int64") -> Tensor:
        """A small constant."""
        array = np.asarray(values, dtype_of(dtype))
        key = (dtype, array.shape, array.tobytes())
        return self._initializer("constant", key, dtype, array.shape, lambda: iter((array,)))

    def weight(
        self,
        suffix: str,
        weight: Weight,
        dtype: str,
        transform: Callable[[Array], Array] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """A weight as an initializer `<layer>/<suffix>`, streamed row by row, or transformed whole to `shape`."""
        target = dtype_of(dtype)

        def blocks() -> Iterator[Array]:
            if transform is None:
                yield from (rows.astype(target, copy=False) for rows in weight.rows())
            else:
                yield transform(weight.read()).astype(target, copy=False)

        return self.packed(suffix, weight, dtype, weight.shape if shape is None else shape, blocks)

    def packed(self, suffix: str, source: Hashable, dtype: str, shape: tuple[int, ...], blocks: Blocks) -> Tensor:
        """An initializer made of `source`; the same source, suffix, type and shape is written once."""
        return self._initializer(self._scoped(suffix), (suffix, source, dtype, shape), dtype, shape, blocks)

    def own(self, suffix: str, source: Hashable, dtype: str, shape: tuple[int, ...], blocks: Blocks) -> Tensor:
        """As `packed`, but written again for each operator that asks, up to `COPIED_UP_TO` in all.

        onnxruntime's quantize_dynamic makes something else of two recurrent operators over the same initializers.
        """
        item = Initializer("", dtype, shape, blocks)
        key = (suffix, source, dtype, shape)
        if key in self.store.shared and self.store.copied + item.nbytes <= COPIED_UP_TO:
            self.store.copied += item.nbytes
            return self._initializer(self._scoped(suffix), (*key, self.store.copied), dtype, shape, blocks)
        return self._initializer(self._scoped(suffix), key, dtype, shape, blocks)

    def _initializer(self, base: str, key: Hashable, dtype: str, shape: tuple[int, ...], blocks: Blocks) -> Tensor:
        shared = self.store.shared
        if key not in shared:
            name = self.store.unique(base)
            shared[key] = Tensor(name, dtype)
            self.store.initializers[name] = Initializer(name, dtype, shape, blocks)
        return shared[key]

    def known(self, x: Tensor) -> float | None:
        """The number that a tensor is, where it is a constant of one number."""
        item = self.store.initializers.get(x.name)
        if item is None or item.dtype == "string" or int(np.prod(item.shape, dtype=np.int64)) != 1:
            return None
        return float(np.concatenate([block.reshape(-1) for block in item.blocks()]).astype(np.float64)[0])

    # --- what many rules need -----------------------------------------------------------------------------------------

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """x as `dtype`; x itself if it is that."""
        return x if x.dtype == dtype else self.op("Cast", x, dtype=dtype, to=element_type(dtype))

    def with_axes(self, kind: str, x: Tensor, axes: Iterable[int], **attributes: Any) -> Tensor:
        """Squeeze, Unsqueeze or Reduce* over axes, in the form of this opset."""
        listed = list(axes)
        if self.store.opset >= AXES_INPUT_SINCE[kind]:
            return self.op(kind, x, self.const(listed), **attributes)
        return self.op(kind, x, axes=listed, **attributes)

    def scalar(self, value: float, like: Tensor) -> Tensor:
        """A 0-d constant of the type of `like`."""
        return self.const(value, like.dtype)

    def size(self, x: Tensor, axis: int) -> Tensor:
        """The length of one axis, a 0-d int64."""
        return self.op("Gather", self.op("Shape", x, dtype="int64"), self.const(axis), axis=0)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """x with its axes reordered; x itself where they stay."""
        return x if list(axes) == sorted(axes) else self.op("Transpose", x, perm=list(axes))

    def reshape(self, x: Tensor, target: Sequence[int]) -> Tensor:
        """ONNX Reshape: 0 keeps an axis, -1 is inferred."""
        return self.op("Reshape", x, self.const(list(target)))

    def slice(self, x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
        """x[start:stop:step] along one axis."""
        return self.op("Slice", x, *(self.const([n]) for n in (start, stop, axis, step)))

    def flip(self, x: Tensor, axis: int) -> Tensor:
        """x reversed along one axis."""
        if self.store.runtime.negative_steps:
            return self.slice(x, axis, -1, np.iinfo(np.int64).min, -1)
        last = self.op("Sub", self.size(x, axis), self.const(1))
        return self.op("Gather", x, self.op("Range", last, self.const(-1), self.const(-1)), axis=axis)

    def zeros(self, shape: Tensor, dtype: str) -> Tensor:
        """Zeros of a shape known at run time."""
        value = helper.make_tensor("value", element_type(dtype), [1], [0])
        return self.op("ConstantOfShape", shape, dtype=dtype, value=value)

    def split(self, x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
        """x cut into pieces along one axis."""
        made = self.ops("Split", (x, self.const(list(sizes))), [x.dtype] * len(sizes), axis=axis)
        return [piece for piece in made if piece is not None]


def value_info(name: str, dtype: str, shape: Shape | None, batch: str = "") -> onnx.ValueInfoProto:
    """A typed name; axis 0 becomes `batch` and other open axes `<name>_dim<axis>` where the shape says None."""
    dims = None
    if shape is not None:
        dims = [(batch if batch and i == 0 else f"{name}_dim{i}") if n is None else n for i, n in enumerate(shape)]
    return helper.make_tensor_value_info(name, element_type(dtype), dims)
