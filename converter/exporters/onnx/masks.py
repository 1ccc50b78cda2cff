"""Masks by compaction: unmasked steps move to the front, the operator runs over all steps, its outputs go back.

A masked step leaves the states as they are, so leaving it out is exact, for any pattern. The steps are put in order by
a true permutation, and everything that is read of the operator's outputs is read by index, at or before the last
unmasked step; so the result is the same whether a runtime stops at `sequence_lens`, as onnxruntime does, which saves
the work, or computes on, as OpenVINO (dynamic shapes) and onnx' ReferenceEvaluator do.

All is index arithmetic on [batch, time, 1] integers, in as few operators as we could find: on short sequences they are
what a mask costs. The index tensors of one mask are shared by all layers that read it, as the graph makes equal
operators once.
"""

from __future__ import annotations

from dataclasses import dataclass

from converter.exporters.onnx.graph import Graph, Tensor
from converter.model.layers import Direction, MaskedOutput


@dataclass(frozen=True)
class Compaction:
    """What a mask says to a direction of a layer, as tensors.

    Attributes:
        mask: bool [batch, time, 1], in natural time.
        ones: the mask as int64.
        time: how many steps there are, int64 [1].
        direction: says in which order steps are taken and outputs given.
        time_major: whether the layer's output is [time, batch, ...].
    """

    mask: Tensor
    ones: Tensor
    time: Tensor
    direction: Direction
    time_major: bool

    @classmethod
    def of(cls, graph: Graph, mask: Tensor, sizes: Tensor, direction: Direction, time_major: bool) -> Compaction:
        """From a mask [batch, time], or [time, batch] if time_major; `sizes` are those of the mask, int64 [2]."""
        time = graph.op("Gather", sizes, graph.const([0 if time_major else 1]), axis=0)
        batch_first = graph.transpose(mask, (1, 0)) if time_major else mask
        column = graph.with_axes("Unsqueeze", batch_first, [2])
        return cls(column, graph.cast(column, "int64"), time, direction, time_major)

    def _counted(self, graph: Graph, backwards: bool) -> Tensor:
        """Unmasked steps up to and with each one, from the first, or from the last; int64 [batch, time, 1]."""
        return graph.op("CumSum", self.ones, graph.const(1), reverse=1 if backwards else None)

    def compact(self, graph: Graph, x: Tensor) -> Tensor:
        """x [batch, time, features] with the unmasked steps of each row first, in the order in which they are taken.

        The masked ones follow, in any order. TopK puts the first of equals first, as ONNX says, so the mask itself
        sorts the steps of a layer that goes forward; for one that goes backwards, unmasked steps are numbered.
        """
        key = self.ones
        if self.direction.reverse_input:
            key = graph.op("Mul", self._counted(graph, False), key)
        order = graph.ops("TopK", (key, self.time), ("int64", "int64"), axis=1, largest=1, sorted=1)[1]
        return graph.op("GatherND", x, order, batch_dims=1)

    def count(self, graph: Graph) -> Tensor:
        """Unmasked steps of each row, int64 [batch, 1]."""
        backwards = self.direction.reverse_input  # as `spread` counts; ReduceSum would take longer
        return graph.op("Gather", self._counted(graph, backwards), graph.const(0 if backwards else -1), axis=1)

    def lengths(self, graph: Graph) -> Tensor:
        """sequence_lens, int32 [batch]."""
        return graph.cast(graph.with_axes("Squeeze", self.count(graph), [1]), "int32")

    def some(self, graph: Graph) -> Tensor:
        """Whether a row has any unmasked step, bool [batch, 1]."""
        return graph.op("Greater", self.count(graph), graph.const(0), dtype="bool")

    def spread(self, graph: Graph, history: Tensor, rule: MaskedOutput) -> Tensor:
        """The outputs at the steps where they belong: [batch, time, units], or time-major.

        Args:
            graph: takes the operators.
            history: [batch, 1 + time, units]: what stands before the first output, then those of the compact steps.
            rule: masked steps give the previous output ("previous", "state"), or zeros, which then come first.
        """
        rows = self._counted(graph, self.direction.reverse_input)
        if rule == "zero":
            rows = graph.op("Mul", rows, self.ones)
        if self.direction.reverse_input != self.direction.reverse_output:
            rows = graph.flip(rows, 1)
        y = graph.op("GatherND", history, rows, batch_dims=1)
        return graph.transpose(y, (1, 0, 2)) if self.time_major else y

    def last(self, graph: Graph, history: Tensor, rule: MaskedOutput) -> Tensor:
        """The last output, [batch, units]; `history` as for `spread`. With "state" the final h."""
        row = self.count(graph)
        if rule == "zero":
            real = last_taken(graph, self.ones, self.direction)
            row = graph.op("Mul", row, graph.with_axes("Squeeze", real, [1]))
        return graph.op("GatherND", history, row, batch_dims=1)

    def behind(self, graph: Graph, value: float, like: Tensor) -> Tensor:
        """A feature [batch, time, 1] that is 0 at unmasked steps and `value` at masked ones."""
        zero, one = graph.scalar(0, like), graph.scalar(value, like)
        return graph.op("Where", self.mask, zero, one, dtype=like.dtype)


def last_taken(graph: Graph, mask: Tensor, direction: Direction) -> Tensor:
    """A mask [batch, time, ...] at the last step that a direction takes, [batch, 1, ...]."""
    start, stop = (0, 1) if direction.reverse_input else (-1, (1 << 63) - 1)
    return graph.slice(mask, 1, start, stop)
