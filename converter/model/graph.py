"""The neutral model: a flat, topologically sorted graph of nodes over values. No I/O, no mathematics.

A `Model` is what every reader produces and every exporter, the interpreter and the verifier consume. Nested Keras
models are inlined, masks and recurrent states are ordinary values, and layers that do nothing at inference are
gone. What a node computes is said by its `layer`, one of the dataclasses in `converter.model.layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from converter.errors import InvalidModel, Unsupported, clean
from converter.lines import Shown

if TYPE_CHECKING:
    from converter.keras.spec import LayerSpec
    from converter.model.layers import Layer

Shape = tuple[int | None, ...]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Weight:
    """An array described now and read later.

    Attributes:
        name: where it came from, for messages and for `inspect` ("lstm_1/kernel:0").
        shape: its shape; never None in any axis.
        dtype: NumPy dtype name of the values that `read` returns ("float32", "bfloat16", ...).
        read: reads the values: a C-contiguous, native-endian array of that shape and dtype.
        read_rows: reads rows [start, stop) of the first axis without holding the rest, where the source can.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Array] = field(repr=False)
    read_rows: Callable[[int, int], Array] | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """How many values."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def nbytes(self) -> int:
        """How many bytes `read` returns."""
        return self.size * dtype_of(self.dtype).itemsize

    def rows(self, block_bytes: int = 1 << 20) -> Iterator[Array]:
        """The values in order, in blocks of whole rows of about `block_bytes`, or at once where that is all we can."""
        if self.read_rows is None or not self.shape or self.shape[0] < 2 or self.nbytes <= block_bytes:
            yield self.read()
            return
        step = max(1, block_bytes * self.shape[0] // max(1, self.nbytes))
        for start in range(0, self.shape[0], step):
            yield self.read_rows(start, min(start + step, self.shape[0]))

    def map(self, transform: Callable[[Array], Array], shape: tuple[int, ...]) -> Weight:
        """A weight of `shape` whose values are `transform` of these, computed when read."""
        return Weight(self.name, shape, self.dtype, lambda: np.ascontiguousarray(transform(self.read())))

    def astype(self, dtype: str) -> Weight:
        """The same values as another dtype, converted when read (row by row where possible)."""
        if dtype == self.dtype:
            return self
        target = dtype_of(dtype)
        rows = self.read_rows
        cast_rows = (lambda a, b: rows(a, b).astype(target)) if rows is not None else None
        return replace(self, dtype=dtype, read=lambda: self.read().astype(target), read_rows=cast_rows)


def dtype_of(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a name; bfloat16 comes from ml_dtypes, imported only then; strings are objects."""
    if name == "string":
        return np.dtype(object)
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    try:
        return np.dtype(name)
    except TypeError:
        raise Unsupported(f"the dtype {clean(name)!r}") from None


def constant(name: str, values: Any, dtype: DTypeLike | None = None) -> Weight:
    """A weight whose values are at hand."""
    array = np.ascontiguousarray(np.asarray(values, dtype))
    shape = np.shape(values)  # ascontiguousarray makes a scalar one-dimensional
    return Weight(name, shape, array.dtype.name, lambda: array.reshape(shape))


def join(name: str, weights: tuple[Weight, ...], axis: int) -> Weight:
    """Weights concatenated along `axis`, read one after the other."""
    ndim = len(weights[0].shape)
    if not -ndim <= axis < ndim or any(len(w.shape) != ndim for w in weights):
        raise InvalidModel(
            f"arrays of shapes {[w.shape for w in weights[:4]]} to be joined along axis {axis}", where=name
        )
    shape = list(weights[0].shape)
    shape[axis] = sum(w.shape[axis] for w in weights)
    return Weight(name, tuple(shape), weights[0].dtype, lambda: np.concatenate([w.read() for w in weights], axis=axis))


@dataclass(frozen=True)
class Value:
    """An edge of the graph: the output of one node or an input of the model.

    Attributes:
        name: unique in the model.
        shape: None where Keras leaves a dimension open; axis 0 is the batch (axis 1 if time major).
        dtype: "float32", "float16", "float64", "bfloat16", "int32", "int64", "bool", "string", ...
    """

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True, eq=False)
class Node:
    """One computation.

    Attributes:
        name: unique; the Keras layer's path ("encoder/lstm"), with a suffix for further nodes of the same layer.
        layer: what is computed, see `converter.model.layers`.
        inputs: the values read; None stands for an absent optional one (a mask, an initial state).
        outputs: the values made; all of them, read or not.
        keras_layer: path of the Keras layer this node comes from (several nodes may share it).
    """

    name: str
    layer: Layer
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    keras_layer: str


@dataclass(frozen=True)
class State:
    """A state that a stateful layer carries from call to call: feed `output` back as `input` of the next call."""

    input: Value
    output: Value


@dataclass(frozen=True, eq=False)
class LayerInfo:
    """What `inspect` says of one Keras layer.

    Attributes:
        path: "outer/inner" for layers of nested models.
        class_name: as in the file, Keras 3 spelling.
        output_shapes: of its first call.
        weights: in Keras' order, as stored.
        effect: "" or why no node stands for it ("no effect at inference").
        trainable: how many of its values training changes; None where the file does not say.
        reads: paths of the layers whose outputs its first call reads; () too where nothing is known of calls.
    """

    path: str
    class_name: str
    output_shapes: tuple[Shape, ...]
    weights: tuple[Weight, ...]
    effect: str = ""
    trainable: int | None = None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        path: the file or folder read.
        format: "HDF5 whole model", "Keras 3 archive", ...
        keras_version: as the file says, or "" where it says nothing.
        era: how the version was understood: "Keras 1", "Keras 2", "tf.keras 2.15", "Keras 3", ...
        backend: "tensorflow", "theano", ... or "".
        sha256: of the source file, or of the files of a folder in sorted order.
    """

    path: str
    format: str
    keras_version: str = ""
    era: str = ""
    backend: str = ""
    sha256: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Model(Shown):
    """A whole model.

    Attributes:
        name: the Keras model's name.
        inputs, outputs: in Keras' order. An output may be an input, or the same value twice.
        output_names: the names of the outputs in an exported file, unique, one for each of `outputs`.
        nodes: sorted so that every value is made before it is read.
        states: of stateful layers, in the order of their first call; their values are in neither inputs nor outputs.
        layers: every Keras layer, in file order.
        warnings: what the user should know, one line each.
        origin: for a model recovered from a graph: runs that graph, as it is in the file, on inputs by name and
            gives the outputs in order, half precision in float32. States are zeros.
        written: the layers as a Keras file has them, for targets that keep their structure; None for parts of models.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    states: tuple[State, ...]
    layers: tuple[LayerInfo, ...]
    source: Provenance
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Its name, size and origin."""
        origin = ", ".join(part for part in (self.source.format, self.source.era) if part)
        return f"{self.name!r}, {len(self.layers)} layers, {len(self.nodes)} nodes; {origin}"

    origin: Callable[[Mapping[str, Array]], list[Array]] | None = field(default=None, repr=False)
    written: LayerSpec | None = field(default=None, repr=False)
