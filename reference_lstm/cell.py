"""One step of LSTM, GRU, SimpleRNN and ConvLSTM: the equations, with shapes.

Each cell holds weights packed as Keras 3 packs them and offers four things:

    project(x)              the input's share of all gates, of all steps at once: [time, batch, ...] in and out
    zero_states(projected)  states of zeros for one step's projection; there are `state_count` of them
    recur(h)                the share of h, the output of the step before, as far as it is a product of h alone
    step(projected_t, states, recurrent) -> (output, new states); without `recurrent`, it is recur(h)

Everything is computed in the dtype of the arrays. The first state is always h.
The gates are sliced here, not by a table of `converter`: this must not share one with what it judges.
σ is the recurrent activation, φ the activation, * the elementwise product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reference_lstm.activations import SIGMOID, TANH, Activation, activate
from reference_lstm.conv import convolve

Array = NDArray[Any]
States = tuple[Array, ...]


def affine(x: Array, kernel: Array, bias: Array | None) -> Array:
    """x·kernel + bias over the last axis, as one matrix product. [..., input] -> [..., kernel.shape[1]]."""
    y = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1]) @ kernel
    return (y if bias is None else y + bias).reshape(*x.shape[:-1], kernel.shape[1])


@dataclass(frozen=True, eq=False)
class LSTM:
    """Hochreiter and Schmidhuber 1997, with forget gate; gates in the order i, f, c, o.

    kernel [input, 4·units], recurrent_kernel [units, 4·units], bias [4·units].
    peephole [3·units], gates i, f, o (Gers and Schmidhuber 2000): i and f see the old c, o the new one.
    """

    state_count: ClassVar[int] = 2
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    activation: Activation = TANH
    recurrent_activation: Activation = SIGMOID
    peephole: Array | None = None

    def project(self, x: Array) -> Array:
        """x [..., input] -> [..., 4·units]."""
        return affine(x, self.kernel, self.bias)

    def zero_states(self, projected: Array) -> States:
        """h and c, each [batch, units], for one step's projection [batch, 4·units]."""
        zeros = np.zeros((projected.shape[0], self.recurrent_kernel.shape[0]), projected.dtype)
        return zeros, zeros

    def recur(self, h: Array) -> Array:
        """h [..., units] -> [..., 4·units]."""
        return affine(h, self.recurrent_kernel, None)

    def step(self, projected: Array, states: States, recurrent: Array | None = None) -> tuple[Array, States]:
        """i, f, o = σ(z), g = φ(z);  c' = f * c + i * g;  h' = o * φ(c')."""
        h, c = states
        z_i, z_f, z_c, z_o = np.split(projected + (self.recur(h) if recurrent is None else recurrent), 4, axis=-1)
        p_i, p_f, p_o = (None,) * 3 if self.peephole is None else np.split(self.peephole, 3)
        i = activate(self.recurrent_activation, z_i if p_i is None else z_i + p_i * c)
        f = activate(self.recurrent_activation, z_f if p_f is None else z_f + p_f * c)
        c = f * c + i * activate(self.activation, z_c)
        o = activate(self.recurrent_activation, z_o if p_o is None else z_o + p_o * c)
        h = o * activate(self.activation, c)
        return h, (h, c)


@dataclass(frozen=True, eq=False)
class GRU:
    """Cho et al. 2014; gates in the order z, r, h.

    kernel [input, 3·units], recurrent_kernel [units, 3·units]. Bias [3·units], or with `reset_after` (the form cuDNN
    computes, where the reset gate acts after the recurrent product) [2, 3·units]: input bias, recurrent bias.
    """

    state_count: ClassVar[int] = 1
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    activation: Activation = TANH
    recurrent_activation: Activation = SIGMOID
    reset_after: bool = True

    def project(self, x: Array) -> Array:
        """x [..., input] -> [..., 3·units]."""
        input_bias = self.bias[0] if self.bias is not None and self.reset_after else self.bias
        return affine(x, self.kernel, input_bias)

    def zero_states(self, projected: Array) -> States:
        """h [batch, units] for one step's projection [batch, 3·units]."""
        return (np.zeros((projected.shape[0], self.recurrent_kernel.shape[0]), projected.dtype),)

    def recur(self, h: Array) -> Array:
        """h [..., units] -> [..., 3·units], z and r alone, [..., 2·units], where r acts on h before the product."""
        units = self.recurrent_kernel.shape[0]
        return affine(h, self.recurrent_kernel if self.reset_after else self.recurrent_kernel[:, : 2 * units], None)

    def step(self, projected: Array, states: States, recurrent: Array | None = None) -> tuple[Array, States]:
        """z, r = σ;  g = φ(x_h + r * (h·U_h + b)) or φ(x_h + (r * h)·U_h);  h' = z * h + (1 - z) * g."""
        (h,) = states
        x_z, x_r, x_h = np.split(projected, 3, axis=-1)
        recurrent = self.recur(h) if recurrent is None else recurrent
        h_z, h_r, *h_h = np.split(recurrent, 3 if self.reset_after else 2, axis=-1)
        recurrent_bias = self.bias[1] if self.bias is not None and self.reset_after else np.zeros_like(projected[:1])
        b_z, b_r, b_h = np.split(recurrent_bias, 3, axis=-1)
        z = activate(self.recurrent_activation, x_z + h_z + b_z)
        r = activate(self.recurrent_activation, x_r + h_r + b_r)
        u_h = np.split(self.recurrent_kernel, 3, axis=-1)[2]
        inner = r * (h_h[0] + b_h) if self.reset_after else (r * h) @ u_h
        h = z * h + (1 - z) * activate(self.activation, x_h + inner)
        return h, (h,)


@dataclass(frozen=True, eq=False)
class SimpleRNN:
    """Elman 1990. kernel [input, units], recurrent_kernel [units, units], bias [units]."""

    state_count: ClassVar[int] = 1
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    activation: Activation = TANH

    def project(self, x: Array) -> Array:
        """x [..., input] -> [..., units]."""
        return affine(x, self.kernel, self.bias)

    def zero_states(self, projected: Array) -> States:
        """h [batch, units] for one step's projection, of the same shape."""
        return (np.zeros_like(projected),)

    def recur(self, h: Array) -> Array:
        """h [..., units] -> [..., units]."""
        return affine(h, self.recurrent_kernel, None)

    def step(self, projected: Array, states: States, recurrent: Array | None = None) -> tuple[Array, States]:
        """h' = φ(x·W + b + h·U)."""
        h = activate(self.activation, projected + (self.recur(states[0]) if recurrent is None else recurrent))
        return h, (h,)


@dataclass(frozen=True, eq=False)
class ConvLSTM:
    """Shi et al. 2015 without peepholes: an LSTM whose products are convolutions; gates i, f, c, o.

    kernel [*window, input, 4·filters], recurrent_kernel [*window, filters, 4·filters], bias [4·filters]. Strides,
    padding and dilation are the input convolution's; the recurrent one has stride 1, padding "same", no dilation.
    """

    state_count: ClassVar[int] = 2
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]
    data_format: str = "channels_last"
    activation: Activation = TANH
    recurrent_activation: Activation = SIGMOID

    @property
    def channel_axis(self) -> int:
        """Of a state."""
        return 1 if self.data_format == "channels_first" else -1

    def project(self, x: Array) -> Array:
        """x [time, batch, *spatial, input] -> [time, batch, *out, 4·filters], or with the channels first."""
        flat = x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
        y = convolve(flat, self.kernel, strides=self.strides, padding=self.padding, dilation=self.dilation,
                     data_format=self.data_format)  # fmt: skip
        if self.bias is not None:
            y = np.moveaxis(np.moveaxis(y, self.channel_axis, -1) + self.bias, -1, self.channel_axis)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    def zero_states(self, projected: Array) -> States:
        """h and c, each [batch, *out, filters], for one step's projection."""
        zeros = np.zeros_like(np.split(projected, 4, axis=self.channel_axis)[0])
        return zeros, zeros

    def recur(self, h: Array) -> Array:
        """h [..., batch, *out, filters] -> [..., batch, *out, 4·filters], or with the channels first."""
        one = (1,) * len(self.strides)
        flat = h.reshape(-1, *h.shape[-1 - len(one) :])
        y = convolve(flat, self.recurrent_kernel, strides=one, padding="same", dilation=one,
                     data_format=self.data_format)  # fmt: skip
        return y.reshape(*h.shape[: -1 - len(one)], *y.shape[1:])

    def step(self, projected: Array, states: States, recurrent: Array | None = None) -> tuple[Array, States]:
        """i, f, o = σ(z), g = φ(z);  c' = f * c + i * g;  h' = o * φ(c')."""
        h, c = states
        z = projected + (self.recur(h) if recurrent is None else recurrent)
        z_i, z_f, z_c, z_o = np.split(z, 4, axis=self.channel_axis)
        i = activate(self.recurrent_activation, z_i)
        f = activate(self.recurrent_activation, z_f)
        c = f * c + i * activate(self.activation, z_c)
        h = activate(self.recurrent_activation, z_o) * activate(self.activation, c)
        return h, (h, c)


Cell = LSTM | GRU | SimpleRNN | ConvLSTM
