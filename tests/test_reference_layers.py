"""Layers, operators and activations of reference_lstm against direct loops and their own definitions."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.model.activations import FUNCTIONS as NEUTRAL
from reference_lstm import conv, layers, ops
from reference_lstm.activations import FUNCTIONS, erf

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def normal(rng, *shape):
    return rng.normal(size=shape)


@given(
    seeds, st.integers(1, 8), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2),
    st.sampled_from(["valid", "same", "causal"]), st.sampled_from([1, 2]),
)  # fmt: skip
@quick
def test_convolution_is_the_direct_sum(seed, length, window, stride, dilation, padding, groups):
    rng = np.random.default_rng(seed)
    share, filters = 2, 4
    x, kernel = normal(rng, 2, length, share * groups), normal(rng, window, share, filters)
    extent = (window - 1) * dilation + 1
    count = -(-length // stride) if padding == "same" else max((length - extent) // stride + 1, 0)
    before = max((count - 1) * stride + extent - length, 0) // 2 if padding == "same" else 0
    if padding == "causal":
        count, before = (length - 1) // stride + 1, extent - 1
    expected = np.zeros((2, count, filters))
    for b, t, k, j, f in product(range(2), range(count), range(window), range(share), range(filters)):
        at = t * stride + k * dilation - before
        if 0 <= at < length:
            group = f // (filters // groups)
            expected[b, t, f] += x[b, at, group * share + j] * kernel[k, j, f]
    got = conv.convolve(x, kernel, strides=(stride,), padding=padding, dilation=(dilation,), groups=groups)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@given(
    seeds, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.sampled_from(["valid", "same"]),
    st.sampled_from(["channels_last", "channels_first"]),
)  # fmt: skip
@quick
def test_transposed_convolution_is_the_adjoint(seed, window, stride, dilation, padding, data_format):
    rng = np.random.default_rng(seed)
    kernel = normal(rng, window, window, 2, 3)  # filters 2, input 3
    options = {"strides": (stride,) * 2, "padding": padding, "dilation": (dilation,) * 2, "data_format": data_format}
    small = normal(rng, 2, 4, 5, 3) if data_format == "channels_last" else normal(rng, 2, 3, 4, 5)
    up = conv.transpose_convolve(small, kernel, output_padding=None, **options)
    large = normal(rng, *up.shape)
    down = conv.convolve(large, kernel, **options)
    assert np.sum(up * large) == pytest.approx(np.sum(small * down), rel=1e-9, abs=1e-9)


@given(seeds, st.integers(3, 8), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["valid", "same"]))
@quick
def test_pooling_sees_only_what_is_there(seed, length, window, stride, padding):
    x = normal(np.random.default_rng(seed), 2, length, 3)
    count = -(-length // stride) if padding == "same" else (length - window) // stride + 1
    before = max((count - 1) * stride + window - length, 0) // 2 if padding == "same" else 0
    for kind, function in (("max", np.max), ("average", np.mean)):
        got = conv.pool(x, kind, window=(window,), strides=(stride,), padding=padding)
        assert got.shape == (2, count, 3)
        for t in range(count):
            start = t * stride - before
            expected = function(x[:, max(start, 0) : start + window], axis=1)
            np.testing.assert_allclose(got[:, t], expected, atol=1e-12)


def test_an_embedding_refuses_rows_it_has_not():
    table = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(layers.embedding(np.array([[2, 0]]), table), [[[4, 5], [0, 1]]])
    for bad in (-1, 3):
        with pytest.raises(IndexError, match="3 rows"):
            layers.embedding(np.array([bad]), table)


@pytest.mark.parametrize(
    ("shape", "target", "expected"),
    [
        ((2, 3, 4), (0, -1), (2, 12)),
        ((0, 3, 4), (0, -1), (0, 12)),
        ((0, 6), (-1, 3), (0, 3)),
        ((4, 6), (-1, 0), (4, 6)),
    ],
)
def test_reshape_infers_also_when_nothing_is_there(shape, target, expected):
    assert ops.reshape(np.zeros(shape), target).shape == expected


# --- activations ------------------------------------------------------------------------------------------------------

PARAMETERS = {"alpha": 0.3, "beta": 0.5, "negative_slope": 0.1, "max_value": 6.0, "threshold": 0.5, "value": 2.0,
              "theta": 1.0, "approximate": 1.0, "b": 4.0, "axis": 1}  # fmt: skip


def test_every_neutral_activation_is_here():
    assert set(FUNCTIONS) == set(NEUTRAL)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_keep_the_dtype_and_never_overflow(name, dtype):
    x = np.array([[-1e4, -120, -30, -1, -0.5, 0], [0.5, 1, 3, 30, 80, 80 if name == "exponential" else 120]], dtype)
    y = FUNCTIONS[name](x, *(PARAMETERS[p] for p in NEUTRAL[name]))
    assert y.dtype == dtype
    assert np.isfinite(y).all()
    if name not in ("softmax", "log_softmax", "sparsemax", "glu"):
        single = FUNCTIONS[name](x.astype("float32"), *(PARAMETERS[p] for p in NEUTRAL[name]))
        near = np.abs(x) <= 30  # further out Keras' formula for squareplus cancels
        np.testing.assert_allclose(single[near], y[near], rtol=2e-5, atol=1e-6)


def test_sparsemax_is_keras_s():
    y = FUNCTIONS["sparsemax"](np.array([[0.5, 0.3, -2.0], [3.0, 0.0, 0.0]]), 1)
    # partial sums 0.5, 0.8, -1.2; the first two are supported: tau = (1.3 - 1)/2
    np.testing.assert_allclose(y, [[0.35, 0.15, 0.0], [1.0, 0.0, 0.0]], atol=1e-15)


def test_erf_is_exact_to_rounding():
    x = np.array([[0.0, -0.3], [1.7, 5.9]])
    np.testing.assert_array_equal(erf(x), [[0.0, math.erf(-0.3)], [math.erf(1.7), math.erf(5.9)]])
