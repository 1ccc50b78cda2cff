"""One step of each cell, exact and with what a right evaluation may be off by: the equations of `reference_lstm.cell`.

Only the bounds are taken from here: the values a step is compared with are `reference_lstm`'s own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from converter.model import Array
from converter.model.activations import Activation
from converter.verification.rounding import (
    TINY,
    UNIT,
    Near,
    activated,
    column_norms,
    product_error,
    row_norms,
    terms,
)
from reference_lstm.cell import GRU, LSTM, Cell, ConvLSTM, SimpleRNN
from reference_lstm.conv import convolve

# Of onnxruntime's RNN, in units of u: its tanh(x) is 2·sigmoid(2x) - 1, off by 3 u however small x is (1.32; its LSTM,
# GRU and Tanh are not).
RNN_TANH = 6

States = tuple[Near, ...]
Step = Callable[[Near, States, Array], States]
"""The projected input of a step, the states before it and the cell's `recur(h)` -> the states after it."""
Product = Callable[[Near, Array], Near]
"""h and the product of it, which is known -> the product with its bound."""


def product(matrix: Array, u: float) -> Product:
    """h·matrix of h [batch, units]."""
    norms = column_norms(matrix)

    def multiply(h: Near, made: Array) -> Near:
        error = terms(len(matrix), u) * row_norms(h.value) * norms
        carried = np.broadcast_to(h.error, h.value.shape) @ np.abs(matrix) if np.any(h.error) else 0.0
        return Near(made, error + carried)

    return multiply


def projected_error(cell: Cell, u: float) -> Callable[[Array], Array]:
    """What x·kernel + bias may be off by, of x [time, batch, ...]; of the shape of `cell.project(x)`, or broadcast."""
    if isinstance(cell, ConvLSTM):
        absolute = _absolute(cell, cell.kernel, cell.bias)
        count = cell.kernel.size // cell.kernel.shape[-1]
        return lambda x: terms(count, u) * absolute.project(np.abs(x))
    bias = None if cell.bias is None else np.atleast_2d(cell.bias)[0]
    error, rounding = product_error(cell.kernel, bias, u), 2 * u * (0.0 if bias is None else np.abs(bias))
    return lambda x: error(x) + rounding


def _absolute(cell: ConvLSTM, kernel: Array, bias: Array | None) -> ConvLSTM:
    return ConvLSTM(
        np.abs(kernel), cell.recurrent_kernel, None if bias is None else np.abs(bias), cell.strides, cell.padding,
        cell.dilation, cell.data_format,
    )  # fmt: skip


@dataclass(frozen=True)
class Bounded:
    """A cell, and what a right evaluation of it may be off by.

    Attributes:
        cell: the reference's, in float64.
        projected_error: of `cell.project(x)`.
        advance: the cell's step with its bounds.
        tiny: what becomes zero on its way.
    """

    cell: Cell
    projected_error: Callable[[Array], Array]
    advance: Step
    tiny: float


def bounded(cell: Cell, u: float) -> Bounded:
    """The cell with its bounds, for computations with unit roundoff u."""
    tiny = TINY["float16" if u > UNIT["float32"] else "float32"]
    return Bounded(cell, projected_error(cell, u), step_of(cell, u), tiny)


@singledispatch
def step_of(cell: Any, u: float) -> Step:
    """The cell's step, for computations with unit roundoff u."""
    raise TypeError(f"no bound for a step of {type(cell).__name__}")


def _split(z: Near, parts: int, axis: int = -1) -> list[Near]:
    errors = np.split(np.broadcast_to(z.error, z.value.shape), parts, axis)
    return [Near(*pair) for pair in zip(np.split(z.value, parts, axis), errors, strict=True)]


@step_of.register
def _(cell: LSTM, u: float) -> Step:
    multiply = product(cell.recurrent_kernel, u)
    looks: list[Near | None] = [None] * 3
    if cell.peephole is not None:
        looks = [Near(part) for part in np.split(cell.peephole, 3)]
    return _lstm(cell, multiply, looks, -1, u)


@step_of.register
def _(cell: ConvLSTM, u: float) -> Step:
    one = (1,) * len(cell.strides)

    def convolved(h: Array, kernel: Array) -> Array:
        return convolve(h, kernel, strides=one, padding="same", dilation=one, data_format=cell.data_format)

    absolute, count = np.abs(cell.recurrent_kernel), cell.recurrent_kernel.size // cell.recurrent_kernel.shape[-1]

    def multiply(h: Near, made: Array) -> Near:
        return Near(made, convolved(terms(count, u) * np.abs(h.value) + h.error, absolute))

    return _lstm(cell, multiply, [None] * 3, cell.channel_axis, u)


def _lstm(cell: LSTM | ConvLSTM, multiply: Product, looks: list[Near | None], axis: int, u: float) -> Step:
    gate, shape = Activation(*cell.recurrent_activation), Activation(*cell.activation)

    def looked(z: Near, c: Near, weight: Near | None) -> Near:
        return z if weight is None else z.plus(c.times(weight, u), u)

    def step(projected: Near, states: States, recurrent: Array) -> States:
        h, c = states
        z_i, z_f, z_c, z_o = _split(projected.plus(multiply(h, recurrent), 2 * u), 4, axis)
        i = activated(gate, looked(z_i, c, looks[0]), u)
        f = activated(gate, looked(z_f, c, looks[1]), u)
        c = f.times(c, u).plus(i.times(activated(shape, z_c, u), u), u)
        o = activated(gate, looked(z_o, c, looks[2]), u)
        return o.times(activated(shape, c, u), u), c

    return step


@step_of.register
def _(cell: GRU, u: float) -> Step:
    u_z, u_r, u_h = (product(part, u) for part in np.split(cell.recurrent_kernel, 3, axis=-1))
    biases = None if cell.bias is None or not cell.reset_after else np.split(cell.bias[1], 3)
    gate, shape = Activation(*cell.recurrent_activation), Activation(*cell.activation)

    def biased(z: Near, place: int) -> Near:
        return z if biases is None else z.plus(Near(biases[place], u * np.abs(biases[place])), u)

    def step(projected: Near, states: States, recurrent: Array) -> States:
        (h,) = states
        x_z, x_r, x_h = _split(projected, 3)
        h_z, h_r, *h_h = np.split(recurrent, 3 if cell.reset_after else 2, axis=-1)
        z = activated(gate, x_z.plus(biased(u_z(h, h_z), 0), 2 * u), u)
        r = activated(gate, x_r.plus(biased(u_r(h, h_r), 1), 2 * u), u)
        if cell.reset_after:
            inner = r.times(biased(u_h(h, h_h[0]), 2), u)
        else:
            reset = r.times(h, u)
            inner = u_h(reset, reset.value @ np.split(cell.recurrent_kernel, 3, axis=-1)[2])
        g = activated(shape, x_h.plus(inner, 2 * u), u)
        rest = Near(1 - z.value, z.error + u)
        return (z.times(h, u).plus(rest.times(g, u), u),)

    return step


@step_of.register
def _(cell: SimpleRNN, u: float) -> Step:
    multiply, shape = product(cell.recurrent_kernel, u), Activation(*cell.activation)
    flat = RNN_TANH * u if shape.name == "tanh" else 0.0

    def step(projected: Near, states: States, recurrent: Array) -> States:
        h = activated(shape, projected.plus(multiply(states[0], recurrent), 2 * u), u)
        return (Near(h.value, h.error + flat),)

    return step
