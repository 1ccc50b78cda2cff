"""The layers of any readable file as far as their weights go: for comparing files, whatever their kind."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from converter import readers
from converter.comparing.parts_torch import flax_layers, torch_blocks, torch_layer, types
from converter.errors import InvalidModel
from converter.exporters.weights import cells, gate_cell, owned
from converter.formats import pytorch, safetensors
from converter.formats.archive import Zip, open_zip
from converter.gates import Cell, unpack
from converter.model import Array, Model, Weight, constant
from converter.model.layers import Constant, GRUCell, LSTMCell, SimpleRNNCell
from converter.readers.state_dict import checked

MAX_ARRAY = 1 << 32
_KINDS = {LSTMCell: "LSTM", GRUCell: "GRU", SimpleRNNCell: "RNN"}


@dataclass(frozen=True)
class Part:
    """One layer, or one direction of a recurrent layer.

    Attributes:
        name: in its file.
        kind: "LSTM", "GRU", "RNN", "Dense", ...
        sizes: what tells it from others of its kind: features and units, or the shapes of its arrays.
        read: reads its weights: a cell, or arrays by field.
    """

    name: str
    kind: str
    sizes: tuple[object, ...]
    read: Callable[[], Cell | Mapping[str, Array]]

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for layers that may be counterparts."""
        return self.kind, self.sizes


def parts_of(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    if safetensors.sniff(path):
        contents = safetensors.read(path)
        convention = contents.metadata.get("conventions", "torch")
        if convention == "flax linen":
            return _flax(contents.tensors, contents.metadata)
        if convention != "torch":
            return _neutral(contents.tensors, contents.metadata)
        return _torch(contents.tensors, contents.metadata)
    found = _npz(path)
    if found is not None:
        return _neutral(*found)
    if pytorch.sniff(path):
        return _torch(pytorch.read(path), {})
    return parts_of_model(readers.load(path))


def _npz(path: Path) -> tuple[Mapping[str, Weight], Mapping[str, str]] | None:
    """The arrays and the metadata of our own .npz, or None if it is something else."""
    if not zipfile.is_zipfile(path):
        return None
    archive = open_zip(path)
    if "metadata.npy" not in archive.names():
        return None
    try:
        metadata = json.loads(str(_array(archive, "metadata.npy")))
    except (ValueError, json.JSONDecodeError) as error:
        raise InvalidModel("its metadata is no JSON text", where="metadata") from error
    tensors = {}
    with zipfile.ZipFile(path) as file:  # in file order
        members = [name for name in file.namelist() if name != "metadata.npy"]
    for member in members:
        name, array = member.removesuffix(".npy"), _array(archive, member)
        tensors[name] = constant(name, array)
    return tensors, metadata


def _array(archive: Zip, member: str) -> Array:
    try:
        array: Array = np.load(io.BytesIO(archive.read(member, MAX_ARRAY)), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidModel(f"no NumPy array: {error}", where=member) from error
    return array


def parts_of_model(model: Model) -> list[Part]:
    """The layers with weights of a model, in order; shared ones once."""
    parts: list[Part] = []
    seen: set[int] = set()
    for node in model.nodes:
        for side, cell in cells(node):
            if id(cell.kernel) not in seen:  # a shared layer is called again
                seen.add(id(cell.kernel))
                name = " ".join(part for part in (node.name, side) if part)
                kind = _KINDS.get(type(cell))
                if kind is None:
                    parts.append(_plain(name, "ConvLSTM", dict(owned(cell))))
                else:
                    parts.append(_recurrent(name, kind, cell.kernel.shape, partial(gate_cell, cell, name)))
        weights = dict(owned(node.layer))
        if weights and not isinstance(node.layer, Constant) and not seen & {id(w) for w in weights.values()}:
            seen |= {id(weight) for weight in weights.values()}
            parts.append(_plain(node.name, type(node.layer).__name__, weights))
    return parts


def _recurrent(name: str, kind: str, kernel: tuple[int, ...], read: Callable[[], Cell]) -> Part:
    return Part(name, kind, kernel, read)


def _plain(name: str, kind: str, weights: Mapping[str, Weight]) -> Part:
    sizes = tuple(sorted((field, weight.shape) for field, weight in weights.items()))
    return Part(name, kind, sizes, lambda: {field: weight.read() for field, weight in weights.items()})


def _torch(arrays: Mapping[str, Weight], metadata: Mapping[str, str]) -> list[Part]:
    parts, kinds = [], types(metadata)
    for block in torch_blocks(arrays):
        if not block.recurrent:
            parts.append(_plain(*torch_layer(block, kinds)))
            continue
        checked(block)
        for side, given in (("forward" if block.reverse else "", block.arrays), ("backward", block.reverse)):
            if given:
                rows, features = given["weight_ih"].shape
                kind = {4: "LSTM", 3: "GRU", 1: "RNN"}[rows // given["weight_hh"].shape[1]]
                read = partial(_unpacked, given, f"torch/{kind}")
                parts.append(_recurrent(" ".join(p for p in (block.name, side) if p), kind, (features, rows), read))
    return parts


def _flax(arrays: Mapping[str, Weight], metadata: Mapping[str, str]) -> list[Part]:
    cells, others = flax_layers(arrays, types(metadata))
    parts = [_plain(*layer) for layer in others]
    for place, given in cells.items():
        kind = "LSTM" if "ii/kernel" in given else "GRU" if "iz/kernel" in given else "RNN"
        first = next(weight for name, weight in given.items() if name.startswith("i") and name.endswith("/kernel"))
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
        shape = (first.shape[0], gates * first.shape[1])
        convention = {"LSTM": "flax/LSTMCell", "GRU": "flax/GRUCell", "RNN": "flax/SimpleCell"}[kind]
        parts.append(_recurrent(place, kind, shape, partial(_unpacked, given, convention)))
    return parts


def _unpacked(arrays: Mapping[str, Weight], convention: str) -> Cell:
    return unpack({name: weight.read() for name, weight in arrays.items()}, convention)


def _neutral(tensors: Mapping[str, Weight], metadata: Mapping[str, str]) -> list[Part]:
    """Our own safetensors: names end in the field, the metadata names conventions and layer types."""
    try:
        conventions, kinds = json.loads(metadata["conventions"]), json.loads(metadata["layers"])
    except (KeyError, json.JSONDecodeError) as error:
        raise InvalidModel("its metadata does not say what the arrays are") from error
    groups: dict[str, dict[str, Weight]] = {}
    for name, weight in tensors.items():
        stem, _, field = name.rpartition("/")
        groups.setdefault(stem, {})[field] = weight
    parts = []
    for stem, weights in groups.items():
        if stem in conventions and "kernel" in weights and len(weights["kernel"].shape) == 2:
            kind = re.split(r"[/(]", str(conventions[stem]))[1].replace("SimpleRNN", "RNN")
            read = partial(_unpacked, weights, str(conventions[stem]))
            parts.append(_recurrent(stem, kind, weights["kernel"].shape, read))
        elif kinds.get(stem) != "Constant":
            convolved = stem in conventions  # a recurrent layer whose kernel has more than two axes
            parts.append(_plain(stem, "ConvLSTM" if convolved else str(kinds.get(stem)), weights))
    return parts
