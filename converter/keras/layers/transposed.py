"""Transposed convolutions in one to three dimensions; Keras 1's Deconvolution2D states its output's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.layer_type import LayerType
from converter.keras.layers.convolution import (
    RANKS,
    WindowConfig,
    channels_of,
    finish,
    kernel_of,
    rank_of,
    windows_of,
)
from converter.keras.layers.core import bias_variables
from converter.keras.schema import Ints, Positive, Sizes
from converter.keras.shared.activating import activation_layer
from converter.keras.shared.keras1 import CONVOLUTION
from converter.keras.shared.windows import channel_axis, replaced, spatial_axes, transposed_length
from converter.keras.spec import Call
from converter.model import Value, Weight, layers

Spans = Sequence[tuple[int, int, int]]  # (size, stride, dilation) of each spatial axis


class TransposeConfig(WindowConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/convolution_layers/convolution2d_transpose/; `output_shape` is Keras 1's."""

    filters: Positive
    output_padding: Ints | None = None
    groups: Literal[1] = 1
    output_shape: Sizes | None = None


def _transpose(call: Call) -> tuple[Tensor, ...]:
    config: TransposeConfig = call.config
    rank, x = rank_of(call), call.x.value
    windows, channels = windows_of(config, rank), channels_of(call, x, rank)
    kernel, bias = _kernel(call, rank), call.weight("bias")
    call.check(kernel, "kernel", *(w[0] for w in windows), config.filters, channels)
    call.check(bias, "bias", config.filters)
    if config.padding == "causal":
        raise Unsupported("a transposed convolution with padding causal")
    if call.era.switch("transposed_output") != "usual":
        return finish(call, _with_bias(call, _cut_out(call, x, kernel, windows), bias))
    added = None if config.output_padding is None else _output_padding(config.output_padding, windows)
    return finish(call, _plain(call, x, kernel, bias, windows, config.padding, added))


def _kernel(call: Call, rank: int) -> Weight:
    """As [*window, filters, input]; Keras 1 keeps it as it keeps those of other convolutions."""
    kernel = kernel_of(call, "kernel", rank)
    if not call.era.switch("transposed_kernel_as_conv"):
        return kernel
    return kernel.map(lambda values: np.swapaxes(values, -1, -2), (*kernel.shape[:-2], *kernel.shape[:-3:-1]))


def _plain(
    call: Call,
    x: Value,
    kernel: Weight,
    bias: Weight | None,
    windows: Spans,
    padding: Literal["valid", "same"],
    added: tuple[int, ...] | None,
) -> Value:
    config: TransposeConfig = call.config
    rank, data_format = len(windows), config.data_format or "channels_last"
    axes = spatial_axes(x.shape, rank, data_format)
    sizes = [
        transposed_length(x.shape[axis], size, stride, padding, dilation, added[k] if added else None)
        for k, (axis, (size, stride, dilation)) in enumerate(zip(axes, windows, strict=True))
    ]
    strides, dilation = tuple(w[1] for w in windows), tuple(w[2] for w in windows)
    layer = layers.ConvTranspose(rank, kernel, bias, strides, padding, added, dilation, data_format)
    shape = replaced(x.shape, [*axes, channel_axis(x.shape, data_format)], [*sizes, kernel.shape[-2]])
    return call.emit(layer, [x], shape)


def _cut_out(call: Call, x: Value, kernel: Weight, windows: Spans) -> Value:
    """Everything that windows reach, and of it the part that Theano, or Keras 1 on TensorFlow, takes for the output.

    Theano centers windows whatever the stride ("half"), TensorFlow centers what it cuts off. Where windows do not reach
    to the end of the output, it is zero.
    """
    config: TransposeConfig = call.config
    theano, same = call.era.switch("transposed_output") == "theano", config.padding == "same"
    if config.output_padding is not None or any(w[2] > 1 for w in windows):
        raise Unsupported(f"a dilated or padded transposed convolution of {call.era} on {call.era.backend}")
    if theano and same and any(w[0] % 2 == 0 for w in windows):
        raise Unsupported("a transposed convolution with padding same and an even window on Theano")
    axes = spatial_axes(x.shape, len(windows), config.data_format)
    y = _plain(call, x, kernel, None, windows, "valid", None)
    for axis, (size, stride, _) in zip(axes, windows, strict=True):
        before = x.shape[axis]
        if before is None:
            raise Unsupported(f"a transposed convolution of open size of {call.era} on {call.era.backend}")
        wanted = _stated(config, axis) or transposed_length(before, size, stride, config.padding, 1, None)
        assert wanted is not None
        reached = (before - 1) * stride + size
        if _strided(wanted, size, stride, same) != before:
            raise InvalidModel(f"an output of size {wanted} for an input of {before}")
        cut = 0 if not same else size // 2 if theano else max(reached - wanted, 0) // 2
        y = _span(call, y, axis, cut, wanted)
    return y


def _stated(config: TransposeConfig, axis: int) -> int | None:
    """The size that Keras 1 has in its configuration."""
    stated = config.output_shape
    return stated[axis] if stated is not None and axis < len(stated) else None


def _strided(size: int, window: int, stride: int, same: bool) -> int:
    """How many windows a convolution makes of `size`."""
    return -(-size // stride) if same else (size - window) // stride + 1


def _span(call: Call, y: Value, axis: int, start: int, size: int) -> Value:
    """y[start:start + size] along one axis, with zeros where it ends before."""
    known = y.shape[axis]
    assert known is not None
    short = max(start + size - known, 0)
    if short:
        pads = tuple((0, short if k == axis else 0) for k in range(len(y.shape)))
        y = call.emit(layers.Pad(pads), [y], replaced(y.shape, [axis], [known + short]))
    return y if (start, size) == (0, known + short) else call.ops.slice(y, axis, start, start + size)


def _with_bias(call: Call, y: Value, bias: Weight | None) -> Value:
    """The bias on every place, also where no window reaches."""
    if bias is None:
        return y
    sizes = [1] * len(y.shape)
    sizes[channel_axis(y.shape, call.config.data_format)] = bias.shape[0]
    shape = tuple(sizes)
    return call.ops.elementwise("add", y, call.ops.weight(bias.map(lambda values: values.reshape(shape), shape)))


def _output_padding(given: Ints, windows: Spans) -> tuple[int, ...]:
    added = (given,) * len(windows) if isinstance(given, int) else tuple(given)
    if len(added) != len(windows) or any(not 0 <= n < w[1] for n, w in zip(added, windows, strict=False)):
        raise InvalidModel(f"output_padding {given} must be below the strides")
    return added


_OLD_NAMES = {
    "1D": ("Convolution1DTranspose",),
    "2D": ("Convolution2DTranspose", "Deconvolution2D", "Deconv2D"),
    "3D": ("Convolution3DTranspose", "Deconvolution3D", "Deconv3D"),
}

TYPES: dict[str, LayerType] = {
    f"Conv{rank}Transpose": LayerType(
        TransposeConfig, _transpose, bias_variables, activation_layer, aliases=_OLD_NAMES[rank],
        keras1=CONVOLUTION,
        note="of Keras 1 and Theano: of known sizes, not dilated",
    )
    for rank in RANKS
}  # fmt: skip
