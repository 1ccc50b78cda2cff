"""Cells and sequences of reference_lstm against definitions written another way: scalar loops, compaction, chunks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_lstm
from reference_lstm import GRU, LSTM, ConvLSTM, Direction, SimpleRNN

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
UNITS, FEATURES = 3, 2


def normal(rng, *shape):
    return rng.normal(size=shape)


def make_cell(kind, rng):
    gates = {"lstm": 4, "peephole": 4, "gru": 3, "gru_after": 3, "rnn": 1}[kind]
    kernel, recurrent = normal(rng, FEATURES, gates * UNITS), normal(rng, UNITS, gates * UNITS)
    bias = normal(rng, gates * UNITS)
    if kind == "peephole":
        return LSTM(kernel, recurrent, bias, peephole=normal(rng, 3 * UNITS))
    if kind == "lstm":
        return LSTM(kernel, recurrent, bias, ("softsign", ()), ("hard_sigmoid", (0.2, 0.5)))
    if kind == "gru_after":
        return GRU(kernel, recurrent, normal(rng, 2, gates * UNITS), reset_after=True)
    if kind == "gru":
        return GRU(kernel, recurrent, bias, reset_after=False)
    return SimpleRNN(kernel, recurrent, bias)


cells = st.sampled_from(["lstm", "peephole", "gru", "gru_after", "rnn"])


# --- cells against scalar loops ---------------------------------------------------------------------------------------


def sigma(z):
    return 1 / (1 + math.exp(-z))


@given(seeds, st.booleans())
@quick
def test_lstm_step_is_the_textbook_s(seed, peephole):
    rng = np.random.default_rng(seed)
    w, u, b, p = (normal(rng, *s) for s in [(FEATURES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,), (3 * UNITS,)])
    cell = LSTM(w, u, b, peephole=p if peephole else None)
    x, h, c = normal(rng, 1, FEATURES), normal(rng, 1, UNITS), normal(rng, 1, UNITS)
    y, (h1, c1) = cell.step(cell.project(x), (h, c))
    for k in range(UNITS):
        z = [
            sum(x[0, a] * w[a, g * UNITS + k] for a in range(FEATURES))
            + sum(h[0, a] * u[a, g * UNITS + k] for a in range(UNITS))
            + b[g * UNITS + k]
            for g in range(4)
        ]
        peep = [p[g * UNITS + k] if peephole else 0.0 for g in range(3)]
        new_c = sigma(z[1] + peep[1] * c[0, k]) * c[0, k] + sigma(z[0] + peep[0] * c[0, k]) * math.tanh(z[2])
        new_h = sigma(z[3] + peep[2] * new_c) * math.tanh(new_c)
        assert c1[0, k] == pytest.approx(new_c, abs=1e-12)
        assert h1[0, k] == y[0, k] == pytest.approx(new_h, abs=1e-12)


@given(seeds, st.booleans())
@quick
def test_gru_step_is_the_textbook_s(seed, reset_after):
    rng = np.random.default_rng(seed)
    w, u = normal(rng, FEATURES, 3 * UNITS), normal(rng, UNITS, 3 * UNITS)
    b = normal(rng, 2, 3 * UNITS)
    cell = GRU(w, u, b if reset_after else b[0], reset_after=reset_after)
    x, h = normal(rng, 1, FEATURES), normal(rng, 1, UNITS)
    y, (h1,) = cell.step(cell.project(x), (h,))

    def inner(vector, matrix, column):
        return sum(vector[a] * matrix[a, column] for a in range(len(vector)))

    extra = b[1] if reset_after else np.zeros(3 * UNITS)
    r = [
        sigma(inner(x[0], w, UNITS + k) + b[0, UNITS + k] + inner(h[0], u, UNITS + k) + extra[UNITS + k])
        for k in range(UNITS)
    ]
    for k in range(UNITS):
        z = sigma(inner(x[0], w, k) + b[0, k] + inner(h[0], u, k) + extra[k])
        at = 2 * UNITS + k
        memory = r[k] * (inner(h[0], u, at) + extra[at]) if reset_after else inner(h[0] * r, u, at)
        expected = z * h[0, k] + (1 - z) * math.tanh(inner(x[0], w, at) + b[0, at] + memory)
        assert h1[0, k] == y[0, k] == pytest.approx(expected, abs=1e-12)


# --- sequences --------------------------------------------------------------------------------------------------------


@given(seeds, cells, st.booleans(), st.sampled_from(["previous", "state", "zero"]), st.booleans())
@quick
def test_masked_run_is_the_run_on_the_unmasked_steps(seed, kind, backward, masked_output, given_state):
    rng = np.random.default_rng(seed)
    cell = make_cell(kind, rng)
    time = int(rng.integers(1, 7))
    x, mask = normal(rng, 2, time, FEATURES), rng.random((2, time)) < 0.5
    mask[1] = False
    initial = [normal(rng, 2, UNITS) if given_state else np.zeros((2, UNITS)) for _ in range(cell.state_count)]
    y, *finals = reference_lstm.run(
        [Direction(cell, backward)], x, mask, initial, return_sequences=True, masked_output=masked_output
    )
    last, *_ = reference_lstm.run([Direction(cell, backward)], x, mask, initial, masked_output=masked_output)
    np.testing.assert_array_equal(last, y[:, -1])
    order = slice(None, None, -1) if backward else slice(None)
    for row in range(2):
        short = x[row, order][mask[row, order]][None]
        states = [s[row : row + 1] for s in initial]
        expected, *ends = reference_lstm.run([Direction(cell)], short, None, states, return_sequences=True)
        for end, final in zip(ends, finals, strict=True):
            np.testing.assert_allclose(final[row], end[0], atol=1e-12)
        previous = states[0][0] if masked_output == "state" else np.zeros(UNITS)
        remaining = iter(expected[0])
        for t, seen in enumerate(mask[row, order]):
            if seen:
                previous = next(remaining)
                np.testing.assert_allclose(y[row, t], previous, atol=1e-12)
            else:
                np.testing.assert_allclose(y[row, t], 0 if masked_output == "zero" else previous, atol=1e-12)


@given(seeds, cells, st.integers(0, 5))
@quick
def test_two_chunks_with_carried_states_are_one_run(seed, kind, cut):
    rng = np.random.default_rng(seed)
    side = [Direction(make_cell(kind, rng))]
    x = normal(rng, 2, 5, FEATURES)
    whole, *ends = reference_lstm.run(side, x, return_sequences=True)
    first, *states = reference_lstm.run(side, x[:, :cut], return_sequences=True)
    second, *finals = reference_lstm.run(side, x[:, cut:], None, states, return_sequences=True)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-12)
    for end, final in zip(ends, finals, strict=True):
        np.testing.assert_allclose(final, end, atol=1e-12)


@given(seeds, cells, cells, st.booleans(), st.sampled_from(["concat", "sum", "mul", "ave", None]), st.booleans())
@quick
def test_two_directions_are_two_runs(seed, kind, other, sequences, merge, time_major):
    rng = np.random.default_rng(seed)
    one, two = make_cell(kind, rng), make_cell(other, rng)
    x, mask = normal(rng, 2, 4, FEATURES), rng.random((2, 4)) < 0.7
    initial = [normal(rng, 2, UNITS) for _ in range(one.state_count + two.state_count)]
    major = (lambda a: np.swapaxes(a, 0, 1)) if time_major else (lambda a: a)
    got = reference_lstm.run(
        [Direction(one), Direction(two, True, True)], major(x), major(mask), initial,
        merge=merge, return_sequences=sequences, time_major=time_major,
    )  # fmt: skip
    a, *a_states = reference_lstm.run([Direction(one)], x, mask, initial[: one.state_count], return_sequences=sequences)
    b, *b_states = reference_lstm.run(
        [Direction(two)], x[:, ::-1], mask[:, ::-1], initial[one.state_count :], return_sequences=sequences
    )
    b = b[:, ::-1] if sequences else b
    ys = {"concat": [np.concatenate([a, b], -1)], "sum": [a + b], "mul": [a * b], "ave": [(a + b) / 2], None: [a, b]}
    expected = [major(y) if sequences else y for y in ys[merge]] + a_states + b_states
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(g, e)


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru_after", "rnn"])
def test_empty_sequences_and_empty_batches(kind):
    rng = np.random.default_rng(0)
    cell = make_cell(kind, rng)
    initial = [normal(rng, 2, UNITS) for _ in range(cell.state_count)]
    last, *states = reference_lstm.run([Direction(cell)], np.zeros((2, 0, FEATURES)), None, initial)
    np.testing.assert_array_equal(last, np.zeros((2, UNITS)))
    for state, start in zip(states, initial, strict=True):
        np.testing.assert_array_equal(state, start)
    y, *_ = reference_lstm.run([Direction(cell)], np.zeros((0, 4, FEATURES)), return_sequences=True)
    assert y.shape == (0, 4, UNITS)


def test_what_lies_under_a_mask_is_never_seen():
    rng = np.random.default_rng(1)
    side = [Direction(make_cell("lstm", rng))]
    x, mask = normal(rng, 1, 3, FEATURES), np.array([[True, False, True]])
    spoilt = np.where(mask[..., None], x, np.nan)
    clean, *_ = reference_lstm.run(side, x, mask, return_sequences=True)
    got, *_ = reference_lstm.run(side, spoilt, mask, return_sequences=True)
    np.testing.assert_array_equal(got, clean)


def test_conv_lstm_with_windows_of_one_is_an_lstm_at_every_place():
    rng = np.random.default_rng(2)
    kernel, recurrent, bias = normal(rng, 2, 12), normal(rng, 3, 12), normal(rng, 12)
    x = normal(rng, 2, 4, 5, 2)  # batch, time, space, channels
    cell = ConvLSTM(kernel[None], recurrent[None], bias, (1,), "same", (1,))
    y, h, c = reference_lstm.run([Direction(cell)], x, return_sequences=True)
    first = ConvLSTM(kernel[None], recurrent[None], bias, (1,), "same", (1,), "channels_first")
    z, *_ = reference_lstm.run([Direction(first)], np.moveaxis(x, -1, 2), return_sequences=True)
    np.testing.assert_allclose(np.moveaxis(z, 2, -1), y, atol=1e-12)
    for place in range(5):
        expected = reference_lstm.run([Direction(LSTM(kernel, recurrent, bias))], x[:, :, place], return_sequences=True)
        for got, want in zip((y[:, :, place], h[:, place], c[:, place]), expected, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-12)
