"""Runs a neutral model on `reference_lstm`: what the model means, in float64 or float32, step by step.

One rule per layer type of `converter.model.layers`. Weights are read when their node runs and let go afterwards; values
that no later node reads are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import singledispatch
from typing import Any

import numpy as np

import reference_lstm
from converter.holding import optional, read, resolved, with_values
from converter.model import Array, Model, Node, Value, dtype_of, layers
from converter.model.activations import Activation
from reference_lstm import conv, ops, text
from reference_lstm import layers as reference

TABLE_READ_WHOLE = 1 << 24  # bytes; of a larger Embedding only the rows asked for are read
Inputs = tuple[Any, ...]


def run(
    model: Model,
    inputs: Mapping[str, Array],
    *,
    dtype: str = "float64",
    states: Mapping[str, Array] | None = None,
    keep: Collection[str] = (),
) -> dict[str, Array]:
    """Compute the outputs of a model.

    Args:
        model: the model.
        inputs: an array for each of the model's inputs, by the name of its value.
        dtype: "float64" or "float32": what every float of the model, of whatever dtype, becomes.
        states: carried states by the name of their input value; those missing are zeros.
        keep: names of further values wanted.

    Returns:
        The model's outputs, the states' outputs and the values to keep, by the names of the values.

    Raises:
        ValueError: an input is missing, or an array does not have the shape or the kind of dtype that the model says.
    """
    wanted = {v.name for v in model.outputs} | {state.output.name for state in model.states} | set(keep)
    last_reader = {v.name: index for index, node in enumerate(model.nodes) for v in node.inputs if v is not None}
    values: dict[str, Array | None] = {state.input.name: _zeros(state.input, dtype) for state in model.states}
    fed = [(value, inputs) for value in model.inputs]
    fed += [(state.input, states) for state in model.states if states is not None and state.input.name in states]
    for value, source in fed:
        if value.name not in source:
            raise ValueError(f"no array was given for the model's input {value.name!r}")
        values[value.name] = fitted(np.asarray(source[value.name]), value, dtype)
    for index, node in enumerate(model.nodes):
        given = tuple(None if value is None else values[value.name] for value in node.inputs)
        for value, made in zip(node.outputs, outputs_of(node, given, dtype), strict=True):
            values[value.name] = fitted(made, value, dtype, node.name)
        for name in {v.name for v in (*node.inputs, *node.outputs) if v is not None} - wanted:
            if last_reader.get(name, -1) <= index:
                values.pop(name, None)
    return {name: array for name in sorted(wanted) if (array := values[name]) is not None}


def _zeros(value: Value, dtype: str) -> Array | None:  # None where its shape is open: recurrent layers know
    return None if None in value.shape else np.zeros([n or 0 for n in value.shape], resolved(value.dtype, dtype))


def outputs_of(node: Node, inputs: Inputs, dtype: str) -> tuple[Array, ...]:
    """The arrays a node makes of its inputs; only a recurrent node may find a state that was not given."""
    if isinstance(node.layer, layers.Recurrent):
        return recurrent(node.layer, inputs, dtype)
    if isinstance(node.layer, layers.Scan):
        return scan(node.layer, inputs, dtype)
    for value, array in zip(node.inputs, inputs, strict=True):
        if array is None:
            raise ValueError(f"{node.name} reads {value.name if value else 'an input'!r}, which was not given")
    return (compute(node.layer, inputs, dtype),)


def fitted(array: Array, value: Value, dtype: str, maker: str = "the caller") -> Array:
    """The array in the dtype of its value; its shape and kind must be those the model says."""
    target = dtype_of(resolved(value.dtype, dtype))
    if len(array.shape) != len(value.shape) or any(
        known is not None and known != size for known, size in zip(value.shape, array.shape, strict=True)
    ):
        raise ValueError(f"{maker} made {value.name!r} of shape {array.shape}, the model says {value.shape}")
    if not np.can_cast(array.dtype, target, "same_kind") or (target.hasobject and array.dtype.kind not in "OU"):
        raise ValueError(f"{maker} made {value.name!r} of dtype {array.dtype}, the model says {value.dtype}")
    return array.astype(target, copy=False)


def named(activation: Activation) -> tuple[str, tuple[float, ...]]:
    """The activation as reference_lstm takes it."""
    return activation.name, activation.parameters


# --- recurrent layers -------------------------------------------------------------------------------------------------


@singledispatch
def cell_of(cell: layers.Cell, dtype: str) -> reference_lstm.Cell:
    """The reference's cell with the weights of a neutral one, read and in `dtype`."""
    raise TypeError(f"no reference cell for {type(cell).__name__}")


@cell_of.register
def _(cell: layers.LSTMCell, dtype: str) -> reference_lstm.Cell:
    return reference_lstm.LSTM(
        read(cell.kernel, dtype), read(cell.recurrent_kernel, dtype), optional(cell.bias, dtype),
        named(cell.activation), named(cell.recurrent_activation), optional(cell.peephole, dtype),
    )  # fmt: skip


@cell_of.register
def _(cell: layers.GRUCell, dtype: str) -> reference_lstm.Cell:
    return reference_lstm.GRU(
        read(cell.kernel, dtype), read(cell.recurrent_kernel, dtype), optional(cell.bias, dtype),
        named(cell.activation), named(cell.recurrent_activation), cell.reset_after,
    )  # fmt: skip


@cell_of.register
def _(cell: layers.SimpleRNNCell, dtype: str) -> reference_lstm.Cell:
    return reference_lstm.SimpleRNN(
        read(cell.kernel, dtype), read(cell.recurrent_kernel, dtype), optional(cell.bias, dtype), named(cell.activation)
    )


@cell_of.register
def _(cell: layers.ConvLSTMCell, dtype: str) -> reference_lstm.Cell:
    return reference_lstm.ConvLSTM(
        read(cell.kernel, dtype), read(cell.recurrent_kernel, dtype), optional(cell.bias, dtype),
        cell.strides, cell.padding, cell.dilation, cell.data_format,
        named(cell.activation), named(cell.recurrent_activation),
    )  # fmt: skip


def recurrent(layer: layers.Recurrent, inputs: Inputs, dtype: str) -> tuple[Array, ...]:
    """Outputs and final states of a recurrent layer."""
    x, mask, *initial_states = inputs
    directions = [
        reference_lstm.Direction(cell_of(side.cell, dtype), side.reverse_input, side.reverse_output)
        for side in layer.directions
    ]
    return reference_lstm.run(
        directions, x, mask, initial_states, merge=layer.merge, return_sequences=layer.return_sequences,
        masked_output=layer.masked_output, time_major=layer.time_major,
    )  # fmt: skip


# --- a body over time -------------------------------------------------------------------------------------------------


def scan(layer: layers.Scan, inputs: Inputs, dtype: str) -> tuple[Array, ...]:
    """Final states and sequences of a Scan."""
    held = with_values(layer, dtype)
    states, sequences = inputs[: layer.states], inputs[layer.states : layer.states + layer.sequences]
    lengths = {len(x) for x in sequences}
    if len(lengths) != 1 or (lengths == {0} and len(layer.outputs) > layer.states):
        raise ValueError(f"a Scan over sequences of {sorted(lengths)} steps")
    made: list[list[Array]] = []
    for step in zip(*sequences, strict=True):
        values = one_step(held, (*states, *step, *inputs[layer.states + layer.sequences :]), dtype)
        results = [values[value.name] for value in layer.outputs]
        states = tuple(results[: layer.states])
        made.append(results[layer.states :])
    return (*states, *(np.stack(items) for items in zip(*made, strict=True)))


def one_step(layer: layers.Scan, inputs: Inputs, dtype: str) -> dict[str, Array]:
    """Every value of a Scan's body in one step, by name."""
    values = {v.name: fitted(np.asarray(x), v, dtype) for v, x in zip(layer.inputs, inputs, strict=True)}
    for node in layer.nodes:
        given = tuple(None if value is None else values[value.name] for value in node.inputs)
        for value, array in zip(node.outputs, outputs_of(node, given, dtype), strict=True):
            values[value.name] = fitted(array, value, dtype, node.name)
    return values


# --- every other layer: one output ------------------------------------------------------------------------------------


@singledispatch
def compute(layer: layers.Layer, inputs: Inputs, dtype: str) -> Array:
    """The output of a layer that is not recurrent; its dtype is settled afterwards."""
    operator = OPERATORS.get(type(layer))
    if operator is None:
        raise TypeError(f"no rule for {type(layer).__name__}")
    result: Array = operator(layer, *inputs)
    return result


@compute.register
def _(layer: layers.Dense, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    kernel, bias = read(layer.kernel, dtype), optional(layer.bias, dtype)
    return reference.dense(x, kernel, bias, named(layer.activation))


@compute.register
def _(layer: layers.Embedding, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    table = layer.table
    if table.nbytes <= TABLE_READ_WHOLE or table.read_rows is None:
        return reference.embedding(x, table.read()).astype(dtype)  # rows first: the table may be large
    used, places = np.unique(x, return_inverse=True)
    if used.size and not 0 <= used[0] <= used[-1] < table.shape[0]:
        raise IndexError(f"an embedding of {table.shape[0]} rows was asked for rows {used[0]} to {used[-1]}")
    rows = [table.read_rows(int(index), int(index) + 1) for index in used]
    return reference.embedding(places.reshape(x.shape), np.concatenate(rows)).astype(dtype)


@compute.register
def _(layer: layers.Conv, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    return conv.convolve(
        x, read(layer.kernel, dtype), optional(layer.bias, dtype), strides=layer.strides, padding=layer.padding,
        dilation=layer.dilation, groups=layer.groups, data_format=layer.data_format, activation=named(layer.activation),
    )  # fmt: skip


@compute.register
def _(layer: layers.ConvTranspose, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    return conv.transpose_convolve(
        x, read(layer.kernel, dtype), optional(layer.bias, dtype), strides=layer.strides, padding=layer.padding,
        output_padding=layer.output_padding, dilation=layer.dilation, data_format=layer.data_format,
        activation=named(layer.activation),
    )  # fmt: skip


@compute.register
def _(layer: layers.BatchNormalization, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    return reference.batch_normalization(
        x, read(layer.mean, dtype), read(layer.variance, dtype),
        optional(layer.gamma, dtype), optional(layer.beta, dtype), axis=layer.axis, epsilon=layer.epsilon,
    )  # fmt: skip


@compute.register
def _(layer: layers.LayerNormalization, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    return reference.layer_normalization(
        x, optional(layer.gamma, dtype), optional(layer.beta, dtype),
        axes=layer.axes, epsilon=layer.epsilon, rms=layer.rms,
    )  # fmt: skip


@compute.register
def _(layer: layers.Constant, inputs: Inputs, dtype: str) -> Array:
    return read(layer.weight, dtype)


@compute.register
def _(layer: layers.Cast, inputs: Inputs, dtype: str) -> Array:
    (x,) = inputs
    return np.asarray(x).astype(resolved(layer.dtype, dtype))


# Layers without weights: the operator of the same name, given the layer and its inputs.
OPERATORS: Mapping[type[Any], Callable[..., Array]] = {
    layers.Pool: lambda p, x: conv.pool(
        x, p.kind, window=p.window, strides=p.strides, padding=p.padding, data_format=p.data_format
    ),
    layers.Activate: lambda p, x: reference_lstm.activate(named(p.activation), x),
    layers.Reshape: lambda p, x: ops.reshape(x, p.target),
    layers.FoldTime: lambda p, x: ops.fold_time(x),
    layers.UnfoldTime: lambda p, y, like: ops.unfold_time(y, like),
    layers.Transpose: lambda p, x: np.transpose(x, p.axes),
    layers.Concatenate: lambda p, *xs: np.concatenate(xs, axis=p.axis),
    layers.ExpandDims: lambda p, x: np.expand_dims(x, p.axes),
    layers.Squeeze: lambda p, x: np.squeeze(x, p.axes),
    layers.Repeat: lambda p, x: ops.repeat(x, p.times, p.axis),
    layers.Tile: lambda p, x: np.tile(x, p.times),
    layers.Pad: lambda p, x: ops.pad(x, p.pads, p.value, p.mode),
    layers.Slice: lambda p, x: ops.strided_slice(x, p.axes, p.starts, p.stops, p.steps),
    layers.Gather: lambda p, x, indices: np.take(x, indices, axis=p.axis),
    layers.Elementwise: lambda p, *xs: ops.elementwise(p.op, *xs),
    layers.Unary: lambda p, x: ops.unary(p.op, x),
    layers.Where: lambda p, condition, a, b: ops.where(condition, a, b),
    layers.Reduce: lambda p, x: ops.reduce(p.op, x, p.axes, p.keepdims),
    layers.CumSum: lambda p, x: ops.cumsum(x, p.axis),
    layers.MatMul: lambda p, a, b: ops.matmul(a, b, p.transpose_a, p.transpose_b),
    layers.Einsum: lambda p, *xs: ops.einsum(p.equation, *xs),
    layers.OneHot: lambda p, x: ops.one_hot(x, p.depth),
    layers.Lookup: lambda p, x: text.lookup(x, p.keys, p.values, p.default),
    layers.LowerCase: lambda p, x: text.lower_case(x),
    layers.RemoveCharacters: lambda p, x: text.remove_characters(x, p.characters),
    layers.SplitWords: lambda p, x: text.split_words(x),
    layers.TakeAlong: lambda p, x, indices: np.take_along_axis(x, indices, axis=p.axis),
    layers.GatherND: lambda p, x, indices: ops.gather_nd(x, indices, p.batch_axes),
    layers.ArgSort: lambda p, x: ops.argsort(x, p.axis, p.descending, p.count),
    layers.Size: lambda p, x: np.asarray(x.shape[p.axis], np.int64),
    layers.Range: lambda p, n: np.arange(int(n), dtype=np.int64),
}
