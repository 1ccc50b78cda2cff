"""Cells found by computing: TensorFlow 1's own equations, written here anew, are recognized in Keras' packing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.model import constant
from converter.model.layers import GRUCell, LSTMCell, SimpleRNNCell
from converter.tensorflow_graph.cells import StepRun, find_cell
from converter.tensorflow_graph.packings import Candidate
from converter.tensorflow_graph.sizes import Dim, OpenSize, product

ROWS, INPUTS, UNITS = 7, 3, 4
Random = np.random.Generator


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def candidate(array: np.ndarray, name: str) -> Candidate:
    return Candidate(array, constant(name, array.astype(np.float32)))


def samples(rng: Random, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [rng.normal(0, 0.5, shape) for shape in shapes]


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, 0.7])
@pytest.mark.parametrize("c_first", [False, True])
@pytest.mark.parametrize("peepholes", [False, True])
def test_lstm_cell_of_tensorflow_1(forget_bias: float, c_first: bool, peepholes: bool) -> None:
    rng = np.random.default_rng(1)
    x, h, c, kernel, bias = samples(
        rng, (ROWS, INPUTS), (ROWS, UNITS), (ROWS, UNITS), (INPUTS + UNITS, 4 * UNITS), (4 * UNITS,)
    )
    w_i, w_f, w_o = samples(rng, *[(UNITS,)] * 3) if peepholes else [np.zeros(UNITS)] * 3
    i, j, f, o = np.split(np.hstack([x, h]) @ kernel + bias, 4, axis=1)
    new_c = sigmoid(f + forget_bias + w_f * c) * c + sigmoid(i + w_i * c) * np.tanh(j)
    new_h = sigmoid(o + w_o * new_c) * np.tanh(new_c)
    old, new = ((c, h), (new_c, new_h)) if c_first else ((h, c), (new_h, new_c))
    known = [candidate(bias, "bias"), candidate(kernel, "kernel")]
    known += [candidate(w, name) for w, name in ((w_o, "o"), (w_f, "f"), (w_i, "i"))] if peepholes else []
    found = find_cell(StepRun(x, old, new, "float32", (forget_bias,)), known)
    assert found is not None
    assert isinstance(found.cell, LSTMCell)
    assert found.states == ((1, 0) if c_first else (0, 1))
    order = np.concatenate([np.arange(UNITS) + UNITS * gate for gate in (0, 2, 1, 3)])
    np.testing.assert_allclose(found.cell.kernel.read(), kernel[:INPUTS][:, order], rtol=1e-6)
    assert found.cell.bias is not None
    np.testing.assert_allclose(
        found.cell.bias.read()[UNITS : 2 * UNITS], bias[2 * UNITS : 3 * UNITS] + forget_bias, rtol=1e-5
    )
    assert (found.cell.peephole is not None) == peepholes


def test_gru_cell_of_tensorflow_1() -> None:
    rng = np.random.default_rng(2)
    x, h, gates, bias, kernel, own = samples(
        rng, (ROWS, INPUTS), (ROWS, UNITS), (INPUTS + UNITS, 2 * UNITS), (2 * UNITS,), (INPUTS + UNITS, UNITS), (UNITS,)
    )
    r, u = np.split(sigmoid(np.hstack([x, h]) @ gates + bias), 2, axis=1)
    new = u * h + (1 - u) * np.tanh(np.hstack([x, r * h]) @ kernel + own)
    known = [candidate(w, str(k)) for k, w in enumerate((own, kernel, bias, gates))]
    found = find_cell(StepRun(x, (h,), (new,), "float32"), known)
    assert found is not None
    assert isinstance(found.cell, GRUCell)
    assert not found.cell.reset_after
    np.testing.assert_allclose(found.cell.kernel.read()[:, :UNITS], gates[:INPUTS, UNITS:], rtol=1e-6)


def test_steps_that_are_no_cell() -> None:
    rng = np.random.default_rng(3)
    x, h, kernel, recurrent = samples(rng, (ROWS, INPUTS), (ROWS, UNITS), (INPUTS, UNITS), (UNITS, UNITS))
    known = [candidate(kernel, "kernel"), candidate(recurrent, "recurrent")]
    plain = np.tanh(x @ kernel + h @ recurrent)
    found = find_cell(StepRun(x, (h,), (plain,), "float32"), known)
    assert found is not None
    assert isinstance(found.cell, SimpleRNNCell)
    assert found.cell.bias is None
    assert find_cell(StepRun(x, (h,), (plain + 0.001,), "float32"), known) is None


POLYNOMIALS = st.lists(st.tuples(st.sampled_from([(), ("a",), ("b",), ("a", "b")]), st.integers(-4, 4)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(POLYNOMIALS, POLYNOMIALS, st.integers(1, 5), st.integers(1, 5))
def test_sizes_compute_as_numbers_do(p: list, q: list, a: int, b: int) -> None:
    names = {"a": a, "b": b}

    def make(terms: list) -> object:
        return sum((product((n, *map(Dim.symbol, symbols))) for symbols, n in terms), 0)

    def value(size: object) -> int:
        return size.at(names) if isinstance(size, Dim) else int(size)  # type: ignore[call-overload]

    x, y = make(p), make(q)
    assert value(x + y) == value(x) + value(y)  # type: ignore[operator]
    assert value(x * y) == value(x) * value(y)  # type: ignore[operator]
    assert value(x - y) == value(x) - value(y)  # type: ignore[operator]


def test_open_sizes_are_not_guessed() -> None:
    time = Dim.symbol("time")
    assert (time * 6) // (time * 2) == 3
    for wrong in (lambda: time // 2, lambda: int(time), lambda: time < 3, lambda: 7 // time):
        with pytest.raises(OpenSize):
            wrong()
