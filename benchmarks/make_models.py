"""Writes the models that the benchmarks convert; run by them with the peer's Python, which has TensorFlow.

    make_models.py FOLDER NAME ...

The kind of file follows the Keras in use: .h5 with tf_keras (TF_USE_LEGACY_KERAS=1), .keras with Keras 3. A NAME that
ends in a slash becomes a SavedModel.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

layers, keras = tf.keras.layers, tf.keras
SUFFIX = ".h5" if layers.Dense.__module__.startswith("tf_keras") else ".keras"


def small() -> Any:
    """Three layers, a few kilobytes."""
    x = keras.Input((None, 8), name="x")
    y = layers.LSTM(16, return_sequences=True)(x)
    return keras.Model(x, layers.Dense(3)(layers.LSTM(12)(y)))


def large() -> Any:
    """One LSTM of 103 MB."""
    x = keras.Input((None, 1792), name="x")
    return keras.Model(x, layers.LSTM(1792)(x))


def lstm(units: str, masked: str) -> Any:
    """One LSTM over 64 features that returns sequences; masked: by a second input."""
    x = keras.Input((None, 64), name="x")
    layer = layers.LSTM(int(units), return_sequences=True)
    if masked == "plain":
        return keras.Model(x, layer(x))
    mask = keras.Input((None,), dtype="bool", name="mask")
    return keras.Model([x, mask], layer(x, mask=mask))


def words(units: str, masked: str) -> Any:
    """Embedding, LSTM, Dense; masked: the Embedding masks zeros."""
    x = keras.Input((None,), dtype="int32", name="x")
    y = layers.Embedding(5000, 64, mask_zero=masked != "plain")(x)
    return keras.Model(x, layers.Dense(4)(layers.LSTM(int(units))(y)))


def stack() -> Any:
    """1 GB: an Embedding of 640 MB and four LSTMs, the largest tensor of a LSTM being 51 MB."""
    x = y = keras.Input((None,), dtype="int32", name="x")
    y = layers.Embedding(800_000, 200)(y)
    for _ in range(4):
        y = layers.LSTM(1792, return_sequences=True)(y)
    return keras.Model(x, layers.Dense(8)(y))


def single() -> Any:
    """1 GB: one LSTM, two tensors of 500 MB each."""
    x = keras.Input((None, 5590), name="x")
    return keras.Model(x, layers.LSTM(5590)(x))


def main(folder: Path, names: list[str]) -> None:
    for name in names:
        kind, *arguments = name.rstrip("/").split("-")
        keras.utils.set_random_seed(3)
        globals()[kind](*arguments).save(folder / (name if name.endswith("/") else f"{name}{SUFFIX}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
