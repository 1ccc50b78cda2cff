"""PyTorch state_dicts (.safetensors, .pt) and our own safetensors as models: stacks of recurrent and Dense layers.

A state_dict holds arrays under names, and no architecture. Layers are recognised by their arrays, put in a row by their
sizes, and computed as torch.nn does by default; what the arrays do not say is told in the model's warnings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.formats import pytorch, safetensors
from converter.gates import unpack
from converter.keras.arrays.chains import orders
from converter.model import Array, LayerInfo, Model, Node, Provenance, Value, Weight, layers
from converter.model.activations import SIGMOID, TANH
from converter.model.layers import Direction, Recurrent

RECURRENT = re.compile(r"(?:(.*)\.)?(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(\d{1,3})(_reverse)?)?")
_KINDS = {4: "LSTM", 3: "GRU", 1: "RNN"}
_CLASSES = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "SimpleRNN"}


@dataclass
class Block:
    """One layer: its arrays by their names in torch, and for recurrent ones by direction."""

    name: str
    arrays: dict[str, Weight] = field(default_factory=dict)
    reverse: dict[str, Weight] = field(default_factory=dict)

    @property
    def recurrent(self) -> bool:
        """Whether it is an LSTM, GRU or RNN; else it is a Linear."""
        return "weight_ih" in self.arrays

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        if self.recurrent:
            return self.arrays["weight_ih"].shape[1], self.arrays["weight_hh"].shape[1] * (2 if self.reverse else 1)
        rows, columns = self.arrays["weight"].shape
        return columns, rows


def load(path: Path) -> Model:
    """The model that a state_dict describes.

    Raises:
        InvalidModel: the file is broken, or arrays of a layer do not fit each other.
        Unsupported: arrays of other layers, or layers whose order cannot be told.
    """
    title, arrays = _arrays(path)
    return _model(path, title, _in_a_row(blocks_of(arrays)))


def blocks_of(arrays: Mapping[str, Weight]) -> list[Block]:
    """The layers of a state_dict, in file order, their shapes checked.

    Raises:
        InvalidModel, Unsupported: as `load`.
    """
    blocks = _blocks(arrays)
    for block in blocks:
        checked(block)
    return blocks


def _arrays(path: Path) -> tuple[str, Mapping[str, Weight]]:
    """What kind of file it is, and its arrays."""
    if not safetensors.sniff(path):
        return "PyTorch state_dict", pytorch.read(path)
    contents = safetensors.read(path)
    known = contents.metadata.get("format") == "keras-lstm-convert"
    if known and contents.metadata.get("conventions") != "torch":
        raise Unsupported(
            f"a safetensors file in {contents.metadata.get('conventions', 'an unknown convention')[:80]!r} packing",
            hint="only PyTorch state_dicts are read back",
        )
    return "safetensors state_dict", contents.tensors


def _blocks(arrays: Mapping[str, Weight]) -> list[Block]:
    """Arrays grouped into layers, in file order."""
    blocks: dict[str, Block] = {}
    for key, weight in arrays.items():
        match = RECURRENT.fullmatch(key)
        if match:
            prefix, part, level, reverse = match.groups()
            name = ".".join(p for p in (prefix, f"l{level}" if level else None) if p) or "l0"
            block = blocks.setdefault(name, Block(name))
            (block.reverse if reverse else block.arrays)[part] = weight
            continue
        prefix, _, part = key.rpartition(".")
        if part not in ("weight", "bias"):
            raise Unsupported("an array of a layer that is neither recurrent nor Linear", where=key)
        block = blocks.setdefault(prefix or "linear", Block(prefix or "linear"))
        block.arrays[part] = weight
    if not blocks:
        raise InvalidModel("it holds no arrays")
    return list(blocks.values())


def checked(block: Block) -> None:
    """Checks that the shapes of one layer's arrays fit each other.

    Raises:
        InvalidModel: they do not.
        Unsupported: a projection, or arrays that are no weights of a recurrent or Linear layer.
    """
    if "weight_hr" in block.arrays:
        raise Unsupported("an LSTM with a projection", where=block.name)
    for arrays in (block.arrays, block.reverse):
        for part, weight in arrays.items():
            if len(weight.shape) != (2 if part.startswith("weight") else 1) or 0 in weight.shape:
                raise Unsupported(f"{part} of shape {weight.shape}", where=block.name)
            if not weight.dtype.startswith(("float", "bfloat")):
                raise Unsupported(f"{part} of type {weight.dtype}", where=block.name)
        if "weight_ih" in arrays:
            _shapes(block.name, arrays)
    if "weight_ih" not in block.arrays and ("weight_hh" in block.arrays or "weight" not in block.arrays):
        raise InvalidModel("an array is missing", where=block.name)
    if block.reverse and set(block.reverse) != set(block.arrays):
        raise InvalidModel("its two directions have different arrays", where=block.name)


def _shapes(name: str, arrays: Mapping[str, Weight]) -> None:
    if "weight_hh" not in arrays or ("bias_ih" in arrays) != ("bias_hh" in arrays):
        raise InvalidModel("an array is missing", where=name)
    rows, units = arrays["weight_hh"].shape
    if rows % units or rows // units not in _KINDS or any(w.shape[0] != rows for w in arrays.values()):
        shapes = ", ".join(f"{part} {weight.shape}" for part, weight in arrays.items())
        raise InvalidModel(f"no LSTM, GRU or RNN has these shapes: {shapes}", where=name)


def _in_a_row(blocks: list[Block]) -> list[Block]:
    """The layers one after the other: file order where it fits, else the only order their sizes allow."""
    if all(a.sizes[1] == b.sizes[0] for a, b in pairwise(blocks)):
        return blocks
    order, alone = orders([block.sizes for block in blocks])
    if alone:
        return [blocks[index] for index in order]
    found = "more than one order" if order else "no order"
    listed = ", ".join(f"{b.name} {b.sizes[0]}→{b.sizes[1]}" for b in blocks[:8])
    raise Unsupported(f"the sizes of its layers allow {found}: {listed}")


def _model(path: Path, title: str, chain: list[Block]) -> Model:
    x = Value("input", (None, None, chain[0].sizes[0]), "float32")
    inputs, nodes, warnings = (x,), [], ["every layer is taken to return its whole sequence; a state_dict does not say"]
    for block in chain:
        layer = _recurrent(block) if block.recurrent else _dense(block)
        y = Value(f"{block.name}:0", (None, None, block.sizes[1]), "float32")
        states = tuple(Value(f"{block.name}:{k + 1}", (None, s), "float32") for k, s in enumerate(_states(layer)))
        optional = (x, None, *[None] * len(states)) if block.recurrent else (x,)
        nodes.append(Node(block.name, layer, optional, (y, *states), block.name))
        x = y
        if isinstance(layer, Recurrent) and isinstance(layer.directions[0].cell, layers.SimpleRNNCell):
            warnings.append(f"{block.name}: taken for nonlinearity='tanh'; a state_dict does not say")
    if any(not block.recurrent for block in chain[:-1]):
        warnings.append("taken for layers without activations between them; a state_dict does not say")
    infos = tuple(_info(block, node) for block, node in zip(chain, nodes, strict=True))
    source = Provenance(str(path), title, sha256=_digest(path))
    return Model(path.stem, inputs, (x,), ("output",), tuple(nodes), (), infos, source, tuple(warnings))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _info(block: Block, node: Node) -> LayerInfo:
    weights = (*block.arrays.values(), *block.reverse.values())
    kind = _CLASSES[_kind(block)] if block.recurrent else "Dense"
    return LayerInfo(block.name, f"Bidirectional({kind})" if block.reverse else kind, (node.outputs[0].shape,), weights)


def _kind(block: Block) -> str:
    rows, units = block.arrays["weight_hh"].shape
    return _KINDS[rows // units]


def _states(layer: layers.Layer) -> list[int]:
    if not isinstance(layer, Recurrent):
        return []
    return [d.cell.units for d in layer.directions for _ in range(2 if isinstance(d.cell, layers.LSTMCell) else 1)]  # type: ignore[union-attr]


def _dense(block: Block) -> layers.Dense:
    weight = block.arrays["weight"]
    return layers.Dense(weight.map(np.transpose, weight.shape[::-1]), block.arrays.get("bias"))


def _recurrent(block: Block) -> Recurrent:
    kind = _kind(block)
    directions = [Direction(cell(block.name, kind, block.arrays))]
    if block.reverse:
        directions.append(Direction(cell(block.name, kind, block.reverse), True, True))
    return Recurrent(tuple(directions), "concat" if block.reverse else None, return_sequences=True)


def cell(name: str, kind: str, arrays: Mapping[str, Weight]) -> layers.Cell:
    """The neutral cell of one direction, its arrays unpacked when read; the two biases of LSTM and RNN become one."""
    rows, units = arrays["weight_hh"].shape
    features, dtype = arrays["weight_ih"].shape[1], arrays["weight_ih"].dtype

    def read(part: str) -> Array:
        found = unpack({key: weight.read() for key, weight in arrays.items()}, f"torch/{kind}")
        if part != "bias":
            return getattr(found, part)  # type: ignore[no-any-return]
        if kind == "GRU":
            return np.stack([found.bias, found.recurrent_bias])  # type: ignore[list-item]
        assert found.single_bias is not None
        return found.single_bias

    kernel = Weight(f"{name}/kernel", (features, rows), dtype, partial(read, "kernel"))
    recurrent = Weight(f"{name}/recurrent_kernel", (units, rows), dtype, partial(read, "recurrent_kernel"))
    shape = (2, rows) if kind == "GRU" else (rows,)
    bias = Weight(f"{name}/bias", shape, dtype, partial(read, "bias")) if "bias_ih" in arrays else None
    if kind == "LSTM":
        return layers.LSTMCell(units, kernel, recurrent, bias, TANH, SIGMOID)
    if kind == "GRU":
        return layers.GRUCell(units, kernel, recurrent, bias, TANH, SIGMOID, True)
    return layers.SimpleRNNCell(units, kernel, recurrent, bias, TANH)
