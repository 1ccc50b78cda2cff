"""What the arrays of each layer may become in a TFLite file: arrangements by name, each a comparison bit for bit.

The bodies of loops are graphs of their own, whose constants are accounted for with those of the main one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from converter.formats.tflite import Contents
from converter.model import Array, Node, Weight, layers
from converter.verification.weight_accounting import Held, Opened
from converter.verification.weight_claims import Claim, as_it_is, claims_of, made


def held_by(contents: Contents) -> Iterator[Held]:
    """The constants of all graphs of a file, each once."""
    for name, values in contents.each_constant():
        yield Held(name, values.dtype.name, values.shape, "constant", _open(values))


def _open(values: Array) -> Callable[[], nullcontext[Opened]]:
    return lambda: nullcontext(Opened(values))


@singledispatch
def lite_claims_of(layer: Any, node: Node) -> Iterator[Claim]:
    """What the constants of a node may be; unless said below, what initializers of ONNX may be."""
    return claims_of(layer, node)


def _changed(weight: Weight, how: str, shape: tuple[int, ...], change: Callable[[Array], Array]) -> Claim:
    return made((weight,), how, shape, lambda: change(weight.read()))


def _transposed(weight: Weight) -> Claim:
    return _changed(weight, "transposed", weight.shape[::-1], np.transpose)


@lite_claims_of.register
def _(layer: layers.Dense, node: Node) -> Iterator[Claim]:
    yield _transposed(layer.kernel)
    if layer.bias is not None:
        yield as_it_is(layer.bias)


@lite_claims_of.register
def _(layer: layers.Conv, node: Node) -> Iterator[Claim]:
    """[*window, input, filters] as [filters, *window, input], or [1, *window, filters] where there is one input."""
    kernel = layer.kernel
    *window, inner, filters = kernel.shape
    sizes = [1] * (2 - layer.rank) + window
    wide = (*sizes, inner, filters)
    yield _changed(kernel, "filters first", (filters, *sizes, inner), lambda a: a.reshape(wide).transpose(3, 0, 1, 2))
    if inner == 1:
        yield _changed(kernel, "as one filter", (1, *sizes, filters), lambda a: a.reshape(1, *sizes, filters))
    if layer.bias is not None:
        yield as_it_is(layer.bias)


@lite_claims_of.register
def _(layer: layers.ConvTranspose, node: Node) -> Iterator[Claim]:
    """[*window, filters, input] as [filters, *window, input]."""
    *window, filters, inner = layer.kernel.shape
    sizes = [1] * (2 - layer.rank) + window
    wide = (*sizes, filters, inner)
    shape = (filters, *sizes, inner)
    yield _changed(layer.kernel, "filters first", shape, lambda a: a.reshape(wide).transpose(2, 0, 1, 3))
    if layer.bias is not None:
        yield as_it_is(layer.bias)


@lite_claims_of.register
def _(layer: layers.Recurrent, node: Node) -> Iterator[Claim]:
    for direction in layer.directions:
        yield from _fused(direction.cell)
        yield from _stepped(direction.cell)


def _pieces(weight: Weight, names: list[str]) -> Iterator[Claim]:
    """One constant for each gate, transposed."""
    count = len(names)
    units = weight.shape[-1] // count
    for place, name in enumerate(names):
        piece = slice(place * units, (place + 1) * units)
        claim = _changed(weight, f"gate {name}, transposed", (units, *weight.shape[:-1]),
                         lambda a, piece=piece: np.transpose(a[..., piece]))  # type: ignore[misc]  # fmt: skip
        yield replace(claim, parts=count)


def _fused(cell: Any) -> Iterator[Claim]:
    """The operators' own layout."""
    if isinstance(cell, layers.LSTMCell):
        for weight in (cell.kernel, cell.recurrent_kernel, cell.bias):
            if weight is not None:
                yield from _pieces(weight, ["i", "f", "c", "o"])
    if getattr(cell, "peephole", None) is not None:
        yield from _pieces(cell.peephole, ["i", "f", "o"])


def _stepped(cell: Any) -> Iterator[Claim]:
    """The layout of FULLY_CONNECTED, all gates in one; SimpleRNN's operator has it, too."""
    yield _transposed(cell.kernel)
    yield _transposed(cell.recurrent_kernel)
    units, whole, bias = cell.units, cell.recurrent_kernel, cell.bias
    if isinstance(cell, layers.GRUCell) and not cell.reset_after:
        for how, piece in (("gates z, r", slice(2 * units)), ("gate h", slice(2 * units, None))):
            size = len(range(*piece.indices(3 * units)))
            claim = _changed(whole, f"{how}, transposed", (size, units), lambda a, piece=piece: a[:, piece].T)  # type: ignore[misc]
            yield replace(claim, parts=2)
    if bias is not None and len(bias.shape) == 2:
        for place, how in enumerate(("the input's", "the recurrent")):
            claim = _changed(bias, how, (bias.shape[1],), lambda a, place=place: a[place])  # type: ignore[misc]
            yield replace(claim, parts=2)
    elif bias is not None:
        yield as_it_is(bias)
