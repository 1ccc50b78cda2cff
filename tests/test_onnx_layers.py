"""Every other neutral layer and every activation as ONNX, against the interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import Builder, one_layer
from onnx_files import check, exported, run_onnx

from converter import interpret
from converter.exporters.onnx import OPSETS
from converter.model import constant, layers
from converter.model.activations import FUNCTIONS, NAMES, Activation


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations(tmp_path: Path, name: str, dtype: str) -> None:
    values = {"axis": 1.0, "alpha": 0.3, "beta": 0.4, "negative_slope": 0.1, "max_value": 6.0, "threshold": 0.5,
              "theta": 0.7, "value": 2.0, "approximate": 1.0, "b": 4.0}  # fmt: skip
    activation = Activation(name, tuple(values[p] for p in FUNCTIONS[name]))
    width = 4 if name == "glu" else 8
    model = one_layer(layers.Activate(activation), (None, 8), (None, width), dtype, dtype)
    exported(model, tmp_path)
    x = np.random.default_rng(0).normal(0, 3, (50, 8)).astype(dtype)
    x[:2] = [-200, -90, -1, 0, 1, 6, 80, 1e4 if name != "exponential" else 80]
    (got,) = run_onnx(tmp_path, {"x": x})
    want = interpret.run(model, {"x": x})["layer:0"]
    scale = np.maximum(1, np.abs(want))
    assert np.max(np.abs(got - want) / scale) < (1e-6 if dtype == "float32" else 2e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_clipping_after_relu(tmp_path: Path, dtype: str) -> None:
    """onnxruntime fuses the two, and cannot in float64."""
    b = Builder()
    x = b.input("x", (None, 8), dtype)
    first = b.node("relu", layers.Activate(NAMES["relu"]), [x], (None, 8), dtype=dtype)
    check(b.model(b.node("clip", layers.Activate(NAMES["relu6"]), first, (None, 8), dtype=dtype)), tmp_path)


def conv(rank: int, **options: Any) -> layers.Conv:
    b = Builder(rank)
    given = {"strides": (1,) * rank, "padding": "same", "dilation": (1,) * rank} | options
    groups = given.get("groups", 1)
    return layers.Conv(rank, b.weight(*[4 - i for i in range(rank)], 4 // groups, 6), b.weight(6), **given)


def transposed(**options: Any) -> layers.ConvTranspose:
    b = Builder()
    given = {"strides": (2,), "padding": "same", "output_padding": None, "dilation": (1,)} | options
    return layers.ConvTranspose(1, b.weight(3, 6, 4), b.weight(6), **given)


def pool(kind: Any, **options: Any) -> layers.Pool:
    given = {"window": (3,), "strides": (2,), "padding": "same"} | options
    return layers.Pool(1, kind, **given)


def norm(rms: bool = False) -> layers.LayerNormalization:
    return layers.LayerNormalization((1, 2), Builder(1).weight(5, 4), Builder(2).weight(5, 4), 1e-3, rms)


def batch_norm(axis: int, size: int) -> layers.BatchNormalization:
    b = Builder()
    return layers.BatchNormalization(
        axis, b.weight(size), b.weight(size), b.weight(size), constant("v", b.random.random(size)), 1e-3
    )


N = None
LAYERS = [
    (layers.Dense(Builder().weight(4, 3), Builder().weight(3), NAMES["gelu"]), (N, N, 4), (N, N, 3)),
    (conv(1), (N, N, 4), (N, N, 6)),
    (conv(1, padding="causal", dilation=(2,)), (N, N, 4), (N, N, 6)),
    (conv(1, strides=(2,)), (N, N, 4), (N, N, 6)),
    (conv(1, strides=(3,)), (N, 11, 4), (N, 4, 6)),
    (conv(1, strides=(2,), padding="valid", groups=2), (N, 11, 4), (N, 4, 6)),
    (conv(1, padding="same", dilation=(2,), data_format="channels_first"), (N, 4, N), (N, 6, N)),
    (conv(2, strides=(2, 1)), (N, 7, 6, 4), (N, 4, 6, 6)),
    (conv(3), (N, 5, 5, 5, 4), (N, 5, 5, 5, 6)),
    (transposed(), (N, N, 4), (N, N, 6)),
    (transposed(padding="valid"), (N, 5, 4), (N, 11, 6)),
    (transposed(padding="valid", strides=(4,)), (N, 5, 4), (N, 20, 6)),
    (transposed(strides=(4,)), (N, 5, 4), (N, 20, 6)),
    (transposed(output_padding=(1,)), (N, 5, 4), (N, 10, 6)),
    (transposed(output_padding=(0,), padding="valid"), (N, 5, 4), (N, 11, 6)),
    (transposed(strides=(1,), dilation=(2,), data_format="channels_first"), (N, 4, 5), (N, 6, 5)),
    (pool("max"), (N, N, 4), (N, N, 4)),
    (pool("max", strides=(6,)), (N, N, 4), (N, N, 4)),
    (pool("max", padding="valid"), (N, 7, 4), (N, 3, 4)),
    (pool("average"), (N, N, 4), (N, N, 4)),
    (pool("average", strides=(1,)), (N, 7, 4), (N, 7, 4)),
    (pool("average", data_format="channels_first"), (N, 4, 7), (N, 4, 4)),
    (batch_norm(2, 4), (N, N, 4), (N, N, 4)),
    (batch_norm(1, 4), (N, 4, N), (N, 4, N)),
    (norm(), (N, 5, 4), (N, 5, 4)),
    (norm(True), (N, 5, 4), (N, 5, 4)),
    (layers.Reshape((0, -1)), (N, 3, 4), (N, 12)),
    (layers.FoldTime(), (N, N, N, 4), (N, N, 4)),
    (layers.Transpose((0, 2, 1)), (N, N, 4), (N, 4, N)),
    (layers.ExpandDims((1, 3)), (N, 4), (N, 1, 4, 1)),
    (layers.Squeeze((1,)), (N, 1, 4), (N, 4)),
    (layers.Repeat(1, 3), (N, N, 4), (N, N, 4)),
    (layers.Repeat(1, 3), (N, 2, 4), (N, 6, 4)),
    (layers.Tile((1, 2, 3)), (N, 2, 4), (N, 4, 12)),
    (layers.Pad(((0, 0), (1, 2)), 1.5), (N, 4), (N, 7)),
    (layers.Pad(((0, 0), (1, 2)), mode="reflect"), (N, 4), (N, 7)),
    (layers.Pad(((0, 0), (1, 2), (2, 1), (0, 0)), mode="edge"), (N, N, 5, 3), (N, N, 8, 3)),
    (layers.Slice((1, 2), (None, -3), (None, None), (-1, 2)), (N, N, 4), (N, N, 2)),
    (layers.Slice((1,), (3,), (0,), (-2,)), (N, 5), (N, 2)),
    (layers.Reduce("sum", (1,)), (N, N, 4), (N, 4)),
    (layers.Reduce("mean", (1, 2), True), (N, N, 4), (N, 1, 1)),
    (layers.Reduce("max", (1,)), (N, N, 4), (N, 4)),
    (layers.Reduce("prod", (2,)), (N, N, 4), (N, N)),
    (layers.Reduce("logsumexp", (2,)), (N, N, 4), (N, N)),
    (layers.CumSum(1), (N, N, 4), (N, N, 4)),
    *((layers.Unary(op), (N, 4), (N, 4)) for op in ("abs", "negative", "exp", "square", "sin", "tan", "sign", "erf")),
    *((layers.Unary(op), (N, 4), (N, 4)) for op in ("sinh", "cosh", "arctan", "arcsinh", "expm1")),
    *((layers.Unary(op), (N, 4), (N, 4)) for op in ("floor", "ceil", "round", "reciprocal")),
]


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("index", range(len(LAYERS)))
def test_layers_of_one_input(tmp_path: Path, index: int, opset: int) -> None:
    check(one_layer(*LAYERS[index]), tmp_path, open_size=6, opset=opset)


@pytest.mark.parametrize("index", range(len(LAYERS)))
def test_layers_in_float64(tmp_path: Path, index: int) -> None:
    check(one_layer(*LAYERS[index], dtype="float64", in_dtype="float64"), tmp_path, open_size=6)


TYPED = [
    (layers.Embedding(Builder().weight(4, 3)), (N, N), (N, N, 3), "float32", "int32"),
    (layers.Embedding(Builder().weight(4, 3)), (N, N), (N, N, 3), "float32", "int8"),
    (layers.OneHot(3), (N,), (N, 3), "float32", "int32"),
    (layers.Reduce("any", (1,)), (N, N), (N,), "bool", "bool"),
    (layers.Reduce("all", (1,), True), (N, N), (N, 1), "bool", "bool"),
    (layers.Reduce("argmax", (1,)), (N, N), (N,), "int64", "float32"),
    (layers.Reduce("argmin", (1,)), (N, N), (N,), "int64", "int32"),
    (layers.Unary("not"), (N, N), (N, N), "bool", "bool"),
    (layers.Unary("isnan"), (N, N), (N, N), "bool", "float32"),
    (layers.Unary("floor"), (N, N), (N, N), "int32", "int32"),
    (layers.Cast("int32"), (N, N), (N, N), "int32", "float32"),
    (layers.Cast("float16"), (N, N), (N, N), "float16", "int64"),
    (layers.CumSum(1), (N, N), (N, N), "int32", "int32"),
    (layers.Reduce("sum", (1,)), (N, N), (N,), "int32", "int32"),
    *(
        (layers.ArgSort(1, down), (N, N), (N, N), "int64", dtype)
        for down in (True, False)
        for dtype in ("float32", "float16", "int32", "uint8", "bool")
    ),
    (layers.ArgSort(1, True, 2), (N, N), (N, 2), "int64", "int32"),
    (layers.Size(1), (N, N), (), "int64", "float32"),
]


@pytest.mark.parametrize("index", range(len(TYPED)))
def test_layers_of_other_types(tmp_path: Path, index: int) -> None:
    check(one_layer(*TYPED[index]), tmp_path, tolerance=1e-3)


MOVES = [row for row in LAYERS if isinstance(row[0], layers.Slice | layers.Tile | layers.Pad | layers.Repeat)]


@pytest.mark.parametrize("index", range(len(MOVES)))
def test_masks_move_as_values_do(tmp_path: Path, index: int) -> None:
    check(one_layer(*MOVES[index], "bool", "bool"), tmp_path, open_size=6)


BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "mod", "floor_divide", "equal", "not_equal", "less",
          "less_equal", "greater", "greater_equal")  # fmt: skip


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float64"])
def test_elementwise(tmp_path: Path, op: Any, dtype: str) -> None:
    b = Builder()
    x, y = b.input("x", (N, 4), dtype), b.input("y", (4,), dtype)
    out = dtype if op in BINARY[:7] else "bool"
    model = b.model(b.node("layer", layers.Elementwise(op), [x, y], (N, 4), dtype=out))
    exported(model, tmp_path)
    random = np.random.default_rng(0)
    arrays = {"x": random.integers(0 if dtype == "uint8" else -9, 9, (50, 4)).astype(dtype)}
    arrays["y"] = np.array([1, 3, 7, 2] if dtype == "uint8" else [1, -3, 7, -2], dtype)
    (got,) = run_onnx(tmp_path, arrays)
    np.testing.assert_array_equal(got, interpret.run(model, arrays)["layer:0"])


@pytest.mark.parametrize("op", ["and", "or", "xor", "equal"])
def test_logic_of_bools(tmp_path: Path, op: Any) -> None:
    b = Builder()
    x, y = b.input("x", (N, 4), "bool"), b.input("y", (N, 4), "bool")
    check(b.model(b.node("layer", layers.Elementwise(op), [x, y], (N, 4), dtype="bool")), tmp_path)


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
def test_time_unfolds_as_it_was_folded(tmp_path: Path, opset: int) -> None:
    b = Builder()
    x = b.input("x", (N, N, N, 4))
    folded = b.node("fold", layers.FoldTime(), [x], (N, N, 4))
    reduced = b.node("reduce", layers.Reduce("sum", (1,)), folded, (N, 4))
    check(b.model(b.node("unfold", layers.UnfoldTime(), [*reduced, x], (N, N, 4))), tmp_path, opset=opset)


def test_layers_of_several_inputs(tmp_path: Path) -> None:
    b = Builder()
    x, y = b.input("x", (N, N, 4)), b.input("y", (N, N, 4))
    pick, mask = b.input("pick", (N, N), "int32"), b.input("mask", (N, N, 4), "bool")
    flags = b.input("flags", (N, N, 4), "bool")
    outputs = [
        *b.node("join", layers.Concatenate(2), [x, y], (N, N, 8)),
        *b.node("dot", layers.MatMul(transpose_b=True), [x, y], (N, N, N)),
        *b.node("einsum", layers.Einsum("abc,adc->abd"), [x, y], (N, N, N)),
        *b.node("where", layers.Where(), [mask, x, y], (N, N, 4)),
        *b.node("masks", layers.Where(), [mask, flags, mask], (N, N, 4), dtype="bool"),
        *b.node("gather", layers.Gather(2), [x, pick], (N, N, N, N)),
        *b.node(
            "along",
            layers.TakeAlong(1),
            [x, *b.node("places", layers.ArgSort(1), [y], (N, N, 4), dtype="int64")],
            (N, N, 4),
        ),
        *b.node("steps", layers.Range(), b.node("size", layers.Size(1), [x], (), dtype="int64"), (N,), dtype="int64"),
        *b.node("sum", layers.Elementwise("add"), [x, y, x], (N, N, 4)),
        *b.node("constant", layers.Constant(b.weight(2, 3)), [], (2, 3)),
    ]
    check(b.model(outputs), tmp_path)


@pytest.mark.parametrize("op", ["expm1", "log1p"])
def test_functions_keep_their_digits_near_zero(tmp_path: Path, op: Any) -> None:
    x = np.array([[1e-30, -1e-20, 1e-9, -1e-4, 0.3, -0.9, 1.0, 50.0, np.inf, 0.0]], "float32")
    exported(one_layer(layers.Unary(op), (N, 10), (N, 10)), tmp_path)
    (got,) = run_onnx(tmp_path, {"x": x})
    np.testing.assert_allclose(got, getattr(np, op)(x.astype("float64")), rtol=5e-7)


def test_angles_in_every_quadrant(tmp_path: Path) -> None:
    """Signed zeros and infinities as IEEE 754 has them."""
    sides = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, 1e-30, 1e30], "float32")
    arrays = {"y": np.repeat(sides, len(sides))[None], "x": np.tile(sides, len(sides))[None]}
    b = Builder()
    y, x = b.input("y", (N, len(sides) ** 2)), b.input("x", (N, len(sides) ** 2))
    exported(b.model(b.node("layer", layers.Elementwise("arctan2"), [y, x], (N, len(sides) ** 2))), tmp_path)
    (got,) = run_onnx(tmp_path, arrays)
    expected = np.arctan2(arrays["y"].astype("float64"), arrays["x"])
    np.testing.assert_allclose(got, expected, rtol=5e-7, atol=1e-40)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def test_gathering_by_coordinates(tmp_path: Path) -> None:
    b, random = Builder(), np.random.default_rng(0)
    x, places = b.input("x", (N, 4, 5, 3)), b.input("places", (N, 2, 2), "int32")
    model = b.model(b.node("layer", layers.GatherND(1), [x, places], (N, 2, 3)))
    exported(model, tmp_path)
    arrays = {"x": random.normal(size=(3, 4, 5, 3)).astype("float32")}
    arrays["places"] = random.integers(0, 4, (3, 2, 2)).astype("int32")
    (got,) = run_onnx(tmp_path, arrays)
    np.testing.assert_array_equal(got, interpret.run(model, arrays, dtype="float32")["layer:0"])
