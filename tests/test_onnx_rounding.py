"""Comparisons in reduced precision: what rounds to a constant, whether a runtime rounds or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neutral_models import Builder
from onnx_files import exported, run_onnx

from converter.exporters.onnx.rounding import interval
from converter.keras.building.graph import Graph
from converter.keras.building.ops import Ops
from converter.model import Value, constant, dtype_of, layers

MARKERS = [0.0, 0.1, -1.0, -999.9, -9999.0, 65504.0, 1e5, 1e-7, 6e-5, float("inf"), float("-inf")]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@given(st.one_of(st.sampled_from(MARKERS), st.floats(-7e4, 7e4, width=32)), st.integers(-3, 3))
def test_interval(dtype: str, value: float, steps: int) -> None:
    kind = dtype_of(dtype)
    with np.errstate(all="ignore"):
        number = np.array(value, np.float32).astype(kind)
        low, high = interval(float(number), dtype)
        for end in (low, high):
            near = np.array(end, np.float32)
            for _ in range(abs(steps)):
                near = np.nextafter(near, np.float32(np.inf if steps > 0 else -np.inf))
            assert (near.astype(kind) == number) == (low <= near <= high)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("marker", [0.1, -999.9, -9999.0, 0.0])
@pytest.mark.parametrize("rounds", [True, False])
def test_a_mask_holds_whether_a_runtime_rounds_or_not(tmp_path: Path, dtype: str, marker: float, rounds: bool) -> None:
    b = Builder()
    x = b.input("x", (None, 7))
    (low,) = b.node("low", layers.Cast(dtype), [x], (None, 7), dtype=dtype)
    (value,) = b.node("marker", layers.Constant(constant("m", marker, np.float32).astype(dtype)), [], (), dtype=dtype)
    (mask,) = b.node("mask", layers.Elementwise("not_equal"), [low, value], (None, 7), dtype="bool")
    proto = exported(b.model([mask]), tmp_path)
    own = np.float32(marker)
    given = np.array([[marker, own * (1 + 1e-7), own * 1.0001, own * 1.004, own * 1.02, own + 1, np.nan]], np.float32)
    want = given.astype(dtype_of(dtype)) != np.float32(marker).astype(dtype_of(dtype))
    if rounds:
        (got,) = run_onnx(tmp_path, {"x": given})
    else:
        del proto.graph.value_info[:]  # with the types that it had
        for node in proto.graph.node:
            if node.op_type == "Cast":
                node.attribute[0].i = onnx.TensorProto.FLOAT
        (got,) = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"x": given}
        )
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("dtype", "number", "stored"),
    [("float64", 0.1, float(np.float32(0.1))), ("bfloat16", -999.9, np.nan), ("bfloat16", -1000.0, -1000.0),
     ("float16", 0.5, 0.5), ("float16", 0.1, np.nan), ("float32", 0.1, float(np.float32(0.1)))],
)  # fmt: skip
def test_a_number_that_keras_makes_a_float32_first(dtype: str, number: float, stored: float) -> None:
    """What the type of x does not have equals nothing."""
    graph = Graph()
    Ops(graph, "masking").against_single("not_equal", Value("x", (None, 3), dtype), number)
    layer = graph.nodes[0].layer
    assert isinstance(layer, layers.Constant)
    np.testing.assert_array_equal(layer.weight.read().astype(np.float64), stored)
    assert [node.outputs[0].dtype for node in graph.nodes] == [dtype, "bool"]
