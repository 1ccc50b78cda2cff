"""One lowering rule per neutral layer type."""

from __future__ import annotations

from functools import singledispatch

from converter.errors import Unsupported
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.tensors import Tensor
from converter.model import Node, Shape

Inputs = tuple[Tensor | None, ...]
Outputs = tuple[Tensor | None, ...]


@singledispatch
def lower(layer: object, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """The TFLite operators of one node.

    Args:
        layer: the node's layer; its type picks the rule.
        graph: takes the operators.
        node: gives shapes and types of the neutral values.
        inputs: one for each of the node's inputs.

    Returns:
        One for each of the node's outputs; None only where nobody reads it.

    Raises:
        Unsupported: there is no rule for this layer, or no builtin operator computes it.
    """
    raise Unsupported(f"{type(layer).__name__} cannot be exported to TFLite")


def present(tensor: Tensor | None) -> Tensor:
    """An input that must be there."""
    assert tensor is not None
    return tensor


def result(node: Node) -> tuple[str, Shape]:
    """Type and shape of the node's first output."""
    return node.outputs[0].dtype, node.outputs[0].shape
