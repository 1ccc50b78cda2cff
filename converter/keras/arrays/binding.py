"""Which stored array is which: the arrays of a file matched with the layers of its architecture.

Legacy HDF5 lists arrays per top-level layer (see `flat`); Keras 3 names groups after classes; checkpoints name
attributes. Each way gives the same `Bound`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from converter.errors import ConversionError, InvalidModel, Unsupported, clean, listed
from converter.keras.architecture.dialects import MODELS
from converter.keras.arrays.flat import bind_flat
from converter.keras.arrays.objects import bind_objects, model_of, no_order, object_binder, objects_below
from converter.keras.arrays.slots import Reading, assemble, checked, slots, variables
from converter.keras.arrays.unordered import Holder, bind_named, fitting, holders_below, options
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Variable
from converter.keras.source import FlatWeights, NamedWeights, PathWeights, Weights
from converter.keras.spec import Bound, LayerSpec, ModelSpec, Opaque
from converter.model import Weight


def bind(model: LayerSpec, weights: Weights, era: Era, reading: Reading) -> list[Bound]:
    """Match all arrays of a model.

    Returns:
        What each layer gets; several where neither order nor names settle it, but perhaps the shapes do.

    Raises:
        InvalidModel: an array is missing or one too many, naming the layer.
    """
    if isinstance(weights, FlatWeights):
        return [bind_flat(model, weights, era, reading)]
    if isinstance(weights, NamedWeights):
        return bind_named(model, weights, era, reading)
    layers = [layer for layer in model.children.values() if slots(layer, era)]
    if isinstance(weights, PathWeights):
        found = _attributes(weights, layers, era) if reading.given else []
        if found:
            return options(model, layers, found, reading, same_model=False)
        return [_bind_paths(model, weights, era, reading)]
    root = model_of(weights)
    if reading.given and layers and no_order(root):
        found = holders_below(root, objects_below(root), lambda node: fitting(layers, object_binder(node, era)))
        return options(model, layers, found, reading, same_model=False)
    return [bind_objects(model, root, era, reading)]


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


def _bind_paths(spec: LayerSpec, group: PathWeights, era: Era, reading: Reading) -> Bound:
    if isinstance(spec.config, Opaque):
        return assemble(spec, {})
    if not isinstance(spec.config, ModelSpec):
        return _bind_path_leaf(spec, group, era, reading)
    container, step = group.group("layers"), 1
    if container is None:  # tf.keras 2.12 and 2.13 count every layer with weights twice
        container, step = group.group("_layer_checkpoint_dependencies"), 2
    counts: dict[str, int] = {}
    children: dict[str, Bound] = {}
    called: dict[str, str] = {}  # layers of the architecture -> what the file calls them
    groups = _groups_by_name(container) if reading.by_name else None
    inner = replace(reading, by_name=False)
    for layer in spec.config.layers:
        base = snake_case(stored_as(layer))
        index = counts.get(base, 0)
        has_weights = bool(slots(layer, era))
        counts[base] = index + (step if has_weights else 1)
        name = f"{base}_{index}" if index else base
        name = name if groups is None else groups.get(layer.name, "")
        found = container.group(name) if container is not None and name else None
        if found is None and has_weights:
            where = f"layer {clean(layer.name)!r} ({layer.class_name})"
            hint = "Keras stores a layer that is in several models once, but not where; .h5 files hold it each time"
            raise InvalidModel(f"no weights under {name or layer.name!r}", where=where, hint=hint)
        children[layer.name] = _located(layer, found, era, inner) if found is not None else assemble(layer, {})
        if has_weights and found is not None:
            called[layer.name] = found.name() or layer.name
    reading.crossed(called.items())
    if container is not None and not groups:
        _note_surplus(spec.config, container, counts, reading)
    return Bound({}, children)


def _groups_by_name(container: PathWeights | None) -> dict[str, str]:
    """What Keras 3.6 and later call the layers -> their groups.

    Raises:
        Unsupported: the file does not name its layers.
    """
    groups = {} if container is None else {name: container.group(name) for name in container.children()}
    called = {real: name for name, group in groups.items() if group is not None and (real := group.name())}
    if not called:
        raise Unsupported("this file numbers its layers by class and does not name them", hint="leave out --by-name")
    return called


def _note_surplus(model: ModelSpec, container: PathWeights, counts: Mapping[str, int], reading: Reading) -> None:
    """Keras reads what the architecture has and passes over the rest without a word."""
    used = {f"{base}_{k}" if k else base for base, count in counts.items() for k in range(count)}
    rest = [name for name in container.children() if name not in used]
    surplus = [name for name in rest if (group := container.group(name)) is not None and _holds_arrays(group)]
    if surplus and reading.given:
        reading.note(
            f"the file also holds {listed(surplus)}, which {clean(model.name)!r} does not have: left out, as"
            " load_weights does; layers are counted by class, so be sure that those it has are the first ones"
        )


def _holds_arrays(group: PathWeights) -> bool:
    below = (group.group(name) for name in group.children())
    return bool(group.variables()) or any(_holds_arrays(one) for one in below if one is not None)


_NO_LAYERS = frozenset({"optimizer", "layers", "_layer_checkpoint_dependencies", "metrics", "compile_metrics"})


def _attributes(root: PathWeights, layers: Sequence[LayerSpec], era: Era) -> list[Holder]:
    """What has the arrays of layers in the file of a sub-classed model; nothing if it is of another one.

    Such a model's layers are under its attributes. Those that come after "layers" in the alphabet are within it.
    """

    def below(group: PathWeights) -> Iterator[tuple[str, PathWeights]]:
        named = ((name, group.group(name)) for name in group.children())
        return ((name, one) for name, one in named if one is not None)

    def fits(group: PathWeights) -> dict[str, Bound]:
        return fitting(layers, lambda layer: _bind_paths(layer, group, era, Reading()))

    own = holders_below(root, lambda group: (p for p in below(group) if p[0] not in _NO_LAYERS), fits)
    return own and holders_below(root, lambda group: (p for p in below(group) if p[0] != "optimizer"), fits)


def _located(layer: LayerSpec, group: PathWeights, era: Era, reading: Reading) -> Bound:
    try:
        return _bind_paths(layer, group, era, reading)
    except ConversionError as problem:
        raise problem.at(f"layer {clean(layer.name)!r} ({layer.class_name})") from None


def _bind_path_leaf(spec: LayerSpec, group: PathWeights, era: Era, reading: Reading) -> Bound:
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
        children[key] = _located(child, found, era, reading) if found is not None else assemble(child, {})
    return Bound(own, children)


def _by_name(group: PathWeights, expected: Sequence[Variable]) -> dict[str, Weight]:
    """What is not numbered: words, and arrays of names of their own; what is missing is left to the layer."""
    words = {v.name: group.vocabulary() for v in expected if v.kind == "text"}
    arrays = {v.name: w for v in expected if v.kind == "named" and (w := group.array(v.name)) is not None}
    return {name: w for name, w in words.items() if w is not None} | {
        v.name: checked(v, arrays[v.name]) for v in expected if v.name in arrays
    }


# --- checkpoints and SavedModels --------------------------------------------------------------------------------------
