"""Arrays of checkpoints and SavedModels: a graph of objects, walked by the attributes that hold layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from converter.errors import ConversionError, InvalidModel, clean, listed
from converter.keras.arrays.slots import Reading, assemble, checked, slots, variables
from converter.keras.arrays.unordered import fitting
from converter.keras.eras.switches import Era
from converter.keras.graph.partial_models import opaque_layers
from converter.keras.source import ObjectWeights
from converter.keras.spec import Bound, LayerSpec, ModelSpec, Opaque
from converter.model import Weight


def bind_objects(spec: LayerSpec, node: ObjectWeights, era: Era, reading: Reading) -> Bound:
    """The arrays of a model or a layer, and of all that it holds."""
    if not isinstance(spec.config, ModelSpec):
        return _bind_object_leaf(spec, node, era, reading)
    children: dict[str, Bound] = {}
    called: dict[str, str] = {}
    names = {layer.name for layer in spec.config.layers}
    index = 0
    unknown = False  # whether of a layer up to here nobody can say if it has weights: not understood, or words
    listed_layers = sum(re.fullmatch(r"layer-\d+", name) is not None for name in node.children())
    unlisted = len(spec.config.layers) - listed_layers  # a Sequential does not count its InputLayer
    inner = replace(reading, by_name=False)
    for k, layer in enumerate(spec.config.layers):
        expected = slots(layer, era)
        unknown = unknown or bool(opaque_layers(layer)) or any(slot.variable.kind == "text" for slot in expected)
        if isinstance(layer.config, Opaque) or not expected:
            children[layer.name] = assemble(layer, {})
            continue
        edge = f"layer-{k - unlisted}" if unknown else f"{_EDGE}{index}"
        edge = _edge_called(layer, node, era) if reading.by_name else edge
        child = node.child(edge)
        index += 1
        where = f"layer {clean(layer.name)!r} ({layer.class_name})"
        if child is None:
            raise InvalidModel(f"no object {edge} in the checkpoint", where=where)
        try:
            bound = children[layer.name] = bind_objects(layer, child, era, inner)
        except ConversionError as problem:
            raise problem.at(where) from None
        called[layer.name] = _called(layer.name, names, bound)
    reading.crossed(called.items())
    surplus = [name for name in node.children() if name.startswith(_EDGE) and int(name[len(_EDGE) :]) >= index]
    if surplus and not unknown and not reading.by_name:
        reading.note(f"the checkpoint also holds {listed(surplus)}, which the architecture does not have: left out, as"
                     " load_weights does")  # fmt: skip
    return Bound({}, children)


_EDGE = "layer_with_weights-"


def _called(own: str, names: Collection[str], bound: Bound) -> str:
    """What the variables of a layer call it, if that is the name of any layer."""
    said = [{part for part in weight.name.split("/")[:-1] if part in names} for weight in bound.all()]
    return own if not said or any(not names or own in names for names in said) else min(said[0])


def _edge_called(layer: LayerSpec, node: ObjectWeights, era: Era) -> str:
    """The edge to the object whose variables are called like the layer.

    Raises:
        InvalidModel: there is none, or there are several.
    """
    edges = [name for name in node.children() if name.startswith(_EDGE)]
    found = [(edge, fitting([layer], object_binder(child, era))) for edge in edges if (child := node.child(edge))]
    named = [edge for edge, fits in found for bound in fits.values()
             if all(layer.name in weight.name.split("/")[:-1] for weight in bound.all())]  # fmt: skip
    if len(named) != 1:
        where = f"layer {clean(layer.name)!r} ({layer.class_name})"
        raise InvalidModel(f"{len(named)} layers of the checkpoint have variables of that name", where=where)
    return named[0]


def object_binder(node: ObjectWeights, era: Era) -> Callable[[LayerSpec], Bound]:
    """Binds a layer to an object of the graph."""
    return lambda layer: bind_objects(layer, node, era, Reading())


def model_of(root: ObjectWeights) -> ObjectWeights:
    """The model itself, where it is an attribute of a `tf.train.Checkpoint`."""
    models = [child for name in root.children() if (child := root.child(name)) is not None and not no_order(child)]
    return models[0] if no_order(root) and len(models) == 1 else root


def no_order(node: ObjectWeights) -> bool:
    """Whether an object is no Sequential or functional model, whose layers are numbered."""
    return not any(name.startswith(_EDGE) for name in node.children())


def objects_below(root: ObjectWeights) -> Callable[[ObjectWeights], Iterator[tuple[str, ObjectWeights]]]:
    """The objects below one that were not met before, but for those of training."""
    seen = {root.node}

    def below(node: ObjectWeights) -> Iterator[tuple[str, ObjectWeights]]:
        for name in node.children():
            child = node.child(name)
            if child is not None and child.node not in seen and name not in {"optimizer", "keras_api", "save_counter"}:
                seen.add(child.node)
                yield name, child

    return below


def _bind_object_leaf(spec: LayerSpec, node: ObjectWeights, era: Era, reading: Reading) -> Bound:
    own: dict[str, Weight] = {}
    under = spec.row.variables_under if spec.row is not None else ()
    for variable in variables(spec, era):
        if variable.kind == "text":
            words = node.vocabulary(inverse=getattr(spec.config, "invert", False))
            own |= {} if words is None else {variable.name: words}
            continue
        found = node.child(*under, variable.name) or node.child(variable.name)
        weight = found.variable() if found is not None else None
        if weight is None:
            raise InvalidModel(f"the array {variable.name!r} is not in the checkpoint")
        own[variable.name] = checked(variable, weight)
    children: dict[str, Bound] = {}
    for key, child in spec.children.items():
        below = node.child(*key.split("/"))
        if below is None:
            if slots(child, era):
                hint = "" if spec.row is None else spec.row.untracked
                raise InvalidModel(f"no object {key!r} in the checkpoint", hint=hint)
            children[key] = assemble(child, {})
        else:
            children[key] = bind_objects(child, below, era, reading)
    return Bound(own, children)
