"""One lowering rule per neutral layer type."""

from __future__ import annotations

from functools import singledispatch

from converter.errors import ConversionError, Unsupported
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


def lower_node(graph: Graph, node: Node, tensors: dict[str, Tensor | None]) -> None:
    """The ONNX operators of a node, and which tensor each of its outputs is.

    Args:
        graph: takes the operators.
        node: the node.
        tensors: by the names of neutral values; those of the outputs are added.

    Raises:
        ConversionError: as `lower` raises it, with the node's name.
    """
    graph.store.layer = node.name
    try:
        made = lower(node.layer, graph, node, tuple(None if v is None else tensors[v.name] for v in node.inputs))
    except ConversionError as error:
        raise error.at(node.name) from error
    tensors.update({value.name: tensor for value, tensor in zip(node.outputs, made, strict=True)})


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
