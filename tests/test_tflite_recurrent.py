"""Recurrent layers as TFLite: the whole space of options against the interpreter, at the first call and later ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lite_files import exported, interpreter, operators, run
from test_onnx_recurrent import arrays_for, recurrent_models

from converter import interpret
from converter.exporters.tflite.fused import fits
from converter.model import Model, Node, Value

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
