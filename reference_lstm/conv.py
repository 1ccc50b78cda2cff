"""Convolution, transposed convolution and pooling, as TensorFlow defines them.

Kernels are [*window, input/groups, filters]. Data is [batch, *spatial, channels] inside; `channels_first` data is
turned on the way in and out. A convolution is a sum over the places of its window: each place sees a shifted,
strided view of the padded input and multiplies it by its own matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reference_lstm.activations import LINEAR, Activation, activate

Array = NDArray[Any]
Sizes = Sequence[int]
BLOCK = 1 << 18  # numbers that are gathered before a multiplication: more would only leave the cache


def extents(window: Sizes, dilation: Sizes) -> tuple[int, ...]:
    """How many input places each axis of a dilated window spans."""
    return tuple((size - 1) * step + 1 for size, step in zip(window, dilation, strict=True))


def paddings(lengths: Sizes, extent: Sizes, strides: Sizes, padding: str) -> list[tuple[int, int]]:
    """(before, after) of each axis. "same": ceil(length/stride) outputs, the odd one after; "causal": all before."""
    if padding == "valid":
        return [(0, 0)] * len(lengths)
    if padding == "causal":
        return [(size - 1, 0) for size in extent]
    totals = [
        max((-(-length // stride) - 1) * stride + size - length, 0)
        for length, size, stride in zip(lengths, extent, strides, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def places(window: Sizes, dilation: Sizes, strides: Sizes, steps: Sizes) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
    """Each place of the window, with the slices of [batch, *spatial, ...] it meets over `steps` positions."""
    for place in product(*map(range, window)):
        view = [slice(None)]
        for k, d, stride, count in zip(place, dilation, strides, steps, strict=True):
            view.append(slice(k * d, k * d + count * stride, stride) if count else slice(0))
        yield place, tuple(view)


def channels_last(x: Array, data_format: str) -> Array:
    """The data as [batch, *spatial, channels]."""
    return np.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def restore(y: Array, data_format: str) -> Array:
    """Data that is [batch, *spatial, channels] in the format asked for."""
    return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y


def convolve(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: Sizes,
    padding: str,
    dilation: Sizes,
    groups: int = 1,
    data_format: str = "channels_last",
    activation: Activation = LINEAR,
) -> Array:
    """Cross-correlation of x [batch, *spatial, input] with kernel [*window, input/groups, filters]."""
    x = channels_last(x, data_format)
    window, filters = kernel.shape[:-2], kernel.shape[-1]
    extent = extents(window, dilation)
    pads = paddings(x.shape[1:-1], extent, strides, padding)
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    steps = [
        max((length - size) // stride + 1, 0)
        for length, size, stride in zip(x.shape[1:-1], extent, strides, strict=True)
    ]
    y = np.empty((x.shape[0], *steps, filters), x.dtype)
    views = [view for _, view in places(window, dilation, strides, steps)]
    samples = max(BLOCK // max(int(np.prod(steps)) * len(views) * x.shape[-1], 1), 1)
    for start in range(0, len(x), samples):
        block = y[start : start + samples]
        block[...] = _seen_together(x[start : start + samples], kernel, views, groups).reshape(block.shape)
    y = y if bias is None else y + bias
    return activate(activation, restore(y, data_format))


def _seen_together(x: Array, kernel: Array, views: list[tuple[slice, ...]], groups: int) -> Array:
    """The sum over the places, as many at once as BLOCK allows: [rows, filters]."""
    share, filters = kernel.shape[-2:]
    matrices = kernel.reshape(len(views), share, groups, filters // groups)
    rows = int(np.prod(x[views[0]].shape[:-1]))
    total = np.zeros((groups, rows, filters // groups), x.dtype)
    together = max(BLOCK // max(rows * x.shape[-1], 1), 1)
    for start in range(0, len(views), together):
        part = views[start : start + together]
        columns = np.concatenate([x[view].reshape(rows, groups, share) for view in part], axis=-1)
        matrix = matrices[start : start + together].reshape(-1, groups, filters // groups)
        total += columns.transpose(1, 0, 2) @ matrix.transpose(1, 0, 2)
    y: Array = total.transpose(1, 0, 2).reshape(rows, filters)
    return y


def transposed_lengths(
    lengths: Sizes, extent: Sizes, strides: Sizes, padding: str, output_padding: Sizes | None
) -> list[int]:
    """Output lengths of a transposed convolution (Keras' `deconv_output_length`)."""
    result = []
    for axis, (length, size, stride) in enumerate(zip(lengths, extent, strides, strict=True)):
        base = size if padding == "valid" else size % 2
        if output_padding is not None:
            result.append((length - 1) * stride + base + output_padding[axis])
        elif padding == "valid":
            result.append((length - 1) * stride + max(size, stride))
        else:
            result.append(length * stride)
    return result


def transpose_convolve(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: Sizes,
    padding: str,
    output_padding: Sizes | None,
    dilation: Sizes,
    data_format: str = "channels_last",
    activation: Activation = LINEAR,
) -> Array:
    """The gradient of `convolve` by its input. x [batch, *spatial, input], kernel [*window, filters, input].

    Every input place adds its copy of the kernel to the output; of that, the padding of the convolution whose
    gradient this is gets cut away.
    """
    x = channels_last(x, data_format)
    steps, window, filters = x.shape[1:-1], kernel.shape[:-2], kernel.shape[-2]
    extent = extents(window, dilation)
    lengths = transposed_lengths(steps, extent, strides, padding, output_padding)
    before = [pad[0] for pad in paddings(lengths, extent, strides, padding)]
    room = [
        max((count - 1) * stride + size, start + length)
        for count, stride, size, start, length in zip(steps, strides, extent, before, lengths, strict=True)
    ]
    canvas = np.zeros((x.shape[0], *room, filters), x.dtype)
    for place, view in places(window, dilation, strides, steps):
        canvas[view] += x @ kernel[place].T
    y = canvas[tuple([slice(None), *(slice(b, b + n) for b, n in zip(before, lengths, strict=True))])]
    y = y if bias is None else y + bias
    return activate(activation, restore(y, data_format))


def pool(
    x: Array, kind: str, *, window: Sizes, strides: Sizes, padding: str, data_format: str = "channels_last"
) -> Array:
    """Maximum or average over windows of x [batch, *spatial, channels]; padding is neither seen nor counted."""
    x = channels_last(x, data_format)
    pads = [(0, 0), *paddings(x.shape[1:-1], window, strides, padding), (0, 0)]
    spatial = tuple(range(1, x.ndim - 1))
    inner = tuple(range(-len(spatial), 0))
    every = tuple([slice(None), *(slice(None, None, stride) for stride in strides)])

    def windows(data: Array) -> Array:
        if any(size < width for size, width in zip(data.shape[1:-1], window, strict=True)):  # none fits
            sizes = (max(-(-(n - w + 1) // s), 0) for n, w, s in zip(data.shape[1:-1], window, strides, strict=True))
            return np.empty((data.shape[0], *sizes, data.shape[-1], *window), data.dtype)
        return sliding_window_view(data, tuple(window), axis=spatial)[every]

    if kind == "max":
        return restore(windows(np.pad(x, pads, constant_values=-np.inf)).max(axis=inner), data_format)
    total = windows(np.pad(x, pads)).sum(axis=inner)
    count = windows(np.pad(np.ones_like(x[:1, ..., :1]), pads)).sum(axis=inner) if x.shape[0] else 1
    return restore(total / count, data_format)
