"""A notation for how an array holds the weights of a recurrent cell, read in both directions.

    "W[in, ifco*u]"                    one matrix, input first, gates side by side: Keras
    "W[ifco*u, in]"                    the same, transposed: PyTorch
    "W[in, icfo*u] / R[h, icfo*u]"     two matrices stacked along the first axis: TensorFlow 1
    "b[1, iofc*u] | rb[1, iofc*u]"     two biases joined along the last axis: ONNX
    "~ W[ifco*u, in] R[ifco*u, h]"     flattened, one after the other: cuDNN
    "Wt[in, ifco*u]"                   each gate's block holds the bytes of its transpose: Keras' CuDNNLSTM

Contents: W input matrix, R recurrent matrix, b bias (of the input side), rb bias of the recurrent side, P peepholes,
H projection. Axes: in, u (units), h (size of the recurrent input: u, or less under a projection), 1. `abc*u` is one
block of u per gate.
A leading minus, as in "-z", marks a gate stored with the opposite sign.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import numpy as np

from converter.errors import InvalidModel
from converter.model import Array

Content = Literal["W", "R", "b", "rb", "P", "H"]
# The canonical axes of each content; "gates" stands for the gate axis, which canonical arrays merge with u.
AXES: Mapping[str, tuple[str, ...]] = {
    "W": ("in", "gates", "u"),
    "R": ("h", "gates", "u"),
    "b": ("gates", "u"),
    "rb": ("gates", "u"),
    "P": ("gates", "u"),
    "H": ("u", "h"),
}
_PIECE = re.compile(r"(W|R|b|rb|P|H)(t?)\[([^\]]*)\]")


@dataclass(frozen=True)
class Piece:
    """One content inside an array.

    Attributes:
        content: which one.
        axes: "in", "u", "h", "1" or "gates*u".
        gates: the gates this piece holds, in its order; "" for a projection.
        negative: those of them stored with the opposite sign.
        scrambled: each gate's block holds the bytes of its transpose.
    """

    content: Content
    axes: tuple[str, ...]
    gates: str
    negative: str
    scrambled: bool

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Its shape, given the sizes of in, u and h."""
        known = {**sizes, "1": 1, "gates*u": len(self.gates) * sizes["u"]}
        return tuple(known[axis] for axis in self.axes)


@dataclass(frozen=True)
class Layout:
    """One array: its pieces and how they are joined: "" (one piece), "|" last axis, "/" first axis, "~" flattened."""

    pieces: tuple[Piece, ...]
    join: str


def _piece(content: Content, scrambled: bool, axes: str) -> Piece:
    gates = negative = ""
    names = []
    for axis in (a.strip() for a in axes.split(",")):
        if axis.endswith("*u"):
            negative = "".join(re.findall(r"-(\w)", axis))
            gates = axis[:-2].replace("-", "")
            axis = "gates*u"
        names.append(axis)
    return Piece(content, tuple(names), gates, negative, scrambled)


@cache
def parse(pattern: str) -> Layout:
    """The layout that a pattern says.

    Raises:
        ValueError: the pattern does not follow the notation.
    """
    found = _PIECE.findall(pattern)
    rest = _PIECE.sub("", pattern).split()
    join = rest[0] if rest else ""
    if not found or join not in ("", "|", "/", "~") or (len(found) > 1) != bool(join) or set(rest) - {join}:
        raise ValueError(f"no layout: {pattern!r}")
    return Layout(tuple(_piece(cast("Content", c), t == "t", axes) for c, t, axes in found), join)


def _blocks(array: Array, piece: Piece, order: str, units: int) -> Array:
    """The canonical array with gates apart, only the piece's ones, in its order and with its signs."""
    apart = array.reshape(*array.shape[:-1], len(order), units)
    picked = np.take(apart, [order.index(g) for g in piece.gates], axis=-2)
    if piece.negative:
        picked = picked.copy()
        for gate in piece.negative:
            at = piece.gates.index(gate)
            picked[..., at, :] = -picked[..., at, :]
    return picked


def write_piece(array: Array, piece: Piece, order: str, sizes: Mapping[str, int]) -> Array:
    """The piece of a canonical array, laid out.

    Args:
        array: canonical: gates in `order`, side by side on the last axis.
        piece: what to write.
        order: all canonical gates of this content.
        sizes: of "in", "u" and "h".
    """
    if piece.content == "H":
        return array if piece.axes == ("u", "h") else array.T
    blocks = _blocks(array, piece, order, sizes["u"])
    if piece.scrambled:  # [rows, gates, u] -> the bytes of [u, rows] seen as [rows, u]
        rows, count, units = blocks.shape
        blocks = blocks.transpose(1, 2, 0).reshape(count, rows, units).transpose(1, 0, 2)
    if piece.axes[-1] in ("in", "h"):
        blocks = np.moveaxis(blocks, 0, -1)
    return blocks.reshape(piece.shape(sizes))


def read_piece(array: Array, piece: Piece, order: str, into: Array) -> None:
    """Puts a piece back into its canonical array `into`, the inverse of `write_piece`."""
    if piece.content == "H":
        into[...] = array if piece.axes == ("u", "h") else array.T
        return
    units, count = into.shape[-1] // len(order), len(piece.gates)
    rows = into.shape[:-1]
    if piece.axes[-1] in ("in", "h"):
        blocks = np.moveaxis(array.reshape(count, units, *rows), -1, 0)
    else:
        blocks = array.reshape(*rows, count, units)
    if piece.scrambled:
        blocks = blocks.transpose(1, 0, 2).reshape(count, units, rows[0]).transpose(2, 0, 1)
    apart = into.reshape(*rows, len(order), units)  # a view: `into` is contiguous
    for at, gate in enumerate(piece.gates):
        block = blocks[..., at, :]
        apart[..., order.index(gate), :] = -block if gate in piece.negative else block


def join(parts: list[Array], how: str) -> Array:
    """The array made of laid-out pieces."""
    if how == "~":
        return np.concatenate([part.ravel() for part in parts])
    if how == "":
        return np.ascontiguousarray(parts[0])
    return np.concatenate(parts, axis=0 if how == "/" else -1)


def split(array: Array, layout: Layout, sizes: Mapping[str, int], name: str) -> list[Array]:
    """The pieces of an array.

    Raises:
        InvalidModel: its shape is not the one these sizes give.
    """
    shapes = [piece.shape(sizes) for piece in layout.pieces]
    axis = {"": 0, "~": 0, "/": 0, "|": -1}[layout.join]
    if layout.join == "~":
        lengths = [math.prod(shape) for shape in shapes]
        expected: tuple[int, ...] = (sum(lengths),)
    else:
        lengths = [shape[axis] for shape in shapes]
        whole = list(shapes[0])
        whole[axis] = sum(lengths)
        expected = tuple(whole)
    if array.shape != expected:
        raise InvalidModel(f"shape {array.shape}, not {expected}", where=name)
    if len(shapes) == 1:
        return [array.reshape(shapes[0])]
    parts = np.split(array, np.cumsum(lengths)[:-1], axis=axis)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def measure(patterns: Mapping[str, str], arrays: Mapping[str, Array], units: int | None = None) -> dict[str, int]:
    """The sizes of "in", "u" and "h" that some arrays have.

    Args:
        patterns: name of each array -> its layout.
        arrays: those that are there.
        units: needed only where the shapes do not tell.

    Raises:
        InvalidModel: the arrays do not tell, or do not agree.
    """
    known = {"u": units} if units else {}
    layouts = [(parse(pattern), arrays[name].shape, name) for name, pattern in patterns.items() if name in arrays]
    for layout, shape, name in layouts:
        piece = layout.pieces[0]
        axis = piece.axes.index("gates*u") if piece.gates else -1
        if layout.join == "~" or not piece.gates or len(shape) != len(piece.axes):
            continue
        if {"": -1, "/": 0, "|": len(shape) - 1}[layout.join] != axis:
            if shape[axis] % len(piece.gates) or not shape[axis]:
                raise InvalidModel(f"{shape[axis]} is not a multiple of {len(piece.gates)} gates", where=name)
            known.setdefault("u", shape[axis] // len(piece.gates))
    if "u" not in known:
        raise InvalidModel("the shapes do not settle the number of units", hint="give units")
    for layout, shape, _ in layouts:
        if layout.join == "" and len(shape) == len(layout.pieces[0].axes):
            for axis_name, size in zip(layout.pieces[0].axes, shape, strict=True):
                if axis_name in ("in", "h"):
                    known.setdefault(axis_name, size)
    known.setdefault("h", known["u"])
    for layout, shape, _ in layouts:
        if layout.pieces[0].content == "W" and "in" not in known:
            known["in"] = _remaining(layout, shape, known)
    return known


def _remaining(layout: Layout, shape: tuple[int, ...], known: Mapping[str, int]) -> int:
    """The size of "in" in an array that holds W together with others."""
    if layout.join == "/":
        return shape[0] - known["h"] * (len(layout.pieces) - 1)
    rest = sum(int(np.prod(p.shape({**known, "in": 0}))) for p in layout.pieces)
    return (shape[0] - rest) // int(np.prod(layout.pieces[0].shape({**known, "in": 1})))
