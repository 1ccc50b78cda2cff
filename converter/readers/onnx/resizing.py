"""Rules for Resize and the operators that scale what they get by arrays of the file, along its channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import Unsupported
from converter.model import Value, layers
from converter.readers.onnx.general import value_of
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder, Call, broadcast

_WHOLE = {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")}
"""How nearest neighbors are found where that repeats each element: by whole factors, which are all that is read."""


def _resize(builder: Builder, call: Call) -> list[Tensor]:
    """Nearest neighbors, each axis by a whole factor."""
    x = value_of(builder, call, 0)
    how = (call.text("coordinate_transformation_mode", "half_pixel"), call.text("nearest_mode", "round_prefer_floor"))
    if call.text("mode", "nearest") != "nearest" or how not in _WHOLE or "axes" in call.attributes:
        raise Unsupported(f"Resize of this kind, {call.text('mode', 'nearest')} by {how[0]}")
    for axis, times in enumerate(_factors(builder, call, x)):
        if times != 1:
            size = x.shape[axis]
            shape = (*x.shape[:axis], None if size is None else size * times, *x.shape[axis + 1 :])
            (x,) = builder.node(f"{call.name}/repeat", layers.Repeat(axis, times), (x,), shape)
    return [Val(x)]


def _factors(builder: Builder, call: Call, x: Value) -> list[int]:
    scales = call.tensor(2) if call.has(2) else None
    if isinstance(scales, Const) and scales.weight.size == len(x.shape):
        found = [float(n) for n in scales.array.ravel()]
    else:
        sizes = builder.dims(call.tensor(3)) if call.has(3) else None
        if sizes is None or len(sizes) != len(x.shape):
            raise Unsupported("Resize by what is computed")
        own = [(x.name, k) if size is None else size for k, size in enumerate(x.shape)]
        found = [1.0 if a == b else a / b if isinstance(a, int) and isinstance(b, int) and b else 0.0
                 for a, b in zip(sizes, own, strict=True)]  # fmt: skip
    if any(n < 1 or n != int(n) for n in found):
        raise Unsupported(f"Resize by {found}")
    return [int(n) for n in found]


def _instances(builder: Builder, call: Call) -> list[Tensor]:
    """https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html, over all axes behind the channels."""
    x, arrays = value_of(builder, call, 0), [call.tensor(k) for k in (1, 2)]
    rank = len(x.shape)
    if rank < 3 or not all(isinstance(array, Const) for array in arrays):
        raise Unsupported("InstanceNormalization of this kind")
    layer = layers.LayerNormalization(tuple(range(2, rank)), None, None, call.number("epsilon", 1e-5))
    (y,) = builder.node(call.name, layer, (x,), x.shape)
    for op, array in zip(("multiply", "add"), arrays, strict=True):
        column = builder.value(_column(array, rank), f"{call.name}/{op}")
        (y,) = builder.node(f"{call.name}/{op}", layers.Elementwise(op), (y, column), x.shape)  # type: ignore[arg-type]
    return [Val(y)]


def _column(array: Tensor, rank: int) -> Tensor:
    """One number for each channel, behind which come `rank` - 2 axes."""
    assert isinstance(array, Const)
    shape = (array.weight.size, *[1] * (rank - 2))
    return Const(array.weight.map(lambda numbers: numbers.reshape(shape), shape))


def _prelu(builder: Builder, call: Call) -> list[Tensor]:
    """x where it is not below 0, else x times the slope."""
    x, slope = value_of(builder, call, 0), value_of(builder, call, 1)
    if broadcast(x.shape, slope.shape) != x.shape:
        raise Unsupported("PRelu with a slope of more axes than its input")
    zero = builder.number(f"{call.name}/zero", np.zeros((), x.dtype))
    (below,) = builder.node(f"{call.name}/below", layers.Elementwise("less"), (x, zero), x.shape, dtype="bool")
    (steep,) = builder.node(f"{call.name}/slope", layers.Elementwise("multiply"), (x, slope), x.shape)
    return [Val(builder.node(call.name, layers.Where(), (below, steep, x), x.shape, dtype=x.dtype)[0])]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "Resize": _resize,
    "InstanceNormalization": _instances,
    "PRelu": _prelu,
}
