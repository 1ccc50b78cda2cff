"""The order in which Keras runs the calls of a model: what a stateful layer that is called twice starts from."""

from __future__ import annotations

from collections.abc import Collection

from converter.errors import InvalidModel, clean
from converter.keras.architecture.parse import references
from converter.keras.spec import ModelSpec

Key = tuple[str, int]  # layer name, number of the call


def execution_order(model: ModelSpec, done: Collection[Key]) -> list[Key]:
    """The calls needed for what a model gives as Keras runs them: by depth, the farthest from the outputs first.

    A layer's call is at least as deep as its calls nearer to the outputs. Calls of one depth stand in the reverse of
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
