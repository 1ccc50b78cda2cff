"""PyTorch state_dicts, those of others and our own, in safetensors files and in what torch.save writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from converter.comparing.files.metadata import types
from converter.comparing.part import Part, plain, unpacked
from converter.errors import Unsupported
from converter.formats import pytorch, safetensors
from converter.gates import KINDS, Cell
from converter.model import Weight, constant
from converter.readers.state_blocks import RECURRENT, Block, checked, projection, put

Layer = tuple[str, str, Mapping[str, Weight]]  # name, kind, arrays by neutral field


def sniff(path: Path) -> bool:
    """Whether it is one; a safetensors file that names no convention is taken for PyTorch's."""
    if safetensors.sniff(path):
        return safetensors.read(path).metadata.get("conventions", "torch") == "torch"
    return pytorch.sniff(path)


def parts(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    if pytorch.sniff(path):
        return _parts(pytorch.read(path), {})
    contents = safetensors.read(path)
    return _parts(contents.tensors, contents.metadata)


def _parts(arrays: Mapping[str, Weight], metadata: Mapping[str, str]) -> list[Part]:
    found, kinds, cells = [], types(metadata), types(metadata, "cells")
    for block in torch_blocks(arrays):
        only = next(iter(cells.values())) if block.name == "l0" and len(cells) == 1 else ""
        convention = cells.get(block.name, only)
        if not block.recurrent:
            found.append(plain(*torch_layer(block, kinds)))
        elif len(block.arrays["weight_ih"].shape) > 2:
            found.append(_conv_lstm(block))
        else:
            found += _cells(block, convention)
    return found


def _cells(block: Block, convention: str) -> Iterator[Part]:
    """The directions of nn.LSTM, GRU or RNN, or a cell that our own modules carry along."""
    peephole = block.arrays.pop("peephole", None)
    if "bias" in block.arrays:  # one bias: the other is zero
        bias = block.arrays.pop("bias")
        block.arrays |= {"bias_ih": bias, "bias_hh": constant("bias_hh", np.zeros(bias.shape), bias.dtype)}
    checked(block)
    if projection(block) is not None:
        raise Unsupported("an LSTM with a projection cannot be compared", where=block.name)
    for side, given in (("forward" if block.reverse else "", block.arrays), ("backward", block.reverse)):
        if given:
            rows, features = given["weight_ih"].shape
            kind = KINDS[rows // given["weight_hh"].shape[1]]
            read = partial(_cell, given, peephole, kind, convention.endswith("(reset_after=False)"))
            yield Part(" ".join(p for p in (block.name, side) if p), kind, (features, rows), read)


def _cell(arrays: Mapping[str, Weight], peephole: Weight | None, kind: str, reset_before: bool) -> Cell:
    cell = unpacked(arrays, f"torch/{kind}")
    if reset_before:
        return replace(cell, reset_after=False, recurrent_bias=None)
    return cell if peephole is None else replace(cell, peephole=peephole.read().reshape(-1))


def _conv_lstm(block: Block) -> Part:
    """Kernels [4·filters, input, *window], gates i, f, g, o, which are Keras' i, f, c, o."""
    rank = len(block.arrays["weight_ih"].shape) - 2
    axes = (*range(2, rank + 2), 1, 0)
    fields = {}
    for field, name in (("kernel", "weight_ih"), ("recurrent_kernel", "weight_hh")):
        weight = block.arrays[name]
        fields[field] = weight.map(lambda w: np.transpose(w, axes), tuple(weight.shape[axis] for axis in axes))
    return plain(block.name, "ConvLSTM", _present({**fields, "bias": block.arrays.get("bias")}))


def torch_blocks(arrays: Mapping[str, Weight]) -> Iterator[Block]:
    """Arrays by layer, whatever the layer; single arrays (buffers) are no layer."""
    blocks: dict[str, Block] = {}
    for key, weight in arrays.items():
        match = RECURRENT.fullmatch(key)
        prefix, _, part = key.rpartition(".")
        name, reverse = prefix, ""
        if match:
            prefix, part, level, reverse = match.groups()
            name = ".".join(p for p in (prefix, f"l{level}" if level else None) if p) or "l0"
        elif not prefix and part not in ("bias", "peephole"):
            continue
        name = name or "l0"
        block = blocks.setdefault(name, Block(name))
        put(block.reverse if reverse else block.arrays, part, weight, key)
    return iter(blocks.values())


def torch_layer(block: Block, kinds: Mapping[str, str]) -> Layer:
    """A layer without recurrence: its kind, found by its arrays, and the arrays as Keras has them."""
    arrays = dict(block.arrays)
    weight, bias = arrays.get("weight"), arrays.get("bias")
    if "running_mean" in arrays:
        fields = {"gamma": weight, "beta": bias, "mean": arrays["running_mean"], "variance": arrays.get("running_var")}
        return block.name, "BatchNormalization", _present(fields)
    if weight is None:
        return block.name, "?", arrays
    rank = len(weight.shape)
    if rank == 1:
        return block.name, "LayerNormalization", _present({"gamma": weight, "beta": bias})
    if rank == 2 and bias is None and kinds.get(block.name) == "Embedding":
        return block.name, "Embedding", {"table": weight}
    axes = (*range(2, rank), 1, 0)
    shape = tuple(weight.shape[axis] for axis in axes)
    kernel = weight.map(lambda w: np.transpose(w, axes), shape)
    return block.name, "Dense" if rank == 2 else "Conv", _present({"kernel": kernel, "bias": bias})


def _present(fields: Mapping[str, Weight | None]) -> dict[str, Weight]:
    return {name: weight for name, weight in fields.items() if weight is not None}
