"""Arrays that no order and no name gives to the layers of an architecture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from converter.errors import InvalidModel
from converter.keras.arrays.slots import Reading
from converter.keras.arrays.unordered import Holder, options


def test_two_layers_that_only_the_same_arrays_fit_are_refused() -> None:
    """Found by fuzzing: a checkpoint without one kernel, whose layers all had some arrays that fit."""
    layers: Any = [SimpleNamespace(name="a", written_as="LSTM"), SimpleNamespace(name="b", written_as="LSTM")]
    bound: Any = SimpleNamespace(all=lambda: [SimpleNamespace(name="place/kernel")])
    found = [Holder("place", {"a": bound, "b": bound})]
    with pytest.raises(InvalidModel, match="the arrays of 'place' cannot be given out so that each of"):
        options(layers[0], layers, found, Reading(), same_model=False)
