"""Masks by compaction: unmasked steps move to the front, `sequence_lens` hides the rest, the outputs go back.

A masked step leaves the states as they are, so leaving it out is exact, for any pattern. Everything here is index
arithmetic on [batch, time] integers, in as few operators as we could find: on short sequences they are what a mask
costs. The index tensors of one mask are shared by all layers that read it, as the graph makes equal operators once.
"""

from __future__ import annotations

from dataclasses import dataclass

from converter.exporters.onnx.graph import Graph, Tensor
from converter.model.layers import Direction, MaskedOutput


@dataclass(frozen=True)
class Compaction:
    """What a mask says, as tensors.

    Attributes:
        mask: bool [batch, time].
        ones: the mask as int64.
        inclusive: unmasked steps up to and with each step, int64 [batch, time].
        places: where each step stands in the layer's data, its first two axes taken as one, int64 [batch, time].
        time_major: whether that data is [time, batch, ...].
    """

    mask: Tensor
    ones: Tensor
    inclusive: Tensor
    places: Tensor
    time_major: bool

    @classmethod
    def of(cls, graph: Graph, mask: Tensor, time_major: bool) -> Compaction:
        """From a mask [batch, time], or [time, batch] if time_major."""
        count = graph.op("Size", mask, dtype="int64")
        places = graph.op("Range", graph.const(0), count, graph.const(1))
        places = graph.op("Reshape", places, graph.op("Shape", mask, dtype="int64"))
        if time_major:
            mask, places = (graph.transpose(tensor, (1, 0)) for tensor in (mask, places))
        ones = graph.cast(mask, "int64")
        return cls(mask, ones, graph.op("CumSum", ones, graph.const(1)), places, time_major)

    def lengths(self, graph: Graph) -> Tensor:
        """sequence_lens, int32 [batch]."""
        return graph.cast(graph.with_axes("ReduceSum", self.ones, [1], keepdims=0), "int32")

    def count(self, graph: Graph) -> Tensor:
        """Unmasked steps of each row, int64 [batch, 1]."""
        return graph.with_axes("ReduceSum", self.ones, [1], keepdims=1)

    def some(self, graph: Graph) -> Tensor:
        """Whether a row has any unmasked step, bool [batch, 1]."""
        return graph.op("Greater", self.count(graph), graph.const(0), dtype="bool")

    def compact(self, graph: Graph, x: Tensor, features: int) -> Tensor:
        """x as [time, batch, features] with the unmasked steps of each row first, in order; anything may follow.

        A masked step writes to the last place, which no row that has one needs.
        """
        order = graph.op("ScatterElements", self.places, self._own(graph), self.places, axis=1)
        return graph.op("Gather", graph.reshape(x, (-1, features)), graph.transpose(order, (1, 0)), axis=0)

    def _own(self, graph: Graph) -> Tensor:
        """The compact step that each step becomes, -1 where it is masked; int64 [batch, time]."""
        return graph.op("Sub", graph.op("Mul", self.inclusive, self.ones), graph.const(1))

    def spread(
        self, graph: Graph, y: Tensor, place: int, places: int, direction: Direction, rule: MaskedOutput
    ) -> Tensor:
        """The outputs of one direction at the steps where they belong: [batch, time, units], or time-major.

        Args:
            graph: takes the operators.
            y: the operator's Y, [time, places, batch, units].
            place: which of its directions.
            places: how many it has.
            direction: says the order of time.
            rule: masked steps give the previous output ("previous", "state") or zeros.
        """
        steps = graph.with_axes("Unsqueeze", self._row(graph, direction, rule), [2])
        y = graph.with_axes("Squeeze", y, [1]) if places == 1 else graph.op("Gather", y, graph.const(place), axis=1)
        y = graph.op("GatherND", graph.transpose(y, (1, 0, 2)), steps, batch_dims=1)
        return graph.transpose(y, (1, 0, 2)) if self.time_major else y

    def _row(self, graph: Graph, direction: Direction, rule: MaskedOutput) -> Tensor:
        """The compact step to read at each step.

        A row with a masked step has at most time - 1 compact ones, and beyond them Y is 0: that is where the zeros
        come from. Forward, the step before the first is -1, and a negative index counts from the end: the last step,
        a zero one. In reverse, the previous output is that of the next unmasked step in time, compact step
        `inclusive`, and the one after the last is a zero one.
        """
        if rule == "zero":
            row = self._own(graph)
        elif direction.reverse_input:
            row = graph.op("Sub", self.inclusive, self.ones)
        else:
            row = graph.op("Sub", self.inclusive, graph.const(1))
        return self.in_order(graph, row, direction)

    def leading(self, graph: Graph, direction: Direction) -> Tensor:
        """Masked steps before the first unmasked one in processing order, bool [batch, time, 1] or time-major."""
        if direction.reverse_input:
            seen = graph.op("Sub", self.count(graph), graph.op("Sub", self.inclusive, self.ones))
        else:
            seen = self.inclusive
        found = graph.op("Equal", seen, graph.const(0), dtype="bool")
        found = self.in_order(graph, found, direction)
        found = graph.transpose(found, (1, 0)) if self.time_major else found
        return graph.with_axes("Unsqueeze", found, [2])

    def in_order(self, graph: Graph, x: Tensor, direction: Direction) -> Tensor:
        """[batch, time] in natural time turned to the order in which the direction gives its outputs."""
        return x if direction.reverse_input == direction.reverse_output else graph.flip(x, 1)

    def last(self, graph: Graph, direction: Direction) -> Tensor:
        """The mask of the last step taken, bool [batch, 1]."""
        return last_taken(graph, self.mask, direction)


def last_taken(graph: Graph, mask: Tensor, direction: Direction) -> Tensor:
    """The mask [batch, time] at the last step that a direction takes, bool [batch, 1]."""
    start, stop = (0, 1) if direction.reverse_input else (-1, (1 << 63) - 1)
    return graph.slice(mask, 1, start, stop)
