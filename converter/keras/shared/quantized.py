"""int8 as Keras 3 computes it: inputs made whole numbers row by row, products of those, and the scales divided out.

3.3 to 3.15 do the same in float32 (`abs_max_quantize` of keras/src/quantizers/quantizers.py, `_int8_call` of the
layers). Whole numbers are kept in float32, which holds their products as they are: 127·127·n up to 2^24.
"""

from __future__ import annotations

from collections.abc import Sequence

from converter.keras.building.ops import Ops
from converter.keras.schema import Quantizable
from converter.model import Value

LARGEST = 127


def whole_numbers(ops: Ops, x: Value, axes: Sequence[int], epsilon: float) -> tuple[Value, Value]:
    """x as whole numbers from -127 to 127, and what it was multiplied by, one number along `axes`, which stay as 1."""
    largest = ops.with_scalar("add", ops.reduce("max", ops.unary("abs", x), axes, keepdims=True), epsilon)
    scale = ops.elementwise("divide", ops.constant(LARGEST, x.dtype), largest)
    whole = ops.unary("round", ops.elementwise("multiply", x, scale))
    return ops.with_scalar("minimum", ops.with_scalar("maximum", whole, -LARGEST), LARGEST), scale


def inputs_of(ops: Ops, config: Quantizable, x: Value, axes: Sequence[int]) -> tuple[Value, Value | None]:
    """What a layer multiplies with its kernel, and the scale of that; x itself and None where it keeps floats."""
    return whole_numbers(ops, x, axes, config.epsilon) if config.quantizes_inputs else (x, None)
