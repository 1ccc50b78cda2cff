"""What the two ways to run a recurrent layer, native.py and scan.py, take and give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from converter.exporters.onnx.graph import Graph, Tensor, computed
from converter.exporters.onnx.lower import Inputs, present
from converter.model import Node, Shape
from converter.model.layers import Direction, MaskedOutput, Recurrent

T = TypeVar("T")
# In a Scan's body: the projected input of one step and the states, [h] or [h, c], give the new states.
Step = Callable[[Graph, Tensor, list[Tensor]], list[Tensor]]


@dataclass(frozen=True)
class Pass:
    """What one direction gives: y as the layer gives it, and the final states [batch, units]; None where unread."""

    y: Tensor | None
    states: tuple[Tensor | None, ...]

    def astype(self, graph: Graph, dtype: str) -> Pass:
        """Cast to `dtype`."""
        return Pass(_cast(graph, self.y, dtype), tuple(_cast(graph, state, dtype) for state in self.states))


@dataclass(frozen=True)
class Sequence:
    """A recurrent layer with its inputs and what is asked of it.

    Attributes:
        layer: the neutral layer.
        dtype: of its outputs, as computed.
        x: [batch, time, *features], or time-major.
        shape: of x, as the model says.
        mask: bool [batch, time] (time-major likewise), or None.
        mask_axes: how many it has: those of a ConvLSTM's places may follow.
        initial: the initial states of each direction, None for zeros.
        wants_y: whether anybody reads the y of each direction.
        wants_states: the same of each direction's final states.
    """

    layer: Recurrent
    dtype: str
    x: Tensor
    shape: Shape
    mask: Tensor | None
    mask_axes: int
    initial: tuple[tuple[Tensor | None, ...], ...]
    wants_y: tuple[bool, ...]
    wants_states: tuple[tuple[bool, ...], ...]

    @classmethod
    def of(cls, graph: Graph, layer: Recurrent, node: Node, inputs: Inputs) -> Sequence:
        """From a node and its inputs."""
        dtype = computed(node.outputs[0].dtype)
        counts = [direction.cell.states for direction in layer.directions]
        split = len(counts) == 2 and layer.merge is None
        needed = [value.name in graph.store.needed for value in node.outputs]
        mask, value = inputs[1], node.inputs[0]
        assert value is not None
        return cls(
            layer,
            dtype,
            graph.cast(present(inputs[0]), dtype),
            value.shape,
            None if mask is None else graph.cast(mask, "bool"),
            2 if node.inputs[1] is None else len(node.inputs[1].shape),
            _groups([None if s is None else graph.cast(s, dtype) for s in inputs[2:]], counts),
            (needed[0], needed[1]) if split else (needed[0],) * len(counts),
            _groups(needed[2 if split else 1 :], counts),
        )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Of the layer."""
        return self.layer.directions

    @property
    def time_major(self) -> bool:
        """Of the layer."""
        return self.layer.time_major

    def astype(self, graph: Graph, dtype: str) -> Sequence:
        """The same layer computed in another type."""
        initial = tuple(tuple(_cast(graph, state, dtype) for state in states) for states in self.initial)
        return replace(self, dtype=dtype, x=graph.cast(self.x, dtype), initial=initial)

    def wants(self, place: int) -> bool:
        """Whether anything of a direction is read."""
        return self.wants_y[place] or any(self.wants_states[place])

    def wants_steps(self, places: Iterable[int]) -> bool:
        """Whether the output of every step of any of these directions is read."""
        return self.layer.return_sequences and any(self.wants_y[place] for place in places)

    def steps(self, graph: Graph) -> Tensor:
        """x as [time, batch, *features]."""
        order = (1, 0, *range(2, len(self.shape)))
        return self.guarded(graph, self.x if self.time_major else graph.transpose(self.x, order))

    def guarded(self, graph: Graph, x: Tensor) -> Tensor:
        """x, or the mask: a tensor that has batch and time, refused at run time where one of them is 0.

        onnxruntime 1.32 ends the process there (LSTM, GRU, Scan), or forgets the initial states. A shape of ones for
        zeros does not fit the data, and a Reshape moves none (but of the graph's inputs): an error at next to no cost.
        Some tools stumble over a 0 that keeps an axis, so there is none.
        """
        if None not in self.shape[:2]:
            return x
        return graph.op("Reshape", x, sizes_of(graph, x))

    @property
    def joins(self) -> bool:
        """Whether a bidirectional operator's Y needs but one Transpose and a Reshape to be the layer's output."""
        natural = all(direction.reverse_input == direction.reverse_output for direction in self.directions)
        return natural and self.mask is None and self.wants_steps((0, 1)) and self.layer.merge == "concat"

    def masked_output(self, place: int) -> MaskedOutput:
        """The rule of one direction: with no initial h, the state starts at zeros, as the previous output does."""
        rule = self.layer.masked_output
        return "previous" if rule == "state" and self.initial[place][0] is None else rule


@dataclass(frozen=True)
class Projected:
    """A cell made ready for a Scan.

    Attributes:
        steps: the projected input of every step, [time, batch, ...].
        state_shape: shape of a state in the body, a 1-d int64 tensor.
        states: how many states.
        feature_axes: axes of a state after the batch.
        step: adds one step to the body.
        inward: a state from Keras' layout to the body's.
        outward: the way back, for a tensor with this many axes before the batch.
    """

    steps: Tensor
    state_shape: Tensor
    states: int
    feature_axes: int
    step: Step
    inward: Callable[[Tensor], Tensor]
    outward: Callable[[Tensor, int], Tensor]


def sizes_of(graph: Graph, x: Tensor) -> Tensor:
    """The shape of a tensor, 1 where that is 0."""
    return graph.op("Max", graph.op("Shape", x, dtype="int64"), graph.const([1]))


def _cast(graph: Graph, tensor: Tensor | None, dtype: str) -> Tensor | None:
    return None if tensor is None else graph.cast(tensor, dtype)


def _groups(items: list[T], counts: list[int]) -> tuple[tuple[T, ...], ...]:
    """Consecutive groups of these sizes."""
    starts = [sum(counts[:k]) for k in range(len(counts))]
    return tuple(tuple(items[start : start + n]) for start, n in zip(starts, counts, strict=True))
