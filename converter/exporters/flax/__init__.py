"""Flax (linen): the variables of a model as safetensors, keys "params/<layer>/cell/ii/kernel" and so on.

Next to it `<name>_flax.py`, a module that takes them (module.py, rules.py), unless the model has what no rule is for.

    variables = flax.traverse_util.unflatten_dict(safetensors.numpy.load_file(path), sep="/")

A recurrent layer is what `linen.RNN(linen.LSTMCell(units))` (GRUCell, SimpleCell) owns; a pair of directions is
`forward_rnn` and `backward_rnn`, as in linen.Bidirectional. Arrays say nothing of activations and directions: those
are in the metadata, entry "graph".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from converter.errors import Unsupported
from converter.exporters.flax.module import module_of, text
from converter.exporters.torch.source import keep_foreign
from converter.exporters.weights import cells, describe, gate_cell, owned
from converter.formats import safetensors
from converter.gates import CONVENTIONS, Cell, pack
from converter.model import Array, Model, Node, Weight, layers

CONVENTION = {layers.LSTMCell: "flax/LSTMCell", layers.GRUCell: "flax/GRUCell", layers.SimpleRNNCell: "flax/SimpleCell"}
# Neutral field -> collection and name in linen, for layers whose arrays lie as Keras' do.
FIELDS: Mapping[type, Mapping[str, str]] = {
    layers.Dense: {"kernel": "params/{}/kernel", "bias": "params/{}/bias"},
    layers.Conv: {"kernel": "params/{}/kernel", "bias": "params/{}/bias"},
    layers.Constant: {"weight": "constants/{}"},
    layers.Embedding: {"table": "params/{}/embedding"},
    layers.LayerNormalization: {"gamma": "params/{}/scale", "beta": "params/{}/bias"},
    layers.BatchNormalization: {
        "gamma": "params/{}/scale", "beta": "params/{}/bias",
        "mean": "batch_stats/{}/mean", "variance": "batch_stats/{}/var",
    },
}  # fmt: skip


def export(model: Model, path: Path) -> None:
    """Writes the variables at `path`, over an existing file.

    Raises:
        Unsupported: a layer with weights that linen has no counterpart of.
        InvalidModel: a weight's values do not fit its shape.
    """
    arrays: dict[str, Weight] = {}
    places: dict[str, str] = {}
    seen: set[tuple[int, ...]] = set()
    for node in layers.every_node(model.nodes):
        owners: list[layers.Layer | layers.Cell] = [cell for _, cell in cells(node)]
        owners = owners or [node.layer]
        key = tuple(id(weight) for owner in owners for _, weight in owned(owner))
        if key and key not in seen:  # a shared layer has its variables once, under its first name
            seen.add(key)
            arrays.update(_node(node))
            places |= _places(node)
    try:
        source = text(model, path.name)
    except Unsupported:  # `notes` says why
        source = ""
    metadata = {**describe(model), "conventions": "flax linen", "places": json.dumps(places)}
    safetensors.write(path, arrays, metadata)
    if source:
        module_of(path).write_text(source, encoding="utf-8")


def guard(path: Path) -> None:
    """Refuses to write over a module of somebody else's.

    Raises:
        FileExistsError: there is a file of the module's name that does not begin as ours do.
    """
    keep_foreign(module_of(path))


def notes(model: Model) -> tuple[str, ...]:
    """Why the variables come without a module, where they do."""
    try:
        text(model, "")
    except Unsupported as why:
        return (f"no Flax module is written next to the variables: {why}",)
    return ()


def _node(node: Node) -> Iterator[tuple[str, Weight]]:
    name = node.name.replace("/", "_")
    for side, cell in cells(node):
        place = f"{name}/{side}_rnn/cell" if side else f"{name}/cell"
        for key, weight in _cell(cell, node.name):
            yield f"params/{place}/{key}", weight
    if isinstance(node.layer, layers.Recurrent):
        return
    known = FIELDS.get(type(node.layer), {})
    for field, weight in owned(node.layer):
        if field not in known:
            raise Unsupported(f"no counterpart of {type(node.layer).__name__} in Flax here", where=node.name)
        yield known[field].format(name), weight


def _places(node: Node) -> dict[str, str]:
    """Where the arrays of a node are, by the names that `weights.named` gives them; those of a cell below one place."""
    name = node.name.replace("/", "_")
    found = {}
    for side, _ in cells(node):
        stem = "/".join(part for part in (node.name, side) if part)
        found[stem] = f"params/{name}/{side}_rnn/cell" if side else f"params/{name}/cell"
    known = FIELDS.get(type(node.layer), {})
    return found | {f"{node.name}/{field}": known[field].format(name) for field, _ in owned(node.layer) if known}


def _cell(cell: layers.Cell, place: str) -> Iterator[tuple[str, Weight]]:
    """The arrays of one cell by their names in linen, packed when read."""
    target = CONVENTION.get(type(cell))
    if target is None:
        raise Unsupported(f"no counterpart of {type(cell).__name__} in Flax here", where=place)
    kernel, recurrent_kernel = cell.kernel, cell.recurrent_kernel
    blank = Cell(
        CONVENTIONS[target].cell, np.zeros(kernel.shape, np.int8), np.zeros(recurrent_kernel.shape, np.int8),
        reset_after=isinstance(cell, layers.GRUCell) and cell.reset_after,
    )  # fmt: skip

    def read(key: str) -> Array:
        return pack(gate_cell(cell, place), target)[key]

    for key, array in pack(blank, target).items():  # for names and shapes
        yield key, Weight(f"{place}/{key}", array.shape, kernel.dtype, partial(read, key))
