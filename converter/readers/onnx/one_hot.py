"""Unit vectors as our own exports write them (exporters/onnx/elementwise.py): indices equal to 0, 1, 2, ..."""

from __future__ import annotations

import numpy as np

from converter.model import Value, layers
from converter.readers.onnx.values import Builder


def one_hot(builder: Builder, equal: Value, dtype: str, name: str) -> Value | None:
    """The unit vectors [..., depth] that truth values become in another type; None where they are none."""
    made = builder.producer(equal)
    if made is None or made.layer != layers.Elementwise("equal"):
        return None
    index, numbers = (builder.producer(value) if value is not None else None for value in made.inputs)
    if index is None or index.layer != layers.ExpandDims((len(equal.shape) - 1,)):
        return None
    if numbers is None or not isinstance(numbers.layer, layers.Constant):
        return None
    x, weight = index.inputs[0], numbers.layer.weight
    if x is None or weight.dtype != "int64" or len(weight.shape) != 1:
        return None
    (depth,) = weight.shape
    if not np.array_equal(weight.read(), np.arange(depth)):
        return None
    return builder.node(name, layers.OneHot(depth), (x,), (*x.shape, depth), dtype=dtype)[0]
