"""Arrays that several operators of a foreign ONNX file take: its archive holds them for each, and is still equal."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converter import api
from converter.comparing.compare import compare
from converter.exporters import EXPORTERS

HERE = Path(__file__).parents[1] / "fixtures"
UNITS = 4
node = helper.make_node


def twice(kind: str) -> list[onnx.NodeProto]:
    """An operator that is called on x, then on what it made of it; with the same arrays both times."""
    steps = [("x", "y0"), ("y0", "y1"), ("y1", "y2")]
    if kind == "LSTM":
        calls = []
        for x, y in steps:
            calls.append(node("LSTM", [x, "W", "R", "B"], [f"{y}_all"], hidden_size=UNITS, name=y))
            calls.append(node("Squeeze", [f"{y}_all", "one"], [y]))
        return calls
    if kind == "normalization":
        rows = []
        for x, y in steps:
            rows.append(node("Sub", [x, "mean"], [f"{y}_s"], name=f"{y}/Sub"))
            rows.append(node("Mul", [f"{y}_s", "scale"], [f"{y}_m"], name=f"{y}/Mul"))
            rows.append(node("Add", [f"{y}_m", "beta"], [y], name=f"{y}/Add"))
        return rows
    if kind == "Dense":
        return [node("MatMul", [x, "K"], [y], name=y) for x, y in steps]
    if kind == "kernel and bias, crosswise":
        made = []
        for (x, y), kernel, bias in zip(steps, "KLK", ("mean", "beta", "beta"), strict=True):
            made.append(node("MatMul", [x, kernel], [f"{y}_k"], name=y))
            made.append(node("Add", [f"{y}_k", bias], [y], name=f"{y}/Add"))
        return made
    if kind == "layer normalization":
        return [node("LayerNormalization", [x, "scale", "beta"], [y], name=y) for x, y in steps]
    raise AssertionError(kind)


KINDS = ("LSTM", "normalization", "Dense", "kernel and bias, crosswise", "layer normalization")
SHAPES = {
    "W": (1, 4 * UNITS, UNITS), "R": (1, 4 * UNITS, UNITS), "B": (1, 8 * UNITS), "K": (UNITS, UNITS),
    "L": (UNITS, UNITS), "mean": (UNITS,), "scale": (UNITS,), "beta": (UNITS,),
}  # fmt: skip


def foreign(kind: str, path: Path) -> onnx.ModelProto:
    draw = np.random.default_rng(1)
    arrays = {name: draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in SHAPES.items()}
    nodes = twice(kind)
    used = {name for one in nodes for name in one.input}
    held = [numpy_helper.from_array(array, name) for name, array in arrays.items() if name in used]
    held += [numpy_helper.from_array(np.array([1]), "one")] if "one" in used else []
    of = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["t", "n", UNITS]) for n in ("x", "y2")]
    proto = helper.make_model(
        helper.make_graph(nodes, "g", of[:1], of[1:], held), opset_imports=[helper.make_opsetid("", 17)]
    )
    onnx.checker.check_model(proto)
    onnx.save(proto, path)
    return proto


def arrays_of(archive: Path) -> list[str]:
    """The paths of the float arrays in an archive."""
    found: list[str] = []
    with zipfile.ZipFile(archive) as parts, parts.open("model.weights.h5") as held, h5py.File(held) as tree:
        tree.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) and item.shape else None
        )
    return found


def changed(archive: Path, name: str, at: int, target: Path) -> None:
    """The archive with one number of one array changed."""
    with zipfile.ZipFile(archive) as parts:
        files = {info.filename: parts.read(info) for info in parts.infolist()}
    weights = target.with_suffix(".h5")
    weights.write_bytes(files["model.weights.h5"])
    with h5py.File(weights, "r+") as tree:
        array = tree[name][()]
        array.reshape(-1)[at % array.size] += 1e-3
        tree[name][()] = array
    with zipfile.ZipFile(target, "w") as parts:
        for key, data in {**files, "model.weights.h5": weights.read_bytes()}.items():
            parts.writestr(key, data)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shared_is_equal_and_each_copy_counts(kind: str, tmp_path: Path) -> None:
    source, archive = tmp_path / "m.onnx", tmp_path / "m.keras"
    proto = foreign(kind, source)
    EXPORTERS["keras"].export(api.load(source), archive)
    assert compare(source, archive).equal
    assert compare(archive, source).equal
    for k, name in enumerate(arrays_of(archive)):
        changed(archive, name, k, tmp_path / "changed.keras")
        assert not compare(source, tmp_path / "changed.keras").equal, name
        assert not compare(tmp_path / "changed.keras", source).equal, name
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            before = TensorProto.FromString(tensor.SerializeToString())
            array = numpy_helper.to_array(tensor).copy()
            array.reshape(-1)[3] += 1e-3
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            onnx.save(proto, tmp_path / "changed.onnx")
            assert not compare(tmp_path / "changed.onnx", archive).equal, tensor.name
            tensor.CopyFrom(before)


def test_a_layer_more_is_not_a_copy(tmp_path: Path) -> None:
    """One file calls a layer once, the other holds two that happen to be equal."""
    proto = foreign("Dense", tmp_path / "m.onnx")
    EXPORTERS["keras"].export(api.load(tmp_path / "m.onnx"), tmp_path / "three.keras")
    proto.graph.node.pop()
    proto.graph.output[0].name = "y1"
    onnx.save(proto, tmp_path / "two.onnx")
    found = compare(tmp_path / "two.onnx", tmp_path / "three.keras")
    assert len(found.pairs) == 2
    assert len(found.only_b) == 1


@pytest.mark.parametrize("name", ["tf2onnx/unrolled.onnx", "torch/onnx/dynamo_rnn1_both_bf_mean.onnx"])
def test_cells_that_were_unrolled_are_equal(name: str, tmp_path: Path) -> None:
    EXPORTERS["keras"].export(api.load(HERE / name), tmp_path / "m.keras")
    assert compare(HERE / name, tmp_path / "m.keras").equal
    changed(tmp_path / "m.keras", arrays_of(tmp_path / "m.keras")[-1], 0, tmp_path / "changed.keras")
    assert not compare(HERE / name, tmp_path / "changed.keras").equal
