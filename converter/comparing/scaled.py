"""Weights that were multiplied by factors which their own file names, see `converter.formats.keras_metadata`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converter.comparing.part import Part
from converter.errors import InvalidModel
from converter.gates import ORDERS, Cell
from converter.model import Array

_FIELDS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def unscaled(part: Part) -> Cell | Mapping[str, Array]:
    """The weights as they were before they were multiplied by the part's factors.

    Raises:
        InvalidModel: there are not so many gates.
    """
    found = part.read()
    if not part.factors:
        return found
    arrays = dict(found) if isinstance(found, Mapping) else {name: getattr(found, name) for name in _FIELDS}
    divided: dict[str, Any] = {name: _divided(array, part) for name, array in arrays.items() if array is not None}
    return divided if isinstance(found, Mapping) else replace(found, **divided)


def _divided(array: Array, part: Part) -> Array:
    """The blocks of the last axis divided by one factor each, in float64, rounded once."""
    by = np.array(part.factors)
    if not array.shape or array.shape[-1] % by.size:
        raise InvalidModel(f"{by.size} factors for an array {list(array.shape)}", where=part.name)
    apart = array.reshape(*array.shape[:-1], by.size, -1).astype(np.float64) / by[:, None]
    return np.asarray(apart.reshape(array.shape).astype(array.dtype))


def scale_note(a: Part, b: Part) -> str:
    """What two files say of their factors, in words; "" where neither says anything."""
    found = [f"{w}: {_words(part)}" for w, part in (("first", a), ("second", b)) if part.factors]
    return f"scaled, as the metadata says ({'; '.join(found)})" if found else ""


def _words(part: Part) -> str:
    order = ORDERS.get(part.kind.removeprefix("Conv"), "")
    if len(part.factors) != len(order) or len(order) == 1:
        return f"by {', '.join(f'{factor:g}' for factor in part.factors)}"
    return ", ".join(f"{gate} by {factor:g}" for gate, factor in zip(order, part.factors, strict=True) if factor != 1)
