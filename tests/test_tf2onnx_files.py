"""Genuine files of tf2onnx (fixtures/make/make_tf2onnx.py), and changed ones: right, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from converter import api, convert, interpret
from converter.errors import ConversionError, Unsupported
from converter.exporters import EXPORTERS
from converter.model import Array, Model
from converter.model.layers import Recurrent, Scan

HERE = Path(__file__).parents[1] / "fixtures" / "tf2onnx"
FILES = sorted(HERE.glob("*.onnx"))
# What Keras 3 has no public operation for.
NOT_KERAS = {"attention": "two open sizes", **dict.fromkeys(("distributed", "norm"), "over time of any length")}
RECURRENT = {
    "attention": 1, "bidirectional": 4, "conv": 1, "distributed": 1, "masked": 3, "masked_keras3": 3, "norm": 2,
    "simple": 2, "simple_keras3": 2, "simple_one": 2, "unrolled": 1,
}  # fmt: skip


def outputs(model: Model, x: Array) -> list[Array]:
    made = interpret.run(model, {model.inputs[0].name: x})
    return [made[value.name] for value in model.outputs]


def close(have: list[Array], want: list[Array]) -> None:
    for a, b in zip(have, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_exports_are_read_right_and_written_on(path: Path, tmp_path: Path) -> None:
    model = api.load(path)
    with np.load(path.with_suffix(".npz")) as arrays:
        x, want = arrays["x"], [arrays[name] for name in arrays.files if name != "x"]
    close(outputs(model, x), want)
    assert sum(isinstance(node.layer, Recurrent) for node in model.nodes) == RECURRENT[path.stem]
    assert not any(isinstance(node.layer, Scan) for node in model.nodes)
    EXPORTERS["onnx"].export(model, tmp_path / "again.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "again.onnx", providers=["CPUExecutionProvider"])
    close(session.run(None, {session.get_inputs()[0].name: x}), want)
    if path.stem in NOT_KERAS:
        with pytest.raises(Unsupported, match=NOT_KERAS[path.stem]):
            EXPORTERS["keras"].export(model, tmp_path / "again.keras")
        return
    EXPORTERS["keras"].export(model, tmp_path / "again.keras")
    close(outputs(api.load(tmp_path / "again.keras"), x), want)


@pytest.mark.parametrize("target", ["again.onnx", "again.keras"])
def test_a_file_is_converted_and_proved(target: str, tmp_path: Path) -> None:
    done = convert(HERE / "simple.onnx", tmp_path / target)
    assert done.reports
    assert all(report.passed for report in done.reports)


def _bodies(proto: onnx.ModelProto) -> list[onnx.GraphProto]:
    return [a.g for node in proto.graph.node if node.op_type == "Loop" for a in node.attribute if a.name == "body"]


def _instead(old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    """Another operator in the loops."""

    def change(proto: onnx.ModelProto) -> None:
        for body in _bodies(proto):
            for node in body.node:
                node.op_type = new if node.op_type == old else node.op_type

    return change


def _number(place: int, value: float) -> Callable[[onnx.ModelProto], None]:
    """Another number where the loops begin: what they are given at a place."""

    def change(proto: onnx.ModelProto) -> None:
        for node in proto.graph.node:
            if node.op_type == "Loop":
                old = next(t for t in proto.graph.initializer if t.name == node.input[place])
                array = np.full_like(numpy_helper.to_array(old), value)
                proto.graph.initializer.append(numpy_helper.from_array(array, f"{node.output[0]}/begin"))
                node.input[place] = f"{node.output[0]}/begin"

    return change


def _steps_of(value: int) -> Callable[[onnx.ModelProto], None]:
    """Counters that grow by another number."""

    def change(proto: onnx.ModelProto) -> None:
        for body in _bodies(proto):
            for tensor in body.initializer:
                if tensor.data_type == onnx.TensorProto.INT32 and not tensor.dims:
                    tensor.CopyFrom(numpy_helper.from_array(np.array(value, np.int32), tensor.name))

    return change


CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    "no cell": _instead("Tanh", "Sin"), "another activation": _instead("Tanh", "Softsign"),
    "one step more": _instead("Less", "LessOrEqual"), "until it is above": _instead("Less", "Greater"),
    "subtracted": _instead("Add", "Sub"), "no round": _number(1, 0), "from the second step": _number(2, 1),
    "every second step": _steps_of(2),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["simple", "simple_keras3", "masked", "bidirectional"])
def test_a_changed_loop_is_read_right_or_refused(name: str, change: str, tmp_path: Path) -> None:
    proto = onnx.load(HERE / f"{name}.onnx")
    try:
        CHANGES[change](proto)
    except StopIteration:
        return  # where the loop begins is computed
    onnx.save(proto, tmp_path / "m.onnx")
    try:
        model = api.load(tmp_path / "m.onnx")
    except Unsupported as problem:
        assert "Loop" in str(problem)
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", options, providers=["CPUExecutionProvider"])
    with np.load(HERE / f"{name}.npz") as arrays:
        close(outputs(model, arrays["x"]), session.run(None, {session.get_inputs()[0].name: arrays["x"]}))


def _condition(*nodes: onnx.NodeProto) -> Callable[[onnx.ModelProto], None]:
    """Loops go on while the last of these nodes says so; "was" is what they asked before."""

    def change(proto: onnx.ModelProto) -> None:
        for body in _bodies(proto):
            for node in nodes:
                inputs = [body.output[0].name if name == "was" else name for name in node.input]
                body.node.add().CopyFrom(node)
                body.node[-1].input[:] = inputs
            body.output[0].name = nodes[-1].output[0]

    return change


HOSTILE: dict[str, Callable[[onnx.ModelProto], None]] = {
    "asks itself": _condition(helper.make_node("Identity", ["b"], ["a"]), helper.make_node("Identity", ["a"], ["b"])),
    "casts itself": _condition(
        helper.make_node("Cast", ["b"], ["a"], to=6), helper.make_node("Cast", ["a"], ["b"], to=6),
        helper.make_node("Less", ["b", "a"], ["c"])),
    "joins itself": _condition(helper.make_node("And", ["a", "a"], ["a"])),
    "Less of one": _condition(helper.make_node("Less", ["was"], ["a"])),
    "Identity of nothing": _condition(helper.make_node("Identity", [], ["a"])),
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE)
def test_a_condition_without_end_is_refused(change: str, tmp_path: Path) -> None:
    proto = onnx.load(HERE / "simple.onnx")
    HOSTILE[change](proto)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ConversionError, match="Loop"):
        api.load(tmp_path / "m.onnx")


def test_a_condition_that_is_joined_many_times_is_read_once(tmp_path: Path) -> None:
    proto = onnx.load(HERE / "simple.onnx")
    names = ["was", *(f"twice_{k}" for k in range(500))]
    _condition(*(helper.make_node("And", [a, a], [b]) for a, b in pairwise(names)))(proto)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with np.load(HERE / "simple.npz") as arrays:
        before = api.load(HERE / "simple.onnx")
        close(outputs(api.load(tmp_path / "m.onnx"), arrays["x"]), outputs(before, arrays["x"]))
