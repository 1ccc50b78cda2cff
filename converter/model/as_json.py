"""A neutral model as JSON, its arrays by name: what a file of arrays says of the model that they belong to."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from converter.errors import InvalidModel, clean, formed
from converter.model import layers
from converter.model.activations import FUNCTIONS, Activation
from converter.model.graph import Model, Node, Provenance, State, Value, Weight

VERSION = 1


def to_json(model: Model, key_of: Callable[[Weight], str]) -> str:
    """The graph of a model.

    Args:
        model: what is said.
        key_of: the name that the file gives an array.
    """
    nodes = [
        {
            "name": node.name, "keras_layer": node.keras_layer, "layer": _encoded(node.layer, key_of),
            "inputs": [None if value is None else value.name for value in node.inputs],
            "outputs": [_value(value) for value in node.outputs],
        }
        for node in model.nodes
    ]  # fmt: skip
    document = {
        "version": VERSION, "name": model.name, "inputs": [_value(value) for value in model.inputs],
        "outputs": [value.name for value in model.outputs], "output_names": list(model.output_names), "nodes": nodes,
        "states": [[_value(state.input), state.output.name] for state in model.states],
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":"))


def _value(value: Value) -> list[Any]:
    return [value.name, list(value.shape), value.dtype]


def _encoded(part: Any, key_of: Callable[[Weight], str]) -> Any:
    if isinstance(part, Weight):
        return {"array": key_of(part), "dtype": part.dtype}
    if isinstance(part, Activation):
        return {"activation": part.name, "parameters": [_number(x) for x in part.parameters]}
    if isinstance(part, Value):
        return _value(part)
    if isinstance(part, Node):  # of a Scan's body
        fields = {name: _encoded(getattr(part, name), key_of) for name in ("layer", "inputs", "outputs")}
        return {"name": part.name, "keras_layer": part.keras_layer, **fields}
    if isinstance(part, Struct):
        fields = {name: _encoded(getattr(part, name), key_of) for name in part.__struct_fields__}
        return {"type": type(part).__name__, **fields}
    if isinstance(part, tuple | list):
        return [_encoded(item, key_of) for item in part]
    return _number(part) if isinstance(part, float) else part


def _number(x: float) -> float | str:
    """JSON has no infinity."""
    return x if abs(x) < inf else "inf" if x > 0 else "-inf"


def from_json(text: str, arrays: Mapping[str, Weight], source: Provenance) -> Model:
    """The model of `to_json`, over the arrays of its file.

    Raises:
        InvalidModel: the text is not what `to_json` writes, or names other arrays than there are.
    """
    with formed("the graph in the metadata"):
        document = json.loads(text)
        if document["version"] != VERSION:
            raise InvalidModel(f"a graph of version {clean(document['version'], 20)}; {VERSION} is read")
        inputs = tuple(_read_value(entry) for entry in document["inputs"])
        carried = [(_read_value(entry), str(name)) for entry, name in document["states"]]
        values = {value.name: value for value in (*inputs, *(value for value, _ in carried))}
        nodes = []
        for entry in document["nodes"]:
            layer = _decoded(entry["layer"], layers.Layer, arrays)
            given = tuple(None if name is None else values[name] for name in entry["inputs"])
            made = tuple(_read_value(value) for value in entry["outputs"])
            values |= {value.name: value for value in made}
            nodes.append(Node(str(entry["name"]), layer, given, made, str(entry["keras_layer"])))
        outputs, names = tuple(values[name] for name in document["outputs"]), tuple(map(str, document["output_names"]))
        states = tuple(State(value, values[name]) for value, name in carried)
        if len(names) != len(outputs):
            raise InvalidModel(f"{len(names)} names for {len(outputs)} outputs")
        return Model(str(document["name"]), inputs, outputs, names, tuple(nodes), states, (), source)


def _read_value(entry: Any) -> Value:
    name, shape, dtype = entry
    if not all(size is None or (type(size) is int and size >= 0) for size in shape):
        raise InvalidModel(f"a value of shape {clean(shape, 60)}")
    return Value(str(name), tuple(shape), str(dtype))


def _decoded(part: Any, hint: Any, arrays: Mapping[str, Weight]) -> Any:
    """A field, held to its annotation.

    Raises:
        InvalidModel: it is something else.
    """
    for kind in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        found = _as(part, kind, arrays)
        if found is not _NOTHING:
            return found
    raise InvalidModel(f"{clean(part, 60)} where {clean(hint, 60)} is expected")


_NOTHING = object()


def _as(part: Any, kind: Any, arrays: Mapping[str, Weight]) -> Any:
    """A part as one type, or `_NOTHING`."""
    if get_origin(kind) is Literal:
        return part if part in get_args(kind) else _NOTHING
    if get_origin(kind) is tuple:
        return _as_tuple(part, get_args(kind), arrays)
    if kind is Weight:
        return _array(part, arrays) if isinstance(part, dict) and "array" in part else _NOTHING
    if kind is Activation:
        return _activation(part) if isinstance(part, dict) and part.get("activation") in FUNCTIONS else _NOTHING
    if kind is float:
        known = isinstance(part, int | float) and not isinstance(part, bool)
        return float(part) if known or part in ("inf", "-inf") else _NOTHING
    if kind is Value:
        return _read_value(part) if isinstance(part, list) else _NOTHING
    if kind is Node:
        return _inner_node(part, arrays) if isinstance(part, dict) else _NOTHING
    if isinstance(kind, type) and issubclass(kind, Struct):
        if not isinstance(part, dict) or part.get("type") != kind.__name__:
            return _NOTHING
        hints = get_type_hints(kind)
        fields = {name: _decoded(part[name], hints[name], arrays) for name in kind.__struct_fields__}
        return kind(**fields)
    return part if type(part) is kind else _NOTHING


def _as_tuple(part: Any, kinds: tuple[Any, ...], arrays: Mapping[str, Weight]) -> Any:
    if not isinstance(part, list):
        return _NOTHING
    if kinds[-1] is Ellipsis:
        return tuple(_decoded(item, kinds[0], arrays) for item in part)
    return tuple(_decoded(item, kind, arrays) for item, kind in zip(part, kinds, strict=True))


def _inner_node(part: Mapping[str, Any], arrays: Mapping[str, Weight]) -> Node:
    given, made = (tuple(map(_read_value, part[side])) for side in ("inputs", "outputs"))
    layer = _decoded(part["layer"], layers.Layer, arrays)
    return Node(str(part["name"]), layer, given, made, str(part["keras_layer"]))


def _array(part: Mapping[str, Any], arrays: Mapping[str, Weight]) -> Weight:
    found = arrays.get(str(part["array"]))
    if found is None:
        raise InvalidModel("the graph names an array that is not in the file", where=clean(part["array"]))
    return replace(found.astype(str(part["dtype"])), name=found.name)


def _activation(part: Mapping[str, Any]) -> Activation:
    given = (x if type(x) in (int, float) else float(x) for x in part["parameters"])
    return Activation(str(part["activation"]), tuple(given))
