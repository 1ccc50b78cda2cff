"""One layer of a file as far as its weights go, whatever kind of file it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from converter.gates import Cell, unpack
from converter.model import Array, Weight, constant


@dataclass(frozen=True)
class Part:
    """One layer, or one direction of a recurrent layer.

    Attributes:
        name: in its file.
        kind: "LSTM", "GRU", "RNN", "Dense", ...
        sizes: what tells it from others of its kind: features and units, or the shapes of its arrays.
        read: reads its weights: a cell, or arrays by field.
        factors: what the file says its gates were multiplied by, () for nothing.
        folded: the same layer as files hold it that say it in arithmetic, which loses something; None for most layers.
        uses: how often the file's graph takes these arrays, for each of which another file may hold them again.
    """

    name: str
    kind: str
    sizes: tuple[object, ...]
    read: Callable[[], Cell | Mapping[str, Array]]
    factors: tuple[float, ...] = ()
    folded: Part | None = None
    uses: int = 1

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for layers that may be counterparts."""
        return self.kind, self.sizes


NEUTRAL = {"gamma": 1.0, "beta": 0.0}  # what a normalization without the array has there; PyTorch writes it


def plain(name: str, kind: str, weights: Mapping[str, Weight]) -> Part:
    """A layer that is no cell: its arrays by the neutral names of their fields."""
    if kind in ("BatchNormalization", "LayerNormalization") and weights:
        like = next(iter(weights.values()))
        filled = {field: constant(field, np.full(like.shape, value), like.dtype) for field, value in NEUTRAL.items()}
        weights = {**filled, **weights}
    sizes = tuple(sorted((field, weight.shape) for field, weight in weights.items()))
    return Part(name, kind, sizes, lambda: {field: weight.read() for field, weight in weights.items()})


def unpacked(arrays: Mapping[str, Weight], convention: str) -> Cell:
    """The values of a cell whose arrays lie as a row of `gates.CONVENTIONS` says."""
    return unpack({name: weight.read() for name, weight in arrays.items()}, convention)
