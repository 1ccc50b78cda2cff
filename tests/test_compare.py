"""Comparing weights: equal, rounded, permuted (and by which convention), different."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from neutral_models import Builder

from converter.cli.main import main
from converter.comparing.compare import compare, compare_parts
from converter.comparing.misreadings import misreadings
from converter.comparing.part import Part
from converter.comparing.parts import parts_of, parts_of_model
from converter.errors import ConversionError
from converter.exporters import keras
from converter.formats import safetensors
from converter.gates import Cell, pack
from converter.gates.conventions import CONVENTIONS, ORDERS
from converter.gates.notation import parse
from converter.model import Model, constant, layers
from converter.model.activations import BY_MAJOR, Activation
from converter.model.layers import Direction, Recurrent
from converter.verification.read_back import read_back

G = {"LSTM": 4, "GRU": 3, "RNN": 1}


def cell(kind: str = "LSTM", features: int = 3, units: int = 5, seed: int = 0, reset_after: bool = False) -> Cell:
    draw = np.random.default_rng(seed).normal
    g = G[kind]
    shapes = ((features, g * units), (units, g * units), (g * units,))
    arrays = [draw(size=shape).astype(np.float32) for shape in shapes]
    second = draw(size=g * units).astype(np.float32) if reset_after else None
    return Cell(kind, *arrays, recurrent_bias=second, reset_after=reset_after)


def part(one: Cell, name: str = "lstm") -> Part:
    return Part(name, one.kind, one.kernel.shape, lambda: one)


def verdict(a: Cell, b: Cell) -> tuple[str, str]:
    (pair,) = compare_parts([part(a)], [part(b)]).pairs
    return pair.verdict, pair.explanation


def test_the_same_weights_are_bit_equal() -> None:
    report = compare_parts([part(cell())], [part(cell())])
    assert report.equal
    assert report.lines()[1].endswith("bit-equal")


def test_rounding_is_told_with_its_ulps() -> None:
    a = cell()
    b = replace(a, kernel=np.nextafter(a.kernel, np.float32(9)))
    report = compare_parts([part(a)], [part(b)])
    assert report.equal
    assert report.pairs[0].verdict == "rounding"
    assert max(f.ulps for f in report.pairs[0].findings) == pytest.approx(1)


def test_two_biases_equal_their_sum() -> None:
    a = cell()
    half = (a.bias / 2).astype(np.float32)  # type: ignore[operator]
    assert verdict(a, replace(a, bias=half, recurrent_bias=half))[0] in ("equal", "rounding")


def test_a_difference_is_located() -> None:
    a = cell()
    kernel = a.kernel.copy()
    kernel[2, 5 + 3] += 0.25  # gate f, unit 3
    report = compare_parts([part(a)], [part(replace(a, kernel=kernel))])
    assert not report.equal
    (bad,) = [f for f in report.pairs[0].findings if f.verdict == "different"]
    assert (bad.matrix, bad.gate, bad.where, bad.count) == ("kernel", "f", (2, 3), 1)
    assert bad.difference == pytest.approx(0.25)
    assert "kernel f" in "\n".join(report.lines())


def order_of(name: str) -> str:
    patterns = CONVENTIONS[name].arrays.values()
    return "".join(p.gates for pattern in patterns for p in parse(pattern).pieces if p.content == "W")


OTHERS = [n for n, row in CONVENTIONS.items() if row.cell != "RNN" and not n.startswith("keras/")]


@pytest.mark.parametrize("name", OTHERS)
def test_every_convention_taken_for_keras_is_named(name: str) -> None:
    """The gates stay in the stored order; the matrices are laid out as Keras has them, as people do."""
    row = CONVENTIONS[name]
    a = cell(row.cell, reset_after=row.reset_after)
    order, g = order_of(name), G[row.cell]

    def taken(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        apart = array.reshape(*array.shape[:-1], g, -1)
        picked = [apart[..., ORDERS[row.cell].index(gate), :] for gate in order]
        if name == "haiku/GRU":
            picked[0] = -picked[0]
        return np.stack(picked, -2).reshape(array.shape)

    bias = a.bias if not row.forget_bias else a.bias - np.repeat([0, 1, 0, 0], 5).astype(np.float32)  # type: ignore[operator]
    b = replace(
        a, kernel=taken(a.kernel), recurrent_kernel=taken(a.recurrent_kernel), bias=taken(bias),
        recurrent_bias=taken(a.recurrent_bias),
    )  # fmt: skip
    found, why = verdict(a, b)
    if order == ORDERS[row.cell] and not row.forget_bias and name != "haiku/GRU":
        assert found == "equal"
        return
    assert found == "permuted"
    named = why.split("arrays of ")[1].split(" were")[0].split(" / ")
    assert any((order_of(n), CONVENTIONS[n].forget_bias) == (order, row.forget_bias) for n in named), why


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_every_misreading_is_told_from_every_other(kind: str) -> None:
    a = cell(kind, reset_after=kind == "GRU")
    found = list(misreadings(a))
    assert len(found) > 15
    for wrong, words in found:
        got, why = verdict(a, wrong)
        assert (got, why) == ("permuted", words)


def test_cudnn_kernels_are_recognized() -> None:
    a = cell()
    arrays = pack(a, "keras/CuDNNLSTM")
    b = Cell("LSTM", arrays["kernel"], arrays["recurrent_kernel"], a.bias)
    found, why = verdict(a, b)
    assert found == "permuted"
    assert "keras/CuDNNLSTM" in why


def test_layers_are_paired_by_structure(tmp_path: Path) -> None:
    first, second = cell(units=5), cell(features=5, units=2)
    report = compare_parts([part(first, "a"), part(second, "b")], [part(second, "x"), part(first, "y")])
    assert [(p.a, p.b) for p in report.pairs] == [("a", "y"), ("b", "x")]
    assert report.equal
    extra = compare_parts([part(first)], [part(first), part(second, "more")])
    assert extra.only_b == ("more",)
    assert not extra.equal
    assert not compare_parts([], []).equal


def test_files(tmp_path: Path) -> None:
    one = cell()
    names = {f"{k}_l0": constant(k, v) for k, v in pack(one, "torch/LSTM").items()}
    safetensors.write(tmp_path / "a.safetensors", names, {})
    kernel = {f"lstm/{k}": constant(k, v) for k, v in pack(one, "keras/LSTM").items()}
    metadata = {"conventions": '{"lstm": "keras/LSTM"}', "layers": '{"lstm": "Recurrent"}'}
    metadata["format"] = "keras-lstm-convert"
    safetensors.write(tmp_path / "b.safetensors", kernel, metadata)
    report = compare(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert report.equal
    assert json.loads(json.dumps(report.as_json()))["equal"]
    with pytest.raises(ConversionError, match=r"c\.bin"):
        (tmp_path / "c.bin").write_bytes(b"hello")
        compare(tmp_path / "a.safetensors", tmp_path / "c.bin")


@pytest.mark.parametrize("order", [p for p in permutations("ifco") if p != tuple("ifco")], ids="".join)
def test_every_order_of_gates_is_named(order: tuple[str, ...]) -> None:
    a = cell()
    picked = ["ifco".index(gate) for gate in order]

    def moved(matrix: np.ndarray) -> np.ndarray:
        blocks = np.split(matrix, 4, axis=-1)
        return np.concatenate([blocks[k] for k in picked], axis=-1)

    whole = replace(a, kernel=moved(a.kernel), recurrent_kernel=moved(a.recurrent_kernel), bias=moved(a.bias))
    assert verdict(a, whole)[0] == "permuted"
    kind, why = verdict(a, replace(a, kernel=moved(a.kernel)))
    assert (kind, why) == ("permuted", f"the gates i, f, c, o of kernel alone are in the order {', '.join(order)}")


def test_the_scale_of_hard_sigmoid_is_named() -> None:
    a = cell()
    factors = np.repeat(np.float32([1.2, 1.2, 1, 1.2]), 5)
    b = replace(a, kernel=a.kernel * factors, recurrent_kernel=a.recurrent_kernel * factors, bias=a.bias * factors)
    kind, why = verdict(a, b)
    assert kind == "scaled"
    assert why == "gates i, f, o are multiplied by 1.2 (an old hard_sigmoid, as Keras 3 says it)"


def test_values_rounded_to_float16_are_named() -> None:
    a = cell()
    half = {
        name: getattr(a, name).astype(np.float16).astype(np.float32) for name in ("kernel", "recurrent_kernel", "bias")
    }
    assert verdict(a, replace(a, **half))[0] == "rounded"


def test_directions_in_each_others_place_are_named() -> None:
    one, two = cell(seed=1), cell(seed=2)
    report = compare_parts([part(one, "bi forward"), part(two, "bi backward")], [part(two, "x"), part(one, "y")])
    assert [pair.explanation for pair in report.pairs] == ["exchanged with bi backward", "exchanged with bi forward"]
    assert not report.equal


def test_layers_alike_are_paired_by_name_where_a_file_sorts_names() -> None:
    one, two = cell(seed=1), cell(seed=2)
    first = [part(one, "z forward"), part(two, "a")]
    report = compare_parts(first, [part(two, "a"), part(one, "z/forward")])
    assert [(pair.a, pair.b) for pair in report.pairs] == [("z forward", "z/forward"), ("a", "a")]
    assert report.equal


@pytest.mark.parametrize("name", ["b.bin", "a.bin"])
def test_the_file_that_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    good, bad = tmp_path / "a.bin", tmp_path / "other" / name
    bad.parent.mkdir()
    safetensors.write(good, {"lstm/kernel": constant("k", cell().kernel)}, {"conventions": "{}", "layers": "{}"})
    bad.write_bytes(b"hello")
    assert main(["compare", str(good), str(bad)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {bad}: ")
    assert main(["compare", str(bad), str(good)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {bad}: ")


def hard(b: Builder) -> Model:
    """The gates of Keras 1 and 2: clip(0.2x + 0.5)."""
    x = b.input("x", (None, None, 3))
    gate = BY_MAJOR[2]["hard_sigmoid"]
    pair = tuple(Direction(b.lstm(3, 4, gate=gate), back, back) for back in (False, True))
    outputs = b.node("pair", Recurrent(pair, "concat"), [x, None, None, None, None, None], (None, 8), *[(None, 4)] * 4)
    return b.model(outputs[:1])


def test_weights_that_were_scaled_for_keras_3_are_equal_and_told(tmp_path: Path) -> None:
    model, path = hard(Builder()), tmp_path / "revived.keras"
    keras.export(model, path)
    report = compare_parts(parts_of_model(model), parts_of(path))
    assert report.equal
    assert "i by 1.2, f by 1.2, o by 1.2" in report.lines()[1]
    assert read_back(model, path).passed
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "silent.keras", "w") as new:
        for member in old.namelist():
            new.writestr(member, b"{}" if member == "metadata.json" else old.read(member))
    silent = compare_parts(parts_of_model(model), parts_of(tmp_path / "silent.keras"))
    assert {pair.verdict for pair in silent.pairs} == {"scaled"}
    assert not read_back(model, tmp_path / "silent.keras").passed


@pytest.mark.parametrize(("bias", "passed"), [(8.0, True), (7.9, False)])
def test_a_model_of_zeros_for_the_usual_inputs_is_proved_by_smaller_ones(
    bias: float, passed: bool, tmp_path: Path
) -> None:
    def made(bias: float) -> Model:
        b = Builder()
        x = b.input("x", (None, 40))
        (size,) = b.node("size", layers.Unary("abs"), [x], (None, 40))
        kernel, offset = constant("kernel", np.full((40, 1), -1, np.float32)), constant("bias", np.float32([bias]))
        head = layers.Dense(kernel, offset, Activation("relu", (0.0, np.inf, 0.0)))
        return b.model(b.node("head", head, [size], (None, 1)))

    keras.export(made(bias), tmp_path / "m.keras")
    assert read_back(made(8.0), tmp_path / "m.keras").passed == passed
