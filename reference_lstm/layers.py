"""Layers with weights around recurrent ones, on arrays with the batch as axis 0.

Convolutions and poolings are in `reference_lstm.conv`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_lstm.activations import LINEAR, Activation, activate
from reference_lstm.cell import affine

Array = NDArray[Any]


def dense(x: Array, kernel: Array, bias: Array | None = None, activation: Activation = LINEAR) -> Array:
    """activation(x·kernel + bias). x [..., input], kernel [input, units], bias [units] -> [..., units]."""
    return activate(activation, affine(x, kernel, bias))


def embedding(x: Array, table: Array) -> Array:
    """Rows of table [input_dim, output_dim] by integer x [...] -> [..., output_dim].

    Raises:
        IndexError: an index is negative or not below input_dim.
    """
    if x.size and (x.min() < 0 or x.max() >= len(table)):
        raise IndexError(f"an embedding of {len(table)} rows was asked for rows {x.min()} to {x.max()}")
    return np.take(table, x, axis=0)


def along(weight: Array | None, axes: tuple[int, ...], x: Array) -> Array | None:
    """A weight that has the shape of some of x's axes, with axes of size 1 added so that it broadcasts to x."""
    if weight is None:
        return None
    return weight.reshape([size if axis in axes else 1 for axis, size in enumerate(x.shape)])


def scaled(x: Array, gamma: Array | None, beta: Array | None) -> Array:
    """gamma·x + beta, of those that are there."""
    x = x if gamma is None else x * gamma
    return x if beta is None else x + beta


def batch_normalization(
    x: Array, mean: Array, variance: Array, gamma: Array | None, beta: Array | None, *, axis: int, epsilon: float
) -> Array:
    """gamma·(x - mean)/sqrt(variance + epsilon) + beta; each weight [x.shape[axis]]."""
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    normal = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + epsilon)
    return scaled(normal, along(gamma, (axis,), x), along(beta, (axis,), x))


def layer_normalization(
    x: Array, gamma: Array | None, beta: Array | None, *, axes: tuple[int, ...], epsilon: float, rms: bool = False
) -> Array:
    """x normalized over `axes` by its own mean and variance; with `rms` by its root mean square alone.

    gamma and beta have the sizes of those axes, in order.
    """
    centered = x if rms else x - np.mean(x, axis=axes, keepdims=True)
    normal = centered / np.sqrt(np.mean(np.square(centered), axis=axes, keepdims=True) + epsilon)
    return scaled(normal, along(gamma, axes, x), along(beta, axes, x))
