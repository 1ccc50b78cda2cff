"""Exports for a runtime, and with sizes that are fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import Builder, feed
from onnx.reference import ReferenceEvaluator
from onnx_files import check, exported, operators

from converter import interpret, verify
from converter.cli.deploying import RUNTIMES as OFFERED
from converter.errors import Unsupported
from converter.exporters.onnx.runtimes import RUNTIMES
from converter.model import Model, layers
from converter.model.activations import NAMES, SIGMOID, TANH, Activation
from converter.model.sizes import Sizes

CELLS = ("lstm", "gru", "simple")


def recurrent(
    kind: str = "lstm", masked: bool = False, two: bool = False, gate: Activation = SIGMOID,
    sizes: tuple[int | None, int | None] = (None, None), act: Activation = TANH,
) -> Model:  # fmt: skip
    """One layer over x and an optional mask, which gives its outputs and its states."""
    b = Builder()
    x = b.input("x", (*sizes, 3))
    mask = b.input("mask", sizes, "bool") if masked else None
    make = {"lstm": lambda: b.lstm(3, 4, act, gate, True), "gru": lambda: b.gru(3, 4, act, gate, True, True),
            "simple": lambda: b.simple(3, 4, act, True)}[kind]  # fmt: skip
    directions = (layers.Direction(make()), layers.Direction(make(), True, True))[: 1 + two]
    states = sum(direction.cell.states for direction in directions)
    layer = layers.Recurrent(directions, "concat" if two else None, return_sequences=True)
    shapes = [(*sizes, 4 * (1 + two)), *[(sizes[0], 4)] * states]
    return b.model(b.node("rnn", layer, [x, mask, *[None] * states], *shapes))


def test_the_command_line_offers_every_runtime() -> None:
    assert set(OFFERED) == set(RUNTIMES)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("kind", CELLS)
def test_reference_evaluator(tmp_path: Path, kind: str, masked: bool, two: bool, gate: str) -> None:
    """onnx' own runtime ignores sequence_lens, alpha, beta and activations."""
    model = recurrent(kind, masked, two, Activation("hard_sigmoid", (1 / 6, 0.5)) if gate != "sigmoid" else SIGMOID)
    proto = exported(model, tmp_path, runtime="reference")
    arrays = feed(model, 3, 5)
    truth = interpret.run(model, arrays)
    with np.errstate(over="ignore"):  # of exp, in gates that are closed past the end
        made = ReferenceEvaluator(proto).run(None, arrays)
    for value, got in zip(model.outputs, made, strict=True):
        np.testing.assert_allclose(got, truth[value.name], atol=1e-6)


@pytest.mark.parametrize("runtime", sorted(RUNTIMES))
@pytest.mark.parametrize("masked", [False, True])
def test_operators_of_a_runtime(tmp_path: Path, runtime: str, masked: bool) -> None:
    row = RUNTIMES[runtime]
    proto = check(recurrent(two=True, masked=masked, sizes=(3, 5)), tmp_path, runtime=runtime)
    natives = [node for node in proto.graph.node if node.op_type == "LSTM"]
    directions = [next((a.s for a in node.attribute if a.name == "direction"), b"forward") for node in natives]
    assert directions == [b"bidirectional"] if row.bidirectional and not masked else [b"forward"] * 2
    assert all(row.lengths or len(node.input) < 5 or not node.input[4] for node in natives)


def test_peepholes_that_a_runtime_ignores(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, None, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4, peephole=True)),), return_sequences=True)
    model = b.model(b.node("rnn", layer, [x, None, None, None], (None, None, 4), (None, 4), (None, 4)))
    assert "LSTM" in operators(check(model, tmp_path))
    assert "LSTM" not in operators(check(model, tmp_path, runtime="openvino"))


@pytest.mark.parametrize("activation", ["tanh", "elu", "linear"])
@pytest.mark.parametrize("kind", CELLS)
def test_c_wants_an_alpha_for_each_activation(tmp_path: Path, kind: str, activation: str) -> None:
    """One cell's are read alike by onnxruntime, which takes them in order for those that have one."""
    gate = Activation("hard_sigmoid", (1 / 6, 0.5)) if activation != "elu" else SIGMOID
    model = recurrent(kind, True, True, gate, (3, 5), NAMES[activation])
    proto = check(model, tmp_path, runtime="c")
    assert not set(operators(proto)) & {"Scan", "Slice"}
    for node in proto.graph.node:
        given = {a.name: len(a.strings) + len(a.floats) for a in node.attribute}
        assert "direction" not in given
        assert given.get("activation_alpha", 0) in (0, given.get("activations"))


@pytest.mark.parametrize("runtime", [name for name, row in RUNTIMES.items() if row.static])
def test_a_runtime_that_wants_all_sizes(tmp_path: Path, runtime: str) -> None:
    with pytest.raises(Unsupported, match="--batch"):
        exported(recurrent(), tmp_path, runtime=runtime)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", [*CELLS, "mish"])
def test_known_sizes_leave_no_arithmetic(tmp_path: Path, kind: str, masked: bool) -> None:
    model = recurrent(
        "lstm" if kind == "mish" else kind, masked, gate=NAMES["mish" if kind == "mish" else "sigmoid"], sizes=(3, 5)
    )
    used = set(operators(check(model, tmp_path)))
    assert not used & {"Shape", "Range", "Size", "Reshape", "Max"}


@pytest.mark.parametrize(
    ("sizes", "file", "keeps", "made"),
    [
        (Sizes(), (8, None, 3), False, (None, None, 3)),
        (Sizes(), (8, None, 3), True, (8, None, 3)),
        (Sizes("keep"), (8, None, 3), False, (8, None, 3)),
        (Sizes(2, 7), (8, None, 3), False, (2, 7, 3)),
        (Sizes(2, 7), (None, 5, 3), False, (2, 5, 3)),
        (Sizes(2, 7), (None,), False, (2,)),
        (Sizes(shapes={"x": (2, 7, 3)}), (None, None, 3), False, (2, 7, 3)),
    ],
)
def test_sizes(sizes: Sizes, file: Any, keeps: bool, made: Any) -> None:
    assert sizes.of("x", file, keeps) == made


@pytest.mark.parametrize("wanted", [(2, 7), (2, 7, 4), (2, 7, 3, 1)])
def test_sizes_that_the_file_contradicts(wanted: tuple[int, ...]) -> None:
    with pytest.raises(Unsupported, match="cannot be"):
        Sizes(shapes={"x": wanted}).of("x", (None, None, 3), False)
    with pytest.raises(Unsupported, match="no input y"):
        Sizes(shapes={"y": wanted}).check(["x"])


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
def test_verify_elsewhere(tmp_path: Path, runtime: str) -> None:
    """A file for onnxruntime is found wrong where alpha and beta are ignored."""
    model = recurrent(gate=Activation("hard_sigmoid", (1 / 6, 0.5)))
    exported(model, tmp_path, runtime=runtime)
    report = verify(model, tmp_path / "model.onnx", runtime="reference")
    assert report.passed == (runtime == "reference")
    assert all(one.values for one in report.outputs)
