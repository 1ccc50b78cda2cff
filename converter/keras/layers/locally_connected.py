"""LocallyConnected1D and 2D: convolutions whose kernel differs from place to place.

Sources: keras/layers/local.py of 1.2.2 and 2.3.1; tf_keras/src/layers/locally_connected, whose `implementation` decides
how the kernel is stored. Here every kernel becomes [place, tap·channel, filter].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor, refuse_constant
from converter.keras.building.ops import Ops
from converter.keras.layer_type import LayerType
from converter.keras.layers.convolution import rank_of
from converter.keras.layers.core import bias_variables
from converter.keras.schema import ActivationField, Config, DataFormat, Ints, Positive, each
from converter.keras.shared.activating import activated, activation_layer
from converter.keras.shared.einsum import einsum
from converter.keras.shared.keras1 import CONVOLUTION
from converter.keras.shared.windows import spatial_axes, window_length
from converter.keras.spec import Call
from converter.model import Value, Weight, layers

Array = np.ndarray[Any, np.dtype[Any]]


class LocallyConnectedConfig(Config, frozen=True, kw_only=True):
    """https://www.tensorflow.org/versions/r2.15/api_docs/python/tf/keras/layers/LocallyConnected2D"""

    filters: Positive
    kernel_size: Ints
    strides: Ints = 1
    padding: Literal["valid", "same"] = "valid"
    data_format: DataFormat | None = None
    activation: ActivationField = None
    use_bias: bool = True
    implementation: Literal[1, 2, 3] = 1


@dataclass(frozen=True)
class Windows:
    """The windows over an image [*sizes, channels], and how their kernels are stored."""

    sizes: tuple[int, ...]
    out: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]  # how far the first window reaches beyond the input
    channels: int
    filters: int
    first: bool  # stored as channels_first

    @property
    def places(self) -> int:
        """How many windows there are."""
        return prod(self.out)

    def inputs(self) -> tuple[Array, Array]:
        """The pixel that each tap of each window looks at, [place, tap], and whether it lies inside the image."""
        refuse_constant(self.places, prod(self.window))
        starts = np.stack(np.unravel_index(np.arange(self.places), self.out)) * np.array(self.strides)[:, None]
        taps = np.stack(np.unravel_index(np.arange(prod(self.window)), self.window))
        where = (starts - np.array(self.before)[:, None])[:, :, None] + taps[:, None, :]  # [axis, place, tap]
        sizes = np.array(self.sizes)[:, None, None]
        inside = ((where >= 0) & (where < sizes)).all(0)
        return np.ravel_multi_index(tuple(np.clip(where, 0, sizes - 1)), self.sizes), inside


def _by_window(kernel: Array, windows: Windows) -> Array:
    """Implementation 1: [place, tap·channel, filter], or [place, channel·tap, filter] where channels come first."""
    if not windows.first:
        return kernel
    split = kernel.reshape(windows.places, windows.channels, -1, windows.filters)
    turned: Array = split.transpose(0, 2, 1, 3).reshape(kernel.shape)
    return turned


def _from_dense(kernel: Array, windows: Windows) -> Array:
    """Implementation 2: the whole matrix [*sizes, channel, *out, filter], of which only the windows count."""
    pixels, c, f = prod(windows.sizes), windows.channels, windows.filters
    if windows.first:
        dense = kernel.reshape(c, pixels, f, windows.places).transpose(1, 0, 3, 2)
    else:
        dense = kernel.reshape(pixels, c, windows.places, f)
    where, inside = windows.inputs()
    picked: Array = dense[where, :, np.arange(windows.places)[:, None], :] * inside[:, :, None, None]
    return picked.reshape(windows.places, -1, f)


def _from_sparse(kernel: Array, windows: Windows) -> Array:
    """Implementation 3: the entries of the matrix [output, input] that count, row by row."""
    where, inside = windows.inputs()
    c, f, pixels = windows.channels, windows.filters, prod(windows.sizes)
    where, inside = where[:, :, None, None], np.broadcast_to(inside[:, :, None, None], (*inside.shape, c, f))
    place, channel, one = np.arange(windows.places)[:, None, None, None], np.arange(c)[:, None], np.arange(f)
    if windows.first:
        row, column = one * windows.places + place, channel * pixels + where
    else:
        row, column = place * f + one, where * c + channel
    order = np.broadcast_to(row * (pixels * c) + column, inside.shape)[inside].argsort()
    flat = np.zeros(inside.sum(), kernel.dtype)
    flat[order] = kernel
    full = np.zeros(inside.shape, kernel.dtype)
    full[inside] = flat
    return full.reshape(windows.places, -1, f)


STORED: Mapping[int, Callable[[Array, Windows], Array]] = {1: _by_window, 2: _from_dense, 3: _from_sparse}


def _stored_shape(implementation: int, w: Windows) -> tuple[int, ...]:
    if implementation == 1:
        return w.places, prod(w.window) * w.channels, w.filters
    if implementation == 2:
        return (w.channels, *w.sizes, w.filters, *w.out) if w.first else (*w.sizes, w.channels, *w.out, w.filters)
    return (int(w.inputs()[1].sum()) * w.channels * w.filters,)


def _windows(call: Call, x: Value, rank: int) -> Windows:
    config: LocallyConnectedConfig = call.config
    axes = spatial_axes(x.shape, rank, config.data_format)
    first = config.data_format == "channels_first"
    known = [x.shape[axis] for axis in (*axes, 1 if first else -1)]
    *sizes, channels = [n for n in known if n is not None] if None not in known else [0]
    if not sizes:
        raise Unsupported(f"{call.spec.class_name} of an input of open shape {x.shape}")
    if config.padding == "same" and config.implementation == 1:
        raise InvalidModel("padding same in implementation 1, which has none")
    window, strides = each(config.kernel_size, rank, "kernel_size"), each(config.strides, rank, "strides")
    spans = zip(sizes, window, strides, strict=True)
    out = tuple(window_length(n, size, stride, config.padding) or 0 for n, size, stride in spans)
    before = tuple(size // 2 if config.padding == "same" else 0 for size in window)
    return Windows(tuple(sizes), out, window, strides, before, channels, config.filters, first)


def _taps(ops: Ops, x: Value, w: Windows) -> Value:
    """x [batch, *sizes, channel] -> [batch, place, tap·channel], with zeros where a window reaches beyond the input."""
    reach = [(n - 1) * s + size for n, s, size in zip(w.out, w.strides, w.window, strict=True)]
    after = [max(r - b - n, 0) for r, b, n in zip(reach, w.before, w.sizes, strict=True)]
    if any(w.before) or any(after):
        pads = ((0, 0), *zip(w.before, after, strict=True), (0, 0))
        shape = (x.shape[0], *(b + n + a for b, n, a in zip(w.before, w.sizes, after, strict=True)), w.channels)
        x = ops.one(layers.Pad(pads), [x], shape, x.dtype)
    parts = []
    for tap in np.ndindex(w.window):
        part = x
        for axis, (start, count, stride) in enumerate(zip(tap, w.out, w.strides, strict=True), 1):
            part = ops.slice(part, axis, start, start + (count - 1) * stride + 1, stride)
        parts.append(part)
    joined = parts[0] if len(parts) == 1 else ops.concatenate(parts, -1)
    features = joined.shape[-1]
    assert features is not None
    return ops.reshape(joined, [-1, w.places, features], (x.shape[0], w.places, features))


def _locally_connected(call: Call) -> tuple[Tensor, ...]:
    config: LocallyConnectedConfig = call.config
    rank, ops, x = rank_of(call), call.ops, call.x.value
    w = _windows(call, x, rank)
    kernel, bias = call.need("kernel"), call.weight("bias")
    call.check(kernel, "kernel", *_stored_shape(config.implementation, w))
    call.check(bias, "bias", *w.out, w.filters)
    if w.first:
        x = ops.transpose(x, [0, *range(2, rank + 2), 1])
    shape = (w.places, prod(w.window) * w.channels, w.filters)
    by_window = kernel.map(lambda values: STORED[config.implementation](values, w), shape)
    y = einsum(ops, "blk,lkf->blf", [_taps(ops, x, w), ops.weight(by_window)])
    y = ops.reshape(y, [-1, *w.out, w.filters], (x.shape[0], *w.out, w.filters))
    if w.first:
        y = ops.transpose(y, [0, rank + 1, *range(1, rank + 1)])
    if bias is not None:
        y = ops.elementwise("add", y, ops.weight(_bias(bias, w)))
    return (activated(call, y),)


def _bias(bias: Weight, w: Windows) -> Weight:
    """[*out, filter] as it is; for channels_first Keras takes its numbers, in their order, as [filter, *out]."""
    if not w.first:
        return bias
    shape = (w.filters, *w.out)
    return bias.map(lambda values: values.reshape(shape), shape)


TYPES: dict[str, LayerType] = {
    f"LocallyConnected{rank}": LayerType(
        LocallyConnectedConfig,
        _locally_connected,
        bias_variables,
        activation_layer,
        keras1=CONVOLUTION,
        note="of known sizes",
    )
    for rank in ("1D", "2D")
}
