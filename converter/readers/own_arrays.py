"""Arrays that this program wrote (npz, safetensors, Flax): whole models, since their metadata holds the graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from converter import gates
from converter.errors import InvalidModel, Unsupported
from converter.formats import npz, safetensors
from converter.formats.archive import sha256
from converter.formats.safetensors import Contents
from converter.model import Array, Model, Provenance, Weight
from converter.model.as_json import from_json
from converter.model.layers import every_node
from converter.readers.described import described, weights_of

OURS = "keras-lstm-convert"
FLAX = "flax linen"
# What tells the cells of linen apart, and the convention that each follows.
_CELLS = {"ii/kernel": "flax/LSTMCell", "iz/kernel": "flax/GRUCell", "i/kernel": "flax/SimpleCell"}


def holds_graph(path: Path) -> bool:
    """Whether it is such a file, and its metadata holds the graph; modules of PyTorch say it themselves."""
    if not npz.sniff(path) and not safetensors.sniff(path):
        return False
    metadata = (npz if npz.sniff(path) else safetensors).read(path).metadata
    return metadata.get("format") == OURS and metadata.get("conventions") != "torch" and "graph" in metadata


def load(path: Path) -> Model:
    """The model that the arrays belong to.

    Raises:
        InvalidModel: the file is broken.
        Unsupported: its metadata does not hold the graph.
    """
    if npz.sniff(path):
        return model_of(path, npz.read(path), "NumPy archive of ours")
    return model_of(path, safetensors.read(path), "safetensors of ours")


def model_of(path: Path, contents: Contents, title: str) -> Model:
    """The model of a file that has been opened, see `load`."""
    text = contents.metadata.get("graph")
    if text is None:
        raise Unsupported("arrays of ours whose metadata does not hold the graph", hint="write them again")
    arrays = contents.tensors
    if contents.metadata.get("conventions") == FLAX:
        arrays = _from_flax(contents)
    model = from_json(text, arrays, Provenance(str(path), title, sha256=sha256(path)))
    infos = tuple(described(node, weights_of(node.layer)) for node in every_node(model.nodes))
    return Model(
        model.name, model.inputs, model.outputs, model.output_names, model.nodes, model.states,
        tuple(info for info in infos if info.weights), model.source,
    )  # fmt: skip


def _from_flax(contents: Contents) -> dict[str, Weight]:
    """The arrays by their neutral names; those of a cell are packed as Keras does when read."""
    try:
        places = {str(key): str(place) for key, place in json.loads(contents.metadata["places"]).items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise InvalidModel("its metadata does not say where the arrays are", where="places") from error
    found: dict[str, Weight] = {}
    for key, place in places.items():
        if place in contents.tensors:
            found[key] = contents.tensors[place]
            continue
        below = {n.removeprefix(f"{place}/"): w for n, w in contents.tensors.items() if n.startswith(f"{place}/")}
        convention = next((row for name, row in _CELLS.items() if name in below), None)
        if convention is None:
            raise InvalidModel("no arrays of a cell are there", where=place)
        found |= _cell(key, below, convention)
    return found


def _cell(key: str, arrays: Mapping[str, Weight], convention: str) -> dict[str, Weight]:
    blank = gates.unpack({name: np.zeros(weight.shape, np.int8) for name, weight in arrays.items()}, convention)
    dtype = next(iter(arrays.values())).dtype

    def read(field: str) -> Array:
        return _field(gates.unpack({name: weight.read() for name, weight in arrays.items()}, convention), field)

    fields = ["kernel", "recurrent_kernel", *(["bias"] if blank.bias is not None else [])]
    return {
        f"{key}/{field}": Weight(f"{key}/{field}", _field(blank, field).shape, dtype, partial(read, field))
        for field in fields
    }


def _field(cell: gates.Cell, field: str) -> Array:
    if field != "bias":
        return getattr(cell, field)  # type: ignore[no-any-return]
    if cell.kind == "GRU" and cell.reset_after:
        assert cell.bias is not None
        zeros = np.zeros_like(cell.bias)
        return np.stack([cell.bias, zeros if cell.recurrent_bias is None else cell.recurrent_bias])
    assert cell.single_bias is not None
    return cell.single_bias
