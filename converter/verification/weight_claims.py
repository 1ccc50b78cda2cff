"""What the arrays of each layer may become in an exported file: arrangements by name, each a comparison bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from converter.model import Array, Node, Weight, layers

Pairs = Iterator[tuple[Array, Array]]
"""Pieces of an initializer, and what they should be, of one shape; all pieces together are the whole initializer."""

# Own copies: a proof must not share a table with what it judges.
# i, o, f, c of i, f, c, o; z, r, h: https://onnx.ai/onnx/operators/onnx__LSTM.html
GATES: Mapping[Any, tuple[int, ...]] = {
    layers.LSTMCell: (0, 3, 1, 2), layers.GRUCell: (0, 1, 2), layers.SimpleRNNCell: (0,),
}  # fmt: skip
CLOSED = 32768.0  # what closes or opens a gate whatever else is added to it
PEEPHOLES = (0, 2, 1)  # i, o, f of i, f, o


@dataclass(frozen=True)
class Claim:
    """What an initializer may be: arrays of the source in some arrangement.

    Attributes:
        sources: the arrays, all of whose values it holds, or the part that `how` says.
        how: the arrangement in words.
        shape: of the initializer.
        pairs: the comparison, given the initializer's values.
        parts: how many claims together stand for the sources; 1 where this one stands for all.
    """

    sources: tuple[Weight, ...]
    how: str
    shape: tuple[int, ...]
    pairs: Callable[[Array], Pairs]
    parts: int = 1


@singledispatch
def claims_of(layer: Any, node: Node) -> Iterator[Claim]:
    """What the initializers of a node may be."""
    return iter(())


def _blocks(weight: Weight) -> Iterator[tuple[int, Array]]:
    """The rows of a weight in blocks, with the number of the first."""
    start = 0
    for block in weight.rows():
        yield start, block
        start += len(block) if block.ndim else 0


def as_it_is(weight: Weight) -> Claim:
    """The array itself, in blocks of rows."""

    def pairs(values: Array) -> Pairs:
        for start, block in _blocks(weight):
            yield (values[start : start + len(block)] if block.ndim else values), block

    return Claim((weight,), "as it is", weight.shape, pairs)


def made(sources: tuple[Weight, ...], how: str, shape: tuple[int, ...], make: Callable[[], Array]) -> Claim:
    """A claim on a small array, made at once."""

    def pairs(values: Array) -> Pairs:
        yield values, make()

    return Claim(sources, how, shape, pairs)


@claims_of.register
def _(layer: layers.Dense, node: Node) -> Iterator[Claim]:
    yield as_it_is(layer.kernel)
    if layer.bias is not None:
        yield as_it_is(layer.bias)


@claims_of.register
def _(layer: layers.Embedding, node: Node) -> Iterator[Claim]:
    yield as_it_is(layer.table)


@claims_of.register
def _(layer: layers.Constant, node: Node) -> Iterator[Claim]:
    yield as_it_is(layer.weight)


def _convolution(weight: Weight) -> Claim:
    """[*window, a, b] as [b, a, *window]."""
    last = len(weight.shape) - 1
    axes = (last, last - 1, *range(last - 1))
    shape = tuple(weight.shape[axis] for axis in axes)
    return made((weight,), f"axes {axes}", shape, lambda: np.transpose(weight.read(), axes))


@claims_of.register(layers.Conv)
@claims_of.register(layers.ConvTranspose)
def _(layer: Any, node: Node) -> Iterator[Claim]:
    yield _convolution(layer.kernel)
    if layer.bias is not None:
        yield as_it_is(layer.bias)


def _broadcast(weight: Weight, axes: tuple[int, ...], node: Node) -> Claim:
    """With axes of size 1 behind it."""
    value = node.inputs[0]
    assert value is not None
    sizes = dict(zip(sorted(axes), weight.shape, strict=True))
    shape = tuple(sizes.get(axis, 1) for axis in range(min(axes), len(value.shape)))
    return made((weight,), f"shaped {shape}", shape, lambda: weight.read().reshape(shape))


@claims_of.register
def _(layer: layers.LayerNormalization, node: Node) -> Iterator[Claim]:
    for weight in (layer.gamma, layer.beta):
        if weight is not None:
            yield _broadcast(weight, layer.axes, node)


@claims_of.register
def _(layer: layers.BatchNormalization, node: Node) -> Iterator[Claim]:
    for weight in (layer.mean, layer.beta):
        if weight is not None:
            yield _broadcast(weight, (layer.axis,), node)
    shape = _broadcast(layer.mean, (layer.axis,), node).shape
    gamma = layer.gamma

    def scale() -> Array:
        inverse = 1 / np.sqrt(layer.variance.read().astype(np.float64) + layer.epsilon)
        return (inverse if gamma is None else inverse * gamma.read().astype(np.float64)).reshape(shape)

    sources = (layer.variance,) if gamma is None else (layer.variance, gamma)
    yield made(sources, f"gamma/sqrt(variance + {layer.epsilon:g}) rounded", shape, scale)


@claims_of.register
def _(layer: layers.Recurrent, node: Node) -> Iterator[Claim]:
    cells = [direction.cell for direction in layer.directions]
    for order in {tuple(cells), tuple(reversed(cells))} if len(cells) == 2 else {tuple(cells)}:
        if len({type(cell) for cell in order}) == 1 and not isinstance(order[0], layers.ConvLSTMCell):
            yield from _operator(order)
    for cell in cells:
        if isinstance(cell, layers.ConvLSTMCell):
            yield from (_convolution(weight) for weight in (cell.kernel, cell.recurrent_kernel))
            yield from () if cell.bias is None else (as_it_is(cell.bias),)
            continue
        yield from _operator((cell,))
        yield from _scan(cell)


def _operator(cells: tuple[Any, ...]) -> Iterator[Claim]:
    """W [D, gates·units, input], R [D, gates·units, units], B [D, 2·gates·units], P [D, 3·units]."""
    gates = GATES[type(cells[0])]
    units, count, height = cells[0].units, len(cells), len(gates) * cells[0].units
    order = ", ".join(str(gate) for gate in gates)
    inverse = [gates.index(gate) for gate in range(len(gates))]

    def matrix(weights: tuple[Weight, ...]) -> Claim:
        def pairs(values: Array) -> Pairs:
            for side, weight in zip(values, weights, strict=True):
                by_gate = side.reshape(len(gates), units, -1)
                for start, block in _blocks(weight):
                    piece = by_gate[:, :, start : start + len(block)][inverse]
                    yield piece.transpose(2, 0, 1).reshape(len(block), height), block

        shape = (count, height, weights[0].shape[0])
        return Claim(weights, f"gates {order}, transposed", shape, pairs)

    if len({cell.kernel.shape for cell in cells}) > 1:
        return
    kernel = matrix(tuple(cell.kernel for cell in cells))
    yield kernel
    yield matrix(tuple(cell.recurrent_kernel for cell in cells))
    if isinstance(cells[0], layers.LSTMCell):
        yield _closing(kernel, units)
    biases = tuple(cell.bias for cell in cells if cell.bias is not None)
    if biases:
        yield made(biases, f"gates {order}", (count, 2 * height), lambda: np.stack([_bias(c, gates) for c in cells]))
    looks = tuple(cell.peephole for cell in cells if getattr(cell, "peephole", None) is not None)
    if looks:
        yield made(looks, "gates 0, 2, 1", (count, 3 * units), lambda: np.stack([_looks(cell) for cell in cells]))


def _closing(kernel: Claim, units: int) -> Claim:
    """W of an LSTM with one more feature, which is not 0 past the end of a sequence: it shuts the input gate there and
    opens the forget gate, so that c stays.
    """
    count, height, width = kernel.shape
    column = np.repeat([-CLOSED, 0.0, CLOSED, 0.0], units)  # i, o, f, c

    def pairs(values: Array) -> Pairs:
        yield from kernel.pairs(values[:, :, :-1])
        yield values[:, :, -1], np.broadcast_to(column, (count, height)).astype(np.float32)

    return Claim(kernel.sources, f"{kernel.how}, a column that keeps c behind it", (count, height, width + 1), pairs)


def _bias(cell: Any, gates: tuple[int, ...]) -> Array:
    """The input bias, then the recurrent one: zeros but for a GRU with reset_after."""
    rows = np.zeros((2, len(gates) * cell.units), np.float32)
    if cell.bias is not None:
        own = np.atleast_2d(cell.bias.read())
        rows = np.concatenate([own, np.zeros_like(own)])[:2]
    picked: Array = rows.reshape(2, len(gates), cell.units)[:, list(gates)]
    return picked.reshape(-1)


def _looks(cell: Any) -> Array:
    if cell.peephole is None:
        return np.zeros(3 * cell.units, np.float32)
    picked: Array = cell.peephole.read().reshape(3, cell.units)[list(PEEPHOLES)]
    return picked.reshape(-1)


def _scan(cell: Any) -> Iterator[Claim]:
    """The arrays of a cell whose steps are written out."""
    yield as_it_is(cell.kernel)
    yield as_it_is(cell.recurrent_kernel)
    units, whole, bias = cell.units, cell.recurrent_kernel, cell.bias
    if isinstance(cell, layers.GRUCell) and not cell.reset_after:
        yield made((whole,), "gates 0, 1", (units, 2 * units), lambda: whole.read()[:, : 2 * units])
        yield made((whole,), "gate 2", (units, units), lambda: whole.read()[:, 2 * units :])
    if bias is not None and isinstance(cell, layers.GRUCell) and cell.reset_after:
        yield made((bias,), "the input's", (3 * units,), lambda: bias.read()[0])
        yield made((bias,), "the recurrent", (3 * units,), lambda: bias.read()[1])
    elif bias is not None:
        yield as_it_is(bias)
    looks = getattr(cell, "peephole", None)
    if looks is not None:
        yield as_it_is(looks)
