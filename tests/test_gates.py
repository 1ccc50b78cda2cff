"""The conventions: notation, round trips between every pair, and what each framework really computes elsewhere."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import conventions_page
import loading_pages
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.cli.main import main
from converter.comparing.misreadings import misreadings
from converter.errors import InvalidModel, Unsupported
from converter.gates import CONVENTIONS, Cell, convert, pack, repack, unpack
from converter.gates.conventions import Convention
from converter.gates.notation import parse

G = {"LSTM": 4, "GRU": 3, "RNN": 1}
FIXED_FORGET_BIAS = [row.name for row in CONVENTIONS.values() if row.forget_bias and not row.forget_bias_setting]


def random_cell(kind: str, features: int, units: int, seed: int, reset_after: bool = False) -> Cell:
    """Any bits at all: subnormal, -0, huge; no NaN."""
    generator = np.random.default_rng(seed)

    def bits(*shape: int) -> np.ndarray:
        values = generator.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)
        return np.where(np.isfinite(values), values, np.float32(-0.0)).astype(np.float32)

    g = G[kind]
    return Cell(kind, bits(features, g * units), bits(units, g * units), bits(g * units), reset_after=reset_after)


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
        for x, y in zip(a.values(), b.values(), strict=True)
    )


PAIRS = [
    (a.name, b.name)
    for a, b in product(CONVENTIONS.values(), repeat=2)
    if a.cell == b.cell and a.reset_after == b.reset_after
]


@pytest.mark.parametrize("part", range(3))
@settings(max_examples=5, deadline=None)
@given(features=st.integers(1, 5), units=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_every_pair_round_trips_bit_for_bit(part: int, features: int, units: int, seed: int) -> None:
    @cache
    def packed(source: str, on_a_grid: bool) -> dict[str, np.ndarray]:
        row = CONVENTIONS[source]
        cell = random_cell(row.cell, features, units, seed, row.reset_after)
        if on_a_grid:  # one addition each way: exact there
            grid = (np.arange(4 * units) / 8 - 1).astype(np.float32)
            # Where the forget bias is a setting, it comes back as the other code's constant.
            cell = replace(cell, bias=grid, forget_bias=float(row.forget_bias_setting))
        return pack(cell, source)

    for source, target in PAIRS[part::3]:
        there = packed(source, bool({source, target} & set(FIXED_FORGET_BIAS)))
        middle = convert(there, source, target, units)
        back = convert(middle, target, source, units)
        assert same_bits(back, there), (source, target)


def test_a_fixed_forget_bias_costs_one_rounding() -> None:
    assert FIXED_FORGET_BIAS == ["haiku/LSTM"]
    cell = random_cell("LSTM", 3, 2, 0)
    bias = np.linspace(-2, 2, 8).astype(np.float32) + np.float32(1e-7)
    cell = Cell("LSTM", cell.kernel, cell.recurrent_kernel, bias)
    packed = pack(cell, "haiku/LSTM")
    assert np.allclose(packed["linear/b"][4:6], bias[2:4] - 1, rtol=0, atol=2e-7)
    back = unpack(packed, "haiku/LSTM").single_bias
    assert back is not None and np.allclose(back, bias, rtol=0, atol=2e-7)


def test_two_biases_stay_apart_between_conventions_that_have_two() -> None:
    cell = random_cell("LSTM", 3, 2, 1)
    two = Cell("LSTM", cell.kernel, cell.recurrent_kernel, cell.bias, cell.bias[::-1].copy())
    arrays = pack(two, "torch/LSTM")
    assert same_bits(convert(convert(arrays, "torch/LSTM", "onnx/LSTM"), "onnx/LSTM", "torch/LSTM"), arrays)


@pytest.mark.parametrize("name", [n for n, r in CONVENTIONS.items() if r.cell == "LSTM" and "P[" in str(r.arrays)])
@pytest.mark.parametrize("other", ["onnx/LSTM", "tf1/LSTMCell", "coreml/lstm"])
def test_peepholes_round_trip(name: str, other: str) -> None:
    base = random_cell("LSTM", 3, 2, 2)
    cell = Cell("LSTM", base.kernel, base.recurrent_kernel, base.bias, peephole=np.arange(6, dtype=np.float32))
    arrays = pack(cell, name)
    assert same_bits(convert(convert(arrays, name, other), other, name), arrays)


@pytest.mark.parametrize("name", [n for n, r in CONVENTIONS.items() if "H[" in str(r.arrays)])
def test_projections_round_trip(name: str) -> None:
    random = np.random.default_rng(0).normal
    cell = Cell("LSTM", random(size=(3, 20)), random(size=(2, 20)), random(size=20), projection=random(size=(5, 2)))
    arrays = pack(cell, name)
    assert same_bits(convert(convert(arrays, name, "torch/LSTM"), "torch/LSTM", name), arrays)
    with pytest.raises(Unsupported, match="keras/LSTM has no projection"):
        convert(arrays, name, "keras/LSTM")


def test_known_orders() -> None:
    """One small case written out by hand: units 1, gates i=1 f=2 c=3 o=4."""
    cell = Cell("LSTM", np.array([[1.0, 2, 3, 4]]), np.array([[10.0, 20, 30, 40]]), np.array([5.0, 6, 7, 8]))
    onnx = pack(cell, "onnx/LSTM")
    assert onnx["W"].ravel().tolist() == [1, 4, 2, 3]
    assert onnx["B"].tolist() == [[5, 8, 6, 7, 0, 0, 0, 0]]
    assert pack(cell, "tf1/LSTMCell")["kernel"].tolist() == [[1, 3, 2, 4], [10, 30, 20, 40]]
    assert pack(cell, "haiku/LSTM")["linear/b"].tolist() == [5, 7, 5, 8]
    assert list(pack(cell, "keras1/LSTM"))[:6] == ["W_i", "U_i", "b_i", "W_c", "U_c", "b_c"]
    assert unpack(
        {"kernel": np.array([[1.0, 3, 2, 4], [0, 0, 0, 0]]), "bias": np.zeros(4)}, "tf1/LSTMCell"
    ).single_bias.tolist() == [0, 1, 0, 0]


def test_haiku_gru_changes_the_sign_of_z() -> None:
    cell = Cell("GRU", np.array([[1.0, 2, 3]]), np.array([[4.0, 5, 6]]), np.array([7.0, 8, 9]))
    assert pack(cell, "haiku/GRU")["w_i"].tolist() == [[-1, 2, 3]]


def test_a_recurrent_bias_of_the_reset_product_is_never_lost() -> None:
    cell = Cell("GRU", np.ones((1, 3)), np.ones((1, 3)), np.ones(3), np.ones(3), reset_after=True)
    assert pack(cell, "flax/GRUCell")["ir/bias"].tolist() == [2]  # r and z: the two biases simply add
    assert pack(cell, "flax/GRUCell")["hn/bias"].tolist() == [1]
    with pytest.raises(Unsupported, match="reset gate before"):
        pack(cell, "keras/GRU(reset_after=False)")
    with pytest.raises(Unsupported, match="recurrent bias of its own"):
        _ = cell.single_bias


def test_single_parts() -> None:
    kernel = np.arange(24.0).reshape(2, 12)
    assert np.array_equal(repack(kernel, "kernel", "keras/LSTM", "torch/LSTM"), kernel.T)
    back = repack(repack(kernel, "kernel", "keras/LSTM", "onnx/LSTM"), "kernel", "onnx/LSTM", "keras/LSTM")
    assert np.array_equal(back, kernel)
    with pytest.raises(Unsupported, match="tf1/LSTMCell has no array with the kernel alone"):
        repack(kernel, "kernel", "keras/LSTM", "tf1/LSTMCell")


def test_wrong_arrays_are_named() -> None:
    good = pack(random_cell("LSTM", 3, 2, 0), "torch/LSTM")
    with pytest.raises(InvalidModel, match="weight_hh"):
        unpack({k: v for k, v in good.items() if k != "weight_hh"}, "torch/LSTM")
    with pytest.raises(InvalidModel, match=r"bias_ih: shape \(12,\), not \(8,\)"):
        unpack({**good, "bias_ih": np.zeros(12)}, "torch/LSTM")
    with pytest.raises(InvalidModel, match="no array 'x'"):
        unpack({**good, "x": np.zeros(7)}, "torch/LSTM")
    with pytest.raises(InvalidModel, match="multiple of 4"):
        unpack({**good, "weight_ih": np.zeros((7, 3))}, "torch/LSTM")
    with pytest.raises(Unsupported, match="unknown convention"):
        pack(random_cell("LSTM", 3, 2, 0), "torch/LSTMM")


@pytest.mark.parametrize("bad", ["", "W", "W[in, ifco*u] R[h, ifco*u]", "X[u]", "W[in, u] / | R[h, u]"])
def test_the_notation_refuses_what_it_does_not_know(bad: str) -> None:
    with pytest.raises(ValueError, match="no layout"):
        parse(bad)


def test_every_gate_has_one_place_and_every_row_a_source() -> None:
    orders = {"LSTM": "cfio", "GRU": "hrz", "RNN": "c"}
    for row in CONVENTIONS.values():
        for content in ("W", "R", "b"):
            pieces = [p for pattern in row.arrays.values() for p in parse(pattern).pieces if p.content == content]
            assert "".join(sorted("".join(p.gates for p in pieces))) == orders[row.cell], (row.name, content)
        assert row.source.startswith("https://") and row.proof


def test_the_page_is_that_of_the_rows() -> None:
    page = (conventions_page.ROOT / "docs/conventions.md").read_text(encoding="utf-8")
    assert page == conventions_page.page(), "run `python tests/conventions_page.py`"
    for framework in loading_pages.frameworks():
        page = (conventions_page.ROOT / f"docs/conventions/{framework}.md").read_text(encoding="utf-8")
        assert page == loading_pages.page(framework), "run `python tests/conventions_page.py`"


TOY = Convention(
    "toy/LSTM", "LSTM", "o f i g", {"w": "W[oifc*u, in]", "r": "R[oifc*u, h]", "v": "b[oifc*u]"},
    "https://example.org/toy", "not checked",
)  # fmt: skip


def test_a_convention_needs_one_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It converts both ways, is in the table, on the page and on the command line, and is named where it is misread."""
    monkeypatch.setitem(CONVENTIONS, TOY.name, TOY)
    cell = random_cell("LSTM", 3, 2, 0)
    toy = pack(cell, "toy/LSTM")
    assert {name: array.shape for name, array in toy.items()} == {"w": (8, 3), "r": (8, 2), "v": (8,)}
    keras = convert(toy, "toy/LSTM", "keras/LSTM", 2)
    assert same_bits(keras, pack(cell, "keras/LSTM"))
    assert same_bits(convert(keras, "keras/LSTM", "toy/LSTM", 2), toy)
    assert main(["conventions", "toy"]) == 0
    assert "toy/LSTM" in capsys.readouterr().out
    assert "| [toy/LSTM](https://example.org/toy) | o f i g |" in conventions_page.page()
    assert any("toy/LSTM" in names for _, names in misreadings(cell))
