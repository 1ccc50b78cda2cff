"""Layers in graphs against Keras 3 and tf_keras: masks on their way, several inputs, operations as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_layers import SUFFIX, assert_equal, library, pytestmark, randomize

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
BATCH, TIME, SIZE = 4, 5, 3
LIBRARIES = ["keras", "tf_keras"]
Build = Callable[..., Any]


def masked(rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """[batch, time, size] with zeros before, after and between steps; a sample without any masked step."""
    x = rng.normal(size=(BATCH, TIME, size)).astype("float32")
    x[0, :2] = x[1, 3:] = x[2, [0, 2]] = 0
    return x


def check(name: str, build: Build, count: int, seed: int = 0, suffix: str = "") -> None:
    """Build a model of `count` masked inputs, save it, convert it, compare."""
    keras, rng = library(name), np.random.default_rng(seed)
    inputs = [keras.layers.Input((TIME, SIZE)) for _ in range(count)]
    model = keras.Model(inputs if count > 1 else inputs[0], build(keras, *inputs))
    randomize(model, rng)
    assert_equal(model, [masked(rng) for _ in range(count)], suffix or SUFFIX[name])


def pooled(keras: Any, x: Any) -> Any:
    """The mean over unmasked steps shows which mask has come through."""
    return keras.layers.GlobalAveragePooling1D()(x)


THROUGH: dict[str, Build] = {
    "Dense": lambda k: k.layers.Dense(2, "tanh"),
    "Activation": lambda k: k.layers.Activation("relu"),
    "BatchNormalization": lambda k: k.layers.BatchNormalization(),
    "LayerNormalization": lambda k: k.layers.LayerNormalization(),
    "UnitNormalization": lambda k: k.layers.UnitNormalization(),
    "Dropout": lambda k: k.layers.Dropout(0.5),
    "SpatialDropout1D": lambda k: k.layers.SpatialDropout1D(0.5),
    "LeakyReLU": lambda k: k.layers.LeakyReLU(),
    "PReLU": lambda k: k.layers.PReLU(),
    "TimeDistributed": lambda k: k.layers.TimeDistributed(k.layers.Dense(2)),
    "Conv1D": lambda k: k.layers.Conv1D(2, 2, padding="same"),
    "MaxPooling1D": lambda k: k.layers.MaxPooling1D(1),
    "Identity": lambda k: k.layers.Identity(),
    "Rescaling": lambda k: k.layers.Rescaling(2.0, 1.0),
    "EinsumDense": lambda k: k.layers.EinsumDense("abc,cd->abd", (None, 2)),
    "Permute": lambda k: k.layers.Permute((1, 2)),
    "Reshape": lambda k: k.layers.Reshape((TIME, SIZE)),
    "LSTM": lambda k: k.layers.LSTM(2, return_sequences=True),
}


def keeps_going(keras: Any, layer: Any, x: Any) -> Any:
    """tf_keras refuses a mask at layers that cannot hand it on."""
    return pooled(keras, layer(keras.layers.Masking()(x)))


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", THROUGH)
def test_mask_through(name: str, kind: str) -> None:
    check(name, lambda keras, x: keeps_going(keras, THROUGH[kind](keras), x), 1)


MERGES = ["Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"]


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", MERGES)
@pytest.mark.parametrize("both", [True, False])
def test_mask_through_merge(name: str, kind: str, both: bool) -> None:
    def build(keras: Any, x: Any, y: Any) -> Any:
        x, y = keras.layers.Masking()(x), keras.layers.Masking()(y) if both else y
        return pooled(keras, getattr(keras.layers, kind)()([x, y]))

    check(name, build, 2)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize(("axis", "both"), [(-1, True), (-1, False), (1, True)])
def test_mask_through_concatenate(name: str, axis: int, both: bool) -> None:
    def build(keras: Any, x: Any, y: Any) -> Any:
        x, y = keras.layers.Masking()(x), keras.layers.Masking()(y) if both else y
        return pooled(keras, keras.layers.Concatenate(axis=axis)([x, y]))

    check(name, build, 2)


ATTENTION: dict[str, Build] = {
    "plain": lambda k, x, y: k.layers.Attention()([x, y]),
    "scaled": lambda k, x, y: k.layers.Attention(use_scale=True)([x, y, y]),
    "causal": lambda k, x, y: k.layers.Attention()([x, y], use_causal_mask=True),
    "concat": lambda k, x, y: k.layers.Attention(score_mode="concat")([x, y]),
    "scores": lambda k, x, y: k.layers.Attention()([x, y], return_attention_scores=True)[1],
    "additive": lambda k, x, y: k.layers.AdditiveAttention()([x, y]),
    "additive causal": lambda k, x, y: k.layers.AdditiveAttention()([x, y], use_causal_mask=True),
    "heads": lambda k, x, y: k.layers.MultiHeadAttention(2, 3)(x, y),
    "heads with key": lambda k, x, y: k.layers.MultiHeadAttention(2, 3, value_dim=4)(x, y, y),
    "heads causal": lambda k, x, y: k.layers.MultiHeadAttention(2, 3, use_bias=False)(x, y, use_causal_mask=True),
    "heads, other width": lambda k, x, y: k.layers.MultiHeadAttention(2, 3, output_shape=5)(x, y),
    "heads' scores": lambda k, x, y: k.layers.MultiHeadAttention(2, 3)(x, y, return_attention_scores=True)[1],
    "heads, dropout": lambda k, x, y: k.layers.MultiHeadAttention(2, 3, dropout=0.3)(x, y),
}


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", ATTENTION)
@pytest.mark.parametrize("masks", [True, False])
def test_attention(name: str, kind: str, masks: bool) -> None:
    def build(keras: Any, x: Any, y: Any) -> Any:
        if masks:
            x, y = keras.layers.Masking()(x), keras.layers.Masking()(y)
        return ATTENTION[kind](keras, x, y)

    check(name, build, 2)


GROUPS: dict[str, dict[str, Any]] = {
    "plain": {}, "no bias": {"use_bias": False}, "gate": {"use_gate": True}, "window": {"sliding_window": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("causal", [True, False])
def test_group_query_attention(kind: str, causal: bool) -> None:
    def build(keras: Any, x: Any, y: Any) -> Any:
        layer = keras.layers.GroupQueryAttention(3, 4, 2, **GROUPS[kind])
        return layer(x, y, use_causal_mask=causal)

    check("keras", build, 2)


def test_convolution_of_more_axes() -> None:
    def build(keras: Any, x: Any) -> Any:
        split = keras.layers.Reshape((TIME, SIZE, 1))(x)
        return keras.layers.Conv1D(2, 2, padding="same", activation="relu")(split)

    check("tf_keras", build, 1)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_spectral_normalization(suffix: str) -> None:
    def build(keras: Any, x: Any) -> Any:
        y = keras.layers.SpectralNormalization(keras.layers.Conv1D(2, 2))(x)
        return keras.layers.SpectralNormalization(keras.layers.Dense(2))(y)

    check("keras", build, 1, suffix=suffix)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_pipeline(suffix: str) -> None:
    """Masks go in, through and out."""

    def build(keras: Any, x: Any) -> Any:
        layers = keras.layers
        stages = [layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2, "tanh")]
        y = layers.Pipeline([*stages, layers.LSTM(3, return_sequences=True)])(layers.Masking()(x))
        return pooled(keras, y)

    check("keras", build, 1, suffix=suffix)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("arguments", [{}, {"tie_weights": False}, {"logit_soft_cap": 1.5, "mask_zero": True}])
def test_reversible_embedding(arguments: dict[str, Any], suffix: str) -> None:
    keras, rng = library("keras"), np.random.default_rng(0)
    embedding = keras.layers.ReversibleEmbedding(7, SIZE, **arguments)
    words = keras.layers.Input((TIME,), dtype="int32")
    scores = embedding(keras.layers.LSTM(SIZE, return_sequences=True)(embedding(words)), reverse=True)
    model = keras.Model(words, scores)
    randomize(model, rng)
    assert_equal(model, [rng.integers(0, 7, (BATCH, TIME)).astype("int32")], suffix)


@pytest.mark.parametrize(("name", "by_keyword"), [("keras", True), ("tf_keras", True), ("tf_keras", False)])
def test_weighted_counts(name: str, by_keyword: bool) -> None:
    keras, rng = library(name), np.random.default_rng(0)
    ids, weights = keras.layers.Input((TIME,), dtype="int32"), keras.layers.Input((TIME,))
    layer = keras.layers.CategoryEncoding(num_tokens=6, output_mode="count")
    model = keras.Model([ids, weights], layer(ids, count_weights=weights) if by_keyword else layer(ids, weights))
    arrays = [rng.integers(0, 6, (BATCH, TIME)).astype("int32"), rng.normal(size=(BATCH, TIME)).astype("float32")]
    assert_equal(model, arrays, SUFFIX[name])


KERAS_OPS: dict[str, Build] = {
    "arithmetic": lambda o, x, y: (2.0 * x + y / 3.0 - x * y) ** 2,
    "operators": lambda o, x, y: 2 / (abs(x) + 1) + (-x) // 2 + y % 3 - 7 % (abs(y) + 1) + 2**x - 3 // (y * y + 1),
    "comparisons": lambda o, x, y: o.cast((x > 0) & ~(y >= x) | (x != y), "float32") + o.cast(x <= 0.5, "int32"),
    "product": lambda o, x, y: x @ o.transpose(y, (0, 2, 1)) + o.matmul(x, o.ones((SIZE, 1))),
    "indices": lambda o, x, y: x[..., None][:, 1:, :, 0] + y[:, :-1, ::-1] + x[:, 2:3] + y[:, -1, None],
    "whole": lambda o, x, y: o.cast(x, "int32") / 2 + o.cast(y, "int32") * 1.5 + (o.cast(x, "int32") + 1) // 2,
    "last step": lambda o, x, y: o.take_along_axis(x, o.cast(o.argmax(y, axis=1, keepdims=True), "int32"), axis=1),
    "ranks": lambda o, x, y: o.cast(o.argsort(x, axis=1), "float32") + o.sort(y, axis=1) + o.top_k(x, 2)[0][:, :, :1],
    "triangle": lambda o, x, y: o.tril(o.einsum("btd,bsd->bts", x, y)),
    "compare": lambda o, x, y: o.where(o.greater(x, y), x, 0.5),
    "logic": lambda o, x, y: o.cast(o.logical_and(x > 0, o.logical_not(y > 0)), "float32"),
    "functions": lambda o, x, y: o.exp(o.tanh(x)) + o.sqrt(o.abs(y)) + o.square(x) + o.sin(y) - o.negative(x),
    "maximum": lambda o, x, y: o.maximum(x, y) - o.minimum(x, 0.1),
    "reduce": lambda o, x, y: o.mean(x, axis=1) + o.sum(y, axis=-2) + o.max(x, axis=(1,)) - o.min(y, axis=1),
    "keepdims": lambda o, x, y: x - o.mean(y, axis=-1, keepdims=True) + o.std(x, axis=1, keepdims=True),
    "argmax": lambda o, x, y: o.cast(o.argmax(x, axis=-1), "float32"),
    "items": lambda o, x, y: o.concatenate([x[:, -1], y[:, 0], x[:, 1:3][:, 0]], axis=-1),
    "slices": lambda o, x, y: x[:, ::-1, 1:] + y[..., None, 0][:, :, :],
    "stack": lambda o, x, y: o.stack([x, y], axis=1),
    "split": lambda o, x, y: o.split(x, SIZE, axis=-1)[1] + o.split(y, [1], axis=-1)[0],
    "shapes": lambda o, x, y: o.reshape(o.transpose(x, (0, 2, 1)), (-1, TIME * SIZE)),
    "axes": lambda o, x, y: o.squeeze(o.expand_dims(x, 1), 1) + o.swapaxes(o.swapaxes(y, 1, 2), 1, 2),
    "repeat": lambda o, x, y: o.repeat(x, 2, axis=1) + o.tile(y, (1, 2, 1)),
    "matmul": lambda o, x, y: o.matmul(x, o.transpose(y, (0, 2, 1))),
    "einsum": lambda o, x, y: o.einsum("btd,bsd->bts", x, y),
    "softmax": lambda o, x, y: o.softmax(x, axis=1) + o.log_softmax(y) + o.relu(x) + o.sigmoid(y) + o.gelu(x),
    "flip": lambda o, x, y: o.flip(x, axis=1) + o.cumsum(y, axis=1),
    "pad": lambda o, x, y: o.pad(x, ((0, 0), (1, 0), (0, 0))),
    "clip": lambda o, x, y: o.clip(x, -0.5, 0.5) + o.ones_like(y) - o.zeros_like(x),
    "take": lambda o, x, y: o.take(x, [2, 0], axis=1),
    "one hot": lambda o, x, y: o.one_hot(o.argmax(x, axis=-1), SIZE),
    "normalize": lambda o, x, y: o.normalize(x, axis=-1) + o.logsumexp(y, axis=1, keepdims=True),
}


@pytest.mark.parametrize("kind", KERAS_OPS)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_operations(kind: str, suffix: str) -> None:
    keras, rng = library("keras"), np.random.default_rng(1)
    inputs = [keras.layers.Input((TIME, SIZE)) for _ in range(2)]
    arrays = [rng.normal(size=(BATCH, TIME, SIZE)).astype("float32") for _ in range(2)]
    assert_equal(keras.Model(inputs, KERAS_OPS[kind](keras.ops, *inputs)), arrays, suffix)


TF_OPS: dict[str, Build] = {
    "arithmetic": lambda tf, x, y: (2.0 * x + y / 3.0 - x * y) ** 2 + tf.math.add(x, 1.0) - (1.0 - y) / 2.0,
    "operators": lambda tf, x, y: 2 / (abs(x) + 1) + (-x) // 2 + y % 3 - 7 % (abs(y) + 1) + 2**x - 3 // (y * y + 1),
    "comparisons": lambda tf, x, y: tf.cast((x > 0) & ~(y >= x) | (x < y) ^ (x <= 0.5), tf.float32),
    "product": lambda tf, x, y: x @ tf.transpose(y, [0, 2, 1]) + tf.linalg.matvec(x, y[:, 0])[:, :, None],
    "indices": lambda tf, x, y: x[:, :, :, None][:, 1:, :, 0] + y[:, :-1, ::-1] + x[:, 2:3] + y[:, -1, None],
    "whole": lambda tf, x, y: tf.cast(x, tf.int32) / 2 + tf.cast((tf.cast(y, tf.int32) + 1) // 2, tf.float64),
    "last step": lambda tf, x, y: tf.gather(x, tf.argmax(y[:, :, 0], axis=1), axis=1, batch_dims=1),
    "initial state": lambda tf, x, y: tf.zeros([tf.shape(x)[0], SIZE]) + tf.reduce_sum(y, 1),
    "mean by size": lambda tf, x, y: tf.reduce_sum(y, 1) / tf.cast(tf.shape(y)[1], "float32") + x[:, 0],
    "tiled": lambda tf, x, y: tf.tile(tf.constant([[1.0, 2.0, 3.0]]), [tf.shape(x)[0], 1]) + x[:, 0],
    "moments": lambda tf, x, y: tf.nn.moments(x, [1])[1] + tf.linalg.norm(y, axis=1),
    "compare": lambda tf, x, y: tf.where(x > y, x, tf.zeros_like(y)),
    "functions": lambda tf, x, y: tf.exp(tf.tanh(x)) + tf.sqrt(tf.abs(y)) + tf.square(x) + tf.nn.relu(y) - x,
    "reduce": lambda tf, x, y: tf.reduce_mean(x, axis=1) + tf.reduce_sum(y, 1) - tf.reduce_max(x, axis=[1]),
    "keepdims": lambda tf, x, y: x - tf.reduce_mean(y, axis=-1, keepdims=True),
    "argmax": lambda tf, x, y: tf.cast(tf.argmax(x, axis=-1), tf.float32),
    "items": lambda tf, x, y: tf.concat([x[:, -1, :], y[:, 0], x[:, 1:3][:, 0]], axis=-1),
    "slices": lambda tf, x, y: x[:, ::-1, 1:] + y[:, :, tf.newaxis, 0],
    "stack": lambda tf, x, y: tf.stack([x, y], axis=1),
    "split": lambda tf, x, y: tf.split(x, SIZE, axis=-1)[1] + tf.split(y, [1, 2], axis=-1)[0],
    "unstack": lambda tf, x, y: tf.unstack(x, axis=1)[2],
    "shapes": lambda tf, x, y: tf.reshape(tf.transpose(x, [0, 2, 1]), [-1, TIME * SIZE]),
    "axes": lambda tf, x, y: tf.squeeze(tf.expand_dims(x, 1), 1) + tf.reverse(y, [1]),
    "repeat": lambda tf, x, y: tf.repeat(x, 2, axis=1) + tf.tile(y, [1, 2, 1]),
    "matmul": lambda tf, x, y: tf.matmul(x, y, transpose_b=True),
    "softmax": lambda tf, x, y: tf.nn.softmax(x, axis=1) + tf.sigmoid(y) + tf.nn.leaky_relu(x),
    "clip": lambda tf, x, y: tf.clip_by_value(x, -0.5, 0.5) + tf.math.l2_normalize(y, axis=-1),
    "gather": lambda tf, x, y: tf.gather(x, [2, 0], axis=1),
    "sizes": lambda tf, x, y: tf.reshape(x, (tf.shape(x)[0], -1)) + tf.reshape(y, (tf.shape(x)[0], TIME * SIZE)),
    "pad": lambda tf, x, y: tf.pad(x, [[0, 0], [1, 0], [0, 0]]),
}


@pytest.mark.parametrize("kind", TF_OPS)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_tensorflow_operations(kind: str, suffix: str) -> None:
    keras, rng = library("tf_keras"), np.random.default_rng(1)
    tensorflow = library("tensorflow")
    inputs = [keras.layers.Input((TIME, SIZE)) for _ in range(2)]
    arrays = [rng.normal(size=(BATCH, TIME, SIZE)).astype("float32") for _ in range(2)]
    assert_equal(keras.Model(inputs, TF_OPS[kind](tensorflow, *inputs)), arrays, suffix)
