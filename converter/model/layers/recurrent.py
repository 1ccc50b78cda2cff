"""Recurrent layers: cells, and how they go over time."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from converter.model import Weight
from converter.model.activations import Activation


class LSTMCell(Struct, frozen=True, eq=False):
    """h', c' from x, h, c. kernel [input, 4·units], recurrent_kernel [units, 4·units], bias [4·units]; i, f, c, o.

    `peephole` [3·units], gates i, f, o: i and f see the old c, o sees the new one (TF1 LSTMCell(use_peepholes)).
    """

    gates: ClassVar[str] = "ifco"
    states: ClassVar[int] = 2
    units: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation
    recurrent_activation: Activation
    peephole: Weight | None = None


class GRUCell(Struct, frozen=True, eq=False):
    """h' = z·h + (1-z)·hh. kernel [input, 3·units], gates z, r, h.

    bias [3·units], or [2, 3·units] (input, recurrent) if reset_after.
    """

    gates: ClassVar[str] = "zrh"
    states: ClassVar[int] = 1
    units: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation
    recurrent_activation: Activation
    reset_after: bool


class SimpleRNNCell(Struct, frozen=True, eq=False):
    """h' = activation(x·kernel + h·recurrent_kernel + bias). kernel [input, units]."""

    gates: ClassVar[str] = "c"
    states: ClassVar[int] = 1
    units: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation


class ConvLSTMCell(Struct, frozen=True, eq=False):
    """An LSTM cell whose products are convolutions over `rank` spatial axes.

    kernel [*window, input, 4·filters], recurrent_kernel [*window, filters, 4·filters], bias [4·filters]; i, f, c, o.
    The input convolution uses strides, padding and dilation; the recurrent one stride 1, padding "same", no dilation.
    States are [batch, *spatial, filters] (channels_last) or [batch, filters, *spatial].
    """

    gates: ClassVar[str] = "ifco"
    states: ClassVar[int] = 2
    rank: int
    filters: int
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation
    recurrent_activation: Activation
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    dilation: tuple[int, ...]
    data_format: Literal["channels_last", "channels_first"]


Cell = LSTMCell | GRUCell | SimpleRNNCell | ConvLSTMCell
MaskedOutput = Literal["previous", "state", "zero"]
Merge = Literal["concat", "sum", "mul", "ave"]


class Direction(Struct, frozen=True, eq=False):
    """One pass of a cell over time.

    `reverse_input`: steps are taken from the last to the first (mask included). `reverse_output`: the sequence of
    outputs is reversed in time afterwards. LSTM(go_backwards) is (True, False), the backward half of
    Bidirectional (True, True).
    """

    cell: Cell
    reverse_input: bool = False
    reverse_output: bool = False


class Recurrent(Struct, frozen=True, eq=False):
    """LSTM, GRU, SimpleRNN or ConvLSTM over time, in one direction or two.

    Inputs: x [batch, time, *features] ([time, batch, ...] if time_major), mask [batch, time] of bool or None (also
    [time, batch] if time_major; [batch, time, *spatial] masks each place of a ConvLSTM channels_last by itself), then
    the initial states of each direction in turn (LSTM h, c; others h), each [batch, units] or None for zeros.
    Outputs: y, or y of each direction if there are two and no merge; then the final states, ordered as the initial.
    y is the sequence [batch, time, units] if return_sequences, else the last output [batch, units].

    Masked steps leave the states as they are; their output is by `masked_output`:
      "previous": the previous output, zeros before the first unmasked step (even with an initial state);
      "state": the h carried, so the initial h before the first unmasked step (Keras <= 2.2.4 on TensorFlow);
      "zero": zeros. The last output follows the same rule: with "zero" it is zero where the last step taken is masked.
    merge: how two directions' outputs become one: concat (last axis; the channel axis for ConvLSTM channels_first),
    sum, mul, ave.
    """

    directions: tuple[Direction, ...]
    merge: Merge | None = None
    return_sequences: bool = False
    masked_output: MaskedOutput = "previous"
    time_major: bool = False
