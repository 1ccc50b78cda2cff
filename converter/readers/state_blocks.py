"""The layers of a PyTorch state_dict, recognized by the names and shapes of their arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.gates import KINDS, unpack
from converter.model import Array, Weight, layers
from converter.model.activations import SIGMOID, TANH

RECURRENT = re.compile(r"(?:(.*)\.)?(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(\d{1,3})(_reverse)?)?")
_COUNTER = "num_batches_tracked"
_EMBEDDING = re.compile(r"(^|[._])(w|word|token|char|pos)?_?(emb|embed|embedding|embeddings|lookup|wte)([._]|$)", re.I)


@dataclass
class Block:
    """One layer: its arrays by their names in torch, and for recurrent ones by direction."""

    name: str
    arrays: dict[str, Weight] = field(default_factory=dict)
    reverse: dict[str, Weight] = field(default_factory=dict)

    @property
    def recurrent(self) -> bool:
        """Whether it is an LSTM, GRU or RNN."""
        return "weight_ih" in self.arrays

    @property
    def units(self) -> int:
        """Of a recurrent layer: more than it puts out where there is a projection."""
        part = "weight_hr" if "weight_hr" in self.arrays else "weight_hh"
        return self.arrays[part].shape[1]

    @property
    def kind(self) -> str:
        """ "LSTM", "GRU", "RNN", "BatchNorm", "LayerNorm", "Conv", "Embedding" or "Linear".

        An Embedding and a Linear without bias have arrays alike; the name says which.
        """
        if self.recurrent:
            return KINDS[self.arrays["weight_hh"].shape[0] // self.units]
        if "running_mean" in self.arrays:
            return "BatchNorm"
        if len(self.arrays["weight"].shape) == 1:
            return "LayerNorm"
        if len(self.arrays["weight"].shape) > 2:
            return "Conv"
        return "Embedding" if "bias" not in self.arrays and _EMBEDDING.search(self.name) else "Linear"

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out; in 0 for an Embedding, which takes numbers of words."""
        if self.recurrent:
            return self.arrays["weight_ih"].shape[1], self.arrays["weight_hh"].shape[1] * (2 if self.reverse else 1)
        if self.kind in ("BatchNorm", "LayerNorm"):
            (size,) = self.arrays["running_mean" if self.kind == "BatchNorm" else "weight"].shape
            return size, size
        rows, columns = self.arrays["weight"].shape
        return (0, columns) if self.kind == "Embedding" else (columns, rows)


def blocks_of(arrays: Mapping[str, Weight]) -> list[Block]:
    """The layers of a state_dict, in file order, their shapes checked.

    Raises:
        InvalidModel: arrays of a layer do not fit each other.
        Unsupported: arrays of other layers.
    """
    blocks: dict[str, Block] = {}
    for key, weight in arrays.items():
        match = RECURRENT.fullmatch(key)
        if match:
            prefix, part, level, reverse = match.groups()
            name = ".".join(p for p in (prefix, f"l{level}" if level else None) if p) or "l0"
            block = blocks.setdefault(name, Block(name))
            put(block.reverse if reverse else block.arrays, part, weight, key)
            continue
        prefix, _, part = key.rpartition(".")
        if part == _COUNTER:
            continue
        if part not in ("weight", "bias", "running_mean", "running_var"):
            raise Unsupported("an array of a layer that is not read from a state_dict", where=key)
        block = blocks.setdefault(prefix or "linear", Block(prefix or "linear"))
        put(block.arrays, part, weight, key)
    if not blocks:
        raise InvalidModel("it holds no arrays")
    for block in blocks.values():
        checked(block)
    return list(blocks.values())


def put(arrays: dict[str, Weight], part: str, weight: Weight, key: str) -> None:
    """Adds an array to those of a layer.

    Raises:
        Unsupported: another one is the same part of a layer that is called so, too.
    """
    if part in arrays:
        raise Unsupported("another array is the same part of a layer of that name; rename one of the two", where=key)
    arrays[part] = weight


def checked(block: Block) -> None:
    """Checks that the shapes of one layer's arrays fit each other.

    Raises:
        InvalidModel: they do not.
        Unsupported: a projection, or arrays of no layer that is read.
    """
    if block.recurrent != ("weight_hh" in block.arrays) or not {"weight", "weight_ih", "running_mean"} & set(
        block.arrays
    ):
        raise InvalidModel("an array is missing", where=block.name)
    ranks = {part: len(weight.shape) for part, weight in block.arrays.items()}
    flat = not block.recurrent and (len(block.arrays.get("weight", _NONE).shape) == 1 or "running_mean" in block.arrays)
    for arrays in (block.arrays, block.reverse):
        for part, weight in arrays.items():
            rank = (
                1 if flat or not part.startswith("weight") else max(2, min(ranks[part], 5)) if part == "weight" else 2
            )
            if len(weight.shape) != rank or 0 in weight.shape:
                raise Unsupported(f"{part} of shape {weight.shape}", where=block.name)
            if not weight.dtype.startswith(("float", "bfloat")):
                raise Unsupported(f"{part} of type {weight.dtype}", where=block.name)
        if "weight_ih" in arrays:
            _shapes(block.name, arrays)
    if flat and len({weight.shape for weight in block.arrays.values()}) > 1:
        raise InvalidModel("its arrays have different sizes", where=block.name)
    if block.reverse and set(block.reverse) != set(block.arrays):
        raise InvalidModel("its two directions have different arrays", where=block.name)


_NONE = Weight("", (), "float32", lambda: np.zeros(()))


def _shapes(name: str, arrays: Mapping[str, Weight]) -> None:
    if "weight_hh" not in arrays or ("bias_ih" in arrays) != ("bias_hh" in arrays):
        raise InvalidModel("an array is missing", where=name)
    rows, size = arrays["weight_hh"].shape
    units = arrays["weight_hr"].shape[1] if "weight_hr" in arrays else size
    fits = all(w.shape[0] == (size if part == "weight_hr" else rows) for part, w in arrays.items())
    if rows % units or rows // units not in KINDS or not fits or (units != size and rows != 4 * units):
        shapes = ", ".join(f"{part} {weight.shape}" for part, weight in arrays.items())
        raise InvalidModel(f"no LSTM, GRU or RNN has these shapes: {shapes}", where=name)


def cell(name: str, kind: str, arrays: Mapping[str, Weight]) -> layers.Cell:
    """The neutral cell of one direction, its arrays unpacked when read; the two biases of LSTM and RNN become one.

    A projection is multiplied into the recurrent kernel: (h·P)·R = h·(P·R). What the layer puts out is h·P, which is
    another layer (`projection`).
    """
    rows, units = arrays["weight_hh"].shape
    units = arrays["weight_hr"].shape[1] if "weight_hr" in arrays else units
    features, dtype = arrays["weight_ih"].shape[1], arrays["weight_ih"].dtype

    def read(part: str) -> Array:
        found = unpack({key: weight.read() for key, weight in arrays.items()}, f"torch/{kind}")
        if part == "recurrent_kernel" and found.projection is not None:
            product = found.projection.astype(np.float64) @ found.recurrent_kernel
            return np.asarray(product.astype(found.kernel.dtype))
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


def projection(block: Block) -> Weight | None:
    """What an LSTM multiplies its outputs by, [units of all directions, outputs]; None without one.

    Two directions have a block each.
    """
    sides = [side["weight_hr"] for side in (block.arrays, block.reverse) if "weight_hr" in side]
    if not sides:
        return None
    size, units = sides[0].shape
    count = len(sides)

    def read() -> Array:
        whole = np.zeros((count * units, count * size), sides[0].read().dtype)
        for k, side in enumerate(sides):
            whole[k * units : (k + 1) * units, k * size : (k + 1) * size] = side.read().T
        return whole

    return Weight(f"{block.name}/projection", (count * units, count * size), sides[0].dtype, read)
