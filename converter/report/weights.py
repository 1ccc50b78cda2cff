"""The weights of a recurrent layer gate by gate: the values in both files, and whether they are equal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.comparing.compare import compare_parts
from converter.comparing.comparison import Pair
from converter.comparing.part import Part
from converter.comparing.parts import parts_of, parts_of_model
from converter.errors import ConversionError
from converter.exporters.weights import cells, owned
from converter.gates import ORDERS, Cell
from converter.model import Array, Model
from converter.verification.report import Report

_ORDERS = {**ORDERS, "ConvLSTM": ORDERS["LSTM"]}
MATRICES = ("kernel", "recurrent_kernel", "bias")


@dataclass(frozen=True)
class Square:
    """One gate of one matrix.

    Attributes:
        gate: i, f, c, o; z, r, h; "" of a cell without gates.
        matrix: one of `MATRICES`.
        verdict: "equal", "rounding", "different", ...; "" where the files cannot be compared.
        ours, theirs: the values of the model and of the exported file; None where there are none.
    """

    gate: str
    matrix: str
    verdict: str
    ours: Array | None
    theirs: Array | None


@dataclass(frozen=True)
class Grid:
    """The gates of one direction of a layer; `said` explains a difference in words."""

    name: str
    kind: str
    squares: tuple[Square, ...]
    said: str = ""


def grids(model: Model, exported: Path, report: Report) -> list[Grid]:
    """The recurrent layers of a model next to those of an exported file.

    Where the file is not read back, its proof says which weights were found in it bit for bit.
    """
    ours = [part for part in parts_of_model(model) if part.kind in _ORDERS]
    try:
        theirs = parts_of(exported)
        pairs = {pair.a: pair for pair in compare_parts(parts_of_model(model), theirs).pairs}
    except ConversionError:  # a file that holds more than weights can be read of
        theirs, pairs = [], {}
    by_name = {part.name: part for part in theirs}
    found = {name for one in report.weights for name in one.sources}
    known = {
        " ".join(part for part in (node.name, side) if part): {name for name, w in owned(cell) if w.name in found}
        for node in model.nodes
        for side, cell in cells(node)
    }
    return [_grid(part, pairs.get(part.name), by_name, known.get(part.name, set())) for part in ours]


def _grid(part: Part, pair: Pair | None, theirs: Mapping[str, Part], found: Collection[str]) -> Grid:
    cell, other = part.read(), theirs[pair.b].read() if pair is not None else None
    order = _ORDERS[part.kind]
    squares = []
    for k, gate in enumerate(order):
        for matrix in MATRICES:
            a, b = _values(cell, matrix, k, len(order)), _values(other, matrix, k, len(order))
            if pair is None and (matrix in found or a is None):
                verdict, b = "equal", a
            else:
                verdict = "" if pair is None else _verdict(pair, matrix, gate, a, b)
            squares.append(Square(gate if len(order) > 1 else "", matrix, verdict, a, b))
    return Grid(part.name, part.kind, tuple(squares), pair.explanation if pair is not None else "")


def _verdict(pair: Pair, matrix: str, gate: str, a: Array | None, b: Array | None) -> str:
    """What was found of the gate, or of its matrix as a whole where gates were not looked at one by one."""
    found = {(one.matrix, one.gate): one.verdict for one in pair.findings}
    if (matrix, gate) in found:
        return found[matrix, gate]
    same = a is not None and b is not None and np.array_equal(a, b)
    return "equal" if same else found.get((matrix, ""), "equal")


def _values(cell: Cell | Mapping[str, Array] | None, matrix: str, gate: int, count: int) -> Array | None:
    """Values of one gate, flat; of the bias the sum of two where the gate only sees that."""
    if isinstance(cell, Cell):
        array = cell.single_bias if matrix == "bias" and not cell.reset_after else getattr(cell, matrix)
    else:
        array = None if cell is None else cell.get(matrix)
    if array is None:
        return None
    units = array.shape[-1] // count
    return np.asarray(array[..., gate * units : (gate + 1) * units], np.float64).reshape(-1)
