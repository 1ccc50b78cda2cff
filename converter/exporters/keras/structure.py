"""The layers of a Keras file as they are: nested models, shared layers, wrappers, cells, Masking and Dropout stay.

Keras 3 reads some old layers as something else (masks, states, activations). So what is written is parsed again as
every Keras that opens it means it, and kept only where that is the same graph; else the model is written as what its
layers compute.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from converter.errors import ConversionError
from converter.exporters.keras.activations import factors
from converter.exporters.keras.archive import config_of, opens_from
from converter.exporters.keras.arguments import MERGES, OPERATIONS
from converter.exporters.keras.graph import MODULES, Graph, Op, OpCall, Ref
from converter.exporters.keras.recurrent import last_axis
from converter.exporters.keras.same import same
from converter.exporters.keras.stored import group_of
from converter.exporters.keras.structure_layers import FIELDS, made
from converter.exporters.keras.structure_recurrent import refuse
from converter.exporters.weights import cells
from converter.keras.build import build
from converter.keras.eras.releases import openers
from converter.keras.graph.ordering import execution_order
from converter.keras.source import Source
from converter.keras.spec import ALL, PREFIX, CallSpec, LayerSpec, ModelSpec
from converter.keras.spec import Ref as History
from converter.model import LayerInfo, Model, Node, Provenance, Value
from converter.model.layers import Recurrent
from converter.model.prune import prune

_LISTS = (*MERGES, "Concatenate", "Dot", "Merge")  # layers that are called on a list of tensors
_KEYWORDS = frozenset({"initial_state", "mask", "training"})
Tensors = dict[tuple[str, int], list[Ref]]  # layer and number of the call in the file -> what it gives


def structured(model: Model) -> tuple[Graph, list[Ref]] | None:
    """The layers of the file, as a Keras 3 model, and its outputs; None where Keras 3 would differ."""
    if model.written is None or not isinstance(model.written.config, ModelSpec):
        return None
    try:
        facts = _Facts.of(model, model.written.config)
        graph, outputs = _model(facts, model.written, model.inputs, "")
        stored = group_of(graph.ordered(outputs))
        config, again = config_of(graph, outputs), model
        for version in openers(opens_from(graph, outputs)):
            again = build(Source(config, stored, Provenance("", "", keras_version=version)))
            if not same(model, again, bool(facts.scaled)):
                return None
        graph.scaled |= facts.scaled_in(again)
        return graph, outputs
    except ConversionError:
        return None


@dataclass(frozen=True, eq=False)
class _Facts:
    """What is known of the layers, by their paths.

    Attributes:
        model: the neutral model.
        nodes: what the calls of each layer made.
        infos: what the file says of each; shapes are those of its first call.
        scaled: what the weights of a node, or of one of its directions, are multiplied by; gathered on the way.
    """

    model: Model
    nodes: Mapping[str, list[Node]]
    infos: Mapping[str, LayerInfo]
    scaled: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, spec: ModelSpec) -> _Facts:
        """Raises Unsupported where names do not tell the layers apart."""
        paths = list(_paths(spec))
        nodes = _by_layer(model, paths)
        if len(nodes) != len(paths):
            refuse(model.name)
        for path in paths:
            if next(_owners(path.rpartition("/")[0], nodes), ""):
                refuse(path)
        return cls(model, nodes, {info.path: info for info in model.layers})

    def one_call(self, path: str, calls: int) -> list[Node]:
        """What one of the calls of a layer made; all must have made the same."""
        nodes = self.nodes[path]
        count = len(nodes) // calls
        kinds = [type(node.layer) for node in nodes]
        if kinds != kinds[:count] * calls:
            refuse(path)
        return nodes[:count]

    def note_scaled(self, node: Node, factor: float) -> None:
        """Notes what the weights of a node are multiplied by: those of a cell by gate, others by `factor`."""
        for side, cell in cells(node):
            self._note(node, side, factors(cell, last_axis(cell)))
        if type(node.layer) in FIELDS:
            self._note(node, "", [factor])

    def _note(self, node: Node, side: str, by: Sequence[float]) -> None:
        if any(factor != 1 for factor in by):
            self.scaled[node.name, side] = list(by)

    def scaled_in(self, again: Model) -> dict[str, list[float]]:
        """`Graph.scaled`, by the names that nodes have in what is read again: casts elsewhere shift their numbers."""
        ours, theirs = (_by_layer(prune(model), self.nodes) for model in (self.model, again))
        names = {
            one.name: other.name
            for path in ours
            for one, other in zip(_weighted(ours[path]), _weighted(theirs[path]), strict=False)
        }
        return {f"{names.get(name, name)} {side}".rstrip(): by for (name, side), by in self.scaled.items()}


def _paths(model: ModelSpec, path: str = "") -> Iterator[str]:
    for layer in model.layers:
        if isinstance(layer.config, ModelSpec):
            yield from _paths(layer.config, f"{path}{layer.name}/")
        else:
            yield f"{path}{layer.name}"


def _by_layer(model: Model, paths: Iterable[str]) -> dict[str, list[Node]]:
    """The nodes of each of these layers."""
    nodes: dict[str, list[Node]] = {path: [] for path in paths}
    for node in model.nodes:
        for owner in _owners(node.keras_layer, nodes):
            nodes[owner].append(node)
    return nodes


def _weighted(nodes: Iterable[Node]) -> list[Node]:
    return [node for node in nodes if isinstance(node.layer, Recurrent) or type(node.layer) in FIELDS]


def _owners(path: str, layers: Container[str]) -> Iterator[str]:
    """The layer among `layers` that a path is of or below."""
    while path:
        if path in layers:
            yield path
        path = path.rpartition("/")[0]


def _model(
    facts: _Facts, root: LayerSpec, inputs: Sequence[Value], path: str, times: int = 1
) -> tuple[Graph, list[Ref]]:
    """A model, and those inside it.

    Args:
        facts: of the layers.
        root: the model.
        inputs: what it is built on.
        path: what the names of its layers begin with.
        times: how often it is called.
    """
    spec = root.config
    assert isinstance(spec, ModelSpec)
    graph = Graph(facts.model, inputs)
    graph.sequential = root.class_name == "Sequential" and len(inputs) == 1
    tensors: Tensors = {(ref.layer, 0): [graph.inputs[k]] for k, ref in enumerate(spec.inputs)}
    order = execution_order(spec, tensors)
    numbers: dict[str, list[int]] = {}  # of the calls of each layer, as the file counts them
    for name, number in sorted(order):
        numbers.setdefault(name, []).append(number)
    layers = {layer.name: layer for layer in spec.layers}
    gives = {name: _written(facts, graph, layers[name], path, len(known) * times) for name, known in numbers.items()}
    calls: dict[str, dict[int, OpCall]] = {name: {} for name in numbers}
    for name, number in order:
        place = numbers[name].index(number)
        call = calls[name][place] = _call(layers[name], spec.calls[name][number], tensors)
        tensors[name, number] = [replace(r, call=place, dtype=r.dtype or call.parents[0].dtype) for r in gives[name]]
    for name, own in calls.items():
        graph.ops[name] = replace(graph.ops[name], calls=tuple(own[place] for place in sorted(own)))
    return graph, [tensor for ref in spec.outputs for tensor in _picked(tensors, ref)]


def _picked(tensors: Tensors, ref: History) -> list[Ref]:
    found = tensors[ref.layer, ref.node]
    if ref.tensor == ALL:
        return found
    return [found[ref.tensor]] if ref.tensor < len(found) else refuse(ref.layer)


def _written(facts: _Facts, graph: Graph, layer: LayerSpec, path: str, calls: int) -> list[Ref]:
    """Adds a layer, nested model or operation, still without its calls; what its first call gives.

    The dtype is "" where it is that of what it is given. Keras does not ask for the shapes of later calls.
    """
    name = graph.unique(layer.name)
    if name != layer.name:
        refuse(name)
    path += name
    if isinstance(layer.config, ModelSpec):
        inside = _model(facts, layer, _inputs(layer.config), f"{path}/", calls)
        whole = config_of(*inside, name)
        config = {**whole["config"], "trainable": layer.trainable}
        graph.ops[name] = Op(name, whole["module"], whole["class_name"], config, inside=inside)
        return [Ref(name, k, ref.shape, ref.dtype) for k, ref in enumerate(inside[1])]
    nodes = facts.one_call(path, calls)
    if layer.class_name.startswith(PREFIX):
        graph.ops[name] = _operation(layer)
    else:
        one = made(layer, nodes)
        if one.weights and not facts.infos[path].weights:  # such as the matrix of a resize
            refuse(path)
        graph.ops[name] = Op(name, "keras.layers", one.class_name, one.config, weights=one.weights)
        for node in facts.nodes[path]:
            facts.note_scaled(node, one.factor)
    dtype = nodes[-1].outputs[0].dtype if nodes else ""
    return [Ref(name, k, shape, dtype) for k, shape in enumerate(facts.infos[path].output_shapes)]


def _inputs(spec: ModelSpec) -> list[Value]:
    """The inputs of a nested model, of the shapes it was built with."""
    layers = {layer.name: layer for layer in spec.layers}
    configs: list[Any] = [layers[ref.layer].config for ref in spec.inputs]
    return [
        Value(ref.layer, tuple(config.batch_input_shape or refuse(ref.layer)), config.compute_dtype or "float32")
        for ref, config in zip(spec.inputs, configs, strict=True)
    ]


def _operation(layer: LayerSpec) -> Op:
    kind = layer.class_name.removeprefix(PREFIX)
    if kind not in OPERATIONS:
        refuse(layer.name)
    config = {key: value for key, value in layer.full_config.items() if key != "name"}
    return Op(layer.name, MODULES.get(kind, "keras.src.ops.numpy"), kind, config)


def _call(layer: LayerSpec, call: CallSpec, tensors: Tensors) -> OpCall:
    """What a layer is called with: tensors, and for recurrent ones the initial states by keyword."""
    empty = (None, [None] * len(layer.config.inputs) if isinstance(layer.config, ModelSpec) else None)
    kwargs = {key: value for key, value in call.kwargs.items() if value not in empty}
    if layer.class_name.startswith(PREFIX):
        return OpCall(_tree(call.args, tensors, layer, plain=True), _tree(kwargs, tensors, layer, plain=True))
    if set(kwargs) - _KEYWORDS or len(call.args) != 1:
        refuse(layer.name)
    given = _tree(call.args[0], tensors, layer)
    out = {key: _tree(value, tensors, layer) for key, value in kwargs.items() if key != "training"}
    if isinstance(kwargs.get("training"), bool):
        out["training"] = kwargs["training"]
    listed = layer.class_name in _LISTS or (isinstance(layer.config, ModelSpec) and len(layer.config.inputs) > 1)
    if isinstance(given, list) and not listed:
        given, *states = given
        out |= {"initial_state": states} if states else {}
    return OpCall((given,), out)


def _tree(tree: Any, tensors: Tensors, layer: LayerSpec, plain: bool = False) -> Any:
    """Arguments with tensors in place of their histories; `plain`: other values may be among them."""
    if isinstance(tree, History):
        found = _picked(tensors, tree)
        return found[0] if len(found) == 1 else refuse(layer.name)
    if isinstance(tree, Mapping):
        return {key: _tree(value, tensors, layer, plain) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_tree(item, tensors, layer, plain) for item in tree)
    return (
        tree if plain and (tree is None or isinstance(tree, bool | int | float | str | slice)) else refuse(layer.name)
    )
