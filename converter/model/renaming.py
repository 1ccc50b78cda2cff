"""Model -> Model: values called otherwise, and a model that begins further inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from converter.errors import InvalidModel, clean
from converter.model.graph import Model, Node, State, Value
from converter.model.prune import prune


def renamed(model: Model, names: Mapping[str, str]) -> Model:
    """The same model with values under other names; names of outputs stay."""

    def one(value: Value) -> Value:
        return replace(value, name=names[value.name]) if value.name in names else value

    def node(old: Node) -> Node:
        inputs = tuple(None if value is None else one(value) for value in old.inputs)
        return replace(old, inputs=inputs, outputs=tuple(map(one, old.outputs)))

    return replace(
        model,
        inputs=tuple(map(one, model.inputs)),
        nodes=tuple(map(node, model.nodes)),
        outputs=tuple(map(one, model.outputs)),
        states=tuple(State(one(state.input), one(state.output)) for state in model.states),
    )


def beginning_at(model: Model, inputs: tuple[tuple[str, Value], ...]) -> Model:
    """The part of a model that follows certain values, which become its inputs.

    Args:
        inputs: the names of the new inputs and the values they stand for; an input of the model stands for itself.

    Raises:
        InvalidModel: an output needs another input of the model as well.
    """
    given = {old.name: replace(old, name=name) for name, old in inputs}

    def node(old: Node) -> Node:
        return replace(old, inputs=tuple(None if v is None else given.get(v.name, v) for v in old.inputs))

    outputs = tuple(given.get(value.name, value) for value in model.outputs)
    nodes = tuple(map(node, model.nodes))
    after = prune(replace(model, inputs=tuple(given.values()), nodes=nodes, outputs=outputs, states=()))
    reached = {v.name for n in after.nodes for v in n.inputs if v is not None}
    states = tuple(state for state in model.states if state.input.name in reached)  # not those of layers before it
    cut = prune(replace(after, nodes=nodes, states=states))
    read = {v.name for n in cut.nodes for v in n.inputs if v is not None} | {value.name for value in cut.outputs}
    if missing := [value.name for value in model.inputs if value.name in read - {v.name for v in cut.inputs}]:
        raise InvalidModel(
            f"what --outputs names also needs the input {clean(missing[0])!r}",
            hint="name it in --inputs as well, or all that is computed from it",
        )
    kept = {node.keras_layer for node in cut.nodes}
    return replace(cut, layers=tuple(layer for layer in cut.layers if layer.path in kept))
