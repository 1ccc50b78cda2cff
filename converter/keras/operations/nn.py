"""keras.ops.nn and tf.nn: windows, normalizations and attention as operations; kernels are constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.operations.making import related
from converter.keras.operations.products import einsum
from converter.keras.operations.reductions import axes_of, variance
from converter.keras.operations.shapes import repeat
from converter.keras.operations.values import Operand, array_of, axis_in, floating, number, tensor, to_value, together
from converter.keras.schema import DataFormat, each
from converter.keras.shared.windows import channel_axis, replaced, spatial_axes, window_length
from converter.model import Shape, Value, Weight, constant, layers
from converter.model.activations import Activation

FORMATS: dict[Any, DataFormat] = {
    None: "channels_last", "channels_last": "channels_last", "channels_first": "channels_first",
    **dict.fromkeys(("NWC", "NHWC", "NDHWC"), "channels_last"),
    **dict.fromkeys(("NCW", "NCHW", "NCDHW"), "channels_first"),
}  # fmt: skip


def data_format_of(given: Any) -> DataFormat:
    """Where the channels are, in Keras' words.

    Raises:
        Unsupported: elsewhere.
    """
    if given not in FORMATS:
        raise Unsupported(f"data_format {clean(given)}")
    return FORMATS[given]


def padding_of(given: Any) -> Literal["valid", "same"]:
    """The padding by name.

    Raises:
        Unsupported: another one, or numbers.
    """
    name = str(given).lower()
    if name == "valid":
        return "valid"
    if name == "same":
        return "same"
    raise Unsupported(f"padding {clean(given)}")


def steps_of(given: Any, rank: int, what: str, data_format: DataFormat) -> tuple[int, ...]:
    """A number for each spatial axis; TensorFlow may give one for batch and channels too, which must be 1."""
    items = [given] if isinstance(given, int) else [1] if given is None else list(given)
    if len(items) == rank + 2:
        first = 2 if data_format == "channels_first" else 1
        rest = items[:first] + items[first + rank :]
        if any(n != 1 for n in rest):
            raise Unsupported(f"{what} {clean(given)} of batch or channels")
        items = items[first : first + rank]
    return each(items[0] if len(items) == 1 else items, rank, what)


def kernel_of(o: Ops, kernel: Operand, dtype: str) -> Weight:
    """A constant kernel as a weight.

    Raises:
        Unsupported: the model computes it.
    """
    if isinstance(kernel, Value):
        raise Unsupported("a convolution with a kernel that the model computes")
    if isinstance(kernel, Weight):
        return kernel.astype(dtype)
    return constant(f"{o.path}/kernel", array_of(kernel)).astype(dtype)


def pool(kind: Literal["max", "average"]) -> Any:
    """Pooling over windows."""

    def function(
        o: Ops, x: Operand, size: Any, strides: Any = None, padding: Any = "valid", data_format: Any = None
    ) -> Value:
        value, where = tensor(x), data_format_of(data_format)
        rank = len(value.shape) - 2
        window = steps_of(size, rank, "pool_size", where)
        steps = window if strides is None else steps_of(strides, rank, "strides", where)
        name, axes = padding_of(padding), spatial_axes(value.shape, rank, where)
        sizes = [window_length(value.shape[a], w, s, name) for a, w, s in zip(axes, window, steps, strict=True)]
        layer = layers.Pool(rank, kind, window, steps, name, where)
        return o.one(layer, [value], replaced(value.shape, axes, sizes), value.dtype)

    return function


def conv(
    o: Ops, x: Operand, kernel: Operand, strides: Any = 1, padding: Any = "valid", data_format: Any = None,
    dilation: Any = 1,
) -> Value:  # fmt: skip
    """A convolution; fewer channels in the kernel than in the input make groups."""
    value = tensor(x)
    weight = kernel_of(o, kernel, value.dtype)
    channels = value.shape[channel_axis(value.shape, data_format_of(data_format))]
    if len(weight.shape) != len(value.shape) or channels is None or channels % weight.shape[-2]:
        raise InvalidModel(f"a kernel of shape {weight.shape} for an input of shape {value.shape}")
    return _convolved(o, value, weight, channels // weight.shape[-2], (strides, dilation), padding, data_format)


def _convolved(
    o: Ops, x: Value, kernel: Weight, groups: int, steps: tuple[Any, Any], padding: Any, data_format: Any
) -> Value:
    where, rank = data_format_of(data_format), len(x.shape) - 2
    name, axes = padding_of(padding), spatial_axes(x.shape, rank, where)
    strides, dilation = (steps_of(n, rank, "strides", where) for n in steps)
    sizes = [
        window_length(x.shape[axis], size, stride, name, spread)
        for axis, size, stride, spread in zip(axes, kernel.shape, strides, dilation, strict=False)
    ]
    layer = layers.Conv(rank, kernel, None, strides, name, dilation, groups, where)
    shape = replaced(x.shape, [*axes, channel_axis(x.shape, where)], [*sizes, kernel.shape[-1]])
    return o.one(layer, [x], shape, x.dtype)


def depthwise_conv(
    o: Ops, x: Operand, kernel: Operand, strides: Any = 1, padding: Any = "valid", data_format: Any = None,
    dilation: Any = 1,
) -> Value:  # fmt: skip
    """Every channel convolved by itself. kernel [*window, channels, multiplier]."""
    value = tensor(x)
    weight = kernel_of(o, kernel, value.dtype)
    channels = value.shape[channel_axis(value.shape, data_format_of(data_format))]
    if len(weight.shape) != len(value.shape) or channels != weight.shape[-2]:
        raise InvalidModel(f"a depthwise kernel of shape {weight.shape} for an input of shape {value.shape}")
    shape = (*weight.shape[:-2], 1, weight.shape[-2] * weight.shape[-1])
    grouped = weight.map(lambda values: values.reshape(shape), shape)
    return _convolved(o, value, grouped, channels, (strides, dilation), padding, data_format)


def separable_conv(
    o: Ops, x: Operand, depthwise: Operand, pointwise: Operand, strides: Any = 1, padding: Any = "valid",
    data_format: Any = None, dilation: Any = 1,
) -> Value:  # fmt: skip
    """A depthwise convolution, then one of single places."""
    between = depthwise_conv(o, x, depthwise, strides, padding, data_format, dilation)
    return conv(o, between, pointwise, 1, "valid", data_format)


def _along(o: Ops, given: Operand, x: Value, axes: Sequence[int]) -> Value:
    """A scale or offset of the sizes of some axes, shaped to broadcast against x."""
    weight = to_value(o, given, x.dtype)
    if len(weight.shape) == len(x.shape) or list(axes) == [len(x.shape) - 1]:
        return weight
    shape: Shape = tuple(x.shape[k] if k in axes else 1 for k in range(len(x.shape)))
    return o.reshape(weight, [-1 if n is None else n for n in shape], shape)


def batch_norm(
    o: Ops, x: Operand, mean: Operand, var: Operand, axis: Any = None, offset: Operand = None, scale: Operand = None,
    epsilon: Any = 1e-3,
) -> Value:  # fmt: skip
    """x·(scale/sqrt(variance + epsilon)) + (offset - mean·that); with `axis`, all are vectors along it."""
    value = floating(o, x)
    axes = [] if axis is None else [axis_in(axis, len(value.shape))]

    def shaped(given: Operand) -> Value:
        return _along(o, given, value, axes) if axes else to_value(o, given, value.dtype)

    inverse = o.unary("rsqrt", o.with_scalar("add", shaped(var), number(epsilon, "epsilon")))
    if scale is not None:
        inverse = o.elementwise("multiply", inverse, shaped(scale))
    shift = o.elementwise("multiply", shaped(mean), inverse)
    scaled = o.elementwise("multiply", value, inverse)
    if offset is None:
        return o.elementwise("subtract", scaled, shift)
    return o.elementwise("add", scaled, o.elementwise("subtract", shaped(offset), shift))


def layer_norm(
    o: Ops, x: Operand, gamma: Operand = None, beta: Operand = None, axis: Any = -1, epsilon: Any = None,
    rms: Any = False,
) -> Value:  # fmt: skip
    """keras.ops.layer_normalization; with `rms`, x over its standard deviation, the mean stays."""
    value = floating(o, x)
    axes, least = sorted(axes_of(value, axis)), 1e-7 if epsilon is None else number(epsilon, "epsilon")
    wide = o.cast(value, "float64" if value.dtype == "float64" else "float32")
    inverse = o.unary("rsqrt", o.with_scalar("add", variance(o, wide, axes, True), least))
    if gamma is not None:
        inverse = o.elementwise("multiply", inverse, _along(o, gamma, wide, axes))
    centered = wide if rms else o.elementwise("subtract", wide, o.reduce("mean", wide, axes, keepdims=True))
    result = o.elementwise("multiply", centered, inverse)
    if beta is not None and not rms:
        result = o.elementwise("add", result, _along(o, beta, wide, axes))
    return o.cast(result, value.dtype)


def rms_norm(o: Ops, x: Operand, scale: Operand = None, axis: Any = -1, epsilon: Any = None) -> Value:
    """keras.ops.rms_normalization: x over the root of its mean square."""
    value = floating(o, x)
    axes, least = axes_of(value, axis), 1e-7 if epsilon is None else number(epsilon, "epsilon")
    wide = o.cast(value, "float64" if value.dtype == "float64" else "float32")
    squares = o.reduce("mean", o.unary("square", wide), axes, keepdims=True)
    result = o.elementwise("multiply", wide, o.unary("rsqrt", o.with_scalar("add", squares, least)))
    if scale is not None:
        result = o.elementwise("multiply", result, _along(o, scale, wide, axes))
    return o.cast(result, value.dtype)


def attention(
    o: Ops, query: Operand, key: Operand, value: Operand, bias: Operand = None, mask: Operand = None,
    scale: Any = None, causal: Any = False,
) -> Value:  # fmt: skip
    """keras.ops.dot_product_attention of [batch, time, heads, size]; heads of keys may each be used several times."""
    q, k, v = together(o, query, key, value)
    heads, groups, size = q.shape[2], k.shape[2], k.shape[-1]
    if q.dtype not in FLOATS or heads is None or groups is None or size is None:
        raise Unsupported(f"attention of shapes {q.shape}, {k.shape}, {v.shape}")
    if heads > groups:
        k, v = (repeat(o, part, heads // groups, 2) for part in (k, v))
    scores = o.cast(einsum(o, "btnh,bsnh->bnts", q, k), "float64" if q.dtype == "float64" else "float32")
    scores = o.with_scalar("multiply", scores, size**-0.5 if scale is None else number(scale, "a scale"))
    if bias is not None:
        scores = o.elementwise("add", scores, to_value(o, bias, scores.dtype))
    low = o.constant(-0.7 * 3.38953e38, scores.dtype)
    if mask is not None:
        scores = o.where(to_value(o, mask, "bool"), scores, low)
    if causal:
        scores = o.where(related(o, "greater_equal", scores), scores, low)
    shares = o.cast(o.activate(scores, Activation("softmax", (len(scores.shape) - 1,))), v.dtype)
    return einsum(o, "bnts,bsnh->btnh", shares, v)
