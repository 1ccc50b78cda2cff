"""The weights of a recurrent layer gate by gate: the values in both files, and whether they are equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.comparing.compare import GATES, compare_parts
from converter.comparing.comparison import Finding, Pair
from converter.comparing.part import Part
from converter.comparing.parts import parts_of, parts_of_model
from converter.errors import ConversionError
from converter.gates import Cell
from converter.model import Array, Model

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


def grids(model: Model, exported: Path) -> list[Grid]:
    """The recurrent layers of a model beside those of an exported file."""
    ours = [part for part in parts_of_model(model) if part.kind in GATES]
    try:
        theirs = parts_of(exported)
        pairs = {pair.a: pair for pair in compare_parts(parts_of_model(model), theirs).pairs}
    except ConversionError:  # a file that holds more than weights can be read of
        theirs, pairs = [], {}
    by_name = {part.name: part for part in theirs}
    return [_grid(part, pairs.get(part.name), by_name) for part in ours]


def _grid(part: Part, pair: Pair | None, theirs: Mapping[str, Part]) -> Grid:
    cell, other = part.read(), theirs[pair.b].read() if pair is not None else None
    assert isinstance(cell, Cell)
    found = {(one.matrix, one.gate): one for one in pair.findings} if pair is not None else {}
    order = GATES[part.kind]
    squares = tuple(
        Square(
            gate if len(order) > 1 else "",
            matrix,
            _verdict(found, matrix, gate, pair),
            _values(cell, matrix, k),
            _values(other, matrix, k) if isinstance(other, Cell) else None,
        )
        for k, gate in enumerate(order)
        for matrix in MATRICES
    )
    return Grid(part.name, part.kind, squares, pair.explanation if pair is not None else "")


def _verdict(found: Mapping[tuple[str, str], Finding], matrix: str, gate: str, pair: Pair | None) -> str:
    if pair is None:
        return ""
    one = found.get((matrix, gate)) or found.get((matrix, ""))
    return "equal" if one is None else one.verdict


def _values(cell: Cell, matrix: str, gate: int) -> Array | None:
    """Values of one gate, flat; of the bias the sum of two where the gate only sees that."""
    array = cell.single_bias if matrix == "bias" and not cell.reset_after else getattr(cell, matrix)
    if array is None:
        return None
    picked = array[..., gate * cell.units : (gate + 1) * cell.units]
    return np.asarray(picked, np.float64).reshape(-1)
