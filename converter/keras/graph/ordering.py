"""The order in which Keras runs the calls of a model: what a stateful layer that is called twice starts from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from converter.errors import InvalidModel, clean
from converter.keras.architecture.parse import references
from converter.keras.spec import LayerSpec, ModelSpec

Key = tuple[str, int]  # layer name, number of the call


def execution_order(model: ModelSpec, done: Collection[Key]) -> list[Key]:
    """The calls needed for what a model gives as Keras runs them: by depth, the farthest from the outputs first.

    A layer's call is at least as deep as its calls nearer to the outputs. Calls of one depth are in the reverse of
    the order in which a search from the outputs leaves them (`map_graph` in keras/src/ops/function.py,
    `_map_graph_network` in tf_keras).

    Raises:
        InvalidModel: a cycle, or a call that is not there.
    """
    depths: dict[Key, int] = {}
    of_layers: dict[str, int] = {}
    for key in reversed(depth_first(model, done)):
        depth = max(depths.get(key, 0), of_layers.get(key[0], 0))
        depths[key] = of_layers[key[0]] = depth
        for ref in references(model.calls[key[0]][key[1]]):
            below = (ref.layer, ref.node)
            if below not in done:
                depths[below] = max(depth + 1, depths.get(below, 0))
    return sorted(depths, key=lambda key: -depths[key])


def depth_first(model: ModelSpec, done: Collection[Key]) -> list[Key]:
    """The calls needed for what a model gives, each after those it reads. Iterative: no depth can overflow a stack.

    Raises:
        InvalidModel: a cycle, or a call that is not there.
    """
    result: list[Key] = []
    state: dict[Key, bool] = dict.fromkeys(done, True)  # False while open, True when finished
    stack = [(ref.layer, ref.node) for ref in reversed((*model.wanted, *model.outputs))]
    while stack:
        key = stack[-1]
        if state.get(key):
            stack.pop()
            continue
        call = model.calls.get(key[0], {}).get(key[1])
        if call is None:
            raise InvalidModel(f"layer {clean(key[0])!r} has no call {key[1]}")
        if key in state:
            state[key] = True
            result.append(key)
            stack.pop()
            continue
        state[key] = False
        for ref in reversed(references(call)):
            below = (ref.layer, ref.node)
            if state.get(below) is False:
                raise InvalidModel(f"the graph has a cycle through layer {clean(ref.layer)!r}")
            if below not in state:
                stack.append(below)
    return result


def in_keras_order(spec: LayerSpec) -> LayerSpec:
    """A layer with the layers of all models in it as `model.layers` has them once Keras has built it.

    That is the order in which weights are saved and loaded. Keras writes an architecture in this order; one that was
    written or changed by hand may have another.
    """
    children = {name: in_keras_order(child) for name, child in spec.children.items()}
    model = spec.config
    if not isinstance(model, ModelSpec):
        return replace(spec, children=children)
    place = {} if spec.class_name == "Sequential" else _places(model)
    layers = [children.get(layer.name, layer) for layer in model.layers]  # an implied input is no child
    called = iter(sorted((one for one in layers if one.name in place), key=lambda one: place[one.name]))
    ordered = tuple(next(called) if one.name in place else one for one in layers)  # inputs stay where they are
    children = {layer.name: layer for layer in ordered if layer.name in children}
    return replace(spec, children=children, config=replace(model, layers=ordered))


def _places(model: ModelSpec) -> dict[str, tuple[int, int]]:
    """What sorts the layers of a functional model: the deepest first, then as a search from the outputs meets them.

    Nothing where the graph is broken, which is said where it is built. Source: `map_graph` of keras/src/ops/function.py
    and `_map_graph_network` of keras/engine/network.py, which agree on this since Keras 1.
    """
    inputs = {(ref.layer, ref.node) for ref in model.inputs}
    try:
        finished = depth_first(model, inputs)
    except InvalidModel:
        return {}
    depths: dict[Key, int] = {}
    of_layers: dict[str, int] = {}
    for key in reversed(finished):
        depth = of_layers[key[0]] = depths[key] = max(depths.get(key, 0), of_layers.get(key[0], 0))
        for ref in references(model.calls[key[0]][key[1]]):
            depths[ref.layer, ref.node] = max(depth + 1, depths.get((ref.layer, ref.node), 0))
    met: dict[str, int] = {}
    seen = set(inputs)
    stack = [(ref.layer, ref.node) for ref in reversed(model.outputs)]
    while stack:
        key = stack.pop()
        met.setdefault(key[0], len(met))
        if key not in seen:
            seen.add(key)
            stack += [(ref.layer, ref.node) for ref in reversed(references(model.calls[key[0]][key[1]]))]
    return {name: (-depth, met[name]) for name, depth in of_layers.items()}
