"""Recurrent cells: configuration and arrays of LSTM, GRU, SimpleRNN, ConvLSTM in every layout Keras stored.

Layouts (facts of each era): Keras 1 keeps one array per gate (W_i, U_i, b_i, W_c, ...; gates i, c, f, o) unless
consume_less="gpu"; Keras 2 and 3 keep kernel, recurrent_kernel, bias (gates i, f, c, o; GRU z, r, h); CuDNN layers keep
each gate's block transposed in place and two biases, and such arrays turn up in files of plain layers too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.gates import CONVENTIONS
from converter.keras.activation_argument import activation_of
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Variable
from converter.keras.schema import each
from converter.keras.spec import Bound, LayerSpec, check_shape
from converter.model import Array, Weight, join
from converter.model.activations import TANH, Activation
from converter.model.layers import Cell, ConvLSTMCell, GRUCell, LSTMCell, SimpleRNNCell

# Keras 1: gates in the order in which their arrays are stored; joined they are in that of the neutral cell.
_KERAS1: Mapping[type[Cell], str] = {LSTMCell: "keras1/LSTM", ConvLSTMCell: "keras1/LSTM", GRUCell: "keras1/GRU"}


def variables(kind: type[Cell]) -> Callable[[Any, Era], tuple[Variable, ...]]:
    """The arrays of a kind of cell."""

    def of(config: Any, era: Era) -> tuple[Variable, ...]:
        apart = _KERAS1.get(kind)
        if apart and era.switch("gates_apart") and config.consume_less != "gpu":
            return tuple(Variable(f"{part}_{gate}") for gate in CONVENTIONS[apart].letters.split() for part in "WUb")
        names = ("kernel", "recurrent_kernel", "bias") if config.use_bias else ("kernel", "recurrent_kernel")
        return tuple(Variable(name) for name in names)

    return of


def arrays(kind: type[Cell], bound: Bound, dtype: str) -> tuple[Weight, Weight, Weight | None]:
    """kernel, recurrent_kernel and bias, joined where Keras 1 kept them apart."""
    have = {name: weight.astype(dtype) for name, weight in bound.variables.items()}
    if "W_i" in have or "W_z" in have:
        parts = [tuple(have[f"{part}_{gate}"] for gate in kind.gates) for part in "WUb"]
        kernel, recurrent, bias = (join(p[0].name, p, axis=-1) for p in parts)
        return kernel, recurrent, bias
    return have["kernel"], have["recurrent_kernel"], have.get("bias")


def _cudnn_blocks(weight: Weight, gates: int, square: bool) -> Weight:
    """CuDNN keeps each gate's block transposed but laid out in the untransposed shape [input, units]."""
    rows, columns = weight.shape[0], weight.shape[1] // gates

    def blocks(array: Array) -> Array:
        parts = np.split(array, gates, axis=1)
        turned = [p.T if square else np.ascontiguousarray(p).reshape(columns, rows).T for p in parts]
        return np.concatenate(turned, axis=1)

    return weight.map(blocks, weight.shape)


def _activation(value: Any, default: Activation, era: Era) -> Activation:
    return default if value is msgspec.UNSET else activation_of(value, era)


def _recurrent_activation(config: Any, era: Era, default: str) -> Activation:
    named = default or str(era.switch("recurrent_activation"))
    return _activation(config.recurrent_activation, activation_of(named, era), era)


def lstm_cell(
    spec: LayerSpec, bound: Bound, era: Era, dtype: str, features: int | None, gate: str = ""
) -> tuple[LSTMCell, ...]:
    """LSTM, LSTMCell, CuDNNLSTM, PeepholeLSTMCell; `gate` is recurrent_activation's default, if not the era's."""
    config: Any = spec.config
    units, gates = config.units, len(LSTMCell.gates)
    width = gates * units
    kernel, recurrent, bias = arrays(LSTMCell, bound, dtype)
    check_shape(kernel, "kernel", features, width)
    check_shape(recurrent, "recurrent_kernel", units, width)
    if bias is not None and bias.shape == (2 * width,):
        kernel, recurrent = _cudnn_blocks(kernel, gates, square=False), _cudnn_blocks(recurrent, gates, square=True)
        bias = bias.map(lambda b: b[:width] + b[width:], (width,))
    check_shape(bias, "bias", width)
    parts = tuple(bound.variables[n].astype(dtype) for n in PEEPHOLES if n in bound.variables)
    for part in parts:
        check_shape(part, "peephole weights", units)
    peephole = join("peephole", parts, axis=0) if parts else None
    sigma = _recurrent_activation(config, era, gate)
    return (LSTMCell(units, kernel, recurrent, bias, _activation(config.activation, TANH, era), sigma, peephole),)


PEEPHOLES = ("input_gate_peephole_weights", "forget_gate_peephole_weights", "output_gate_peephole_weights")


def gru_cell(
    spec: LayerSpec, bound: Bound, era: Era, dtype: str, features: int | None, cudnn: bool = False
) -> tuple[GRUCell, ...]:
    """GRU, GRUCell, and with `cudnn` CuDNNGRU, which has no arguments for the gates."""
    config: Any = spec.config
    units, gates = config.units, len(GRUCell.gates)
    width = gates * units
    kernel, recurrent, bias = arrays(GRUCell, bound, dtype)
    check_shape(kernel, "kernel", features, width)
    check_shape(recurrent, "recurrent_kernel", units, width)
    default = cudnn or era.switch("reset_after")
    reset_after = bool(default if config.reset_after is msgspec.UNSET else config.reset_after)
    if bias is not None and bias.shape == (2 * width,):
        kernel, recurrent = _cudnn_blocks(kernel, gates, square=False), _cudnn_blocks(recurrent, gates, square=True)
        bias = bias.map(lambda b: b.reshape(2, width), (2, width))
    if bias is not None:
        expected = (2, width) if reset_after else (width,)
        if bias.shape != expected:
            raise InvalidModel(f"bias has shape {bias.shape}, reset_after={reset_after} needs {expected}")
    sigma = _recurrent_activation(config, era, "sigmoid" if cudnn else "")
    return (GRUCell(units, kernel, recurrent, bias, _activation(config.activation, TANH, era), sigma, reset_after),)


def simple_cell(spec: LayerSpec, bound: Bound, era: Era, dtype: str, features: int | None) -> tuple[SimpleRNNCell, ...]:
    """SimpleRNN, SimpleRNNCell."""
    config: Any = spec.config
    kernel, recurrent, bias = arrays(SimpleRNNCell, bound, dtype)
    check_shape(kernel, "kernel", features, config.units)
    check_shape(recurrent, "recurrent_kernel", config.units, config.units)
    check_shape(bias, "bias", config.units)
    return (SimpleRNNCell(config.units, kernel, recurrent, bias, _activation(config.activation, TANH, era)),)


def _filters_last(bound: Bound, rank: int) -> Bound:
    """Keras 1 with dim_ordering "th" keeps [filters, input, *window]."""
    axes = (*range(2, rank + 2), 1, 0)
    turned = {
        name: w.map(lambda a: a.transpose(axes), tuple(w.shape[k] for k in axes)) if len(w.shape) == rank + 2 else w
        for name, w in bound.variables.items()
    }
    return Bound(turned, bound.children)


def _from_theano(kernel: Weight, rank: int, same: bool) -> Weight:
    """Theano flips kernels in space, and under "same" an even window reaches further back, not forward."""
    even = [(0, int(same and n % 2 == 0)) for n in kernel.shape[:rank]] + [(0, 0), (0, 0)]
    shape = tuple(n + after for n, (_, after) in zip(kernel.shape, even, strict=True))
    turned = (slice(None, None, -1),) * rank
    return kernel.map(lambda array: np.pad(array[turned], even), shape)


def conv_cell(
    spec: LayerSpec, bound: Bound, era: Era, dtype: str, channels: int | None, rank: int
) -> tuple[ConvLSTMCell, ...]:
    """ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, by `rank`."""
    config: Any = spec.config
    window = each(config.kernel_size, rank, "kernel_size")
    if config.data_format == "channels_first" and era.switch("filters_first"):
        bound = _filters_last(bound, rank)
    kernel, recurrent, bias = arrays(ConvLSTMCell, bound, dtype)
    width = len(ConvLSTMCell.gates) * config.filters
    check_shape(kernel, "kernel", *window, channels, width)
    check_shape(recurrent, "recurrent_kernel", *window, config.filters, width)
    check_shape(bias, "bias", width)
    if era.switch("theano_windows"):
        if config.padding == "same" and each(config.strides, rank, "strides") != (1,) * rank:
            raise Unsupported("a strided ConvLSTM of Theano with padding 'same'")
        kernel, recurrent = _from_theano(kernel, rank, config.padding == "same"), _from_theano(recurrent, rank, True)
    default = activation_of(era.switch("convlstm_recurrent_activation"), era)
    return (ConvLSTMCell(
        rank, config.filters, kernel, recurrent, bias,
        _activation(config.activation, TANH, era), _activation(config.recurrent_activation, default, era),
        each(config.strides, rank, "strides"), config.padding, each(config.dilation_rate, rank, "dilation_rate"),
        config.data_format or "channels_last",
    ),)  # fmt: skip


def cells_of(spec: LayerSpec, bound: Bound, era: Era, dtype: str, features: int | None) -> tuple[Cell, ...]:
    """The cells of a recurrent layer or of a cell, first to last.

    Raises:
        Unsupported: it is no such layer.
    """
    if spec.row is None or spec.row.cells is None:
        raise Unsupported(f"{spec.class_name} is no recurrent cell this program knows")
    make = partial(spec.row.cells, spec, bound, era, dtype, features)
    return bound.once(("cells", dtype, features), make)
