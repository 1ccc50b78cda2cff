"""The weights of a model under the names that weight-only targets give them; recurrent cells as `gates.Cell`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from converter import gates
from converter.errors import Unsupported
from converter.model import Array, Model, Node, Weight, layers
from converter.model.as_json import to_json

DIRECTIONS = ("forward", "backward")
CONVENTION = {layers.LSTMCell: "keras/LSTM", layers.SimpleRNNCell: "keras/SimpleRNN"}


def convention_of(cell: layers.Cell) -> str:
    """The row of `gates.CONVENTIONS` that neutral weights follow; a ConvLSTM's gates lie like an LSTM's."""
    if isinstance(cell, layers.GRUCell):
        return "keras/GRU" if cell.reset_after else "keras/GRU(reset_after=False)"
    return CONVENTION.get(type(cell), "keras/LSTM")


def cells(node: Node) -> Iterator[tuple[str, layers.Cell]]:
    """The cells of a recurrent node, each with its path below the node: "" alone, "forward" and "backward" in pairs."""
    if isinstance(node.layer, layers.Recurrent):
        directions = node.layer.directions
        for k, direction in enumerate(directions):
            yield ("" if len(directions) == 1 else DIRECTIONS[k]), direction.cell


def owned(thing: layers.Layer | layers.Cell) -> Iterator[tuple[str, Weight]]:
    """The weights directly on a layer or cell, by the name of their field."""
    for name in thing.__struct_fields__:
        value = getattr(thing, name)
        if isinstance(value, Weight):
            yield name, value


def named(model: Model) -> dict[str, Weight]:
    """Every weight once, as "<node>/<field>" or "<node>/forward/<field>"; shared ones under the first node's name.

    Arrays without an architecture keep the names they have in the file.
    """
    if not model.nodes:
        return {layer.path: weight for layer in model.layers for weight in layer.weights}
    out: dict[str, Weight] = {}
    seen: set[int] = set()
    for node in layers.every_node(model.nodes):
        pairs = [(f"{node.name}/{name}", weight) for name, weight in owned(node.layer)]
        for path, cell in cells(node):
            stem = "/".join(part for part in (node.name, path) if part)
            pairs += [(f"{stem}/{name}", weight) for name, weight in owned(cell)]
        for name, weight in pairs:
            if id(weight) not in seen:
                seen.add(id(weight))
                out[name] = weight
    return out


def describe(model: Model) -> dict[str, str]:
    """The metadata of neutral weights: texts only. "graph" is the whole model, its arrays as `named` calls them."""
    rows = {
        "/".join(part for part in (node.name, path) if part): convention_of(cell)
        for node in layers.every_node(model.nodes)
        for path, cell in cells(node)
    }
    source = model.source
    keys = {id(weight): key for key, weight in named(model).items()}
    graph = {"graph": to_json(model, lambda weight: keys[id(weight)])} if model.nodes else {}
    return {
        **graph,
        "format": "keras-lstm-convert",
        "model": model.name,
        "conventions": json.dumps(rows),
        "layers": json.dumps({node.name: type(node.layer).__name__ for node in layers.every_node(model.nodes)}),
        "source": json.dumps({"format": source.format, "keras": source.keras_version, "sha256": source.sha256}),
    }


def gate_cell(cell: layers.Cell, place: str) -> gates.Cell:
    """The values of a cell, read, for `gates.pack`.

    Raises:
        Unsupported: a convolutional cell.
    """
    if isinstance(cell, layers.ConvLSTMCell):
        raise Unsupported("no convention but Keras' own has a ConvLSTM", where=place)
    arrays: Mapping[str, Array] = {name: weight.read() for name, weight in owned(cell)}
    if "peephole" in arrays:
        bias, peephole = arrays.get("bias"), arrays["peephole"]
        return gates.Cell("LSTM", arrays["kernel"], arrays["recurrent_kernel"], bias, peephole=peephole)
    return gates.unpack(arrays, convention_of(cell))
