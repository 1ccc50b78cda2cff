"""The feature that our exports of masked LSTMs add (exporters/onnx/native_weights.py), so that masked steps keep c.

A masked layer keeps its states by itself; the feature and its weights go.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from converter.model import Value, layers
from converter.readers.onnx.counted import Compact
from converter.readers.onnx.tensors import Const
from converter.readers.onnx.values import Builder, Call

# Own copies: a reader must not share a table with the exporter that its reading back judges.
_WEIGHTS = (-32768.0, 0.0, 32768.0, 0.0)  # of the gates i, o, f and c, in ONNX' order
_VALUES = (0.0, 32768.0)  # at unmasked and masked steps


def without(builder: Builder, call: Call, compact: Compact) -> tuple[Call, Compact]:
    """The operator and its input without that feature, where it is the last one."""
    x, kernel = _before(builder, compact), call.tensor(1)
    if call.op != "LSTM" or x is None or not isinstance(kernel, Const) or len(kernel.weight.shape) != 3:
        return call, compact
    count, height, features = kernel.weight.shape
    closed = np.repeat(np.array(_WEIGHTS), height // 4)
    if x.shape[-1] != features - 1 or not np.array_equal(kernel.array[:, :, -1], np.tile(closed, (count, 1))):
        return call, compact
    left = kernel.weight.map(lambda array: array[:, :, :-1], (count, height, features - 1))
    return replace(call, inputs=[call.inputs[0], Const(left), *call.inputs[2:]]), replace(compact, x=x)


def _before(builder: Builder, compact: Compact) -> Value | None:
    """What the feature is put behind."""
    joined = builder.producer(compact.x)
    if joined is None or joined.layer != layers.Concatenate(2) or len(joined.inputs) != 2:
        return None
    x, column = joined.inputs
    wide = None if column is None else builder.producer(column)
    if x is None or x.shape[-1] is None or wide is None or wide.layer != layers.ExpandDims((2,)):
        return None
    chosen = None if wide.inputs[0] is None else builder.producer(wide.inputs[0])
    if chosen is None or not isinstance(chosen.layer, layers.Where) or chosen.inputs[0] != compact.mask:
        return None
    made = [None if value is None else builder.producer(value) for value in chosen.inputs[1:]]
    numbers = [n.layer.weight for n in made if n is not None and isinstance(n.layer, layers.Constant)]
    fits = len(numbers) == 2 and all(n.size == 1 for n in numbers)
    return x if fits and tuple(float(n.read().item()) for n in numbers) == _VALUES else None
