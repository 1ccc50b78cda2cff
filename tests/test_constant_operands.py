"""Layers called on constants in place of tensors, under constant masks, and on tensors of different dtypes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_layers import SUFFIX, assert_equal, library, pytestmark, randomize

from converter import convert
from converter.errors import InvalidModel, Unsupported
from converter.model.sizes import Sizes
from converter.readers import load

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
LIBRARIES = ["keras", "tf_keras"]
MERGES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate")
LISTS = (*MERGES, "Dot", "Attention", "AdditiveAttention")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "Dot": {"axes": 2},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 3},
    "GroupQueryAttention": {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 1},
}
BATCH, TIME, WIDTH = 3, 4, 2
RNG = np.random.default_rng(0)
ROWS, ONE = RNG.normal(size=(BATCH, TIME, WIDTH)), RNG.normal(size=(1, TIME, WIDTH))
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])


def checked(name: str, call: Callable[[Any, Any], Any], shape: tuple[int, ...] = (TIME, WIDTH)) -> None:
    keras = library(name)
    x = keras.layers.Input(shape)
    model = keras.Model(x, call(keras.layers, x))
    randomize(model, np.random.default_rng(1))
    assert_equal(model, [np.random.default_rng(2).normal(size=(BATCH, *shape)).astype("float32")], SUFFIX[name])


PLACES = [  # Keras 3 cannot merge where the first input is a constant
    (name, kind, first)
    for name in LIBRARIES
    for kind in LISTS
    for first in (False, True)
    if not (first and name == "keras" and "Attention" not in kind)
]


@pytest.mark.parametrize(("name", "kind", "first"), PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constants_among_the_inputs(name: str, kind: str, first: bool, dtype: str) -> None:
    constant = ROWS.astype(dtype)

    def call(layers: Any, x: Any) -> Any:
        return getattr(layers, kind)(**ARGUMENTS.get(kind, {}))([constant, x] if first else [x, constant])

    checked(name, call)


@pytest.mark.parametrize("kind", [kind for kind in MERGES if kind != "Concatenate"])
def test_a_row_for_all(kind: str) -> None:
    checked("keras", lambda layers, x: getattr(layers, kind)()([x, ONE]))


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
@pytest.mark.parametrize("keyword", [False, True])
def test_attention_to_constants(kind: str, keyword: bool) -> None:
    def call(layers: Any, x: Any) -> Any:
        layer = getattr(layers, kind)(**ARGUMENTS[kind])
        value, key = ROWS.astype("float32"), (ROWS + 1).astype("float32")
        return layer(x, value=value, key=key) if keyword else layer(x, value, key)

    checked("keras", call)


MASKED: dict[str, Callable[[Any], Any]] = {
    "LSTM": lambda layers: layers.LSTM(2),
    "Bidirectional": lambda layers: layers.Bidirectional(layers.GRU(2)),
    "RNN": lambda layers: layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)]),
    "TimeDistributed": lambda layers: layers.TimeDistributed(layers.Dense(2)),
    "GlobalAveragePooling1D": lambda layers: layers.GlobalAveragePooling1D(),
    "BatchNormalization": lambda layers: layers.BatchNormalization(),
}


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", MASKED)
@pytest.mark.parametrize("rows", [1, BATCH])
def test_constant_masks(name: str, kind: str, rows: int) -> None:
    """One row is for all, where Keras takes it so."""
    if rows == BATCH or kind != "TimeDistributed":
        checked(name, lambda layers, x: MASKED[kind](layers)(x, mask=MASK[:rows]))


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
def test_constant_masks_in_a_list(name: str, kind: str) -> None:
    checked(name, lambda layers, x: getattr(layers, kind)()([x, x], mask=[MASK, ~MASK]))


@pytest.mark.parametrize("shape", [(TIME, TIME), (1, TIME, TIME), (BATCH, TIME, TIME)])
def test_constant_masks_of_attention(shape: tuple[int, ...]) -> None:
    mask = np.random.default_rng(3).random(shape) < 0.7
    checked(
        "keras",
        lambda layers, x: layers.MultiHeadAttention(**ARGUMENTS["MultiHeadAttention"])(x, x, attention_mask=mask),
    )


DTYPES = [("float32", "int32"), ("int32", "float32"), ("int32", "int64"), ("uint8", "int32"), ("bool", "float32")]


@pytest.mark.parametrize("kind", [kind for kind in (*MERGES, "Dot") if kind != "Average"])
@pytest.mark.parametrize("dtypes", DTYPES)
def test_inputs_of_different_dtypes(kind: str, dtypes: tuple[str, str]) -> None:
    keras, rng = library("keras"), np.random.default_rng(4)
    inputs = [keras.layers.Input((TIME, WIDTH), dtype=dtype) for dtype in dtypes]
    model = keras.Model(inputs, getattr(keras.layers, kind)(**ARGUMENTS.get(kind, {}))(inputs))
    arrays = [rng.integers(0, 2 if dtype == "bool" else 9, (BATCH, TIME, WIDTH)).astype(dtype) for dtype in dtypes]
    assert_equal(model, arrays, SUFFIX["keras"])


def test_an_operation_that_is_not_converted_is_called_keras_own(tmp_path: Path) -> None:
    keras = library("keras")
    x = keras.layers.Input((TIME, WIDTH))
    model = keras.Model(x, keras.ops.scatter_update(x, [[0, 0, 0]], [1.5]))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        with pytest.raises(Unsupported, match="the operation ScatterUpdate of Keras is not converted"):
            load(tmp_path / f"model{suffix}")


@pytest.mark.parametrize("name", LIBRARIES)
def test_constants_of_several_rows_fix_the_batch_and_the_message_says_so(name: str, tmp_path: Path) -> None:
    keras = library(name)
    x = keras.layers.Input((TIME, WIDTH), batch_size=BATCH)
    add = keras.ops.add if name == "keras" else keras.backend.concatenate
    rows = ROWS.astype("float32")
    y = add(x, rows) if name == "keras" else add([x, rows], axis=-1)
    keras.Model(x, keras.layers.LSTM(2)(y)).save(tmp_path / f"m{SUFFIX[name]}")
    with pytest.raises(InvalidModel, match=f"takes batches of {BATCH} rows alone. Fix them with --batch {BATCH}"):
        convert(tmp_path / f"m{SUFFIX[name]}", tmp_path / "m.onnx")
    assert convert(tmp_path / f"m{SUFFIX[name]}", tmp_path / "m.onnx", sizes=Sizes(batch=BATCH)).reports[0].passed
