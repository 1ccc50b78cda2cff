"""Layers with weights other than the recurrent ones, and pooling."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from converter.model import Weight
from converter.model.activations import LINEAR, Activation


class Dense(Struct, frozen=True, eq=False):
    """activation(x·kernel + bias) over the last axis of x [..., input]. kernel [input, units]."""

    kernel: Weight
    bias: Weight | None
    activation: Activation = LINEAR


class Embedding(Struct, frozen=True, eq=False):
    """Rows of table [input_dim, output_dim] picked by integer x [...] -> [..., output_dim]."""

    table: Weight


class Conv(Struct, frozen=True, eq=False):
    """Convolution (cross-correlation) over `rank` spatial axes. kernel [*window, input/groups, filters].

    "same" pads as TensorFlow does (the odd one after), "causal" (rank 1) pads (window-1)·dilation before.
    """

    rank: int
    kernel: Weight
    bias: Weight | None
    strides: tuple[int, ...]
    padding: Literal["valid", "same", "causal"]
    dilation: tuple[int, ...]
    groups: int = 1
    data_format: Literal["channels_last", "channels_first"] = "channels_last"
    activation: Activation = LINEAR


class ConvTranspose(Struct, frozen=True, eq=False):
    """The gradient of Conv with respect to its input. kernel [*window, filters, input].

    output_padding as in Keras, or None.
    """

    rank: int
    kernel: Weight
    bias: Weight | None
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    output_padding: tuple[int, ...] | None
    dilation: tuple[int, ...]
    data_format: Literal["channels_last", "channels_first"] = "channels_last"
    activation: Activation = LINEAR


class Pool(Struct, frozen=True, eq=False):
    """Maximum or average over windows; an average under "same" padding does not count the padding."""

    rank: int
    kind: Literal["max", "average"]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    data_format: Literal["channels_last", "channels_first"] = "channels_last"


class BatchNormalization(Struct, frozen=True, eq=False):
    """gamma·(x - mean)/sqrt(variance + epsilon) + beta along one axis; each weight [x.shape[axis]].

    `momentum`: what training keeps of mean and variance at each step; for targets that go on training.
    """

    axis: int
    gamma: Weight | None
    beta: Weight | None
    mean: Weight
    variance: Weight
    epsilon: float
    momentum: float = 0.99


class LayerNormalization(Struct, frozen=True, eq=False):
    """x normalized over `axes` by its own mean and variance; gamma, beta of the shape of those axes.

    `rms`: no mean subtracted.
    """

    axes: tuple[int, ...]
    gamma: Weight | None
    beta: Weight | None
    epsilon: float
    rms: bool = False
