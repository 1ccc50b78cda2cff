"""hard_sigmoid of old Keras, clip(0.2x + 0.5), and ONNX' of any slope, in archives: exact, or refused as what it is.

And functions over an axis, which a cell has of its last one.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from neutral_models import Builder

from converter import api, interpret
from converter.comparing.compare import compare_parts
from converter.comparing.parts import parts_of, parts_of_model
from converter.errors import Unsupported
from converter.exporters import EXPORTERS
from converter.keras import build
from converter.keras.source import FlatWeights, Source
from converter.model import Model, Provenance, constant, layers
from converter.model.activations import NAMES, Activation
from converter.model.layers import Direction, Recurrent

TANH, SIGMOID = Activation("tanh"), Activation("sigmoid")
OLD, STEEP, MOVED = (
    Activation("hard_sigmoid", (slope, offset)) for slope, offset in ((0.2, 0.5), (0.7, 0.5), (0.3, 0.4))
)


def model(kind: str, own: Activation, gate: Activation) -> Model:
    b = Builder()
    x = b.input("x", (None, 6, 3))
    if kind == "Dense":
        return b.model(b.node("one", layers.Dense(b.weight(3, 5), b.weight(5), own), [x], (None, 6, 5)))
    cell = {
        "LSTM": lambda: b.lstm(3, 5, own, gate), "GRU": lambda: b.gru(3, 5, own, gate),
        "GRU before": lambda: b.gru(3, 5, own, gate, reset_after=False), "RNN": lambda: b.simple(3, 5, own),
    }[kind]()  # fmt: skip
    states = 2 if kind == "LSTM" else 1
    outputs = b.node("one", Recurrent((Direction(cell),)), [x, *[None] * (1 + states)], *[(None, 5)] * (1 + states))
    return b.model(outputs[:1])


@pytest.mark.parametrize(("kind", "own", "gate"), [
    *product(("GRU", "GRU before"), (OLD, STEEP), (SIGMOID, OLD, STEEP)),
    *product(("LSTM",), (TANH,), (OLD, STEEP)),
    *product(("RNN", "Dense"), (OLD, STEEP), (SIGMOID,)),
    *product(("LSTM", "GRU", "RNN"), (NAMES["softmax"], NAMES["sparsemax"]), (NAMES["softmax"],)),
    ("Dense", MOVED, SIGMOID),
])  # fmt: skip
def test_other_slopes_and_last_axes_are_exact(kind: str, own: Activation, gate: Activation, tmp_path: Path) -> None:
    made = model(kind, own, gate)
    EXPORTERS["keras"].export(made, tmp_path / "m.keras")
    again = api.load(tmp_path / "m.keras")
    x = np.random.default_rng(1).normal(0, 4, (4, 6, 3)).astype(np.float32)
    want = interpret.run(made, {"x": x})[made.outputs[0].name]
    have = interpret.run(again, {again.inputs[0].name: x})[again.outputs[0].name]
    np.testing.assert_allclose(have, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("kind", "own", "gate", "said"), [
    ("LSTM", OLD, SIGMOID, r"clip\(0.2x \+ 0.5\), Keras 3's hard_sigmoid is clip\(x/6 \+ 0.5\), and it also acts on"),
    ("LSTM", TANH, MOVED, r"its activation is clip\(0.3x \+ 0.4\), Keras 3's hard_sigmoid is clip\(x/6 \+ 0.5\)"),
    ("GRU", MOVED, SIGMOID, r"its activation is clip\(0.3x \+ 0.4\)"),
    ("RNN", Activation("celu", (2.0,)), SIGMOID, "no name for activation celu with 2"),
])  # fmt: skip
def test_what_is_not_exact_is_named(kind: str, own: Activation, gate: Activation, said: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=said):
        EXPORTERS["keras"].export(model(kind, own, gate), tmp_path / "m.keras")
    assert not any(tmp_path.iterdir())


def test_a_slope_that_is_a_constant_of_float32_is_proved(tmp_path: Path) -> None:
    """Highway's becomes arithmetic: 0.2 is off by 3e-9 there, more than the order of sums."""
    model = Path(__file__).parents[1] / "fixtures/good/k122_highway/model.h5"
    (report,) = api.convert(model, tmp_path / "m.keras", to="keras").reports
    assert report.passed


def test_factors_are_found_where_keras_3_casts_elsewhere(tmp_path: Path) -> None:
    """tf.keras casts behind a normalization in float16, Keras 3 in the layer after it: its node has another number."""
    random = np.random.default_rng(1)
    options = {"dense": ("Dense", {"units": 3}), "bn": ("BatchNormalization", {}),
               "lstm": ("LSTM", {"units": 3, "recurrent_activation": "hard_sigmoid"})}  # fmt: skip
    shapes = {"dense": [(3, 3), (3,)], "bn": [(3,)] * 4, "lstm": [(3, 12), (3, 12), (12,)]}
    policy = {"dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}
    stack = [{"class_name": kind, "config": {"name": name, **more, **policy}} for name, (kind, more) in options.items()]
    stack[0]["config"]["batch_input_shape"] = [None, 6, 3]  # type: ignore[index]
    weights = {
        name: tuple(constant(f"{name}/{k}", random.uniform(0.2, 1, s).astype("float32")) for k, s in enumerate(rows))
        for name, rows in shapes.items()
    }
    architecture = {"class_name": "Sequential", "config": {"name": "m", "layers": stack}}
    made = build(Source(architecture, FlatWeights(weights), Provenance("m.h5", "HDF5 whole model", "2.15.0")))
    EXPORTERS["keras"].export(made, tmp_path / "m.keras")
    assert compare_parts(parts_of_model(made), parts_of(tmp_path / "m.keras")).equal
