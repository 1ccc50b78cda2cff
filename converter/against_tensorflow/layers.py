"""One rule per neutral layer: the Keras layer that does it, with its weights."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from converter.against_tensorflow.operators import OPERATORS
from converter.against_tensorflow.stage import Stage, Tensor
from converter.errors import Unsupported
from converter.model import Weight
from converter.model import layers as neutral


@singledispatch
def compute(layer: neutral.Layer, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    """The output of a layer; a list of outputs for a recurrent one. `dtype` is the output's in the model."""
    rule = OPERATORS.get(type(layer))
    if rule is None:
        raise Unsupported(f"{type(layer).__name__} is not compared with TensorFlow")
    made = rule(stage, layer, *inputs)
    return stage.tf.cast(made, stage.dtype(dtype))


# --- recurrent layers -------------------------------------------------------------------------------------------------


@compute.register
def _(layer: neutral.Recurrent, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    x, mask, *initial = inputs
    if layer.time_major:
        x = _swapped(stage, x)
        mask = None if mask is None else _swapped(stage, mask)
    outputs, finals = [], []
    for direction in layer.directions:
        count = direction.cell.states
        given, initial = initial[:count], initial[count:]
        y, *states = _direction(layer, direction, stage, x, mask, given)
        outputs.append(_swapped(stage, y) if layer.time_major and layer.return_sequences else y)
        finals += states
    if layer.merge is None:
        return [*outputs, *finals]
    cell = layer.directions[0].cell
    first = isinstance(cell, neutral.ConvLSTMCell) and cell.data_format == "channels_first"
    axis = -1 - cell.rank if first and isinstance(cell, neutral.ConvLSTMCell) else -1
    merges = {
        "concat": lambda a, b: stage.tf.concat([a, b], axis), "sum": lambda a, b: a + b,
        "mul": lambda a, b: a * b, "ave": lambda a, b: (a + b) / 2,
    }  # fmt: skip
    return [merges[layer.merge](*outputs), *finals]


def _swapped(stage: Stage, x: Tensor) -> Tensor:
    return stage.tf.transpose(x, [1, 0, *range(2, len(x.shape))])


def _direction(
    layer: neutral.Recurrent,
    direction: neutral.Direction,
    stage: Stage,
    x: Tensor,
    mask: Tensor | None,
    initial: list[Tensor | None],
) -> list[Tensor]:
    """The output and the final states of one pass over time, batch first."""
    kind, options, weights = _cell(direction.cell, stage)
    made = stage.layer(
        direction, kind, x, weights, return_sequences=True, return_state=True, go_backwards=direction.reverse_input,
        zero_output_for_mask=layer.masked_output == "zero", **options,
    )  # fmt: skip
    start = None
    if any(state is not None for state in initial):
        known = next(state for state in initial if state is not None)
        start = [stage.tf.zeros_like(known) if state is None else state for state in initial]
    y, *states = made(x, mask=mask, initial_state=start)
    if layer.masked_output == "state" and mask is not None and start is not None:
        steps = stage.tf.reverse(mask, [1]) if direction.reverse_input else mask
        before = stage.tf.cumsum(stage.tf.cast(steps, "int32"), 1) == 0
        before = stage.tf.reshape(before, [*before.shape, *[1] * (len(y.shape) - 2)])
        y = stage.tf.where(before, start[0][:, None], y)
    if not layer.return_sequences:
        return [y[:, -1], *states]
    return [stage.tf.reverse(y, [1]) if direction.reverse_output else y, *states]


def _cell(cell: neutral.Cell, stage: Stage) -> tuple[str, dict[str, Any], list[Weight | None]]:
    """Class, options and weights of the Keras layer for a cell."""
    options: dict[str, Any] = {"activation": stage.activation(cell.activation), "use_bias": cell.bias is not None}
    weights = [cell.kernel, cell.recurrent_kernel, cell.bias]
    if isinstance(cell, neutral.SimpleRNNCell):
        return "SimpleRNN", {**options, "units": cell.units}, weights
    options["recurrent_activation"] = stage.activation(cell.recurrent_activation)
    if isinstance(cell, neutral.GRUCell):
        return "GRU", {**options, "units": cell.units, "reset_after": cell.reset_after}, weights
    if isinstance(cell, neutral.LSTMCell):
        if cell.peephole is not None:
            raise Unsupported("TensorFlow has no layer with peepholes any more")
        return "LSTM", {**options, "units": cell.units}, weights
    return f"ConvLSTM{cell.rank}D", {
        **options, "filters": cell.filters, "kernel_size": cell.kernel.shape[: cell.rank], "strides": cell.strides,
        "padding": cell.padding, "dilation_rate": cell.dilation, "data_format": cell.data_format,
    }, weights  # fmt: skip


# --- layers with weights ----------------------------------------------------------------------------------------------


@compute.register
def _(layer: neutral.Dense, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    (x,) = inputs
    made = stage.layer(
        layer, "Dense", x, [layer.kernel, layer.bias], units=layer.kernel.shape[1], use_bias=layer.bias is not None,
        activation=stage.activation(layer.activation),
    )  # fmt: skip
    return made(x)


@compute.register
def _(layer: neutral.Embedding, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    (x,) = inputs
    rows, width = layer.table.shape
    return stage.layer(layer, "Embedding", x, [layer.table], input_dim=rows, output_dim=width)(x)


@compute.register
def _(layer: neutral.Conv, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    (x,) = inputs
    made = stage.layer(
        layer, f"Conv{layer.rank}D", _last(stage, layer, x), [layer.kernel, layer.bias],
        filters=layer.kernel.shape[-1], kernel_size=layer.kernel.shape[: layer.rank], strides=layer.strides,
        padding=layer.padding, dilation_rate=layer.dilation, groups=layer.groups, use_bias=layer.bias is not None,
        activation=stage.activation(layer.activation),
    )  # fmt: skip
    return _back(stage, layer, made(_last(stage, layer, x)))


@compute.register
def _(layer: neutral.ConvTranspose, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    (x,) = inputs
    made = stage.layer(
        layer, f"Conv{layer.rank}DTranspose", _last(stage, layer, x), [layer.kernel, layer.bias],
        filters=layer.kernel.shape[-2], kernel_size=layer.kernel.shape[: layer.rank], strides=layer.strides,
        padding=layer.padding, output_padding=layer.output_padding, dilation_rate=layer.dilation,
        use_bias=layer.bias is not None, activation=stage.activation(layer.activation),
    )  # fmt: skip
    return _back(stage, layer, made(_last(stage, layer, x)))


@compute.register
def _(layer: neutral.Pool, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    (x,) = inputs
    kind = f"{layer.kind.capitalize()}Pooling{layer.rank}D"
    options = {"pool_size": layer.window, "strides": layer.strides, "padding": layer.padding}
    return _back(stage, layer, stage.layer(layer, kind, _last(stage, layer, x), [], **options)(_last(stage, layer, x)))


def _last(stage: Stage, layer: neutral.Conv | neutral.ConvTranspose | neutral.Pool, x: Tensor) -> Tensor:
    """x with its channels last, as TensorFlow's processor kernels want them."""
    if layer.data_format == "channels_last":
        return x
    return stage.tf.transpose(x, [0, *range(2, 2 + layer.rank), 1])


def _back(stage: Stage, layer: neutral.Conv | neutral.ConvTranspose | neutral.Pool, y: Tensor) -> Tensor:
    if layer.data_format == "channels_last":
        return y
    return stage.tf.transpose(y, [0, 1 + layer.rank, *range(1, 1 + layer.rank)])


@compute.register
def _(layer: neutral.BatchNormalization, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    (x,) = inputs
    made = stage.layer(
        layer, "BatchNormalization", x, [layer.gamma, layer.beta, layer.mean, layer.variance], axis=layer.axis,
        epsilon=layer.epsilon, center=layer.beta is not None, scale=layer.gamma is not None,
    )  # fmt: skip
    return made(x, training=False)


@compute.register
def _(layer: neutral.LayerNormalization, stage: Stage, inputs: list[Tensor | None], dtype: str) -> Tensor:
    x: Any = inputs[0]
    tf, axes = stage.tf, list(layer.axes)
    if layer.rms:
        scale = tf.math.rsqrt(tf.reduce_mean(x * x, axes, keepdims=True) + layer.epsilon)
        shape = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
        return x * scale * (1.0 if layer.gamma is None else tf.reshape(stage.weight(layer.gamma), shape))
    made = stage.layer(
        layer, "LayerNormalization", x, [layer.gamma, layer.beta], axis=axes, epsilon=layer.epsilon,
        center=layer.beta is not None, scale=layer.gamma is not None,
    )  # fmt: skip
    return made(x)
