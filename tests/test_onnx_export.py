"""The contracts of an exported ONNX file: interface, names, metadata, weights, refusals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from neutral_models import Builder, feed, lstm_model, one_layer
from onnx_files import check, exported, operators, run_onnx

from converter import interpret
from converter.errors import InvalidModel, Unsupported
from converter.exporters.onnx import export
from converter.exporters.onnx import graph as graph
from converter.exporters.onnx.graph import Graph, Store, Tensor
from converter.exporters.onnx.writer import values_digest
from converter.model import Array, State, Value, Weight, layers
from converter.model.activations import NAMES


def test_interface_and_metadata(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, None, 3))
    h, c = Value("lstm_h_in", (None, 4), "float32"), Value("lstm_c_in", (None, 4), "float32")
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4)),))
    made = b.node("lstm", layer, [x, None, h, c], (None, 4), (None, 4), (None, 4))
    ends = [Value(name, (None, 4), "float32") for name in ("lstm_h_out", "lstm_c_out")]
    b.nodes[0] = type(b.nodes[0])("lstm", layer, (x, None, h, c), (made[0], *ends), "lstm")
    model = b.model([made[0], x, made[0]], ["y", "same", "again"], [State(h, ends[0]), State(c, ends[1])])
    proto = check(model, tmp_path)
    assert [i.name for i in proto.graph.input] == ["x", "lstm_h_in", "lstm_c_in"]
    assert [o.name for o in proto.graph.output] == ["y", "same", "again", "lstm_h_out", "lstm_c_out"]
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", "steps", 3]
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(properties["keras.states"])[1] == {"input": "lstm_c_in", "output": "lstm_c_out"}
    assert properties["keras.version"] == "2.4.0"
    assert properties["source.sha256"] == "00" * 32
    assert properties["weights.sha256"] == values_digest(proto.graph.initializer).hexdigest()
    assert (proto.ir_version, proto.opset_import[0].version) == (7, 13)


def test_names_inside_never_meet_the_outputs(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("dense/MatMul", (None, 3))
    (y,) = b.node("dense", layers.Dense(b.weight(3, 3), b.weight(3)), [x], (None, 3))
    (z,) = b.node("twice", layers.Elementwise("add"), [y, y], (None, 3))
    check(b.model([z], ["dense/Add"]), tmp_path)


@pytest.mark.parametrize(("limit", "names"), [(1 << 26, "WRBWRB"), (0, "WRB")])
def test_each_operator_of_a_shared_layer_has_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, names: str
) -> None:
    """Unless they are large; onnxruntime's quantize_dynamic gets operators that share weights wrong."""
    monkeypatch.setattr(graph, "COPIED_UP_TO", limit)
    b = Builder()
    x, y = b.input("x", (None, None, 3)), b.input("y", (None, None, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 16)),))
    calls = [
        b.node(name, layer, [v, None, None, None], (None, 16), (None, 16), (None, 16))
        for name, v in (("a", x), ("b", y))
    ]
    proto = check(b.model([calls[0][0], calls[1][0]]), tmp_path)
    assert operators(proto).count("LSTM") == 2
    weights = [i.name for i in proto.graph.initializer if i.name[2:] in "WRB"]
    assert sorted(name[2:] for name in weights) == sorted(names)
    assert len(set(weights)) == len(weights)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        model = lstm_model(Builder(), activation=NAMES["mish"])
        export(model, tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_external_data(tmp_path: Path) -> None:
    b = Builder()
    x = b.input("x", (None, 600))
    (y,) = b.node("dense", layers.Dense(b.weight(600, 500, scale=0.01), b.weight(500)), [x], (None, 500))
    (z,) = b.node("more", layers.Dense(b.weight(500, 3, scale=0.01), b.weight(3)), [y], (None, 3))
    model = b.model([z])
    export(model, tmp_path / "model.onnx", external_above=1000)
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    assert (tmp_path / "model.onnx").stat().st_size < 4000
    data, _ = sorted((p.name for p in tmp_path.iterdir()), key=len, reverse=True)
    digest = hashlib.sha256((tmp_path / data).read_bytes()).hexdigest()
    assert data == f"model.onnx.{digest[:16]}.data"
    tensors = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.initializer
    stored = {t.name: {e.key: e.value for e in t.external_data} for t in tensors}
    assert stored["dense/kernel"] == {"location": data, "offset": "0", "length": "1200000"}
    assert int(stored["more/kernel"]["offset"]) % 64 == 0
    whole = onnx.load(tmp_path / "model.onnx")
    properties = {entry.key: entry.value for entry in whole.metadata_props}
    assert properties["weights.sha256"] == values_digest(whole.graph.initializer).hexdigest()
    assert stored["more/bias"] == {}
    arrays = feed(model, 2, 1)
    np.testing.assert_allclose(run_onnx(tmp_path, arrays)[0], interpret.run(model, arrays)["more:0"], atol=1e-5)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    export(model, tmp_path / "model.onnx", external_above=1000)
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_weights_are_read_one_at_a_time_and_in_rows(tmp_path: Path) -> None:
    b, asked = Builder(), []
    values = b.random.normal(size=(64, 100_000)).astype("float32")

    def rows(start: int, stop: int) -> Array:
        asked.append(stop - start)
        return values[start:stop]

    def whole() -> Array:
        raise AssertionError("read whole")

    x = b.input("x", (None, 64))
    kernel = Weight("kernel", values.shape, "float32", whole, rows)
    (y,) = b.node("dense", layers.Dense(kernel, None), [x], (None, 100_000))
    proto = exported(b.model([y]), tmp_path)
    assert max(asked) < 64
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(proto.graph.initializer[0]), values)


@pytest.mark.parametrize("size", [3, 600])
def test_a_weight_of_the_wrong_size_is_named(tmp_path: Path, size: int) -> None:
    b = Builder()
    x = b.input("x", (None, size))
    wrong = Weight("kernel", (size, size), "float32", lambda: np.zeros((size, 2), "float32"))
    (y,) = b.node("dense", layers.Dense(wrong, None), [x], (None, size))
    with pytest.raises(InvalidModel, match="dense/kernel"):
        export(b.model([y]), tmp_path / "model.onnx")


@pytest.mark.parametrize("opset", [7, 12, 99])
def test_other_opsets_are_refused(tmp_path: Path, opset: int) -> None:
    with pytest.raises(Unsupported, match=f"opset {opset}"):
        export(lstm_model(Builder()), tmp_path / "model.onnx", opset=opset)


def test_unknown_layers_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="layer: str cannot be exported"):
        export(one_layer("?", (None, 2), (None, 2)), tmp_path / "model.onnx")


def test_the_facade_knows_the_operators() -> None:
    graph, x = Graph(Store(13, layer="l")), Tensor("x", "float32")
    with pytest.raises(TypeError, match="no attribute"):
        graph.op("LSTM", x, layout=1)
    with pytest.raises(Unsupported, match="LayerNormalization is not in opset 13"):
        graph.op("LayerNormalization", x)
