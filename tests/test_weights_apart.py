"""Arrays that no order and no name gives to the layers of an architecture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from converter.errors import InvalidModel
from converter.keras.arrays.slots import Reading
from converter.keras.arrays.unordered import Holder, fitting, options
from converter.keras.spec import Bound
from converter.model import constant


def test_two_layers_that_only_the_same_arrays_fit_are_refused() -> None:
    """Found by fuzzing: a checkpoint without one kernel, whose layers all had some arrays that fit."""
    layers: Any = [SimpleNamespace(name="a", written_as="LSTM"), SimpleNamespace(name="b", written_as="LSTM")]
    bound: Any = SimpleNamespace(all=lambda: [SimpleNamespace(name="place/kernel")])
    found = [Holder("place", {"a": bound, "b": bound})]
    with pytest.raises(InvalidModel, match="the arrays of 'place' cannot be given out so that each of"):
        options(layers[0], layers, found, Reading(), same_model=False)


@pytest.mark.parametrize(
    ("class_name", "gates"),
    [("LSTM", 4), ("CuDNNGRU", 3), ("ConvLSTM2D", 4), ("ConvLSTM1DCell", 4), ("PeepholeLSTMCell", 4), ("Conv2D", 1),
     ("SimpleRNN", 1), ("Dense", 1)],
)  # fmt: skip
def test_a_layer_has_a_column_for_each_gate_of_a_unit(class_name: str, gates: int) -> None:
    layer: Any = SimpleNamespace(name="a", class_name=class_name, config=SimpleNamespace(units=5), children={})
    for count in (1, 3, 4):
        bound = Bound({"kernel": constant("kernel", np.zeros((2, 5 * count), np.float32))}, {})
        assert bool(fitting([layer], lambda _, bound=bound: bound)) == (count == gates)
