"""A stateful model streamed in chunks of any size gives what one long run gives, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter import convert
from converter.exporters import onnx as onnx_exporter
from converter.keras import build
from converter.keras.source import FlatWeights, Source
from converter.model import Array, Provenance, Weight, constant

UNITS, FEATURES, BATCH, TIME = 5, 3, 2, 12


GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def stateful(kind: str, masked: bool) -> Source:
    """Two stateful layers over an open time axis, or one of two cells; behind a Masking if asked."""
    shape = [BATCH, None, FEATURES]
    first: dict[str, Any] = {"class_name": "Masking", "config": {"name": "mask", "batch_input_shape": shape}}
    layers, weights = ([first] if masked else []), {}
    stacked = kind == "cells"
    for k, features in enumerate((FEATURES,) if stacked else (FEATURES, UNITS)):
        options = {"name": f"rnn_{k}", "stateful": True, "return_sequences": True}
        options |= {"cell": [cell("LSTM"), cell("GRU")]} if stacked else {"units": UNITS}
        options |= {} if layers else {"batch_input_shape": shape}
        layers.append({"class_name": "RNN" if stacked else kind, "config": options})
        kinds = [("LSTM", features), ("GRU", UNITS)] if stacked else [(kind, features)]
        weights[f"rnn_{k}"] = tuple(w for n, (c, size) in enumerate(kinds) for w in arrays(c, size, f"rnn_{k}_{n}"))
    architecture = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    return Source(architecture, FlatWeights(weights), Provenance("m.h5", "HDF5 whole model", "2.15.0"))


def cell(kind: str) -> dict[str, Any]:
    return {"class_name": f"{kind}Cell", "config": {"name": kind.lower(), "units": UNITS}}


def arrays(kind: str, features: int, name: str) -> list[Weight]:
    random = np.random.default_rng(len(name) + features)
    wide = GATES[kind] * UNITS
    bias = (2, wide) if kind == "GRU" else (wide,)
    shapes = {"kernel": (features, wide), "recurrent_kernel": (UNITS, wide), "bias": bias}
    return [constant(f"{name}/{n}:0", random.normal(0, 0.5, shape).astype("float32")) for n, shape in shapes.items()]


def stream(path: Path, x: Array, sizes: list[int]) -> tuple[Array, list[Array]]:
    """All outputs joined in time, and the last states."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pairs = json.loads(session.get_modelmeta().custom_metadata_map["keras.states"])
    states = {pair["input"]: np.zeros((BATCH, UNITS), "float32") for pair in pairs}
    names = [output.name for output in session.get_outputs()]
    parts, start = [], 0
    for size in sizes:
        feeds = {session.get_inputs()[0].name: x[:, start : start + size], **states}
        values = dict(zip(names, session.run(names, feeds), strict=True))
        states = {pair["input"]: values.pop(pair["output"]) for pair in pairs}
        parts += values.values()
        start += size
    return np.concatenate(parts, axis=1), list(states.values())


@pytest.fixture(scope="module", params=["LSTM", "GRU", "SimpleRNN", "cells"])
def files(request: Any, tmp_path_factory: Any) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("stream")
    paths = {masked: folder / f"{masked}.onnx" for masked in (False, True)}
    for masked, path in paths.items():
        onnx_exporter.export(build(stateful(request.param, masked)), path)
    return paths


@settings(max_examples=15, deadline=None)
@given(data=st.data(), masked=st.booleans(), seed=st.integers(0, 99))
def test_chunks_of_any_size_equal_one_long_run(files: dict[bool, Path], data: Any, masked: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    steps = random.random((BATCH, TIME)) > 0.4 * masked
    x[~steps] = 0.0
    sizes: list[int] = []
    while sum(sizes) < TIME:
        sizes.append(data.draw(st.integers(1, TIME - sum(sizes)), label="steps"))
    whole, after = stream(files[masked], x, [TIME])
    parts, carried = stream(files[masked], x, sizes)
    # A masked step repeats the output before it, which a chunk does not know at its start, as in Keras.
    np.testing.assert_array_equal(parts[steps], whole[steps])
    for a, b in zip(carried, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_states_in_float64_that_masked_rows_keep_are_rounded_to_float32(tmp_path: Path) -> None:
    """onnxruntime has no LSTM in float64: a row whose steps are all masked keeps its state up to float32."""
    model = Path(__file__).parents[1] / "fixtures/good/k3151_edges64/model.keras"
    assert all(report.passed for report in convert(model, tmp_path / "model.onnx", stateful=True).reports)
