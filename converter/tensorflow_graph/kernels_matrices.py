"""What TensorFlow's operators on the diagonals of matrices compute, in NumPy, and the bound of what kernels make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Array
from converter.tensorflow_graph.definitions import FOLD_BYTES


def bounded(sizes: Any, itemsize: int = 8) -> tuple[int, ...]:
    """A shape that may be made.

    Raises:
        InvalidModel: a size is negative.
        Unsupported: more than folding is allowed to make.
    """
    shape = tuple(int(n) for n in np.ravel(sizes))
    if any(n < 0 for n in shape):
        raise InvalidModel(f"a tensor of shape {list(shape)}")
    if math.prod(shape) * itemsize > FOLD_BYTES:
        raise Unsupported(f"a tensor of shape {list(shape)} that the graph makes of nothing: too large")
    return shape


def _band(a: Any, x: Array, lower: Array, upper: Array) -> Array:
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return np.where(kept, x, np.zeros((), x.dtype))


def _main(offset: Any) -> None:
    if np.size(offset) != 1 or np.any(offset):
        raise Unsupported("a diagonal that is not the main one")


def _diagonal(a: Any, x: Array, offset: Any = 0, rows: Any = -1, columns: Any = -1, padding: Any = 0) -> Array:
    _main(offset)
    size = x.shape[-1]
    shape = [size if int(np.ravel(n)[0]) < 0 else int(np.ravel(n)[0]) for n in (rows, columns)]
    if min(shape) != size:
        raise InvalidModel(f"a diagonal of {size} in a matrix of shape {shape}")
    made = np.full(bounded([*x.shape[:-1], *shape], x.dtype.itemsize), padding, x.dtype)
    made[..., np.arange(size), np.arange(size)] = x
    return made


def _set_diagonal(a: Any, x: Array, diagonal: Array, offset: Any = 0) -> Array:
    _main(offset)
    made, places = np.array(x), np.arange(min(x.shape[-2:]))
    made[..., places, places] = diagonal
    return made


MATRICES: Mapping[str, Callable[..., Any]] = {
    "MatrixBandPart": _band,
    **dict.fromkeys(("MatrixDiag", "MatrixDiagV2", "MatrixDiagV3"), _diagonal),
    **dict.fromkeys(("MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3"), _set_diagonal),
}
