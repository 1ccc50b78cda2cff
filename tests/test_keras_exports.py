"""ONNX files by Keras 3's own export (fixtures/make/make_keras_onnx.py): what ONNX Runtime computes, for all sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from converter import api, interpret
from converter.errors import ConversionError
from converter.exporters import EXPORTERS
from converter.model.layers import Recurrent, Scan

HERE = Path(__file__).parents[1] / "fixtures" / "keras_onnx"
BY_BATCH = ("distributed", "normalized")  # as many steps as the batch has rows, see make_keras_onnx.py
SIZES = ((3, 7), (1, 1), (4, 4), (2, 6))


def run(path: Path, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def given(batch: int, steps: int) -> np.ndarray:
    x = np.random.default_rng(batch).normal(size=(batch, steps, 3)).astype(np.float32)
    x[0, -1:] = 0
    return x


@pytest.mark.parametrize("path", sorted(HERE.glob("*.onnx")), ids=lambda path: path.stem)
def test_exports_are_read_right_and_written_on(path: Path, tmp_path: Path) -> None:
    model = api.load(path)
    assert not any(isinstance(node.layer, Scan) for node in model.nodes)
    assert any(isinstance(node.layer, Recurrent) for node in model.nodes)
    assert any("with the batch for the time" in text for text in model.warnings) == (path.stem in BY_BATCH)
    EXPORTERS["onnx"].export(model, tmp_path / "again.onnx")
    for sizes in SIZES:
        x = given(*sizes)
        (want,) = run(path, x)
        made = interpret.run(model, {model.inputs[0].name: x})[model.outputs[0].name]
        for have in (made, *run(tmp_path / "again.onnx", x)):
            np.testing.assert_allclose(have, want, rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", BY_BATCH)
def test_more_rows_than_steps_fail_as_in_the_file(name: str) -> None:
    model = api.load(HERE / f"{name}.onnx")
    with pytest.raises((ValueError, IndexError)):
        interpret.run(model, {model.inputs[0].name: given(5, 2)})


def body(proto: onnx.ModelProto) -> onnx.GraphProto:
    """That of a TimeDistributed."""
    return next(
        a.g for node in proto.graph.node if "pfor/while_loop" in node.name for a in node.attribute if a.name == "body"
    )


def _number(old: int, new: int) -> Callable[[onnx.ModelProto], None]:
    """Other whole numbers in the body."""

    def change(proto: onnx.ModelProto) -> None:
        for tensor in body(proto).initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.int32 and old in array:
                tensor.CopyFrom(
                    numpy_helper.from_array(np.where(array == old, new, array).astype(np.int32), tensor.name)
                )

    return change


def _instead(old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        for node in body(proto).node:
            node.op_type = new if node.op_type == old else node.op_type

    return change


def _outside(old: str, new: str, part: str) -> Callable[[onnx.ModelProto], None]:
    """Another operator before the loop."""

    def change(proto: onnx.ModelProto) -> None:
        for node in proto.graph.node:
            if node.op_type == old and part in node.name:
                node.op_type = new

    return change


CHANGES = {
    "another step": _number(10**9, 3),
    "rows from the second on": _number(0, 1),
    "two more each round": _number(1, 2),
    "the smaller end": _instead("Max", "Min"),
    "no choice": _instead("Where", "Concat"),
    "another comparison": _instead("Less", "Greater"),
    "places that are squared": _outside("Add", "Mul", "loop_body/SelectV2"),
    "places that go down": _outside("Add", "Sub", "SelectV2"),
    "half of the places": _outside("Mul", "Div", "SelectV2"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_loop_is_right_or_refused(change: str, tmp_path: Path) -> None:
    proto = onnx.load(HERE / "over_time.onnx")
    before = proto.SerializeToString()
    CHANGES[change](proto)
    assert proto.SerializeToString() != before
    onnx.save(proto, tmp_path / "m.onnx")
    try:
        model = api.load(tmp_path / "m.onnx")
    except ConversionError as problem:
        assert "'" not in str(problem).split(":")[-1]
        return
    x = given(3, 7)
    (want,) = run(tmp_path / "m.onnx", x)
    made = interpret.run(model, {model.inputs[0].name: x})[model.outputs[0].name]
    np.testing.assert_allclose(made, want, rtol=0, atol=5e-6)
