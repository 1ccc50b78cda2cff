"""Random recurrent models against Keras 3 and tf_keras: built, saved, converted, run, compared.

KERAS_EXAMPLES sets how many models each test draws; those beyond the default are drawn anew every time.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras_models as models
import keras_spaces as spaces
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from converter import interpret
from converter.exporters.onnx import export
from converter.model import Model
from converter.readers import load

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        not all(find_spec(name) for name in ("tensorflow", "keras", "tf_keras")), reason="needs TensorFlow and tf_keras"
    ),
    pytest.mark.filterwarnings("ignore"),
]
EXAMPLES = int(os.environ.get("KERAS_EXAMPLES", "4"))
LONG = "KERAS_EXAMPLES" in os.environ
# Error allowed by policy, and its rounding in units of float32's.
TOLERANCE = {
    "float32": (2e-5, 1),
    "float64": (2e-5, 1),
    "mixed_float16": (2e-2, 2**13),
    "mixed_bfloat16": (1e-1, 2**16),
}
COUNTS: Counter[str] = Counter()  # of models compared and of those Keras itself refused, for long runs


@cache
def library(name: str) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


def truth(model: Any, arrays: list[Any], calls: int) -> list[list[Any]]:
    """What Keras itself makes of the inputs, call after call."""
    return [[np.asarray(t, np.float64) for t in models.flat(model(arrays, training=False))] for _ in range(calls)]


def interpreted(model: Model, arrays: list[Any], calls: int, dtype: str = "float64") -> list[list[Any]]:
    feeds = {value.name: array for value, array in zip(model.inputs, arrays, strict=True)}
    states: dict[str, Any] = {}
    results = []
    for _ in range(calls):
        found = interpret.run(model, feeds, dtype=dtype, states=states)
        states = {state.input.name: found[state.output.name] for state in model.states}
        results.append([found[value.name] for value in model.outputs])
    return results


def exported(path: Path, model: Model, arrays: list[Any], calls: int) -> list[list[Any]]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    settings_ = onnxruntime.SessionOptions()
    settings_.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings_, providers=["CPUExecutionProvider"])
    pairs = json.loads(session.get_modelmeta().custom_metadata_map.get("keras.states", "[]"))
    kinds = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
    feeds = {value.name: array for value, array in zip(model.inputs, arrays, strict=True)}
    for entry in session.get_inputs():
        if entry.name not in feeds:
            feeds[entry.name] = np.zeros(
                [len(arrays[0]) if d in (None, "batch") else d for d in entry.shape], kinds[entry.type]
            )
    names = [output.name for output in session.get_outputs()]
    results = []
    for _ in range(calls):
        found = dict(zip(names, session.run(None, feeds), strict=True))
        feeds |= {pair["input"]: found[pair["output"]] for pair in pairs}
        results.append([found[name] for name in model.output_names])
    return results


def spread(runs: list[list[Any]], others: list[list[Any]]) -> float:
    """The largest difference, relative to the size of the outputs."""
    worst = 0.0
    for mine, theirs in zip(models.flat(runs), models.flat(others), strict=True):
        assert mine.shape == theirs.shape
        scale = max(1.0, float(np.abs(theirs).max(initial=0)))
        worst = max(worst, float(np.abs(np.asarray(mine, np.float64) - theirs).max(initial=0)) / scale)
    return worst


def operators(path: Path) -> Counter[str]:
    import onnx

    return Counter(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)


def recurrent_operators(case: models.Case) -> int:
    """How many there must be: one a cell, and one for two directions of like cells."""
    total = 0
    for block in case.blocks:
        sides = [models.cells_in(side) for side in models.sides(block.layer)]
        like = len(sides) == 2 and all(len(cells) == 1 for cells in sides) and alike(*(cells[0] for cells in sides))
        total += 1 if like else sum(len(cells) for cells in sides)
    return total


def misplaced(case: models.Case) -> bool:
    """Unrolled masked layers of two directions may need two operators: Keras misplaces the zeros of one of them."""
    return case.source != "floats" and "'unroll': True" in str(case.blocks)


def alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    same = ("class_name", "units", "reset_after")
    return [str(a.get(k, True)).removesuffix("Cell") for k in same] == [
        str(b.get(k, True)).removesuffix("Cell") for k in same
    ]


def check(case: models.Case) -> None:
    keras = library(case.library)
    try:
        model = models.build(keras, case)
        arrays = models.arrays(case, model)
        expected = truth(model, arrays, case.calls)
        folder = TemporaryDirectory()
        source = Path(folder.name, f"model{case.suffix}")
        model.save(source)
    except Exception as problem:  # noqa: BLE001 (what Keras itself cannot do is no case)
        COUNTS[f"refused {case.library} {type(problem).__name__} {str(problem)[:160]}"] += 1
        reject()
    if not all(np.isfinite(e).all() and np.abs(e).max(initial=0) < 1e3 for e in models.flat(expected)):
        COUNTS["unbounded"] += 1
        reject()
    with folder:
        neutral = load(source)
        found = interpreted(neutral, arrays, case.calls)
        target = source.with_suffix(".onnx")
        export(neutral, target)
        made = exported(target, neutral, arrays, case.calls)
        kinds = operators(target)
    rounding = spread(interpreted(neutral, arrays, case.calls, "float32"), found)
    least, units = TOLERANCE[case.policy]
    # onnxruntime's Sigmoid is off by 2e-7, also where it gives 1e-3, which exponential units then multiply.
    steep = 100 if "exponential" in str(case.blocks) else 1
    allowed = max(least, 20 * rounding * units) * steep
    COUNTS["compared"] += 1
    COUNTS["ill-conditioned"] += rounding > 1e-4
    assert (worst := spread(found, expected)) <= allowed, f"the reference differs from Keras by {worst:.2g}"
    assert (worst := spread(made, expected)) <= allowed, f"onnxruntime differs from Keras by {worst:.2g}"
    if case.native and "Conv" not in str(case.blocks):
        assert not {"Loop", "Scan", "If"} & set(kinds)
        made_of = kinds["LSTM"] + kinds["GRU"] + kinds["RNN"]
        assert made_of == recurrent_operators(case) or misplaced(case)


def over(cases: st.SearchStrategy[models.Case], share: float = 1.0) -> None:
    """Draw cases and check them."""

    @settings(
        max_examples=max(1, round(EXAMPLES * share)), deadline=None, database=None, derandomize=not LONG,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(cases)
    def run(case: models.Case) -> None:
        check(case)

    run()


LIBRARIES = pytest.mark.parametrize("library_name", [models.KERAS3, models.TF_KERAS])


@LIBRARIES
def test_arguments_of_lstm(library_name: str) -> None:
    over(spaces.lstm_cases(library_name), 2)


@LIBRARIES
def test_native_layers(library_name: str) -> None:
    over(spaces.recurrent_cases(library_name, native=True), 2)


@LIBRARIES
def test_layers_of_any_activation(library_name: str) -> None:
    over(spaces.recurrent_cases(library_name, native=False))


@LIBRARIES
@pytest.mark.parametrize("native", [True, False])
def test_layers_in_time_distributed(library_name: str, native: bool) -> None:
    over(spaces.distributed_cases(library_name, native), 0.5)


@LIBRARIES
def test_convolutional_layers(library_name: str) -> None:
    over(spaces.convolutional_cases(library_name, native=True), 0.5)


def bidirectional(layer: dict[str, Any], **backward: Any) -> dict[str, Any]:
    other = {**layer, "name": "other_way", "go_backwards": True, **backward}
    return {"class_name": "Bidirectional", "layer": layer, "backward_layer": other, "merge_mode": "concat"}


GRU = {"class_name": "GRU", "units": 2, "return_sequences": True}
CONV = {"class_name": "ConvLSTM1D", "filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True}
# What random models once found: a layer, where its initial states come from, the model's input shape and source.
FOUND = {
    "unrolled backwards, Keras misplaces zeros": (bidirectional({**GRU, "unroll": True}), "none", (4, 3), "masking"),
    "no zeros unless return_sequences": (
        bidirectional({**GRU, "return_sequences": False, "zero_output_for_mask": True}), "none", (4, 3), "masking",
    ),
    "units that broadcast": ({**bidirectional(GRU, units=1), "merge_mode": "sum"}, "none", (4, 3), "floats"),
    "a mask of places": (
        {"class_name": "Bidirectional", "layer": CONV, "merge_mode": "sum"}, "none", (4, 5, 2), "masking",
    ),
    "a single step": (GRU, "inputs", (1, 3), "mask"),
}  # fmt: skip


@LIBRARIES
@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(library_name: str, name: str) -> None:
    layer, initial, shape, source = FOUND[name]
    layer = {"backward_layer": None, **layer} if layer["class_name"] == "Bidirectional" else layer
    time = shape[0]
    rows = [[k % 2 == 1 or k == time - 1 for k in range(time)], [k < 2 for k in range(time)], [False] * time]
    for suffix in (".h5", ".keras"):
        check(models.Case(library_name, suffix, source, shape, rows, (models.Block(layer, initial),), 5))
