"""Images whose contrast is stretched at inference, too: AutoContrast."""

from __future__ import annotations

from typing import Annotated

import msgspec

from converter.errors import Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.layer_type import LayerType
from converter.keras.schema import Config, DataFormat
from converter.keras.spec import Call
from converter.model import Value

Range = Annotated[list[float], msgspec.Meta(min_length=2, max_length=2)]
FULL = [0.0, 255.0]


class AutoContrastConfig(Config, frozen=True):
    """https://keras.io/api/layers/preprocessing_layers/image_augmentation/auto_contrast/"""

    inert = frozenset({"bounding_box_format", "factor"})

    value_range: Range = msgspec.field(default_factory=lambda: list(FULL))
    data_format: DataFormat | None = None  # not looked at: rows and columns are axes 1 and 2 in both


def _auto_contrast(call: Call) -> tuple[Tensor, ...]:
    """Every channel of every image from its least to its greatest number; a constant one stays.

    Source: keras/src/layers/preprocessing/image_preprocessing/auto_contrast.py, alike from 3.6.0 to 3.15.1.

    Raises:
        Unsupported: a single image, where axes 1 and 2 take in the batch; a policy of whole numbers; a range that is
            one number, by whose width Keras divides.
    """
    config: AutoContrastConfig = call.config
    ops, x, dtype = call.ops, call.x.value, call.dtype
    if len(x.shape) != 4 or dtype not in FLOATS:
        raise Unsupported(f"AutoContrast, computed in {dtype}, of an input of shape {x.shape}")
    given = sorted(config.value_range)
    if given[0] == given[1]:
        raise Unsupported(f"AutoContrast with value_range {config.value_range}")
    x = ops.cast(x, dtype)
    pixels = _transformed(ops, x, given, FULL)
    low, high = (ops.reduce(kind, pixels, [1, 2], keepdims=True) for kind in ("min", "max"))
    scale = ops.elementwise("divide", ops.constant(255.0, dtype), ops.elementwise("subtract", high, low))
    offset = ops.elementwise("multiply", ops.unary("negative", low), scale)
    y = ops.elementwise("add", ops.elementwise("multiply", pixels, scale), offset)
    clipped = ops.with_scalar("minimum", ops.with_scalar("maximum", y, 0.0), 255.0)
    result = _transformed(ops, clipped, FULL, given)
    return (Tensor(ops.where(ops.unary("isnan", y), x, result)),)


def _transformed(ops: Ops, x: Value, source: list[float], target: list[float]) -> Value:
    """From one range of values to another (`_transform_value_range` of base_image_preprocessing_layer.py)."""
    if source == target:
        return x
    start, stop, target_start, target_stop = (ops.constant(bound, x.dtype) for bound in (*source, *target))
    share = ops.elementwise("divide", ops.elementwise("subtract", x, start), ops.elementwise("subtract", stop, start))
    scaled = ops.elementwise("multiply", share, ops.elementwise("subtract", target_stop, target_start))
    return ops.elementwise("add", scaled, target_start)


TYPES: dict[str, LayerType] = {
    "AutoContrast": LayerType(AutoContrastConfig, _auto_contrast, note="of batches of images"),
}
