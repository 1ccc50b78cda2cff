"""The neutral graph while it is being built: tensors that carry their Keras mask, and the nodes emitted so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.model import LayerInfo, Node, Shape, State, Value
from converter.model.activations import in_type
from converter.model.layers import Activate, Conv, Layer, Pad, Pool, Repeat, Tile


@dataclass(frozen=True)
class Tensor:
    """A Keras tensor: its value and the mask Keras keeps next to it ([batch, time] of bool, or None)."""

    value: Value
    mask: Value | None = None

    @property
    def shape(self) -> Shape:
        """Of the value."""
        return self.value.shape

    @property
    def dtype(self) -> str:
        """Of the value."""
        return self.value.dtype


def product(sizes: Shape) -> int | None:
    """How many values; None if a size is open."""
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def refuse_large(shape: Shape) -> None:
    """Refuse a declared size that would fill the memory of whoever runs or proves the model.

    Raises:
        Unsupported: more axes, or more numbers in one row of a batch, than can be run.
    """
    if len(shape) > limits.RANK:
        raise Unsupported(f"tensors of {len(shape)} axes; more than {limits.RANK} are not exported")
    if math.prod(size for size in shape[1:] if size) > limits.ROW_NUMBERS:
        raise Unsupported(f"tensors of shape {tuple(shape)}, larger than any that could be run")


def refuse_constant(*sizes: int) -> None:
    """Refuse a constant whose sizes the file gives, before it is made.

    Raises:
        Unsupported: more than limits.CONSTANT_NUMBERS numbers.
    """
    if math.prod(sizes) > limits.CONSTANT_NUMBERS:
        shape = " x ".join(map(str, sizes))
        raise Unsupported(f"a constant of {shape} numbers; more than {limits.CONSTANT_NUMBERS} are not exported")


def _grown(layer: Layer, inputs: Sequence[Value | None]) -> Shape:
    """A shape that the output of a layer that repeats or pads has at least, its open sizes taken for 1."""
    x = inputs[0] if inputs else None
    if x is None:
        return ()
    shape = [size or 1 for size in x.shape]
    if isinstance(layer, Repeat):
        shape[layer.axis] *= layer.times
    elif isinstance(layer, Tile):
        shape = [size * times for size, times in zip(shape, layer.times, strict=True)]
    elif isinstance(layer, Pad):
        shape = [size + before + after for size, (before, after) in zip(shape, layer.pads, strict=True)]
    elif isinstance(layer, Conv | Pool):
        wide = layer.dilation if isinstance(layer, Conv) else (1,) * layer.rank
        window = layer.window if isinstance(layer, Pool) else layer.kernel.shape[: layer.rank]
        shape = [1, *((n - 1) * apart + 1 for n, apart in zip(window, wide, strict=True))]
    return (1, *shape)


@dataclass
class Graph:
    """Nodes in the order emitted, which is a topological order."""

    nodes: list[Node] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    layers: dict[str, LayerInfo] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    batch: int | None = None  # where constants fix it
    fixed_inputs: bool = False  # whether the file gives the model's inputs a batch size
    _names: dict[str, int] = field(default_factory=dict)
    _first_state: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    _last_state: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    _given: set[str] = field(default_factory=set)  # stateful layers that are called with initial_state

    def unique(self, name: str) -> str:
        """`name`, or `name` with a number that makes it new."""
        count = self._names.get(name)
        if count is None:
            self._names[name] = 1
            return name
        while f"{name}__{count}" in self._names:
            count += 1
        self._names[name] = count + 1
        self._names[f"{name}__{count}"] = 1
        return f"{name}__{count}"

    def inside(self) -> Graph:
        """An empty graph, for a part of this one: what is new in it is new in both."""
        return Graph(_names=self._names)

    def fix_batch(self, batch: int) -> None:
        """Note that the model only runs on a batch of this size.

        Raises:
            InvalidModel: it needs another one already.
        """
        if self.batch not in (None, batch):
            raise InvalidModel(f"initial states are for batches of {self.batch} and of {batch}")
        self.batch = batch

    def emit(
        self, layer: Layer, inputs: Sequence[Value | None], outputs: Sequence[tuple[Shape, str]], path: str
    ) -> tuple[Value, ...]:
        """Add a node for the Keras layer at `path`; `outputs` are (shape, dtype) of what it makes.

        Raises:
            Unsupported: the graph has grown beyond limits.MODEL_NODES, or a value beyond what can be run.
        """
        if len(self.nodes) >= limits.MODEL_NODES:
            raise Unsupported(f"the model has more than {limits.MODEL_NODES} operations once nested models are inlined")
        for shape in (*(shape for shape, _ in outputs), _grown(layer, inputs)):
            refuse_large(shape)
        if isinstance(layer, Activate):
            layer = Activate(in_type(layer.activation, outputs[0][1]))
        name = self.unique(path)
        values = tuple(
            Value(self.unique(f"{name}:{k}"), tuple(shape), dtype) for k, (shape, dtype) in enumerate(outputs)
        )
        self.nodes.append(Node(name, layer, tuple(inputs), values, path))
        return values

    def carry(
        self, path: str, suffixes: Sequence[str], shapes: Sequence[Shape], dtype: str, flow: bool
    ) -> tuple[Value, ...]:
        """What the stateful layer at `path` starts from: model inputs, or the states its call before left.

        Where states do not `flow`, all calls start from the model's inputs, and which one's states are kept is open.

        Raises:
            Unsupported: there was a call before that was given its states.
        """
        if path in self._given:
            raise Unsupported("a stateful layer that is called with initial_state and without")
        if path in self._last_state:
            if flow:
                return self._last_state[path]
            open_ = f"{path}: a stateful layer that is called twice; which call's states its Keras keeps is open"
            self.warnings.append(f"{open_}, and those of the first one are exported")
            return self._first_state[path]
        base = path.replace("/", "_")
        self._first_state[path] = tuple(
            Value(self.unique(f"{base}_{suffix}_in"), shape, dtype)
            for suffix, shape in zip(suffixes, shapes, strict=True)
        )
        return self._first_state[path]

    def give(self, path: str) -> None:
        """Note that the stateful layer at `path` is given its states, so that it reads none of its own.

        Raises:
            Unsupported: it was called without before.
        """
        if path in self._last_state:
            raise Unsupported("a stateful layer that is called with initial_state and without")
        self._given.add(path)

    def carried(self, path: str, before: Sequence[Value], after: Sequence[Value]) -> None:
        """Note that a stateful layer's states `before` have become `after`."""
        if path in self._last_state and tuple(before) == self._first_state[path]:
            return  # states do not flow: Keras 2.2.4 kept those of the first call
        if path in self._last_state:
            old = {value.name: k for k, state in enumerate(self.states) for value in (state.input, state.output)}
            for source, target in zip(before, after, strict=True):
                k = old[source.name]
                self.states[k] = State(self.states[k].input, target)
        else:
            self.states += [State(source, target) for source, target in zip(before, after, strict=True)]
        self._last_state[path] = tuple(after)
