"""Scan as ONNX' Scan: the nodes of its body are lowered as all others are, into a graph of their own."""

from __future__ import annotations

from dataclasses import replace

from onnx import helper

from converter.errors import Unsupported
from converter.exporters.onnx.graph import Graph, Tensor, computed, value_info
from converter.exporters.onnx.lower import Inputs, Outputs, lower, lower_node, present
from converter.exporters.onnx.recurrent import SCAN_AS
from converter.model import Node, Value
from converter.model.layers import Cast, Recurrent, Scan


@lower.register
def scan(layer: Scan, graph: Graph, node: Node, inputs: Inputs) -> Outputs:
    """See `converter.model.layers.Scan`."""
    if any(isinstance(inner.layer, Scan | Recurrent) for inner in layer.nodes):
        raise Unsupported("a layer over time within a Scan")
    worked = _worked(layer)
    given = [graph.cast(present(x), computed(v.dtype)) for x, v in zip(inputs, worked.inputs, strict=True)]
    body, stepped = graph.body(), layer.states + layer.sequences
    inside = [body.input(f"in{place}", x.dtype) for place, x in enumerate(given[:stepped])]
    pairs = zip(worked.inputs, [*inside, *given[stepped:]], strict=True)
    tensors: dict[str, Tensor | None] = {value.name: tensor for value, tensor in pairs}
    for inner in worked.nodes:
        lower_node(body, inner, tensors)
    graph.store.layer = node.name
    outputs = _outputs(body, worked, tensors)
    graph.store.inside.update((name, t) for name, t in tensors.items() if t is not None)
    ranks = [len(value.shape) for value in (*worked.inputs[:stepped], *worked.outputs)]
    infos = [value_info(t.name, t.dtype, (None,) * n) for t, n in zip([*inside, *outputs], ranks, strict=True)]
    proto = helper.make_graph(body.nodes, graph.store.unique(f"{node.name}/step"), infos[:stepped], infos[stepped:])
    kinds = [t.dtype for t in outputs]
    made = graph.ops("Scan", given[:stepped], kinds, body=proto, num_scan_inputs=layer.sequences)
    return tuple(graph.cast(present(x), computed(v.dtype)) for x, v in zip(made, node.outputs, strict=True))


def _worked(layer: Scan) -> Scan:
    """The layer in the types that it is computed in."""

    def one(value: Value) -> Value:
        return replace(value, dtype=SCAN_AS.get(value.dtype, value.dtype))

    def node(old: Node) -> Node:
        of = old.layer
        of = Cast(SCAN_AS.get(of.dtype, of.dtype)) if isinstance(of, Cast) else of
        given = tuple(None if value is None else one(value) for value in old.inputs)
        return replace(old, layer=of, inputs=given, outputs=tuple(map(one, old.outputs)))

    values = (tuple(map(one, side)) for side in (layer.inputs, layer.outputs))
    inputs, outputs = values
    return Scan(layer.states, layer.sequences, inputs, tuple(map(node, layer.nodes)), outputs)


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
