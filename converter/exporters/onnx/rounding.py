"""Comparison with a constant in a type of reduced precision, so that it holds in runtimes that do not round.

onnxruntime on the CPU has no Equal of float16 or bfloat16: it compares in float32, and drops the Cast to float16 before
it, with its rounding. A value that rounds to the constant lies in an interval; asked that way, the answer is the same
whether the value was rounded or not.
"""

from __future__ import annotations

import numpy as np

from converter.exporters.onnx.graph import Graph, Tensor
from converter.model import dtype_of

REDUCED = frozenset({"float16", "bfloat16"})


def interval(constant: float, dtype: str) -> tuple[np.float32, np.float32]:
    """The smallest and the largest float32 that round to a number of `dtype` (half to even); no NaN.

    Neighbors in the type differ by one in their bits, sign apart; an even number has an even one.
    """
    kind = dtype_of(dtype)
    bits = np.abs(np.array(constant, kind)).view(np.uint16)
    below, above = (np.asarray(n, np.uint16).view(kind).astype(np.float64) for n in (max(int(bits), 1) - 1, bits + 1))
    number = abs(float(np.array(constant, kind).astype(np.float64)))
    if np.isinf(number):  # halfway between the largest number and the one that would follow
        below2 = float(np.asarray(bits - 2, np.uint16).view(kind).astype(np.float64))
        low, high = float(below) + (float(below) - below2) / 2, np.inf
    else:
        top = float(above) if np.isfinite(above) else 2 * number - float(below)
        low, high = (number + float(below)) / 2, (number + top) / 2
    ends = [np.float32(low), np.float32(high)]
    if number == 0:
        ends[0] = -ends[1]
    elif bits % 2 and np.isfinite(number):
        ends = [np.nextafter(ends[0], np.float32(np.inf)), np.nextafter(ends[1], np.float32(0))]
    return (ends[0], ends[1]) if not np.signbit(constant) or number == 0 else (-ends[1], -ends[0])


def equals(graph: Graph, x: Tensor, marker: Tensor, constant: float, dtype: str) -> Tensor:
    """Whether x, rounded to `dtype`, is the constant that `marker` holds; bool. Its distances to the ends are exact."""
    single = graph.cast(x, "float32")
    ends = [graph.scalar(float(end), single) for end in interval(constant, dtype)]
    if np.isfinite(constant):
        center = graph.cast(marker, "float32")
        ends = [
            graph.op("Add", center, graph.scalar(float(np.float64(end) - np.float64(constant)), single))
            for end in interval(constant, dtype)
        ]
    above = graph.op("GreaterOrEqual", single, ends[0], dtype="bool")
    return graph.op("And", above, graph.op("LessOrEqual", single, ends[1], dtype="bool"))
