# ruff: noqa: E501 (a graph is one line)
"""ONNX files of others: arithmetic on sizes and whole numbers, read as onnxruntime computes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from converter import api, interpret

X = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
HALF = "s = Shape (x) n = Gather (s, one) h = Div (n, two)"
BODIES = {
    "mean by a size": "s = Shape (x) n = Gather (s, one) f = Cast <to = 1> (n) t = ReduceSum <keepdims = 0> (x, axis) y = Div (t, f)",
    "half of a size": f"{HALF} f = Cast <to = 1> (h) y = Mul (x, f)",
    "a size over a size": "s = Shape (x) a = Gather (s, one) b = Gather (s, two) c = Cast <to = 1> (a) d = Cast <to = 1> (b) f = Div (c, d) y = Mul (x, f)",
    "whole numbers": "a = Mul (x, seven) i = Cast <to = 7> (a) j = Div (i, two) k = Mod (i, three) m = Mul (k, j) y = Cast <to = 1> (m)",
    "counted down": "s = Shape (x) n = Gather (s, one) m = Sub (n, one) r = Range (m, minus, minus) y = Cast <to = 1> (r)",
    "zeros of a shape": "s = Shape (x) z = ConstantOfShape (s) y = Concat <axis = 1> (x, z)",
    "a row for each": "s = Shape (x) n = Gather (s, zeros) d = Concat <axis = 0> (n, vector, vector) e = Expand (half, d) y = Mul (x, e)",
    "kept where below zero": "s = Shape (x) n = Slice (s, zeros, vector) d = Concat <axis = 0> (n, marks) o = Equal (d, minuses) w = Where (o, ones, d) e = Expand (half, w) y = Mul (x, e)",
    "nearest": "y = Resize <mode = \"nearest\", coordinate_transformation_mode = \"asymmetric\", nearest_mode = \"floor\"> (x, , scales)",
    "norm over time": "y = ReduceL2 <axes = [1], keepdims = 0> (x)",
    "softmax over time": "y = Softmax <axis = 1> (x)",
    "slopes": "y = PRelu (x, slope)",
}  # fmt: skip
CONSTANTS = (
    "int64 one = {1}, int64 two = {2}, int64 three = {3}, int64 minus = {-1}, int64[1] vector = {1}, int64[1] zeros = {0}, "
    "int64[1] axis = {1}, float seven = {7}, float half = {0.5}, int64[2] marks = {-1, -1}, int64[3] minuses = {-1, -1, -1}, "
    "int64[3] ones = {1, 1, 1}, float[3] scales = {1, 2, 1}, float[3] slope = {0.1, 0.2, 0.3}"
)


@pytest.mark.parametrize("name", BODIES)
def test_it_is_what_onnxruntime_computes(name: str, tmp_path: Path) -> None:
    text = f"""<ir_version: 7, opset_import: ["": 13]> g (float[N, T, 3] x) => (float y) <{CONSTANTS}> {{ {BODIES[name]} }}"""
    proto = parser.parse_model(text)
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, tmp_path / "m.onnx")
    (want,) = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": X})
    model = api.load(tmp_path / "m.onnx")
    have = interpret.run(model, {"x": X})[model.outputs[0].name]
    assert have.shape == want.shape
    np.testing.assert_allclose(have, want, rtol=1e-6, atol=1e-6)
