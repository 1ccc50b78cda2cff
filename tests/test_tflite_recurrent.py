"""Recurrent layers as TFLite: the whole space of options against the interpreter, at the first call and later ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lite_files import exported, interpreter, operators, run
from neutral_models import Builder
from test_onnx_recurrent import arrays_for, recurrent_models

from converter import convert, interpret
from converter.exporters.tflite.fused import fits
from converter.model import Model, Node, Value, layers
from converter.model.layers import Direction, Recurrent
from converter.verification import verify

FUSED = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN")


def fixed(model: Model, batch: int, time: int) -> Model:
    """The model with all sizes known."""
    (node,) = model.nodes
    layer: Any = node.layer
    steps = (time, batch) if layer.time_major else (batch, time)

    def known(value: Value | None) -> Value | None:
        if value is None or None not in value.shape:
            return value
        lead = steps if value.shape[:2] == (None, None) else (batch,)
        return replace(value, shape=(*lead, *value.shape[len(lead) :]))

    inputs, outputs = (tuple(map(known, side)) for side in (node.inputs, node.outputs))
    changed = Node(node.name, layer, inputs, outputs, node.keras_layer)  # type: ignore[arg-type]
    return replace(
        model, inputs=tuple(map(known, model.inputs)), outputs=tuple(map(known, model.outputs)), nodes=(changed,)
    )  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recurrent_models(),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from(["random", "none", "all", "pre", "post"]),
    st.booleans(),
    st.integers(0, 9),
)
def test_recurrent_options(
    tmp_path: Path, drawn: Any, batch: int, time: int, pattern: str, static: bool, seed: int
) -> None:
    model, directions = drawn
    time_major = model.nodes[0].layer.time_major
    path = exported(fixed(model, batch, time) if static else model, tmp_path / "m.tflite")
    made = interpreter(path)
    for turn in range(2):  # states of the first call must not reach the second
        arrays = arrays_for(model, batch, time, pattern, time_major, seed + turn)
        with np.errstate(all="ignore"):
            truth, rounded = (interpret.run(model, arrays, dtype=dtype) for dtype in ("float64", "float32"))
        assume(all(np.abs(array).max() < 1e6 for array in truth.values()))  # linear gates can blow up
        for value, got in zip(model.outputs, run(made, *arrays.values()), strict=True):
            want = truth[value.name]
            assert got.shape == want.shape
            noise = np.abs(rounded[value.name] - want).max()
            np.testing.assert_allclose(got, want, atol=3e-6 * max(1, np.abs(want).max()) + 20 * noise, rtol=0)
    if model.nodes[0].inputs[1] is None and all(fits(direction.cell) for direction in directions):
        used = operators(path)
        assert used["WHILE"] == used["SPLIT"] == 0
        assert sum(used[kind] for kind in FUSED) in (1, len(directions))  # one per direction that is read


def test_sizes_that_are_computed_before_a_fused_layer_leave_room_for_its_states(tmp_path: Path) -> None:
    """Positions by RANGE: LiteRT then had room for one row of each state, and five rows overwrote one another."""
    b = Builder()
    x = b.input("x", (None, None, 3))
    size = b.node("size", layers.Size(1), [x], (), dtype="int64")
    (steps,) = b.node("range", layers.Range(), size, (None,), dtype="int64")
    (row,) = b.node("row", layers.ExpandDims((0,)), [steps], (1, None), dtype="int64")
    (places,) = b.node("places", layers.Embedding(b.weight(30, 3)), [row], (1, None, 3))
    (moved,) = b.node("moved", layers.Elementwise("add"), [x, places], (None, None, 3))
    rnn = Recurrent((Direction(b.lstm(3, 4)),), return_sequences=True)
    y, *_ = b.node("lstm", rnn, [moved, None, None, None], (None, None, 4), (None, 4), (None, 4))
    made = b.model([y])
    array = np.random.default_rng(0).normal(size=(16, 7, 3)).astype(np.float32)
    path = exported(made, tmp_path / "m.tflite")
    assert "RANGE" not in operators(path)
    (have,) = run(interpreter(path), array)
    np.testing.assert_allclose(have, interpret.run(made, {"x": array})[y.name], rtol=0, atol=1e-6)


def test_a_fused_layer_next_to_computed_sizes_is_proved(tmp_path: Path) -> None:
    """Delegates take what starts the states, and compute it after the sizes: nothing that they take may do so."""
    model = Path(__file__).parents[1] / "fixtures/good/tf115_lengths/export"
    assert all(report.passed for report in convert(model, tmp_path / "m.tflite", to="tflite").reports)


def test_a_sequence_that_nobody_reads_is_not_said_to_be_there(tmp_path: Path) -> None:
    """The last output was said to be it, which failed the proof of an encoder's state."""
    b = Builder()
    x = b.input("x", (None, None, 3))
    rnn = Recurrent((Direction(b.gru(3, 4)),), return_sequences=True)
    _, h = b.node("gru", rnn, [x, None, None], (None, None, 4), (None, 4))
    (y,) = b.node("dense", layers.Dense(b.weight(4, 2), b.weight(2)), [h], (None, 2))
    made = b.model([h, y], ["state", "y"])
    assert verify(made, exported(made, tmp_path / "m.tflite")).passed
