"""Text: arrays of Python strings (dtype object), and the numbers that stand for words.

What each function does is what TensorFlow's operators do to bytes of UTF-8, of which only ASCII ones are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference_lstm.ops import Array

WHITE_SPACE = re.compile("[ \\t\\n\\v\\f\\r]+")  # C's isspace, which tf.strings.split asks


def lookup(x: Array, keys: Sequence[Any], values: Sequence[Any], default: Any) -> Array:
    """The value next to each element of x [...] among the keys; of strings or int64.

    Raises:
        ValueError: an element is no key and there is no default.
    """
    table = dict(zip(keys, values, strict=True))
    elements = np.asarray(x).reshape(-1).tolist()
    unknown = [element for element in elements if element not in table]
    if unknown and default is None:
        raise ValueError(f"{unknown[0]!r} is not in the vocabulary, and there is no index for such words")
    dtype = object if isinstance(values[0], str) else np.int64
    return _filled([table.get(element, default) for element in elements], x.shape, dtype)


def lower_case(x: Array) -> Array:
    """tf.strings.lower(x) without an encoding: ASCII letters only."""
    return _each(x, lambda text: "".join(c.lower() if c.isascii() else c for c in text))


def remove_characters(x: Array, characters: str) -> Array:
    """Every string without any of the characters."""
    return _each(x, lambda text: "".join(c for c in text if c not in characters))


def split_words(x: Array) -> Array:
    """tf.strings.split(x).to_tensor(""): [...] -> [..., most words]."""
    rows = [[word for word in WHITE_SPACE.split(text) if word] for text in x.reshape(-1).tolist()]
    most = max((len(row) for row in rows), default=0)
    return _filled([word for row in rows for word in row + [""] * (most - len(row))], (*x.shape, most), object)


def _each(x: Array, change: Callable[[str], str]) -> Array:
    return _filled([change(text) for text in x.reshape(-1).tolist()], x.shape, object)


def _filled(elements: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Array:
    made = np.empty(len(elements), dtype)
    made[:] = elements
    return made.reshape(shape)
