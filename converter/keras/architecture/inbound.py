"""Inbound nodes: how each Keras writes which tensors a layer is called on -> `CallSpec`s with `Ref`s.

Keras 1: [[["lstm", 0, 0], ...]]. Keras 2: a fourth item holds keyword arguments. tf.keras operation layers are one
level flatter. Keras 3: [{"args": [...], "kwargs": {...}}] with `__keras_tensor__` objects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean, formed
from converter.keras.spec import CallSpec, Ref


def call_specs(nodes: Any, known: Collection[str]) -> list[CallSpec]:
    """The calls of one layer, in order. `known` are the names of the model's layers."""
    if not isinstance(nodes, list):
        raise InvalidModel("inbound_nodes must be a list")
    return [_modern(node, known) if _is_modern(node) else _legacy(node, known) for node in nodes]


def refs(entry: Any, known: Collection[str]) -> tuple[tuple[Ref, ...], tuple[str, ...]]:
    """The tensors of input_layers or output_layers, nested in any form, in the order in which Keras flattens them.

    That is `tf.nest.flatten` of tf_keras and `keras.tree.flatten` of Keras 3: dicts by sorted key.

    Returns:
        The tensors, and the keys of the dicts that each is in, joined by "_"; "" where it is in lists alone.
    """
    found = list(_flat(entry, "", known))
    return tuple(ref for ref, _ in found), tuple(key for _, key in found)


def is_listed(entry: Any) -> bool:
    """Whether input_layers or output_layers are a plain list of tensors, or a single one."""
    return isinstance(entry, list) and all(
        isinstance(item, str | int) or (isinstance(item, list) and item and isinstance(item[0], str)) for item in entry
    )


def _flat(entry: Any, key: str, known: Collection[str]) -> Iterator[tuple[Ref, str]]:
    if isinstance(entry, Mapping):
        for name in sorted(entry):
            yield from _flat(entry[name], f"{key}_{name}" if key else str(name), known)
    elif isinstance(entry, list) and not (entry and isinstance(entry[0], str)):
        for item in entry:
            yield from _flat(item, key, known)
    else:
        yield _ref(entry, known), key


def _ref(item: Any, known: Collection[str]) -> Ref:
    if not (isinstance(item, list) and len(item) >= 3 and isinstance(item[0], str)):
        raise InvalidModel(f"{clean(item, 60)} is not a reference [layer, node, tensor]")
    layer, node, tensor = item[:3]
    if layer not in known:
        raise InvalidModel(f"a tensor of layer {clean(layer)!r}, which is not in the model")
    if not all(type(n) is int and 0 <= n < limits.NODE_INDEX for n in (node, tensor)):
        raise InvalidModel(f"layer {clean(layer)!r} has no call {clean(node)} with output {clean(tensor)}")
    return Ref(layer, node, tensor)


def _is_modern(node: Any) -> bool:
    return isinstance(node, Mapping) and set(node) <= {"args", "kwargs"} and "args" in node


def _modern(node: Mapping[str, Any], known: Collection[str]) -> CallSpec:
    args, kwargs = node.get("args", []), node.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, Mapping):
        raise InvalidModel("an inbound node needs args (a list) and kwargs (an object)")
    return CallSpec(tuple(_decode(a, known) for a in args), {k: _decode(v, known) for k, v in kwargs.items()})


def _decode(value: Any, known: Collection[str]) -> Any:
    """A Keras 3 argument: objects marked by their class_name become Refs, slices, arrays."""
    if isinstance(value, list):
        return [_decode(item, known) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if not isinstance(kind, str):
        return {k: _decode(v, known) for k, v in value.items()}
    if kind == "__keras_tensor__" and isinstance(config, Mapping):
        return _ref(config.get("keras_history"), known)
    if kind in {"__tensor__", "__numpy__"} and isinstance(config, Mapping):
        with formed("an array among a call's arguments"):
            return np.asarray(config.get("value"), dtype=str(config.get("dtype", "float32")))
    if kind == "__slice__" and isinstance(config, Mapping):
        return slice(*(_decode(config.get(k), known) for k in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__tuple__":
        items = value.get("items", config if config is not None else [])
        if not isinstance(items, list):
            raise InvalidModel("the items of a __tuple__ must be a list")
        return [_decode(item, known) for item in items]
    if kind.startswith("__"):
        raise Unsupported(f"an argument of kind {clean(kind)}")
    return {k: _decode(v, known) for k, v in value.items()}


def _legacy(node: Any, known: Collection[str]) -> CallSpec:
    if isinstance(node, Mapping):
        return CallSpec(({k: _legacy_item(v, known) for k, v in node.items()},), {})
    if not isinstance(node, list) or not node:
        raise InvalidModel(f"{clean(node, 60)} is not an inbound node")
    kwargs = _kwargs(node, known)
    if _is_entry(node):  # operation layers: one tensor, one level flatter
        return CallSpec((_legacy_item(node, known),), kwargs)
    items = [_legacy_item(item, known) for item in node]
    unwrapped = len(items) == 1 and not isinstance(items[0], Mapping)
    return CallSpec((items[0] if unwrapped else items,), kwargs)


def _is_entry(item: Any) -> bool:
    return isinstance(item, list) and len(item) in {3, 4} and isinstance(item[0], str) and type(item[1]) is int


def _kwargs(node: list[Any], known: Collection[str]) -> dict[str, Any]:
    """Keyword arguments are in the fourth place of the first tensor."""
    first: Any = node
    while isinstance(first, list) and first and not _is_entry(first):
        first = first[0]
    if not _is_entry(first) or len(first) < 4 or not isinstance(first[3], Mapping):
        return {}
    return {k: _legacy_value(v, known) for k, v in first[3].items()}


def _legacy_item(item: Any, known: Collection[str]) -> Any:
    if isinstance(item, Mapping):
        return {k: _legacy_item(v, known) for k, v in item.items()}
    if isinstance(item, list) and item and item[0] == "_CONSTANT_VALUE" and len(item) >= 3:
        return item[2]
    if _is_entry(item):
        return _ref(item, known)
    if isinstance(item, list) and item:
        return [_legacy_item(child, known) for child in item]
    raise InvalidModel(f"{clean(item, 60)} is not a reference [layer, node, tensor]")


def _legacy_value(value: Any, known: Collection[str]) -> Any:
    """A keyword argument of Keras 2: ["layer", 0, 0] is a tensor if such a layer exists."""
    if isinstance(value, list):
        if len(value) in {3, 4} and isinstance(value[0], str) and value[0] in known and type(value[1]) is int:
            return _ref(value, known)
        return [_legacy_value(item, known) for item in value]
    if isinstance(value, Mapping):
        if set(value) == {"start", "stop", "step"}:
            return slice(*(_legacy_value(value[k], known) for k in ("start", "stop", "step")))
        return {k: _legacy_value(v, known) for k, v in value.items()}
    return value
