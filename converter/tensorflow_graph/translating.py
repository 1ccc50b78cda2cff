"""Translates a body into neutral nodes: the meaning of steps on neutral values.

What the graph computes of constants and sizes alone is computed here; the rest becomes nodes, by a rule of this
package where an operator needs to know more than its operands (see `meaning`), else by the row for TensorFlow's
operator in `converter.keras.operations.node_defs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.graph import Graph
from converter.keras.building.ops import Ops
from converter.keras.operations.node_defs import INERT_ATTRIBUTES, NODE_DEFS
from converter.keras.operations.nodes import run
from converter.keras.operations.sizes import Size, sizes_of
from converter.model import Shape, Value, constant, layers
from converter.tensorflow_graph.definitions import FOLD_BYTES, Library, Step
from converter.tensorflow_graph.kernels import KERNELS, run_kernel
from converter.tensorflow_graph.shapes import sizes_after
from converter.tensorflow_graph.sizes import Axes, Axis, Dim, Dims, OpenSize, dims_or_array
from converter.tensorflow_graph.values import INERT, REFUSED, Memory, Resource, Stored, TensorList, path_of
from converter.tensorflow_graph.walking import Walk

BATCH = "batch"
Meaning = Callable[["Translating", Step, Sequence[Any], Walk], Sequence[Any]]


class Translating:
    """The meaning of steps on neutral values.

    Attributes:
        library: the functions.
        resources: variables by the name of the step that makes their handle.
        meaning: what a step gives: `converter.tensorflow_graph.meaning.outputs_of`, which needs this class.
        feed: values for Placeholders, by name.
        graph: takes the nodes.
        memory: what is known of values.
        symbols: where each open size can be read.
        assigned: variables that the graph writes to, and what it writes.
        pending: last outputs of recurrent layers, which no node makes yet: see `converter.tensorflow_graph.build`.
    """

    def __init__(self, library: Library, resources: Mapping[str, Resource], meaning: Meaning) -> None:
        self.library, self.resources, self.meaning = library, resources, meaning
        self.graph, self.memory = Graph(), Memory()
        self.feed: dict[str, Value] = {}
        self.symbols: dict[str, tuple[Value, int]] = {}
        self.assigned: dict[str, Any] = {}
        self.pending: dict[str, tuple[Value, Value, Value | None]] = {}
        self._axes: dict[str, Axes] = {}
        self._constants: dict[int, tuple[Stored, Value]] = {}
        self._settled = 0

    # --- steps --------------------------------------------------------------------------------------------------------

    def step(self, step: Step, inputs: Sequence[Any], walk: Walk) -> Sequence[Any]:
        """The outputs of one step."""
        return self.meaning(self, step, inputs, walk)

    def folded(self, step: Step, inputs: Sequence[Any]) -> Any:
        """The output where inputs are constants and sizes alone; None where the running model must compute it."""
        made = self.all_folded(step, inputs)
        return made[0] if made is not None and len(made) == 1 else made

    def all_folded(self, step: Step, inputs: Sequence[Any]) -> list[Any] | None:
        """All outputs, likewise."""
        if not all(isinstance(x, np.ndarray | np.generic | Stored | Dims) for x in inputs) or step.op not in KERNELS:
            return None
        if any(isinstance(x, Dims) for x in inputs):
            return self._on_sizes(step, inputs)
        arrays = [x.weight.read() if isinstance(x, Stored) else x for x in inputs]
        made = run_kernel(step.op, step.attributes, arrays)
        names = [x.weight.name for x in inputs if isinstance(x, Stored)]
        if names:
            return [Stored(constant(names[0], array)) for array in made]
        if sum(np.asarray(array).nbytes for array in made if not _repeated(array)) > FOLD_BYTES:
            raise Unsupported(f"a constant of shape {np.shape(made[0])}")
        return list(made)

    def _on_sizes(self, step: Step, inputs: Sequence[Any]) -> list[Any] | None:
        """Arithmetic on sizes, or None where it must be done by the running model."""
        dtype = next(x.dtype for x in inputs if isinstance(x, Dims))
        raw = [x.array if isinstance(x, Dims) else x for x in inputs]
        if any(isinstance(x, Stored) for x in raw):
            return None
        try:
            made = run_kernel(step.op, step.attributes, raw)
        except (OpenSize, InvalidModel):
            return None
        return [dims_or_array(array, dtype) for array in made]

    def by_row(self, step: Step, inputs: Sequence[Any]) -> list[Any]:
        """The nodes that the row of the operator emits."""
        op = NODE_DEFS.get(step.op)
        if op is None:
            why = REFUSED.get(step.op, "is not supported")
            raise Unsupported(f"the TensorFlow operator {clean(step.op, 60)} {why}", where=clean(step.name, 120))
        known = op.names.split()
        given = {key: value for key, value in step.attributes.items()
                 if key in known or not (key.startswith("_") or key in INERT_ATTRIBUTES or key in INERT)}  # fmt: skip
        operands = [self.operand(step, x) for x in inputs]
        what = f"tf.{clean(step.op, 40)}"
        if "*" in known:
            made = run(self.ops(step), op, what, operands, given)
        else:
            numbered = {str(k): x for k, x in enumerate(operands)}
            made = run(self.ops(step), op, what, (), {**numbered, **given})
        return [tensor.value for tensor in made]

    # --- elements that the running model picks ------------------------------------------------------------------------

    def element(self, step: Step, x: Value, axis: int, index: Value) -> Value:
        """x at an index along an axis."""
        shape = (*x.shape[:axis], *x.shape[axis + 1 :])
        return self.ops(step).one(layers.Gather(axis), [x, index], shape, x.dtype)

    def put(self, step: Step, items: TensorList, index: Value, value: Any) -> TensorList:
        """A list with an element at an index.

        Raises:
            Unsupported: always; inside loops the list may go along with the loop.
        """
        raise Unsupported(f"{step.text()} writes to a list where the model computes it")

    # --- operands -----------------------------------------------------------------------------------------------------

    def ops(self, step: Step) -> Ops:
        """Emits nodes for a step."""
        return Ops(self.graph, path_of(step.name))

    def operand(self, step: Step, x: Any) -> Any:
        """An operand as the rows of operators take it: a value, or a constant."""
        if isinstance(x, Stored):
            return self.value(step, x)
        if isinstance(x, Dims):
            return self.sizes(step, x)
        if isinstance(x, np.ndarray | np.generic) and np.asarray(x).dtype.kind != "V":  # bfloat16
            return np.asarray(x)
        if isinstance(x, Value | np.ndarray | np.generic):
            return self.value(step, x)
        raise Unsupported(f"{step.text()} reads a {type(x).__name__}")

    def value(self, step: Step, x: Any) -> Value:
        """An operand as a value; constants become nodes."""
        o = self.ops(step)
        if isinstance(x, Stored):
            if id(x) not in self._constants:
                self._constants[id(x)] = (x, o.weight(x.weight))
                self.settle()
            return self._constants[id(x)][1]
        if isinstance(x, Dims):
            return self.sizes(step, x)
        if isinstance(x, np.ndarray | np.generic):
            array = np.asarray(x)
            made = o.constant(array, array.dtype.name)
            self.settle()
            return made
        if not isinstance(x, Value):
            raise Unsupported(f"{step.text()} reads a {type(x).__name__}")
        return x

    def sizes(self, step: Step, x: Dims) -> Value:
        """Sizes as a value that the running model computes."""
        o = self.ops(step)
        axes = x.axes()
        if x.array.ndim <= 1 and all(isinstance(n, int) or self.size(n) is not None for n in axes):
            known = [n if isinstance(n, int) else self.size(n) for n in axes]
            made: Value = sizes_of(o, [n for n in known if n is not None], x.array.shape, x.dtype)
        elif x.array.ndim == 0:
            made = self._polynomial(o, axes[0], x.dtype)
        elif x.array.ndim == 1:
            parts = [o.expand_dims(self._polynomial(o, n, x.dtype), 0) for n in axes]
            made = o.concatenate(parts, 0) if len(parts) > 1 else parts[0]
        else:
            raise Unsupported(f"{step.text()} reads a matrix of sizes")
        self.settle()
        return made

    def size(self, axis: Axis) -> Size | None:
        """Where an open size can be read, if it is one axis of a value."""
        name = axis.name if isinstance(axis, Dim) else None
        return None if name is None else Size(*self.symbols[name])

    def _polynomial(self, o: Ops, axis: Axis, dtype: str) -> Value:
        if isinstance(axis, int):
            return o.constant(axis, dtype)
        total: Value | None = None
        for monomial, factor in axis.terms:
            term = o.constant(factor, dtype)
            for name in monomial:
                of, k = self.symbols[name]
                term = o.elementwise("multiply", term, o.cast(o.one(layers.Size(k), [of], (), "int64"), dtype))
            total = term if total is None else o.elementwise("add", total, term)
        assert total is not None
        return total

    # --- sizes --------------------------------------------------------------------------------------------------------

    def input(self, name: str, shape: Shape, dtype: str) -> Value:
        """An input of the model; the first axis of all of them is the batch."""
        value = Value(self.graph.unique(name), shape, dtype)
        axes: list[Axis] = []
        for k, n in enumerate(shape):
            symbol = BATCH if k == 0 else f"{value.name}:{k}"
            if n is None:
                self.symbols.setdefault(symbol, (value, k))
            axes.append(Dim.symbol(symbol) if n is None else n)
        self._axes[value.name] = tuple(axes)
        return value

    def axes(self, value: Value) -> Axes:
        """The sizes of a value."""
        if value.name not in self._axes:
            self.settle()
        return self._axes[value.name]

    def like(self, axes: Sequence[Axis]) -> Value | None:
        """A value whose first axes are of these sizes."""
        made = {value.name: value for value, _ in self.symbols.values()}
        made.update({value.name: value for node in self.graph.nodes for value in node.outputs})
        count = len(axes)
        return next((made[name] for name, known in self._axes.items()
                     if name in made and known[:count] == tuple(axes) and len(known) >= count), None)  # fmt: skip

    def know(self, value: Value, axes: Sequence[Axis | None]) -> Value:
        """Note the sizes of a value; those that nothing says get symbols."""
        found: list[Axis] = []
        for k, size in enumerate(value.shape):
            given = axes[k] if len(axes) == len(value.shape) else None
            if size is not None:
                found.append(size)
            elif isinstance(given, Dim):
                found.append(given)
            else:
                symbol = f"{value.name}:{k}"
                self.symbols[symbol] = (value, k)
                found.append(Dim.symbol(symbol))
        self._axes[value.name] = tuple(found)
        return value

    def settle(self) -> None:
        """Note the sizes of what the nodes emitted last make."""
        for node in self.graph.nodes[self._settled :]:
            if isinstance(node.layer, layers.Constant):
                axes: Sequence[Axis | None] = node.layer.weight.shape
            else:
                try:
                    axes = sizes_after(node.layer, [self._axes[v.name] for v in node.inputs if v is not None])
                except (OpenSize, IndexError):
                    axes = ()
            for value in node.outputs:
                if value.name not in self._axes:
                    self.know(value, axes)
        self._settled = len(self.graph.nodes)


def _repeated(array: Any) -> bool:
    """Whether the array is one number that stands for many, without taking their memory."""
    return isinstance(array, np.ndarray) and not any(array.strides)
