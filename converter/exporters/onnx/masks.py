"""Masks by compaction: unmasked steps move to the front, the operator runs over all steps, its outputs go back.

A masked step leaves the states as they are, so leaving it out is exact, for any pattern. The steps are put in order by
a true permutation, and everything that is read of the operator's outputs is read by index, at or before the last
unmasked step; so the result is the same whether a runtime stops at `sequence_lens`, as onnxruntime does, which saves
the work, or computes on, as OpenVINO (dynamic shapes) and onnx' ReferenceEvaluator do.

All is arithmetic on [batch, time] integers, in as few operators as we could find: on short sequences they are what a
mask costs. Outputs are picked by one Gather over time and batch merged, which saves the Transpose behind the operator.
(The same for x saves the one before it, but OpenVINO 2026.4 is wrong where two operators read one x with time first.)
The indices of one mask are shared by all layers that read it, as the graph makes equal operators once.
"""

from __future__ import annotations

from dataclasses import dataclass

from converter.exporters.onnx.graph import Graph, Tensor
from converter.model.layers import Direction, MaskedOutput


@dataclass(frozen=True)
class Compaction:
    """What a mask says to a direction of a layer, as tensors.

    Attributes:
        mask: bool [batch, time], in natural time; as the layer has it, [time, batch] if time_major.
        ones: the mask as int64 [batch, time].
        batch: how many rows there are, int64 [].
        time: how many steps, int64 [1].
        rows: 0, 1, 2, ... for each row, int64 [batch].
        direction: says in which order steps are taken and outputs given.
        time_major: whether x and the layer's output are [time, batch, ...].
    """

    mask: Tensor
    ones: Tensor
    batch: Tensor
    time: Tensor
    rows: Tensor
    direction: Direction
    time_major: bool

    @classmethod
    def of(cls, graph: Graph, mask: Tensor, sizes: Tensor, direction: Direction, time_major: bool) -> Compaction:
        """From the mask and its sizes, int64 [2]."""
        axes = (1, 0) if time_major else (0, 1)
        batch, time = (graph.op("Gather", sizes, graph.const(axis), axis=0) for axis in (axes[0], [axes[1]]))
        rows = graph.op("Range", graph.const(0), batch, graph.const(1))
        ones = graph.cast(graph.transpose(mask, axes), "int64")
        return cls(mask, ones, batch, time, rows, direction, time_major)

    def _counted(self, graph: Graph, backwards: bool) -> Tensor:
        """Unmasked steps up to and with each one, from the first, or from the last; int64 [batch, time]."""
        return graph.op("CumSum", self.ones, graph.const(1), reverse=1 if backwards else None)

    def compact(self, graph: Graph, x: Tensor) -> Tensor:
        """[time, batch, features], the unmasked steps of each row first, in the order in which they are taken.

        The masked ones follow, in any order: an unmasked step is sorted by how many there are from it on, a masked one
        by 0. The mask alone would do, as the first of equals comes first, but OpenVINO's TopK does not keep to that.
        (Where, instead of Mul, would take three times as long on short sequences.)
        """
        key = graph.op("Mul", self._counted(graph, not self.direction.reverse_input), self.ones)
        order = graph.shared_ops("TopK", (key, self.time), ("int64", "int64"), axis=1, largest=1, sorted=1)[1]
        assert order is not None
        batch_first = graph.transpose(x, (1, 0, 2)) if self.time_major else x
        compact = graph.op("GatherND", batch_first, graph.with_axes("Unsqueeze", order, [2]), batch_dims=1)
        return graph.transpose(compact, (1, 0, 2))

    def _placed(self, graph: Graph, steps: Tensor, rows: Tensor) -> Tensor:
        """Indices of the rows' steps where time comes first and both axes are merged."""
        return graph.op("Add", graph.op("Mul", steps, self.batch), rows)

    def count(self, graph: Graph) -> Tensor:
        """Unmasked steps of each row, int64 [batch]."""
        return graph.op("Gather", self._counted(graph, True), graph.const(0), axis=1)

    def lengths(self, graph: Graph) -> Tensor:
        """sequence_lens, int32 [batch]."""
        return graph.cast(self.count(graph), "int32")

    def some(self, graph: Graph) -> Tensor:
        """Whether a row has any unmasked step, bool [batch, 1]."""
        return graph.with_axes("Unsqueeze", graph.op("Greater", self.count(graph), graph.const(0), dtype="bool"), [1])

    def spread(self, graph: Graph, history: Tensor, rule: MaskedOutput) -> Tensor:
        """The outputs at the steps where they belong: [batch, time, units], or time-major.

        Args:
            graph: takes the operators.
            history: [(1 + time)·batch, units]: what is before the first output, then those of the compact steps.
            rule: masked steps give the previous output ("previous", "state"), or zeros, which then come first.
        """
        steps = self._counted(graph, self.direction.reverse_input)
        if rule == "zero":
            steps = graph.op("Mul", steps, self.ones)
        if self.direction.reverse_input != self.direction.reverse_output:
            steps = graph.flip(steps, 1)
        places = self._placed(graph, steps, graph.with_axes("Unsqueeze", self.rows, [1]))
        return graph.op("Gather", history, graph.transpose(places, (1, 0) if self.time_major else (0, 1)), axis=0)

    def last(self, graph: Graph, history: Tensor, rule: MaskedOutput) -> Tensor:
        """The last output, [batch, units]; `history` as for `spread`. With "state" the final h."""
        step = self.count(graph)
        if rule == "zero":
            real = last_taken(graph, self.ones, self.direction)
            step = graph.op("Mul", step, graph.with_axes("Squeeze", real, [1]))
        return graph.op("Gather", history, self._placed(graph, step, self.rows), axis=0)

    def behind(self, graph: Graph, value: float, like: Tensor) -> Tensor:
        """A feature of x, with its axes before: 0 at unmasked steps and `value` at masked ones."""
        zero, one = graph.scalar(0, like), graph.scalar(value, like)
        return graph.with_axes("Unsqueeze", graph.op("Where", self.mask, zero, one, dtype=like.dtype), [2])


def last_taken(graph: Graph, mask: Tensor, direction: Direction) -> Tensor:
    """A mask [batch, time, ...] at the last step that a direction takes, [batch, 1, ...]."""
    start, stop = (0, 1) if direction.reverse_input else (-1, (1 << 63) - 1)
    return graph.slice(mask, 1, start, stop)
