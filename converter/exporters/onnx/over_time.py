"""Scan as ONNX' Scan: the nodes of its body are lowered as all others are, into a graph of their own."""

from __future__ import annotations

from onnx import helper

from converter.errors import Unsupported
from converter.exporters.onnx.graph import Graph, Tensor, computed, value_info
from converter.exporters.onnx.lower import Inputs, Outputs, lower, lower_node, present
from converter.model import Node
from converter.model.layers import Recurrent, Scan, every_node


@lower.register
def scan(layer: Scan, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """See `converter.model.layers.Scan`."""
    _refuse(layer, graph)
    body, tensors = graph.body(), dict[str, Tensor | None]()
    stepped = layer.states + layer.sequences
    for place, value in enumerate(layer.inputs):
        inner = body.input(f"in{place}", computed(value.dtype)) if place < stepped else present(inputs[place])
        tensors[value.name] = inner
    given = [present(tensors[value.name]) for value in layer.inputs[:stepped]]
    for inner_node in layer.nodes:
        lower_node(body, inner_node, tensors)
    graph.store.layer = node.name
    outputs = _outputs(body, layer, tensors)
    graph.store.inside.update((name, t) for name, t in tensors.items() if t is not None)
    ranks = [len(value.shape) for value in (*layer.inputs[:stepped], *layer.outputs)]
    infos = [value_info(t.name, t.dtype, (None,) * n) for t, n in zip([*given, *outputs], ranks, strict=True)]
    proto = helper.make_graph(
        body.nodes, graph.store.unique(f"{node.name}/step"), infos[:stepped], infos[stepped:]
    )  # fmt: skip
    return graph.ops("Scan", inputs[:stepped], [t.dtype for t in outputs], body=proto, num_scan_inputs=layer.sequences)


def _refuse(layer: Scan, graph: Graph) -> None:
    if any(isinstance(node.layer, Scan | Recurrent) for node in layer.nodes):
        raise Unsupported("a layer over time within a Scan")
    if any(value.dtype == "float16" for node in every_node(layer.nodes) for value in node.outputs):
        raise Unsupported("onnxruntime crashes on loading a Scan in float16")


def _outputs(body: Graph, layer: Scan, tensors: dict[str, Tensor | None]) -> list[Tensor]:
    """What the body makes, in the types of its values; each is made here, once, and is no input."""
    made = {name for node in body.nodes for name in node.output}
    found: list[Tensor] = []
    for value in layer.outputs:
        tensor = body.cast(present(tensors[value.name]), computed(value.dtype))
        if tensor.name not in made or any(tensor.name == other.name for other in found):
            tensor = _copy(body, tensor)
        found.append(tensor)
    return found


def _copy(body: Graph, tensor: Tensor) -> Tensor:
    (made,) = body.ops("Identity", [tensor], [tensor.dtype])
    return present(made)
