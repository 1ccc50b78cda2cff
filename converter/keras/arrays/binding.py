"""Which stored array is which: the arrays of a file matched with the layers of its architecture.

Legacy HDF5 lists arrays per top-level layer (by order, trainable ones first in nested models); Keras 3 names groups
after classes; checkpoints name attributes. Each is one function here, and each gives the same `Bound`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converter.errors import ConversionError, InvalidModel, clean
from converter.keras.architecture.dialects import MODELS
from converter.keras.building.ops import FLOATS
from converter.keras.eras.switches import Era
from converter.keras.graph.partial_models import opaque_layers
from converter.keras.layer_type import Variable
from converter.keras.source import FlatWeights, ObjectWeights, PathWeights
from converter.keras.spec import Bound, LayerSpec, ModelSpec, Opaque
from converter.model import Weight

KERAS1 = Era("keras", (1, 2, 2))


@dataclass(frozen=True)
class Slot:
    """One array a layer expects: whose it is (path of attribute names below the bound layer) and which."""

    owner: tuple[str, ...]
    layer_name: str
    variable: Variable
    trainable: bool


def variables(spec: LayerSpec, era: Era) -> tuple[Variable, ...]:
    """The arrays a layer keeps itself; none are known for models and layers that are not understood."""
    return () if spec.row is None else spec.row.variables(spec.config, era)


def slots(spec: LayerSpec, era: Era, owner: tuple[str, ...] = (), trainable: bool = True) -> list[Slot]:
    """Every array of a layer and of what it wraps, in tree order."""
    trainable = trainable and spec.trainable
    own = [Slot(owner, spec.name, v, trainable and v.trainable) for v in variables(spec, era)]
    return own + [s for key, child in spec.children.items() for s in slots(child, era, (*owner, key), trainable)]


def stored_flat(spec: LayerSpec, era: Era) -> list[Slot]:
    """The arrays that legacy HDF5 holds: no words, none twice, and in Keras 3 none that a layer saves itself."""
    left_out = {"text", "alias", "named"} if era.major >= 3 else {"text", "alias"}
    return [slot for slot in slots(spec, era) if slot.variable.kind not in left_out]


def bind(model: LayerSpec, weights: FlatWeights | PathWeights | ObjectWeights, era: Era) -> Bound:
    """Match all arrays of a model.

    Raises:
        InvalidModel: an array is missing or one too many, naming the layer.
    """
    if isinstance(weights, FlatWeights):
        return _bind_flat(model, weights, era)
    if isinstance(weights, PathWeights):
        return _bind_paths(model, weights, era)
    return _bind_objects(model, weights, era)


def _assemble(
    spec: LayerSpec, arrays: Mapping[tuple[tuple[str, ...], str], Weight], owner: tuple[str, ...] = ()
) -> Bound:
    own = {name: weight for (where, name), weight in arrays.items() if where == owner}
    return Bound(own, {key: _assemble(child, arrays, (*owner, key)) for key, child in spec.children.items()})


# --- legacy HDF5 and tfjs ---------------------------------------------------------------------------------------------


def _bind_flat(model: LayerSpec, weights: FlatWeights, era: Era) -> Bound:
    groups = {name: arrays for name, arrays in weights.layers.items() if arrays}
    for merge in (layer for layer in model.children.values() if layer.row is not None and layer.row.joins_models):
        inner = [name for branch in merge.children.values() for name in branch.children if name in groups]
        if inner:  # Keras 1 lists the layers of the branches, not the Merge that holds them
            groups[merge.name] = tuple(weight for name in inner for weight in groups.pop(name))
    unknown = [name for name in groups if name not in model.children]
    if unknown:
        groups = _by_order(model, groups, era, unknown[0])
    return Bound({}, {name: _bind_group(layer, groups.get(name, ()), era) for name, layer in model.children.items()})


def _by_order(
    model: LayerSpec, groups: Mapping[str, tuple[Weight, ...]], era: Era, unknown: str
) -> dict[str, tuple[Weight, ...]]:
    """Keras itself loads by the order of the layers that have arrays; a rebuilt architecture has other names."""
    holders = [name for name, layer in model.children.items() if stored_flat(layer, era)]
    if len(holders) != len(groups):
        raise InvalidModel(f"the file holds arrays for {clean(unknown)!r}, which is not in the architecture")
    return dict(zip(holders, groups.values(), strict=True))


def _bind_group(layer: LayerSpec, arrays: Sequence[Weight], era: Era) -> Bound:
    """One top-level layer's arrays, by order."""
    if any(found.written_as != "Lambda" for _, found in opaque_layers(layer)):
        return _bind_named(layer, arrays, era)
    expected = stored_flat(layer, era)
    if len(arrays) != len(expected) and era.major == 2:  # arrays of Keras 1 under an architecture of Keras 2
        older = stored_flat(layer, KERAS1)
        expected = older if len(older) == len(arrays) else expected
    if len(arrays) != len(expected):
        names = ", ".join(s.variable.name for s in expected[:9])
        raise InvalidModel(
            f"{len(arrays)} arrays in the file, {len(expected)} expected ({names})",
            where=f"layer {clean(layer.name)!r} ({layer.class_name})",
        )
    orders = [
        sorted(expected, key=lambda s: not s.trainable),
        expected,
        sorted(expected, key=lambda s: not s.variable.trainable),
    ]
    chosen = next((order for order in orders if _names_fit(order, arrays)), orders[0])
    pairs = zip(chosen, arrays, strict=True)
    return _assemble(layer, {(s.owner, s.variable.name): checked(s.variable, w) for s, w in pairs})


def _bind_named(spec: LayerSpec, arrays: Sequence[Weight], era: Era) -> Bound:
    """Arrays of a model with a layer that is not understood, so that order settles nothing: by the names of layers."""
    if not isinstance(spec.config, ModelSpec):
        return _assemble(spec, {})
    children = {}
    for name, layer in spec.children.items():
        mine = [weight for weight in arrays if name in weight.name.split("/")[:-1]]
        known = not opaque_layers(layer) and len(mine) == len(slots(layer, era))
        children[name] = _bind_group(layer, mine, era) if known else _bind_named(layer, mine or arrays, era)
    return Bound({}, children)


def checked(variable: Variable, weight: Weight) -> Weight:
    """The weight, if it holds the kind of numbers that the layer keeps.

    Raises:
        InvalidModel: integers in place of floats.
    """
    if variable.floating and weight.dtype not in FLOATS:
        raise InvalidModel(f"{variable.name} ({clean(weight.name)}) holds {weight.dtype} values, floats are expected")
    return weight


def _names_fit(order: Sequence[Slot], arrays: Sequence[Weight]) -> bool:
    """Whether no array's own name contradicts the slot it would fill."""
    kinds = {s.variable.name for s in order}
    owners = {s.layer_name for s in order}
    for slot, weight in zip(order, arrays, strict=True):
        parts = weight.name.split("/")
        kind = re.sub(r"(_\d+)?(:\d+)?$", "", parts[-1])
        if kind in kinds and kind != slot.variable.name:
            return False
        named = [part for part in parts[:-1] if part in owners]
        if len(owners) > 1 and named and slot.layer_name in owners and slot.layer_name not in named:
            return False
    return True


# --- Keras 3 ----------------------------------------------------------------------------------------------------------


def stored_as(layer: LayerSpec) -> str:
    """The class that Keras 3 names a layer's or model's group of arrays after."""
    return (layer.row is not None and layer.row.stored_as) or MODELS.get(layer.written_as, layer.written_as)


def snake_case(name: str) -> str:
    """A class name as Keras 3 (and 2.12 to 2.15) spells it in a path.

    Source: `to_snake_case` of keras/src/utils/naming.py, and of tf_keras/src/utils/generic_utils.py.
    """
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _bind_paths(spec: LayerSpec, group: PathWeights, era: Era) -> Bound:
    if isinstance(spec.config, Opaque):
        return _assemble(spec, {})
    if not isinstance(spec.config, ModelSpec):
        return _bind_path_leaf(spec, group, era)
    container, step = group.group("layers"), 1
    if container is None:  # tf.keras 2.12 and 2.13 count every layer with weights twice
        container, step = group.group("_layer_checkpoint_dependencies"), 2
    counts: dict[str, int] = {}
    children: dict[str, Bound] = {}
    for layer in spec.config.layers:
        base = snake_case(stored_as(layer))
        index = counts.get(base, 0)
        has_weights = bool(slots(layer, era))
        counts[base] = index + (step if has_weights else 1)
        name = f"{base}_{index}" if index else base
        found = container.group(name) if container is not None else None
        if found is None and has_weights:
            where = f"layer {clean(layer.name)!r} ({layer.class_name})"
            hint = "Keras stores a layer that stands in several models once, but not where; .h5 files hold it each time"
            raise InvalidModel(f"no weights under {name!r}", where=where, hint=hint)
        children[layer.name] = _located(layer, found, era) if found is not None else _assemble(layer, {})
    return Bound({}, children)


def _located(layer: LayerSpec, group: PathWeights, era: Era) -> Bound:
    try:
        return _bind_paths(layer, group, era)
    except ConversionError as problem:
        raise problem.at(f"layer {clean(layer.name)!r} ({layer.class_name})") from None


def _bind_path_leaf(spec: LayerSpec, group: PathWeights, era: Era) -> Bound:
    holder = (group.group(*spec.row.variables_under) if spec.row is not None else None) or group
    own = _by_name(holder, variables(spec, era))
    expected = [v for v in variables(spec, era) if v.kind in {"alias", "array"}]
    if expected:
        arrays = holder.variables()
        if len(arrays) != len(expected):
            raise InvalidModel(
                f"{len(arrays)} arrays in the file, {len(expected)} expected ({', '.join(v.name for v in expected)})"
            )
        own |= {v.name: checked(v, w) for v, w in zip(expected, arrays, strict=True)}
    counts: dict[str, int] = {}
    children: dict[str, Bound] = {}
    for key, child in spec.children.items():
        path = key.split("/")
        if path[-1].isdigit():  # an item of a list is named after its class
            base = snake_case(child.written_as)
            index = counts[base] = counts.get(base, -1) + 1
            path[-1] = f"{base}_{index}" if index else base
        found = group.group(*path)
        if found is None and slots(child, era):
            raise InvalidModel(f"no weights under {'/'.join(path)!r}")
        children[key] = _located(child, found, era) if found is not None else _assemble(child, {})
    return Bound(own, children)


def _by_name(group: PathWeights, expected: Sequence[Variable]) -> dict[str, Weight]:
    """What is not numbered: words, and arrays of names of their own; what is missing is left to the layer."""
    words = {v.name: group.vocabulary() for v in expected if v.kind == "text"}
    arrays = {v.name: w for v in expected if v.kind == "named" and (w := group.array(v.name)) is not None}
    return {name: w for name, w in words.items() if w is not None} | {
        v.name: checked(v, arrays[v.name]) for v in expected if v.name in arrays
    }


# --- checkpoints and SavedModels --------------------------------------------------------------------------------------


def _bind_objects(spec: LayerSpec, node: ObjectWeights, era: Era) -> Bound:
    if not isinstance(spec.config, ModelSpec):
        return _bind_object_leaf(spec, node, era)
    children: dict[str, Bound] = {}
    index = 0
    unknown = False  # whether of a layer up to here nobody can say if it has weights: not understood, or words
    listed = sum(re.fullmatch(r"layer-\d+", name) is not None for name in node.children())
    unlisted = len(spec.config.layers) - listed  # a Sequential does not count its InputLayer
    for k, layer in enumerate(spec.config.layers):
        expected = slots(layer, era)
        unknown = unknown or bool(opaque_layers(layer)) or any(slot.variable.kind == "text" for slot in expected)
        if isinstance(layer.config, Opaque) or not expected:
            children[layer.name] = _assemble(layer, {})
            continue
        edge = f"layer-{k - unlisted}" if unknown else f"layer_with_weights-{index}"
        child = node.child(edge)
        index += 1
        where = f"layer {clean(layer.name)!r} ({layer.class_name})"
        if child is None:
            raise InvalidModel(f"no object {edge} in the checkpoint", where=where)
        try:
            children[layer.name] = _bind_objects(layer, child, era)
        except ConversionError as problem:
            raise problem.at(where) from None
    return Bound({}, children)


def _bind_object_leaf(spec: LayerSpec, node: ObjectWeights, era: Era) -> Bound:
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
            children[key] = _assemble(child, {})
        else:
            children[key] = _bind_objects(child, below, era)
    return Bound(own, children)
