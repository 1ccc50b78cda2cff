"""The layers of any readable file as far as their weights go: for comparing files, whatever their kind."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from converter import readers
from converter.comparing.part import Part, plain
from converter.exporters import row_of
from converter.exporters.weights import cells, gate_cell, owned
from converter.formats.keras_metadata import scaled_weights
from converter.model import Model
from converter.model.layers import Constant, GRUCell, LSTMCell, SimpleRNNCell, every_node

_KINDS = {LSTMCell: "LSTM", GRUCell: "GRU", SimpleRNNCell: "RNN"}


def parts_of(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    row = row_of(path)
    files = import_module(row.files) if row is not None else None
    if files is not None and hasattr(files, "parts"):
        parts: list[Part] = files.parts(path)
        return parts
    return parts_read(readers.load(path), path)


def parts_read(model: Model, path: Path, every_call: bool = False) -> list[Part]:
    """The parts of the model that was read from a file, with what the file says that they were multiplied by."""
    factors = scaled_weights(path)
    return [replace(part, factors=factors.get(part.name, ())) for part in parts_of_model(model, every_call)]


def parts_of_model(model: Model, every_call: bool = False) -> list[Part]:
    """The layers with weights of a model, in order; shared ones once, or as often as they are called."""
    parts: list[Part] = []
    seen: set[int] = set()
    for node in every_node(model.nodes):
        for side, cell in cells(node):
            if every_call or id(cell.kernel) not in seen:  # a shared layer is called again
                seen.add(id(cell.kernel))
                name = " ".join(part for part in (node.name, side) if part)
                kind = _KINDS.get(type(cell))
                if kind is None:
                    parts.append(plain(name, "ConvLSTM", dict(owned(cell))))
                else:
                    parts.append(Part(name, kind, cell.kernel.shape, partial(gate_cell, cell, name)))
        weights = dict(owned(node.layer))
        again = not every_call and bool(seen & {id(weight) for weight in weights.values()})
        if weights and not isinstance(node.layer, Constant) and not again:
            seen |= {id(weight) for weight in weights.values()}
            parts.append(plain(node.name, type(node.layer).__name__, weights))
    return parts
