"""Convolutions: plain, depthwise and separable, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from converter.errors import InvalidModel
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.core import bias_variables
from converter.keras.layers.wrappers import fold, unfold
from converter.keras.schema import ActivationField, Config, DataFormat, Ints, Positive, each
from converter.keras.shared.activating import activated, activation_layer
from converter.keras.shared.biases import refuse_misplaced
from converter.keras.shared.keras1 import CONVOLUTION
from converter.keras.shared.windows import channel_axis, replaced, spatial_axes, window_length
from converter.keras.spec import Call
from converter.model import Value, Weight, layers

Padding = Literal["valid", "same", "causal"]
RANKS = {"1D": 1, "2D": 2, "3D": 3}


class WindowConfig(Config, frozen=True, kw_only=True):
    """What every convolution has."""

    kernel_size: Ints
    strides: Ints = 1
    padding: Padding = "valid"
    data_format: DataFormat | None = None
    dilation_rate: Ints = 1
    activation: ActivationField = None
    use_bias: bool = True


class ConvConfig(WindowConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/convolution_layers/"""

    filters: Positive
    groups: Positive = 1


class DepthwiseConfig(WindowConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/convolution_layers/depthwise_convolution2d/"""

    inert = frozenset({"kernel_initializer", "filters", "groups"})  # tf.keras writes its base class's, which it ignores
    depth_multiplier: Positive = 1


class SeparableConfig(WindowConfig, frozen=True, kw_only=True):
    """https://keras.io/api/layers/convolution_layers/separable_convolution/"""

    filters: Positive
    depth_multiplier: Positive = 1
    groups: Literal[1] = 1


def rank_of(call: Call) -> int:
    """How many spatial axes the layer's windows have, by its name ("Conv2DTranspose": 2)."""
    return next(rank for mark, rank in RANKS.items() if mark in call.spec.class_name)


def convolve(
    call: Call, x: Value, kernel: Weight, bias: Weight | None, windows: Sequence[tuple[int, int, int]], groups: int = 1
) -> Value:
    """x convolved; `windows` holds (size, stride, dilation) of each spatial axis. No activation."""
    config: WindowConfig = call.config
    rank, data_format = len(windows), config.data_format or "channels_last"
    axes = spatial_axes(x.shape, rank, data_format)
    padding = config.padding
    if padding == "causal" and rank > 1:
        raise InvalidModel("causal padding is for one dimension")
    if padding == "same" and call.era.switch("theano_windows"):
        x, padding = _pad_as_theano(call, x, windows, axes), "valid"
    sizes = [
        window_length(x.shape[axis], size, stride, padding, dilation)
        for axis, (size, stride, dilation) in zip(axes, windows, strict=True)
    ]
    strides, dilation = tuple(w[1] for w in windows), tuple(w[2] for w in windows)
    channels = channel_axis(x.shape, data_format)
    shape = replaced(x.shape, [*axes, channels], [*sizes, kernel.shape[-1]])
    layer = layers.Conv(rank, kernel, bias, strides, padding, dilation, groups, data_format)
    return call.emit(layer, [x], shape)


def _pad_as_theano(call: Call, x: Value, windows: Sequence[tuple[int, int, int]], axes: Sequence[int]) -> Value:
    """Zeros for padding "same": Theano centers every window ("half" mode), whatever the stride and the size."""
    pads, sizes = [(0, 0)] * len(x.shape), []
    for axis, (size, _, dilation) in zip(axes, windows, strict=True):
        reach = (size - 1) * dilation + 1
        pads[axis] = (reach // 2, (reach - 1) // 2)
        before = x.shape[axis]
        sizes.append(None if before is None else before + reach - 1)
    return call.emit(layers.Pad(tuple(pads)), [x], replaced(x.shape, axes, sizes))


def kernel_of(call: Call, name: str, rank: int) -> Weight:
    """A kernel as [*window, input, filters], in which Keras 1 and Theano keep it otherwise.

    Keras 1 keeps one-dimensional kernels as [window, 1, input, filters] (before 1.1 as [filters, input, window, 1]) and
    those of channels_first as [filters, input, *window]. Theano flips every window.
    """
    kernel = call.need(name)
    kernel = _input_and_filters_last(call, kernel, rank)
    if not call.era.switch("theano_windows") or len(kernel.shape) != rank + 2:
        return kernel
    return kernel.map(lambda values: np.flip(values, tuple(range(rank))), kernel.shape)


def _input_and_filters_last(call: Call, kernel: Weight, rank: int) -> Weight:
    if rank == 1 and len(kernel.shape) == 4:
        axes = call.era.switch("conv1d_kernel")
        if axes == "window, 1, input, filters":
            return kernel.map(lambda values: values[:, 0], (kernel.shape[0], *kernel.shape[2:]))
        if axes == "filters, input, window, 1":
            filters, channels, window, _ = kernel.shape
            return kernel.map(lambda values: values[..., 0].transpose(2, 1, 0), (window, channels, filters))
    if rank > 1 and call.config.data_format == "channels_first" and call.era.switch("filters_first"):
        last_first = (*range(2, len(kernel.shape)), 1, 0)
        return kernel.map(lambda values: values.transpose(last_first), tuple(kernel.shape[k] for k in last_first))
    return kernel


def windows_of(config: WindowConfig, rank: int) -> list[tuple[int, int, int]]:
    """(size, stride, dilation) of each spatial axis."""
    return list(
        zip(
            each(config.kernel_size, rank, "kernel_size"),
            each(config.strides, rank, "strides"),
            each(config.dilation_rate, rank, "dilation_rate"),
            strict=True,
        )
    )


def channels_of(call: Call, x: Value, rank: int) -> int:
    """How many channels x has.

    Raises:
        InvalidModel: that is open, or x has another number of axes.
    """
    spatial_axes(x.shape, rank, call.config.data_format)
    size = x.shape[channel_axis(x.shape, call.config.data_format)]
    if size is None:
        raise InvalidModel(f"the number of channels of the input {x.shape} is open")
    return size


def finish(call: Call, y: Value) -> tuple[Tensor, ...]:
    """The activation; softmax and its kin work along the last axis, whatever the data format.

    Raises:
        Unsupported: a bias that Keras 3 adds to another axis on TensorFlow.
    """
    config: WindowConfig = call.config
    if config.use_bias and config.data_format == "channels_first":
        refuse_misplaced(call, y.shape, (1, y.shape[1], *[1] * (len(y.shape) - 2)))
    return (activated(call, y),)


def _conv(call: Call) -> tuple[Tensor, ...]:
    """tf.keras takes one more axis after the batch as part of it."""
    config: ConvConfig = call.config
    rank, x = rank_of(call), call.x.value
    more = len(x.shape) == rank + 3 and config.data_format != "channels_first"
    if more and call.era.switch("conv_takes_more_axes"):
        (y,) = _conv(replace(call, args=(Tensor(fold(call, x)),)))
        return (Tensor(unfold(call, y.value, x)),)
    windows, channels = windows_of(config, rank), channels_of(call, x, rank)
    if channels % config.groups or config.filters % config.groups:
        raise InvalidModel(f"{config.groups} groups do not divide {channels} channels and {config.filters} filters")
    kernel, bias = kernel_of(call, "kernel", rank), call.weight("bias")
    call.check(kernel, "kernel", *(w[0] for w in windows), channels // config.groups, config.filters)
    call.check(bias, "bias", config.filters)
    return finish(call, convolve(call, x, kernel, bias, windows, config.groups))


def _grouped(call: Call, kernel: Weight, windows: Sequence[tuple[int, int, int]], channels: int) -> Weight:
    """A depthwise kernel [*window, channels, multiplier] as a grouped one [*window, 1, channels·multiplier]."""
    multiplier = call.config.depth_multiplier
    call.check(kernel, "depthwise kernel", *(w[0] for w in windows), channels, multiplier)
    shape = (*kernel.shape[:-2], 1, channels * multiplier)
    return kernel.map(lambda values: values.reshape(shape), shape)


def _depthwise_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    kernel = Variable(era.switch("depthwise_kernel"))
    return (kernel, Variable("bias")) if config.use_bias else (kernel,)


def _depthwise(call: Call) -> tuple[Tensor, ...]:
    rank, x = rank_of(call), call.x.value
    windows, channels = windows_of(call.config, rank), channels_of(call, x, rank)
    kernel = kernel_of(call, call.era.switch("depthwise_kernel"), rank)
    kernel, bias = _grouped(call, kernel, windows, channels), call.weight("bias")
    call.check(bias, "bias", kernel.shape[-1])
    return finish(call, convolve(call, x, kernel, bias, windows, channels))


def _separable_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    return (Variable("depthwise_kernel"), Variable("pointwise_kernel"), *[Variable("bias")] * config.use_bias)


def _separable(call: Call) -> tuple[Tensor, ...]:
    config: SeparableConfig = call.config
    rank, x = rank_of(call), call.x.value
    windows, channels = windows_of(config, rank), channels_of(call, x, rank)
    depthwise = _grouped(call, kernel_of(call, "depthwise_kernel", rank), windows, channels)
    pointwise, bias = kernel_of(call, "pointwise_kernel", rank), call.weight("bias")
    call.check(pointwise, "pointwise kernel", *[1] * rank, depthwise.shape[-1], config.filters)
    call.check(bias, "bias", config.filters)
    between = convolve(call, x, depthwise, None, windows, channels)
    return finish(call, convolve(call, between, pointwise, bias, [(1, 1, 1)] * rank))


_OLD_NAMES = {
    "1D": ("Convolution1D", "AtrousConvolution1D", "AtrousConv1D"),
    "2D": ("Convolution2D", "AtrousConvolution2D", "AtrousConv2D"),
    "3D": ("Convolution3D",),
}

TYPES: dict[str, LayerType] = {
    **{
        f"Conv{mark}": LayerType(
            ConvConfig, _conv, bias_variables, activation_layer, input_rank=rank + 2, aliases=_OLD_NAMES[mark],
            keras1=CONVOLUTION,
        )
        for mark, rank in RANKS.items()
    },
    **{
        f"DepthwiseConv{rank}": LayerType(DepthwiseConfig, _depthwise, _depthwise_variables, activation_layer)
        for rank in ("1D", "2D")
    },
    **{
        f"SeparableConv{rank}": LayerType(
            SeparableConfig, _separable, _separable_variables, activation_layer,
            aliases=(f"SeparableConvolution{rank}",),
            keras1=CONVOLUTION,
        )
        for rank in ("1D", "2D")
    },
}  # fmt: skip
