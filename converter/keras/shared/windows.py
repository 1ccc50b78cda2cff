"""How windows change sizes: shapes of convolutions, poolings and paddings over spatial axes."""

from __future__ import annotations

from collections.abc import Sequence

from converter.errors import InvalidModel
from converter.keras.schema import DataFormat
from converter.model import Shape


def window_length(size: int | None, window: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """How many windows fit in `size` ("valid"), or start in it ("same", "causal").

    Raises:
        InvalidModel: not one window fits.
    """
    if size is None:
        return None
    if padding == "valid":
        size -= (window - 1) * dilation
    if size < 1:
        raise InvalidModel(f"a window of {window} (dilation {dilation}) does not fit in the input")
    return -(-size // stride)


def transposed_length(
    size: int | None, window: int, stride: int, padding: str, dilation: int, output_padding: int | None
) -> int | None:
    """The size that a transposed convolution makes of `size` (deconv_output_length in Keras' conv_utils)."""
    if size is None:
        return None
    window = (window - 1) * dilation + 1
    if output_padding is None:
        return size * stride + (max(window - stride, 0) if padding == "valid" else 0)
    pad = 0 if padding == "valid" else window // 2
    return (size - 1) * stride + window - 2 * pad + output_padding


def spatial_axes(shape: Shape, rank: int, data_format: DataFormat | None) -> range:
    """The axes of an input [batch, *spatial, channels] or [batch, channels, *spatial] that windows move along.

    Raises:
        InvalidModel: the input has another number of axes.
    """
    if len(shape) != rank + 2:
        raise InvalidModel(f"an input of shape {shape}, where {rank + 2} axes are expected")
    first = 2 if data_format == "channels_first" else 1
    return range(first, first + rank)


def channel_axis(shape: Shape, data_format: DataFormat | None) -> int:
    """Where the channels are."""
    return 1 if data_format == "channels_first" else len(shape) - 1


def replaced(shape: Shape, axes: Sequence[int], sizes: Sequence[int | None]) -> Shape:
    """`shape` with other sizes on some axes."""
    new = dict(zip(axes, sizes, strict=True))
    return tuple(new.get(axis, size) for axis, size in enumerate(shape))
