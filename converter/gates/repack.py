"""Which order are the gates in? Every convention of recurrent weights, one row each, and the way between any two.

A row (`Convention`) says how one framework stores the weights of one cell; the patterns in it are read in both
directions (notation: `converter.gates.notation`), so there are no functions for pairs of frameworks. The middle is
Keras' packing, `Cell`: gates i, f, c, o (LSTM) or z, r, h (GRU) side by side, matrices applied as x @ kernel.

    arrays = pack(unpack(state_dict, "torch/LSTM"), "onnx/LSTM")

A row speaks of one layer in one direction; stacking directions ([2, ...] in ONNX) and layer suffixes ("_l0_reverse" in
PyTorch) are the readers' and exporters' business. Deliberately not here: activations, masks, states, any mathematics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from converter.errors import InvalidModel, Unsupported
from converter.gates import table
from converter.gates.conventions import CONVENTIONS, ORDERS, Convention
from converter.gates.notation import Content, Layout, Piece, join, measure, parse, read_piece, split, write_piece
from converter.model import Array

__all__ = ["CONVENTIONS", "Cell", "Convention", "convention", "convert", "pack", "repack", "table", "unpack"]

_FIELDS: Mapping[Content, str] = {
    "W": "kernel", "R": "recurrent_kernel", "b": "bias", "rb": "recurrent_bias", "P": "peephole", "H": "projection",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cell:
    """The weights of one recurrent cell in Keras' packing; g gates, u units, h the size of the recurrent input.

    Attributes:
        kind: "LSTM", "GRU" or "RNN".
        kernel: [in, g·u].
        recurrent_kernel: [h, g·u]; h is u without a projection.
        bias: [g·u], or None for zeros.
        recurrent_bias: [g·u]: a second bias, kept apart where a convention has two; None for zeros.
        peephole: LSTM [3·u], gates i, f, o.
        projection: LSTM [u, h]: the output is (o·tanh(c)) @ projection.
        forget_bias: what the code adds to the forget gate besides the bias.
        reset_after: GRU: the reset gate applies to r·(h @ R + rb) (True) or to (r·h) @ R (False).
    """

    kind: str
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    recurrent_bias: Array | None = None
    peephole: Array | None = None
    projection: Array | None = None
    forget_bias: float = 0.0
    reset_after: bool = False

    @property
    def units(self) -> int:
        """The size u of the cell."""
        return int(self.kernel.shape[1] // len(ORDERS[self.kind]))

    @property
    def single_bias(self) -> Array | None:
        """[g·u]: all that is added to the gates, the two biases and the forget bias; None if nothing is.

        Raises:
            Unsupported: a GRU(reset_after) whose two biases of gate h are not one.
        """
        bias = _fold(self).bias
        return _forget(bias, self.forget_bias, self.units, self.kernel.dtype)


def convention(name: str) -> Convention:
    """The row of a name such as "torch/LSTM".

    Raises:
        Unsupported: there is none.
    """
    found = CONVENTIONS.get(name)
    if found is None:
        raise Unsupported(f"unknown convention {name!r}", hint="known: " + ", ".join(CONVENTIONS))
    return found


def _add(a: Array | None, b: Array | None) -> Array | None:
    """a + b, where adding a zero changes no bit (not even that of -0)."""
    if a is None or b is None:
        return b if a is None else a
    return np.where(b == 0, a, np.where(a == 0, b, a + b))


def _forget(bias: Array | None, amount: float, units: int, dtype: DTypeLike) -> Array | None:
    """The LSTM bias with `amount` added to the forget gate."""
    if not amount:
        return bias
    out = np.zeros(4 * units, dtype) if bias is None else bias.copy()
    out[units : 2 * units] += np.asarray(amount, out.dtype)
    return out


def _holds(row: Convention, content: Content) -> bool:
    """Whether a row has a place for this content."""
    return any(piece.content == content for pattern in row.arrays.values() for piece in parse(pattern).pieces)


def _fold(cell: Cell, *layouts: Layout) -> Cell:
    """The cell with the recurrent bias moved into the bias for every gate that has no place of its own in `layouts`."""
    if cell.recurrent_bias is None:
        return cell
    order, units = ORDERS[cell.kind], cell.units
    places = "".join(p.gates for layout in layouts for p in layout.pieces if p.content == "rb")
    homeless = [gate for gate in order if gate not in places]
    if not homeless:
        return cell
    apart = cell.recurrent_bias.reshape(len(order), units)
    moved, kept = np.zeros_like(apart), apart.copy()
    for gate in homeless:
        index = order.index(gate)
        moved[index], kept[index] = apart[index], 0
    if cell.kind == "GRU" and cell.reset_after and "h" in homeless and np.any(moved[order.index("h")]):
        raise Unsupported("a GRU(reset_after) needs a recurrent bias of its own for gate h")
    return replace(cell, bias=_add(cell.bias, moved.ravel()), recurrent_bias=kept.ravel() if places else None)


def _suited(cell: Cell, row: Convention) -> Cell:
    """The cell as this row can hold it.

    Raises:
        Unsupported: the row has no place for something the cell has.
    """
    if cell.kind != row.cell:
        raise Unsupported(f"{row.name} holds the weights of {row.cell}, not of {cell.kind}")
    if row.reset_after != cell.reset_after:
        raise Unsupported(f"{row.name} applies the reset gate {'after' if row.reset_after else 'before'} the product")
    for content in ("P", "H"):
        if getattr(cell, _FIELDS[content]) is not None and not _holds(row, content):
            raise Unsupported(f"{row.name} has no {_FIELDS[content]}")
    cell = _fold(cell, *(parse(pattern) for pattern in row.arrays.values()))
    if not row.forget_bias_setting:
        bias = _forget(cell.bias, cell.forget_bias - row.forget_bias, cell.units, cell.kernel.dtype)
        cell = replace(cell, bias=bias, forget_bias=row.forget_bias)
    if row.bias_required or cell.bias is not None or cell.recurrent_bias is not None:
        zeros = np.zeros(cell.kernel.shape[1], cell.kernel.dtype)
        second = (zeros if cell.recurrent_bias is None else cell.recurrent_bias) if _holds(row, "rb") else None
        cell = replace(cell, bias=zeros if cell.bias is None else cell.bias, recurrent_bias=second)
    return cell


def pack(cell: Cell, to: str) -> dict[str, Array]:
    """The arrays of a cell as convention `to` stores them, by name.

    Where the convention makes the forget bias a setting, it is the 0-d entry "forget_bias". Values are only moved (and
    negated), never rounded, except where two biases become one or code adds a fixed bias (Haiku): one addition each.

    Raises:
        Unsupported: the convention cannot hold this cell.
    """
    row = convention(to)
    cell = _suited(cell, row)
    sizes = {"in": cell.kernel.shape[0], "u": cell.units, "h": cell.recurrent_kernel.shape[0]}
    arrays: dict[str, Array] = {}
    for name, pattern in row.arrays.items():
        layout = parse(pattern)
        contents = [getattr(cell, _FIELDS[piece.content]) for piece in layout.pieces]
        if any(content is None for content in contents):
            continue
        written = [
            write_piece(array, piece, _order(row.cell, piece.content), sizes)
            for array, piece in zip(contents, layout.pieces, strict=True)
        ]
        arrays[name] = join(written, layout.join)
    if row.forget_bias_setting:
        arrays["forget_bias"] = np.asarray(cell.forget_bias, cell.kernel.dtype)
    return arrays


def _order(kind: str, content: Content) -> str:
    return "ifo" if content == "P" else ORDERS[kind]


def unpack(arrays: Mapping[str, Array], source: str, units: int | None = None) -> Cell:
    """The cell that arrays of convention `source` describe.

    Args:
        arrays: by name, as the row lists them. Biases, peepholes and a projection may be absent; "forget_bias", where
            it is a setting, is taken at the framework's default if absent.
        source: the name of a convention.
        units: needed only where the shapes do not tell (cuDNN's flat buffer).

    Raises:
        InvalidModel: an array is missing, unknown, or of a wrong shape.
    """
    row = convention(source)
    setting = {"forget_bias"} if row.forget_bias_setting else set()
    unknown = sorted(set(arrays) - set(row.arrays) - setting)
    if unknown:
        raise InvalidModel(f"no array {unknown[0]!r} in {row.name}", hint="it has " + ", ".join(row.arrays))
    sizes = measure(row.arrays, arrays, units)
    gates = len(ORDERS[row.cell])
    shapes = {"W": (sizes.get("in", 0), gates), "R": (sizes["h"], gates), "b": (gates,), "rb": (gates,), "P": (3,)}
    contents: dict[str, Array] = {}
    for name, pattern in row.arrays.items():
        layout = parse(pattern)
        if name not in arrays:
            if any(piece.content in ("W", "R") for piece in layout.pieces):
                raise InvalidModel(f"no array {name!r}", where=row.name)
            continue
        for part, piece in zip(split(arrays[name], layout, sizes, name), layout.pieces, strict=True):
            shape = (sizes["u"], sizes["h"])
            if piece.content != "H":
                *rows, count = shapes[piece.content]
                shape = (*rows, count * sizes["u"])  # type: ignore[assignment]
            into = contents.setdefault(piece.content, np.zeros(shape, arrays[name].dtype))
            read_piece(part, piece, _order(row.cell, piece.content), into)
    forget = float(arrays.get("forget_bias", row.forget_bias)) if row.forget_bias_setting else row.forget_bias
    fields = {_FIELDS[content]: array for content, array in contents.items()}  # type: ignore[index]
    return Cell(row.cell, **fields, forget_bias=forget, reset_after=row.reset_after)


def convert(arrays: Mapping[str, Array], source: str, target: str, units: int | None = None) -> dict[str, Array]:
    """The arrays of one convention as those of another: `pack(unpack(arrays, source), target)`."""
    return pack(unpack(arrays, source, units), target)


def repack(array: Array, part: str, source: str, target: str) -> Array:
    """A single array from one convention's layout to another's.

    Args:
        array: as `source` stores it.
        part: "kernel", "recurrent_kernel", "bias", "recurrent_bias", "peephole" or "projection".
        source: name of a convention that holds this part, and nothing else, in one array.
        target: another such name.

    Raises:
        Unsupported: one of the two splits the part over arrays or joins it with another.
        InvalidModel: the shape does not fit.
    """
    content = next((c for c, name in _FIELDS.items() if name == part), None)
    if content is None:
        raise Unsupported(f"unknown part {part!r}", hint="known: " + ", ".join(_FIELDS.values()))
    before, after = (_alone(convention(name), content) for name in (source, target))
    order = _order(convention(source).cell, content)
    if content == "H":
        return np.ascontiguousarray(array if before.axes == after.axes else array.T)
    gated = before.axes.index("gates*u")
    if array.ndim != len(before.axes) or array.shape[gated] % len(order):
        raise InvalidModel(f"shape {array.shape} is no {part} of {source}")
    units = array.shape[gated] // len(order)
    rows = array.size // (len(order) * units)
    sizes = {"in": rows, "u": units, "h": rows}
    into = np.zeros((rows, len(order) * units) if content in "WR" else (len(order) * units,), array.dtype)
    read_piece(array, before, order, into)
    return np.ascontiguousarray(write_piece(into, after, order, sizes))


def _alone(row: Convention, content: Content) -> Piece:
    """The piece that holds all of a content in an array of its own."""
    for pattern in row.arrays.values():
        layout = parse(pattern)
        if layout.join == "" and layout.pieces[0].content == content:
            piece = layout.pieces[0]
            if content == "H" or len(piece.gates) == len(_order(row.cell, content)):
                return piece
    raise Unsupported(f"{row.name} has no array with the {_FIELDS[content]} alone", hint="convert the whole cell")
