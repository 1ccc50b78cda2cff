"""Legacy HDF5 and tfjs: the arrays of a file in groups, one per top-level layer, matched as `load_weights` does.

Keras gives the groups to the layers that have weights one after the other and never looks at names; only
`load_weights(by_name=True)` does. Source: `load_weights_from_hdf5_group` and `load_weights_from_hdf5_group_by_name` of
keras/src/legacy/saving/legacy_h5_format.py, the same since keras/engine/topology.py of Keras 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from converter.errors import InvalidModel, clean, listed
from converter.keras.arrays.slots import Reading, Slot, assemble, checked, slots, stored_flat
from converter.keras.eras.switches import Era
from converter.keras.graph.partial_models import opaque_layers
from converter.keras.source import FlatWeights
from converter.keras.spec import Bound, LayerSpec, ModelSpec
from converter.model import Weight

KERAS1 = Era("keras", (1, 2, 2))

Groups = Mapping[str, tuple[Weight, ...]]


def bind_flat(model: LayerSpec, weights: FlatWeights, era: Era, reading: Reading) -> Bound:
    """The arrays of a model.

    Raises:
        InvalidModel: the groups of the file are not the layers of the architecture, or a layer has other arrays.
    """
    groups = _branches_joined(model, {name: arrays for name, arrays in weights.layers.items() if arrays})
    whole = None if reading.by_name else _as_one_layer(model, groups, era)
    if whole is not None:
        return _bind_group(model, whole, era, reading)
    chosen = (_by_name if reading.by_name else _by_order)(model, groups, era, reading)
    return Bound({}, {n: _bind_group(layer, chosen.get(n, ()), era, reading) for n, layer in model.children.items()})


def _branches_joined(model: LayerSpec, groups: Groups) -> Groups:
    """Keras 1 lists the layers of the branches of a Merge, not the Merge that holds them."""
    for merge in (one for one in model.children.values() if one.row is not None and one.row.joins_models):
        inner = [name for branch in merge.children.values() for name in branch.children if name in groups]
        if inner:
            joined = tuple(weight for name in inner for weight in groups[name])
            kept = {merge.name if name == inner[0] else name: arrays for name, arrays in groups.items()
                    if name not in inner[1:]}  # fmt: skip
            groups = kept | {merge.name: joined}
    return groups


def _as_one_layer(model: LayerSpec, groups: Groups, era: Era) -> tuple[Weight, ...] | None:
    """All arrays of the file, if they are in one group although they are of several layers.

    `multi_gpu_model` makes a model whose only layer with weights is the model itself.
    """
    holders = [layer for layer in model.children.values() if stored_flat(layer, era)]
    if len(groups) != 1 or len(holders) < 2:
        return None
    arrays = next(iter(groups.values()))
    return arrays if len(arrays) == len(stored_flat(model, era)) else None


def _by_order(model: LayerSpec, groups: Groups, era: Era, reading: Reading) -> Groups:
    """One group after the other to the layers that have arrays, whatever they are called."""
    holders = [name for name, layer in model.children.items() if stored_flat(layer, era)]
    unsure = [name for name, layer in model.children.items() if _may_hold(layer)]
    if unsure:  # nobody knows whether they have arrays, but by the names in the file, or by how many there are
        if set(holders) <= set(groups) and [name for name in model.children if name in groups] == [*groups]:
            return groups
        holders = [name for name in model.children if name in {*holders, *unsure}]
    if len(holders) == len(groups):
        reading.crossed(zip(holders, groups, strict=True))
        return dict(zip(holders, groups.values(), strict=True))
    if reading.given and not unsure and set(holders) <= set(groups):
        return _by_name(model, groups, era, reading)
    missing = [name for name in holders if name not in groups]
    raise InvalidModel(
        f"the file holds arrays of {len(groups)} layers ({listed(groups)}), the architecture has {len(holders)} with"
        f" arrays{f'; {listed(missing)} are not in the file' if missing else ''}",
        hint="give the architecture that the weights were saved from",
    )


def _may_hold(layer: LayerSpec) -> bool:
    return any(found.written_as != "Lambda" for _, found in opaque_layers(layer))


def _by_name(model: LayerSpec, groups: Groups, era: Era, reading: Reading) -> Groups:
    """The group that is called like the layer, as `load_weights(by_name=True)` takes it.

    Raises:
        InvalidModel: a layer is not in the file; Keras would leave it as it was made, at random.
    """
    missing = [name for name, layer in model.children.items() if stored_flat(layer, era) and name not in groups]
    if missing:
        raise InvalidModel(
            f"the file has no arrays for {listed(missing)}, only for {listed(groups)}",
            hint="the layers of the architecture must be called as in the file",
        )
    surplus = [name for name in groups if name not in model.children]
    if surplus and not reading.by_name:
        reading.note(
            f"the file also holds arrays of {listed(surplus)}, which the architecture does not have: matched by name,"
            " as load_weights(by_name=True) and --by-name do"
        )
    return {name: arrays for name, arrays in groups.items() if name in model.children}


def _bind_group(layer: LayerSpec, arrays: Sequence[Weight], era: Era, reading: Reading) -> Bound:
    """One top-level layer's arrays, by order."""
    if _may_hold(layer):
        return _bind_named(layer, arrays, era, reading)
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
    chosen = next((order for order in orders if _names_fit(order, arrays)), None)
    if chosen is None:
        chosen = orders[0]
        reading.note(
            f"the arrays of {clean(layer.name)!r} are taken in their order, as load_weights does, although their names"
            f" do not fit: {listed(weight.name for weight in arrays)}"
        )
    pairs = zip(chosen, arrays, strict=True)
    return assemble(layer, {(s.owner, s.variable.name): checked(s.variable, w) for s, w in pairs})


def _bind_named(spec: LayerSpec, arrays: Sequence[Weight], era: Era, reading: Reading) -> Bound:
    """Arrays of a model with a layer that is not understood, so that order settles nothing: by the names of layers."""
    if not isinstance(spec.config, ModelSpec):
        return assemble(spec, {})
    children = {}
    for name, layer in spec.children.items():
        mine = [weight for weight in arrays if name in weight.name.split("/")[:-1]]
        known = not opaque_layers(layer) and len(mine) == len(slots(layer, era))
        children[name] = (_bind_group(layer, mine, era, reading) if known else
                          _bind_named(layer, mine or arrays, era, reading))  # fmt: skip
    return Bound({}, children)


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
