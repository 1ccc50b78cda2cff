"""Model -> graphs: lowers the nodes one by one, then fixes inputs, outputs and what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from converter.errors import ConversionError
from converter.exporters.tflite.graph import Graph, Store
from converter.exporters.tflite.lower import lower
from converter.exporters.tflite.tensors import Ranges, Tensor
from converter.model import Model, Node, Value
from converter.model.prune import needed_values


@dataclass(frozen=True)
class Built:
    """What is written.

    Attributes:
        store: all graphs, the model's first, and the constants.
        outputs: their names and the tensors of these names, in order.
        values: by the name of each of the model's values the tensor that holds it.
    """

    store: Store
    outputs: tuple[tuple[str, Tensor], ...]
    values: dict[str, str]


def build(model: Model, ranges: Mapping[str, tuple[Ranges, ...]]) -> Built:
    """The graphs of a model; LSTMs whose ranges are given compute in integers.

    Raises:
        Unsupported: a layer or type that no builtin operators compute.
    """
    store = Store(needed=needed_values(model), ranges=ranges)
    inputs = (*model.inputs, *(state.input for state in model.states))
    outputs = (
        *zip(model.outputs, model.output_names, strict=True),
        *((state.output, state.output.name) for state in model.states),
    )
    store.names.update(value.name for value in inputs)
    store.names.update(name for _, name in outputs)
    graph = Graph(store, "main")
    tensors: dict[str, Tensor | None] = {v.name: graph.input(v.name, v.dtype, v.shape) for v in inputs}
    for node in model.nodes:
        if any(value.name in store.needed for value in node.outputs):
            _lower(graph, node, tensors)
    renamed = _name_outputs(graph, outputs, tensors)
    _prune(graph)
    held = {value: renamed.get(tensor, tensor).name for value, tensor in tensors.items() if tensor is not None}
    return Built(store, tuple((tensor.name, tensor) for tensor in graph.outputs), held)


def _lower(graph: Graph, node: Node, tensors: dict[str, Tensor | None]) -> None:
    graph.store.layer = node.name
    inputs = tuple(None if value is None else tensors[value.name] for value in node.inputs)
    try:
        made = lower(node.layer, graph, node, inputs)
    except ConversionError as error:
        raise error.at(node.name) from error
    tensors.update({value.name: tensor for value, tensor in zip(node.outputs, made, strict=True)})


def _name_outputs(
    graph: Graph, outputs: Iterable[tuple[Value, str]], tensors: dict[str, Tensor | None]
) -> dict[Tensor, Tensor]:
    """Gives the tensors behind the outputs their names; an input, a constant, or one named already is copied.

    Returns the new tensors by the old.
    """
    renamed: dict[Tensor, Tensor] = {}
    made = {tensor for op in graph.ops for tensor in op.outputs}
    for value, name in outputs:
        tensor = tensors[value.name]
        assert tensor is not None
        graph.store.layer = name
        tensor, before = graph.cast(tensor, value.dtype), tensor
        named = Tensor(name, tensor.dtype, value.shape)
        graph.outputs.append(named)
        if (tensor in made or tensor != before) and tensor not in renamed:
            renamed[tensor] = named
        elif tensor.rank:
            graph.into(named, "CONCATENATION", tensor, axis=0)
        else:
            graph.into(named, "RESHAPE", tensor, graph.const([], "int32"))
    for index, op in enumerate(graph.ops):
        given, results = (tuple(renamed.get(t, t) if t else t for t in side) for side in (op.inputs, op.outputs))
        graph.ops[index] = replace(op, inputs=given, outputs=tuple(t for t in results if t))
    return renamed


def _prune(graph: Graph) -> None:
    """Drops the operators that nobody reads; one that writes a variable is read by the operator that changes it."""
    used = set(graph.outputs)
    for index in reversed(range(len(graph.ops))):
        op = graph.ops[index]
        if used.isdisjoint(op.outputs):
            del graph.ops[index]
        else:
            used.update(tensor for tensor in op.inputs if tensor)
