"""Translation of convolutions by stored kernels, and of their gradients by the input: transposed convolutions.

A transposed convolution says the size of what it makes. Uncropped it makes (n - 1)·stride + extent of n places; of that
the padding of the convolution whose gradient it is gets cut away, and where no window reaches, zeros are added
(tensorflow/core/kernels/conv_grad_shape_utils.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from converter.errors import InvalidModel, Unsupported
from converter.keras.operations import nn
from converter.model import Value, layers
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.kernels_nn import channels, convolution_padding, explicit_pads, window
from converter.tensorflow_graph.sizes import Axes, Axis
from converter.tensorflow_graph.translating import Translating
from converter.tensorflow_graph.values import Stored, integers_of

Function = Callable[..., Value]


def conv(function: Function) -> Any:
    """A convolution by a stored kernel; explicit paddings become a Pad before it."""

    def rule(t: Translating, step: Step, x: Any, kernel: Any) -> Any:
        a = step.attributes
        value = t.value(step, x)
        weight = kernel.weight if isinstance(kernel, Stored) else kernel
        rank = len(value.shape) - 2
        strides, dilation = window(a, "strides", rank), window(a, "dilations", rank)
        kind = convolution_padding(a)
        if kind == "explicit":
            (value,) = t.by_row(Step(step.name, "Pad", (), ()), [value, explicit_pads(a, len(value.shape))])
            t.settle()
            kind = "valid"
        return function(t.ops(step), value, weight, list(strides), kind, channels(a), list(dilation))

    return rule


class _Span(NamedTuple):
    """One spatial axis: places before, size of the kernel with its gaps, stride, size after; explicit paddings."""

    before: Axis
    extent: int
    stride: int
    after: Axis
    pads: tuple[int, int]


def transposed(t: Translating, step: Step, sizes: Any, kernel: Any, x: Any) -> Value:
    """tf.raw_ops.Conv2DBackpropInput and Conv3DBackpropInputV2. kernel [*window, filters, input].

    Raises:
        Unsupported: the kernel, or how the sizes before and after go together, is only known when the model runs.
        InvalidModel: no such size goes with the strides.
    """
    a, value = step.attributes, t.value(step, x)
    rank = len(value.shape) - 2
    weight = nn.kernel_of(t.ops(step), kernel.weight if isinstance(kernel, Stored) else kernel, value.dtype)
    where = nn.data_format_of(channels(a))
    first = 2 if where == "channels_first" else 1
    if len(weight.shape) != rank + 2 or value.shape[1 if first == 2 else -1] != weight.shape[-1]:
        raise InvalidModel(f"a kernel of shape {weight.shape} for an input of shape {value.shape}")
    strides, dilation = window(a, "strides", rank), window(a, "dilations", rank)
    wanted = _wanted(step, sizes, rank, first)
    before, kind = t.axes(value)[first : first + rank], convolution_padding(a)
    pads = explicit_pads(a, rank + 2)[first : first + rank].tolist()
    spans = [
        _Span(n, (k - 1) * d + 1, s, m, (p, q))
        for n, k, d, s, m, (p, q) in zip(before, weight.shape, dilation, strides, wanted, pads, strict=False)
    ]
    added = tuple(_added(step, span, kind) for span in spans)
    name = nn.padding_of("same" if kind == "same" else "valid")
    layer = layers.ConvTranspose(rank, weight, None, strides, name, added, dilation, where)
    made = _emitted(t, step, value, layer, [_reached(span, n, name) for span, n in zip(spans, added, strict=True)])
    if kind == "explicit":
        return _cropped(t, step, made, spans, first)
    return made


def _wanted(step: Step, sizes: Any, rank: int, first: int) -> list[Axis]:
    """The size of each spatial axis of the output; some versions leave out batch and channels."""
    given = integers_of(sizes, "the size of what a transposed convolution makes")
    if len(given) not in (rank, rank + 2):
        raise InvalidModel(f"{step.text()} makes a tensor of {len(given)} sizes")
    return given if len(given) == rank else given[first : first + rank]


def _added(step: Step, span: _Span, kind: str) -> int:
    """The output_padding, in Keras' sense, of a padding "same" or "valid".

    Raises:
        Unsupported: only the running model knows it.
        InvalidModel: it is not one that the convolution whose gradient this is leaves.
    """
    more = span.after - (span.before - 1) * span.stride
    if not isinstance(more, int):
        raise Unsupported(f"{step.text()} makes a size that the model computes from something else than its input")
    most = span.extent + span.stride - 1 - sum(span.pads)
    if not (1 <= more <= span.stride if kind == "same" else span.extent - sum(span.pads) <= more <= most):
        raise InvalidModel(f"{step.text()} makes a size that no window moving by {span.stride} goes with")
    return more - span.extent % 2 if kind == "same" else more - span.extent + sum(span.pads)


def _reached(span: _Span, added: int, name: str) -> Axis:
    """The size that the layer makes, before explicit paddings are cut away."""
    size: Axis = (span.before - 1) * span.stride + (span.extent % 2 if name == "same" else span.extent) + added
    return size


def _emitted(t: Translating, step: Step, x: Value, layer: layers.ConvTranspose, sizes: list[Axis]) -> Value:
    first = 2 if layer.data_format == "channels_first" else 1
    axes: list[Axis] = list(t.axes(x))
    axes[first : first + layer.rank] = sizes
    axes[1 if first == 2 else -1] = layer.kernel.shape[-2]
    made = t.ops(step).one(layer, [x], _shape(tuple(axes)), x.dtype)
    return t.know(made, axes)


def _shape(axes: Axes) -> tuple[int | None, ...]:
    return tuple(n if isinstance(n, int) else None for n in axes)


def _cropped(t: Translating, step: Step, y: Value, spans: list[_Span], first: int) -> Value:
    """Without the explicit paddings."""
    o, axes = t.ops(step), list(t.axes(y))
    for axis, span in enumerate(spans, first):
        if any(span.pads):
            y = o.slice(y, axis, span.pads[0], -span.pads[1] or None)
            axes[axis] = span.after
    return t.know(y, axes)


RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("Conv2D", "Conv3D"), conv(nn.conv)), "DepthwiseConv2dNative": conv(nn.depthwise_conv),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), transposed),
}  # fmt: skip
