"""Exports, runs and compares, for the tests of the ONNX exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from neutral_models import feed

from converter import interpret
from converter.exporters.onnx import export
from converter.model import Array, Model

onnxruntime.set_default_logger_severity(3)


def exported(model: Model, path: Path, **options: Any) -> onnx.ModelProto:
    target = path / "model.onnx"
    target.unlink(missing_ok=True)
    export(model, target, **options)
    onnx.checker.check_model(str(target), full_check=True)
    return onnx.load(target)


def run_onnx(path: Path, arrays: dict[str, Array]) -> list[Array]:
    session = onnxruntime.InferenceSession(path / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, arrays)


def check(model: Model, path: Path, batch: int = 3, open_size: int = 5, tolerance: float = 2e-6, **options: Any) -> Any:
    """Exports, runs and compares with the float64 interpreter; returns the ModelProto."""
    proto = exported(model, path, **options)
    arrays = feed(model, batch, open_size)
    states = {state.input.name: arrays[state.input.name] for state in model.states}
    truth = interpret.run(model, arrays, states=states)
    values = (*model.outputs, *(state.output for state in model.states))
    for value, got in zip(values, run_onnx(path, arrays), strict=True):
        want = truth[value.name]
        assert got.shape == want.shape
        assert got.dtype.name == value.dtype
        np.testing.assert_allclose(got, want, atol=tolerance * max(1, np.abs(want).max(initial=0)), rtol=0)
    return proto


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]
