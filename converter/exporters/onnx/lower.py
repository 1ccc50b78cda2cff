"""One lowering rule per neutral layer type."""

from __future__ import annotations

from functools import singledispatch

from converter.errors import Unsupported
from converter.exporters.onnx.graph import Graph, Tensor, computed
from converter.model import Node

Inputs = tuple[Tensor | None, ...]
Outputs = tuple[Tensor | None, ...]


@singledispatch
def lower(layer: object, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """The ONNX operators of one node.

    Args:
        layer: the node's layer; its type picks the rule.
        graph: takes the operators.
        node: gives shapes and types of the neutral values.
        inputs: one for each of the node's inputs.

    Returns:
        One for each of the node's outputs; None only where nobody reads it.

    Raises:
        Unsupported: there is no rule for this layer, or it cannot be exact.
    """
    raise Unsupported(f"{type(layer).__name__} cannot be exported to ONNX")


def present(tensor: Tensor | None) -> Tensor:
    """An input that must be there."""
    assert tensor is not None
    return tensor


def result_type(node: Node) -> str:
    """The type in which the node's first output is computed."""
    return computed(node.outputs[0].dtype)


def rank(node: Node, index: int = 0) -> int:
    """How many axes an input has."""
    value = node.inputs[index]
    assert value is not None
    return len(value.shape)
