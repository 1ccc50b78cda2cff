"""The layers of any readable file as far as their weights go: for comparing files, whatever their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

from converter import readers
from converter.comparing.arithmetic import channels, computed_with, convolved, folded
from converter.comparing.part import Part, plain
from converter.exporters import row_of
from converter.exporters.weights import cells, gate_cell, owned
from converter.formats.keras_metadata import scaled_weights
from converter.model import Model, Node, Weight
from converter.model.layers import BatchNormalization, Cell, Constant, GRUCell, LSTMCell, SimpleRNNCell, every_node
from converter.readers import own_arrays

_KINDS = {LSTMCell: "LSTM", GRUCell: "GRU", SimpleRNNCell: "RNN"}


def parts_of(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    files = _of_weights(path)
    if files is not None:
        parts: list[Part] = files.parts(path)
        return [*parts, *_arithmetic(own_arrays.load(path))] if own_arrays.holds_graph(path) else parts
    model = readers.load(path)
    return [*parts_read(model, path), *_arithmetic(model)]


def parts_of_graph(model: Model) -> list[Part]:
    """The layers with weights of a model, in order, then the arrays that its arithmetic takes."""
    return [*parts_of_model(model), *_arithmetic(model)]


def _arithmetic(model: Model) -> list[Part]:
    return computed_with(tuple(every_node(model.nodes)))


def has_graph(path: Path) -> bool:
    """Whether a file says what its arrays are computed with, besides its layers."""
    return _of_weights(path) is None or own_arrays.holds_graph(path)


def _of_weights(path: Path) -> ModuleType | None:
    row = row_of(path)
    files = import_module(row.files) if row is not None else None
    return files if files is not None and hasattr(files, "parts") else None


def parts_read(model: Model, path: Path, every_call: bool = False) -> list[Part]:
    """The parts of the model that was read from a file, with what the file says that they were multiplied by."""
    factors = scaled_weights(path)
    return [replace(part, factors=factors.get(part.name, ())) for part in parts_of_model(model, every_call)]


def parts_of_model(model: Model, every_call: bool = False) -> list[Part]:
    """The layers with weights of a model, in order; shared ones once, or as often as they are called."""
    parts: list[Part] = []
    uses: Counter[tuple[object, ...]] = Counter()
    keys: list[tuple[object, ...]] = []
    nodes = tuple(every_node(model.nodes))
    before = convolved(nodes)
    projections = {id(conv) for convs in before.values() for conv in convs}
    for node in nodes:
        found = [*_cells(node, before), *([] if id(node) in projections else _layers(node))]
        for part, weights in found:
            key = (part.kind, *(id(weight) for weight in weights))
            if every_call or key not in uses:  # else a shared layer is called again
                parts.append(part)
                keys.append(key)
            uses[key] += 1
    return [replace(part, uses=uses[key]) for part, key in zip(parts, keys, strict=True)]


def _cells(node: Node, before: Mapping[int, list[Node]]) -> Iterator[tuple[Part, Iterable[Weight]]]:
    for side, cell in cells(node):
        name, weights = " ".join(part for part in (node.name, side) if part), dict(owned(cell))
        kind = _KINDS.get(type(cell))
        if kind is not None:
            yield Part(name, kind, cell.kernel.shape, partial(gate_cell, cell, name)), weights.values()
            continue
        if id(cell) in before:
            weights |= dict(owned(before[id(cell)][-1].layer))
        yield plain(name, "ConvLSTM", _given(weights, cell)), weights.values()


def _given(weights: Mapping[str, Weight], cell: Cell) -> Mapping[str, Weight]:
    """The weights of a ConvLSTM; those of a convolution before it as its own kernel, which scales them, takes them."""
    factors = channels(cell.kernel)
    if factors is None or weights["kernel"] is cell.kernel:
        return weights
    made = {
        f: weights[f].map(lambda a: (a * factors).astype(a.dtype), weights[f].shape)
        for f in ("kernel", "bias")
        if f in weights
    }
    return {**weights, **made}


def _layers(node: Node) -> Iterator[tuple[Part, Iterable[Weight]]]:
    weights = dict(owned(node.layer))
    if weights and not isinstance(node.layer, Constant):
        part = plain(node.name, type(node.layer).__name__, weights)
        if isinstance(node.layer, BatchNormalization):
            part = replace(part, folded=folded(node.name, node.layer))
        yield part, weights.values()
