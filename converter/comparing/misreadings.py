"""What a cell becomes when the arrays of one convention are read as those of another: the usual mistakes, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from converter.gates import Cell
from converter.gates.conventions import CONVENTIONS, ORDERS, Convention
from converter.gates.notation import parse
from converter.model import Array

SCRAMBLE_LIMIT = 1 << 24  # values: above, only orders of gates are tried
MAX_NAMES = 3


@dataclass(frozen=True)
class _Reading:
    """What remains of a convention once its arrays have been cut into gates and laid out as Keras has them."""

    order: str
    negative: str
    scrambled: bool
    forget_bias: float


def _reading(row: Convention) -> _Reading:
    pieces = [p for pattern in row.arrays.values() for p in parse(pattern).pieces if p.content == "W"]
    order = "".join(piece.gates for piece in pieces)
    negative = "".join(piece.negative for piece in pieces)
    return _Reading(order, negative, pieces[0].scrambled, row.forget_bias)


def _readings(kind: str) -> Mapping[_Reading, list[str]]:
    """The different readings there are, each with the conventions that have it; Keras' own first."""
    out: dict[_Reading, list[str]] = {}
    for row in CONVENTIONS.values():
        if row.cell == kind:
            out.setdefault(_reading(row), []).append(row.name)
    return out


def misreadings(cell: Cell) -> Iterator[tuple[Cell, str]]:
    """The cells that this one becomes by reading one convention as another, the likely ones first.

    Yields:
        The wrong cell, and what happened, in words.
    """
    readings = _readings(cell.kind)
    keras = next(iter(readings))
    pairs = [(s, t) for s in readings for t in readings if s != t]
    pairs.sort(key=lambda pair: (pair[1] != keras, pair[0] != keras))
    seen: set[tuple[object, ...]] = set()
    for source, target in pairs:
        key = _effect(source, target)
        if key in seen or (source.scrambled != target.scrambled and cell.kernel.size > SCRAMBLE_LIMIT):
            continue
        seen.add(key)
        alike = [(s, t) for s, t in pairs if _effect(s, t) == key]
        yield _misread(cell, source, target), _words(alike, readings)
    yield from _other(cell)


def _effect(source: _Reading, target: _Reading) -> tuple[object, ...]:
    """Two misreadings with the same effect do the same to every cell."""
    moved = tuple(sorted(zip(target.order, source.order, strict=True)))
    signs = frozenset(g for g, s in moved if (g in target.negative) != (s in source.negative))
    return moved, signs, source.scrambled, target.scrambled, source.forget_bias, target.forget_bias


def _words(pairs: list[tuple[_Reading, _Reading]], readings: Mapping[_Reading, list[str]]) -> str:
    source, target = pairs[0]
    names = [readings[side][:MAX_NAMES] for side in (source, target)]
    other = " or the other way round" if (target, source) in pairs else ""
    return f"as if arrays of {' / '.join(names[0])} were read as {' / '.join(names[1])}{other}"


def _misread(cell: Cell, source: _Reading, target: _Reading) -> Cell:
    def turn(array: Array | None) -> Array | None:
        if array is None:
            return None
        order = ORDERS[cell.kind]
        apart = array.reshape(*array.shape[:-1], len(order), cell.units)
        out = np.empty_like(apart)
        for put, taken in zip(target.order, source.order, strict=True):
            block = apart[..., order.index(taken), :]
            block = -block if (taken in source.negative) != (put in target.negative) else block
            if array.ndim == 2 and source.scrambled != target.scrambled:
                rows = block.shape[0]
                block = block.T.reshape(block.shape) if source.scrambled else block.reshape(cell.units, rows).T
            out[..., order.index(put), :] = block
        return out.reshape(array.shape)

    bias = _shifted(cell, -source.forget_bias)
    kernel, recurrent = turn(cell.kernel), turn(cell.recurrent_kernel)
    assert kernel is not None and recurrent is not None
    wrong = replace(
        cell, kernel=kernel, recurrent_kernel=recurrent, bias=turn(bias), recurrent_bias=turn(cell.recurrent_bias),
        forget_bias=0.0,
    )  # fmt: skip
    return replace(wrong, bias=_shifted(wrong, target.forget_bias))


def _shifted(cell: Cell, amount: float) -> Array | None:
    """The bias with an amount added to the forget gate."""
    amount += cell.forget_bias
    if not amount:
        return cell.bias
    bias = np.zeros(cell.kernel.shape[1], cell.kernel.dtype) if cell.bias is None else cell.bias.copy()
    bias[cell.units : 2 * cell.units] += np.asarray(amount, bias.dtype)
    return bias


def _other(cell: Cell) -> Iterator[tuple[Cell, str]]:
    """Mistakes that are no order of gates."""
    gates = len(ORDERS[cell.kind])
    blocks = cell.recurrent_kernel.reshape(cell.recurrent_kernel.shape[0], gates, cell.units)
    if blocks.shape[0] == cell.units:
        turned = np.ascontiguousarray(blocks.transpose(2, 1, 0)).reshape(cell.recurrent_kernel.shape)
        yield replace(cell, recurrent_kernel=turned), "the recurrent kernel of each gate is transposed"
    if cell.bias is not None and cell.recurrent_bias is not None:
        zeros = np.zeros_like(cell.bias)
        yield replace(cell, recurrent_bias=zeros), "the recurrent bias is left out"
        yield replace(cell, bias=zeros), "the input bias is left out"
        if cell.kind == "GRU" and cell.reset_after:
            yield replace(cell, bias=cell.recurrent_bias, recurrent_bias=cell.bias), "the two biases are exchanged"
    if cell.bias is not None or cell.recurrent_bias is not None:
        yield replace(cell, bias=None, recurrent_bias=None), "the bias is left out"
