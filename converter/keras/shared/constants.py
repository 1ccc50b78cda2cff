"""Constants that a layer is called on in place of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from converter.errors import Unsupported, clean
from converter.keras.building.graph import Tensor, refuse_large
from converter.keras.building.ops import Ops
from converter.keras.spec import flatten

DTYPES = {"f": "float32", "i": "int32", "b": "bool"}  # of lists, as TensorFlow makes tensors of them


def as_tensors(ops: Ops, structure: Any) -> Any:
    """The structure with constants in place of its arrays, and of the lists of numbers that hold no tensor.

    A constant [batch, ...] of several rows fixes the batch of the model; a single row is for all.

    Raises:
        Unsupported: numbers alone, or something else than numbers.
    """
    if structure is None or isinstance(structure, Tensor):
        return structure
    if isinstance(structure, Mapping):
        return {key: as_tensors(ops, item) for key, item in structure.items()}
    if isinstance(structure, list | tuple) and (not structure or flatten(structure)):
        return [as_tensors(ops, item) for item in structure]
    made = constant(ops, structure)
    if not made.shape:
        raise Unsupported(f"is called on the number {clean(structure, 40)} in place of a tensor")
    rows = made.shape[0]
    if rows is not None and rows > 1:
        ops.graph.fix_batch(rows)
    return made


def constant(ops: Ops, given: Any) -> Tensor:
    """An array, or regular lists of numbers, as a tensor; lists in the dtype that TensorFlow gives them.

    Raises:
        Unsupported: something else.
    """
    try:
        array = np.asarray(given)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.name == "bfloat16" or array.dtype.kind in "fiub":
        refuse_large((1, *array.shape))
        own = isinstance(given, np.ndarray) or array.dtype.kind not in DTYPES
        return Tensor(ops.constant(array, array.dtype.name if own else DTYPES[array.dtype.kind]))
    raise Unsupported(f"is called on {clean(given, 40)}, which is no array of numbers")
