"""Masks by compaction: unmasked steps move to the front, `sequence_lens` hides the rest, the outputs go back.

A masked step leaves the states as they are, so leaving it out is exact, for any pattern. Everything here is index
arithmetic on [batch, time] integers; the data itself moves in one Gather before the operator and one after it, which
also do the work of the Transposes to and from time-major. The index tensors of one mask are shared by all layers that
read it, as the graph makes equal operators once.
"""

from __future__ import annotations

from dataclasses import dataclass

from converter.exporters.onnx.graph import Graph, Tensor
from converter.layers import Direction, MaskedOutput


@dataclass(frozen=True)
class Compaction:
    """What a mask says, as tensors.

    Attributes:
        mask: bool [batch, time].
        ones: the mask as int64.
        inclusive: unmasked steps up to and with each step, int64 [batch, time].
        count: unmasked steps of each row, int64 [batch, 1].
        batch, time: lengths, int64 scalars.
        rows: 0, 1, ..., batch - 1.
        time_major: whether the layer's data is [time, batch, ...].
    """

    mask: Tensor
    ones: Tensor
    inclusive: Tensor
    count: Tensor
    batch: Tensor
    time: Tensor
    rows: Tensor
    time_major: bool

    @classmethod
    def of(cls, graph: Graph, mask: Tensor, time_major: bool) -> Compaction:
        """From a mask [batch, time], or [time, batch] if time_major."""
        mask = graph.transpose(mask, (1, 0)) if time_major else mask
        ones = graph.cast(mask, "int64")
        batch, time = (graph.size(mask, axis) for axis in (0, 1))
        return cls(
            mask,
            ones,
            graph.op("CumSum", ones, graph.const(1)),
            graph.with_axes("ReduceSum", ones, [1], keepdims=1),
            batch,
            time,
            graph.op("Range", graph.const(0), batch, graph.const(1)),
            time_major,
        )

    def lengths(self, graph: Graph) -> Tensor:
        """sequence_lens, int32 [batch]."""
        return graph.cast(graph.with_axes("Squeeze", self.count, [1]), "int32")

    def some(self, graph: Graph) -> Tensor:
        """Whether a row has any unmasked step, bool [batch, 1]."""
        return graph.op("Greater", self.count, graph.const(0), dtype="bool")

    def compact(self, graph: Graph, x: Tensor, features: int) -> Tensor:
        """x as [time, batch, features] with the unmasked steps of each row first, the others behind, both in order."""
        step = graph.op("Range", graph.const(0), self.time, graph.const(1))
        last = graph.op("Sub", self.inclusive, graph.const(1))
        behind = graph.op("Add", self.count, graph.op("Sub", step, self.inclusive))
        target = graph.op("Where", self.mask, last, behind, dtype="int64")
        steps = graph.op("Expand", step, graph.op("Shape", self.mask, dtype="int64"))
        order = graph.op("ScatterElements", target, target, steps, axis=1)
        order = graph.transpose(order, (1, 0))  # [time, batch]: which step of x stands there
        if self.time_major:
            index = graph.op("Add", graph.op("Mul", order, self.batch), self.rows)
        else:
            index = graph.op("Add", order, graph.op("Mul", self.rows, self.time))
        return graph.op("Gather", graph.reshape(x, (-1, features)), index, axis=0)

    def spread(
        self, graph: Graph, y: Tensor, place: int, places: int, units: int, direction: Direction, rule: MaskedOutput
    ) -> Tensor:
        """The outputs of one direction at the steps where they belong: [batch, time, units], or time-major.

        Args:
            graph: takes the operators.
            y: the operator's Y, [time, places, batch, units].
            place: which of its directions.
            places: how many it has.
            units: size of the last axis.
            direction: says the order of time.
            rule: masked steps give the previous output ("previous", "state") or zeros.
        """
        row = self._row(graph, direction, rule)  # [batch, time]: which step of y
        slot = row if places == 1 else graph.op("Mul", row, graph.const(places))
        slot = graph.op("Add", slot, graph.const(place)) if place else slot
        if self.time_major:
            index = graph.op("Add", graph.op("Mul", graph.transpose(slot, (1, 0)), self.batch), self.rows)
        else:
            columns = graph.with_axes("Unsqueeze", self.rows, [1])
            index = graph.op("Add", graph.op("Mul", slot, self.batch), columns)
        return graph.op("Gather", graph.reshape(y, (-1, units)), index, axis=0)

    def _row(self, graph: Graph, direction: Direction, rule: MaskedOutput) -> Tensor:
        """The compact step to read at each step.

        A row with a masked step has at most time - 1 compact ones, and beyond them Y is 0: that is where the zeros
        come from. Forward, the step before the first is -1, and a negative index counts from the end of Gather's
        data: the last step, a zero one. In reverse, the previous output is that of the next unmasked step in time,
        compact step `inclusive`, and the one after the last is a zero one.
        """
        last = graph.op("Sub", self.inclusive, graph.const(1))
        if rule == "zero":
            end = graph.op("Sub", self.time, graph.const(1))
            row = graph.op("Where", self.mask, last, end, dtype="int64")
        elif direction.reverse_input:
            row = graph.op("Sub", self.inclusive, self.ones)
        else:
            row = last
        return self.in_order(graph, row, direction)

    def leading(self, graph: Graph, direction: Direction) -> Tensor:
        """Masked steps before the first unmasked one in processing order, bool [batch, time, 1] or time-major."""
        if direction.reverse_input:
            seen = graph.op("Sub", self.count, graph.op("Sub", self.inclusive, self.ones))
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
