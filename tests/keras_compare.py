"""Random models built with Keras, saved, converted, run, compared."""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras_models as models
import numpy as np
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from keras_graphs import GraphCase

from converter import interpret
from converter.errors import Unsupported
from converter.exporters.keras import export as write_archive
from converter.exporters.onnx import export
from converter.model import Model
from converter.readers import load

EXAMPLES = int(os.environ.get("KERAS_EXAMPLES", "4"))
LONG = "KERAS_EXAMPLES" in os.environ
# Error allowed by policy, and its rounding in units of float32's.
TOLERANCE = {
    "float32": (2e-5, 1),
    "float64": (2e-5, 1),
    "float16": (2e-2, 2**13),
    "mixed_float16": (2e-2, 2**13),
    "bfloat16": (1e-1, 2**16),
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


def revived(path: Path, model: Model, arrays: list[Any], calls: int) -> list[list[Any]] | None:
    """What Keras 3 makes of the archive that is written of a model; None where Keras 3 cannot compute it."""
    try:
        write_archive(model, path)
    except Unsupported as refusal:
        COUNTS[f"not for Keras 3: {refusal.what}"] += 1
        return None
    again = library(models.KERAS3).saving.load_model(path, compile=False)
    try:
        return truth(again, arrays, calls)
    except library("tensorflow").errors.UnimplementedError:  # convolutions of channels_first on a CPU
        return None


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


def check(case: models.Case | GraphCase) -> None:
    keras = library(case.library)
    try:
        model = case.build(keras)
        arrays = case.arrays(model)
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
        try:
            neutral = load(source)
        except Unsupported as refusal:
            if "Keras leaves it there" not in str(refusal):
                raise
            COUNTS["a mask left on a tensor"] += 1
            reject()
        found = interpreted(neutral, arrays, case.calls)
        target = source.with_suffix(".onnx")
        export(neutral, target)
        made = exported(target, neutral, arrays, case.calls)
        kinds = operators(target)
        again = revived(source.with_suffix(".revived.keras"), neutral, arrays, case.calls)
    rounding = spread(interpreted(neutral, arrays, case.calls, "float32"), found)
    least, units = TOLERANCE[case.policy]
    # onnxruntime's Sigmoid is off by 2e-7, also where it gives 1e-3, which exponential units then multiply.
    steep = 100 if "exponential" in case.text else 1
    allowed = max(least, 20 * rounding * units) * steep
    COUNTS["compared"] += 1
    COUNTS["ill-conditioned"] += rounding > 1e-4
    assert (worst := spread(found, expected)) <= allowed, f"the reference differs from Keras by {worst:.2g}"
    assert (worst := spread(made, expected)) <= allowed, f"onnxruntime differs from Keras by {worst:.2g}"
    if again is not None:
        COUNTS["revived"] += 1
        assert (worst := spread(again, expected)) <= allowed, f"the archive in Keras 3 differs by {worst:.2g}"
    if case.native and "Conv" not in case.text:
        assert not {"Loop", "Scan", "If"} & set(kinds)
        native = kinds["LSTM"] + kinds["GRU"] + kinds["RNN"]
        sides = case.text.count("Bidirectional")  # a masked one is two operators, so that none relies on sequence_lens
        assert any(least <= native <= least + sides for least in case.operators)


def over(cases: st.SearchStrategy[Any], share: float = 1.0) -> None:
    """Draw cases and check them."""

    @settings(
        max_examples=max(1, round(EXAMPLES * share)), deadline=None, database=None, derandomize=not LONG,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(cases)
    def run(case: Any) -> None:
        check(case)

    run()
