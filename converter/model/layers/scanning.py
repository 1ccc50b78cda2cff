"""A body of nodes over time: recurrences that no cell of `recurrent` is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from converter.model import Node, Value


class Scan(Struct, frozen=True, eq=False):
    """A body computed once for each step, in order, as ONNX' Scan is: https://onnx.ai/onnx/operators/onnx__Scan.html.

    Inputs: `states` initial states, then `sequences` values [time, ...] of equal length, then values that every step
    reads as they are. Outputs: the final states, then for each further output of the body the sequence [time, ...] of
    what the steps made.

    `inputs` of the body are in the same order: the states before the step, one element of each sequence, the rest; its
    `outputs` are the states after the step, then the elements. Shapes are those of one step, and do not change.
    """

    states: int
    sequences: int
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]


def every_node(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes in order, those of a Scan's body before the Scan."""
    for node in nodes:
        if isinstance(node.layer, Scan):
            yield from every_node(node.layer.nodes)
        yield node
