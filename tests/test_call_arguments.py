"""What a recurrent layer is called with: constant states, masks and keywords, right ones and wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.interpret import run
from converter.keras import build
from converter.keras.source import FlatWeights, Source
from converter.model import Model, Provenance, constant

ROW = [[0.5, -0.5]]


def called_with(keywords: dict[str, Any]) -> Model:
    """An LSTM of tf.keras, called on [batch, 4, 3] with keywords as the file has them."""
    random = np.random.default_rng(1)
    shapes = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
    arrays = tuple(constant(f"l/{name}:0", random.normal(size=s).astype("float32")) for name, s in shapes.items())
    layers = [
        {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [None, 4, 3]},
         "inbound_nodes": []},
        {"class_name": "LSTM", "name": "l", "config": {"name": "l", "units": 2},
         "inbound_nodes": [[["x", 0, 0, keywords]]]},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["l", 0, 0]]}
    architecture = {"class_name": "Functional", "config": config}
    return build(Source(architecture, FlatWeights({"l": arrays}), Provenance("m.h5", "HDF5 whole model", "2.15.0")))


def test_constant_states_count_and_fix_the_batch() -> None:
    x = np.random.default_rng(2).normal(size=(2, 4, 3))
    model = called_with({"initial_state": [ROW * 2, ROW * 2]})
    assert model.inputs[0].shape == (2, 4, 3)
    (y,) = (run(model, {"x": x})[v.name] for v in model.outputs)
    plain = called_with({})
    assert plain.inputs[0].shape == (None, 4, 3)
    (z,) = (run(plain, {"x": x})[v.name] for v in plain.outputs)
    assert np.abs(y - z).max() > 1e-3


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"initial_state": [ROW, [[1, "a"]]]}, InvalidModel, "no array of numbers"),
        ({"initial_state": [[[1, 2], [3]], ROW]}, InvalidModel, "no array of numbers"),
        ({"initial_state": [[[1, 2, 3]], ROW]}, InvalidModel, "has shape"),
        ({"initial_state": [ROW, ROW * 2]}, InvalidModel, "batches of 1 and of 2"),
        ({"initial_state": [ROW]}, InvalidModel, "1 initial states are passed, 2 expected"),
        ({"initial_state": "zeros"}, Unsupported, "an initial state that is a str"),
        ({"mask": "zeros"}, Unsupported, "which is no array of numbers"),
        ({"attention": 3}, Unsupported, "is called with attention="),
    ],
)
def test_wrong_arguments_are_refused(keywords: dict[str, Any], error: type[ConversionError], message: str) -> None:
    with pytest.raises(error, match=message):
        called_with(keywords)
