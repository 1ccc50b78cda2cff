"""Model -> ModelProto: lowers the nodes one by one, then fixes the graph's inputs, outputs and metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import onnx
from onnx import helper

from converter import __version__
from converter.errors import Unsupported
from converter.exporters.onnx import fold
from converter.exporters.onnx.graph import (
    DOMAINS,
    Graph,
    Initializer,
    Store,
    Tensor,
    computed,
    element_type,
    value_info,
)
from converter.exporters.onnx.lower import lower_node
from converter.exporters.onnx.runtimes import DEFAULT
from converter.exporters.onnx.runtimes import runtime as row_of
from converter.formats.onnx_metadata import values_property
from converter.model import Model, Value
from converter.model.prune import needed_values

OPSETS = range(13, 27)  # 26 is the newest that onnxruntime 1.32 runs
IR_VERSION = 7  # as old as opset 13 allows; newer ones add nothing that we write
PRODUCER = "keras-lstm-convert"


def build(model: Model, opset: int | None = None, runtime: str = DEFAULT) -> tuple[onnx.ModelProto, list[Initializer]]:
    """The ONNX model without its initializers, and those; arithmetic with sizes is gone where all are known.

    Raises:
        Unsupported: a layer, type or opset that cannot be exported.
    """
    opset = OPSETS.start if opset is None else opset
    if opset not in OPSETS:
        raise Unsupported(f"opset {opset}", hint=f"choose one from {OPSETS.start} to {OPSETS.stop - 1}")
    inputs = (*model.inputs, *(state.input for state in model.states))
    outputs = (
        *zip(model.outputs, model.output_names, strict=True),
        *((state.output, state.output.name) for state in model.states),
    )
    target = row_of(runtime)
    if target.static and any(None in value.shape for value in inputs):
        raise Unsupported(f"{target.title} wants all sizes known", hint="fix them with --batch, --steps or --shape")
    store = Store(opset, needed=needed_values(model), runtime=target)
    store.names.update(value.name for value in inputs)
    store.names.update(name for _, name in outputs)
    graph = Graph(store)
    tensors = _lowered(graph, model, inputs)
    renamed = _name_outputs(graph, outputs, tensors)
    used = _prune(graph.nodes, [name for _, name in outputs])
    held = {v: renamed.get(t.name, t.name) for v, t in {**store.inside, **tensors}.items() if t is not None}
    proto = helper.make_graph(
        graph.nodes,
        model.name or "model",
        [_input_info(value, model.inputs) for value in inputs],
        [value_info(name, computed(value.dtype), value.shape, "batch") for value, name in outputs],
    )
    initializers = [item for item in store.initializers.values() if item.name in used]
    if fold.is_static(proto):
        bare = helper.make_model(proto, ir_version=IR_VERSION, opset_imports=_opsets(graph.nodes, opset))
        bare.graph.value_info.extend(_texts(bare.graph, held, tensors))
        initializers, folded = fold.fold(bare, initializers, set(held.values()))
        del bare.graph.value_info[:]
        _rename(bare.graph.node, folded)
        proto, held = bare.graph, {value: folded.get(name, name) for value, name in held.items()}
        used = {name for node in proto.node for name in _reads(node)} | {name for _, name in outputs}
    dtypes = {held[value]: tensor.dtype for value, tensor in tensors.items() if tensor is not None}
    proto.value_info.extend(_shapes(proto, model, held, dtypes))
    used |= {name for node in proto.node for name in _made_inside(node)}
    properties = values_property({value: tensor for value, tensor in held.items() if tensor in used})
    return _model(proto, model, opset, properties), initializers


def _lowered(graph: Graph, model: Model, inputs: Iterable[Value]) -> dict[str, Tensor | None]:
    """Writes the nodes that outputs need; gives the tensor of each value."""
    tensors: dict[str, Tensor | None] = {}
    for value in inputs:
        graph.store.layer = value.name
        tensors[value.name] = Tensor(value.name, computed(value.dtype))
    for node in model.nodes:
        if any(value.name in graph.store.needed for value in node.outputs):
            lower_node(graph, node, tensors)
    return tensors


def _texts(
    graph: onnx.GraphProto, held: Mapping[str, str], tensors: Mapping[str, Tensor | None]
) -> Iterator[onnx.ValueInfoProto]:
    """Which values are text: onnx (1.23) crashes at a LabelEncoder of what it knows no type of, as behind a Loop."""
    ends = {value.name for value in (*graph.input, *graph.output)}
    names = {held[value] for value, tensor in tensors.items() if tensor is not None and tensor.dtype == "string"}
    return (value_info(name, "string", None) for name in sorted(names - ends))


def _input_info(value: Value, inputs: Iterable[Value]) -> onnx.ValueInfoProto:
    """An input; its open axis 1 is called `steps`, or `<name>_steps` where more inputs than one have such an axis."""
    timed = [other for other in inputs if len(other.shape) > 1 and other.shape[1] is None]
    info = value_info(value.name, computed(value.dtype), value.shape, "batch")
    if value in timed:
        info.type.tensor_type.shape.dim[1].dim_param = "steps" if len(timed) == 1 else f"{value.name}_steps"
    return info


def _shapes(
    graph: onnx.GraphProto, model: Model, held: Mapping[str, str], dtypes: Mapping[str, str]
) -> Iterator[onnx.ValueInfoProto]:
    """What is known of the tensors that hold values: behind a Reshape to computed sizes a runtime would not know even
    the rank, and not fuse MatMul and Add.
    """
    made = {name for node in graph.node for name in node.output} - {value.name for value in graph.output}
    for value in (value for node in model.nodes for value in node.outputs):
        tensor = held.get(value.name, "")
        if tensor in made:
            made.discard(tensor)  # more values than one may be in it
            yield helper.make_tensor_value_info(tensor, element_type(dtypes[tensor]), list(value.shape))


def _name_outputs(
    graph: Graph, outputs: Iterable[tuple[Value, str]], tensors: dict[str, Tensor | None]
) -> dict[str, str]:
    """Gives the tensors behind the outputs their names; an input, a constant, or one named already gets an Identity.

    Returns the new names by the old.
    """
    renamed: dict[str, str] = {}
    made = {name for node in graph.nodes for name in node.output}
    copies: list[onnx.NodeProto] = []
    for value, name in outputs:
        tensor = tensors[value.name]
        assert tensor is not None
        graph.store.layer = name
        tensor, before = graph.cast(tensor, computed(value.dtype)), tensor
        if (tensor.name in made or tensor is not before) and tensor.name not in renamed:
            renamed[tensor.name] = name
        else:
            node_name = graph.store.unique(f"{name}/Identity")
            copies.append(helper.make_node("Identity", [tensor.name], [name], node_name))
    graph.nodes += copies
    _rename(graph.nodes, renamed)
    return renamed


def _rename(nodes: Iterable[onnx.NodeProto], renamed: dict[str, str]) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
        for attribute in node.attribute:
            _rename(attribute.g.node, renamed)


def _prune(nodes: list[onnx.NodeProto], outputs: list[str]) -> set[str]:
    """Drops the nodes that nobody reads; gives the names that somebody does."""
    used = set(outputs)
    for index in reversed(range(len(nodes))):
        if used.isdisjoint(nodes[index].output):
            del nodes[index]
        else:
            used.update(_reads(nodes[index]))
    return used


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)


def _made_inside(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that the graphs inside a node get or make."""
    for attribute in node.attribute:
        yield from (value.name for value in attribute.g.input)
        for inner in attribute.g.node:
            yield from inner.output
            yield from _made_inside(inner)


def _opsets(nodes: Iterable[onnx.NodeProto], opset: int) -> list[onnx.OperatorSetIdProto]:
    others = dict.fromkeys(DOMAINS[node.op_type] for node in nodes if node.domain)
    return [helper.make_opsetid("", opset), *(helper.make_opsetid(*pair) for pair in others)]


def _model(graph: onnx.GraphProto, model: Model, opset: int, properties: Mapping[str, str]) -> onnx.ModelProto:
    proto = helper.make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=_opsets(graph.node, opset),
        producer_name=PRODUCER,
        producer_version=__version__,
    )
    source = model.source
    properties = {
        **properties,
        "keras.version": source.keras_version,
        "keras.era": source.era,
        "keras.format": source.format,
        "keras.backend": source.backend,
        "source.sha256": source.sha256,
        "converter.version": __version__,
    }
    if model.states:
        names = [{"input": state.input.name, "output": state.output.name} for state in model.states]
        properties["keras.states"] = json.dumps(names)
    helper.set_model_props(proto, properties)
    return proto
