"""A fixture and its own ONNX file hold the same weights, in whatever operators; a changed value is always seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from converter import api
from converter.comparing.compare import compare, compare_parts
from converter.comparing.parts import parts_of
from converter.exporters import EXPORTERS
from converter.exporters.onnx import export

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
FILES = {
    "ConvLSTM, in a Scan": "k3151_convlstm/model.keras",
    "ConvLSTM, the channels first": "k122th_convlstm/model.h5",
    "an LSTM called twice, BatchNormalization as arithmetic": "k224_nested/model.h5",
    "an LSTM that two inputs share": "k3151_share/model.keras",
    "convolutions and BatchNormalization": "tf215_conv/model.h5",
    "activations with arrays": "k122_parametric/model.h5",
    "weights of each place": "k231_local/model.h5",
    "group normalization, ConvLSTM both ways": "k3151_edges/model.keras",
    "quantized": "k3151_int8/model.h5",
}  # fmt: skip
MOST = 4


def weights(proto: onnx.ModelProto) -> list[TensorProto]:
    """The arrays of a file that are no sizes and no single numbers; of many some."""
    floats = (TensorProto.FLOAT, TensorProto.INT8)
    found = [tensor for tensor in proto.graph.initializer if tensor.data_type in floats and tensor.dims]
    return found[:: -(-len(found) // MOST)]


@pytest.mark.parametrize("kind", FILES)
def test_a_changed_value_is_seen(kind: str, tmp_path: Path) -> None:
    path = GOOD / FILES[kind]
    export(api.load(path), tmp_path / "m.onnx")
    assert compare(path, tmp_path / "m.onnx").equal
    assert compare(tmp_path / "m.onnx", path).equal
    ours, theirs = parts_of(path), parts_of(tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    for tensor in weights(proto):
        before = TensorProto.FromString(tensor.SerializeToString())
        array = numpy_helper.to_array(tensor).copy()
        at = int(rng.integers(array.size))
        array.reshape(-1)[at] += 1 if array.dtype == np.int8 else np.float32(1e-3)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.save(proto, tmp_path / "changed.onnx")
        changed = parts_of(tmp_path / "changed.onnx")
        assert not compare_parts(ours, changed).equal, tensor.name
        assert not compare_parts(changed, theirs).equal, tensor.name
        tensor.CopyFrom(before)


def test_what_happened_is_told(tmp_path: Path) -> None:
    path = GOOD / FILES["an LSTM called twice, BatchNormalization as arithmetic"]
    export(api.load(path), tmp_path / "m.onnx")
    rows = [line.split("  ") for line in compare(path, tmp_path / "m.onnx").lines()]
    found = [[cell.strip() for cell in row if cell] for row in rows]
    assert ["inner/inner_lstm", "inner/inner_lstm__1/LSTM", "LSTM", "all", "bit-equal"] in found
    name = "inner/inner_bn"
    assert [name, name, "BatchNormalization, gamma and variance as one factor", "all", "bit-equal"] in found


@pytest.mark.parametrize("name", ["k3151_convlstm/model.keras", "k224_convlstm/model.h5"])
def test_a_file_that_is_written_again_is_equal(name: str, tmp_path: Path) -> None:
    export(api.load(GOOD / name), tmp_path / "m.onnx")
    export(api.load(tmp_path / "m.onnx"), tmp_path / "again.onnx")
    assert compare(GOOD / name, tmp_path / "again.onnx").equal
    assert compare(tmp_path / "m.onnx", tmp_path / "again.onnx").equal


BACK = ("tf213_convlstm/model.h5", "tf23_functional/model.h5", "tf22_maskfused/model.h5", "tf26_nested/model.h5",
        "k3151_share/model.keras", "k122_convlstm/model.h5")  # fmt: skip


@pytest.mark.parametrize("name", BACK)
def test_archives_that_are_made_of_onnx_files_are_equal(name: str, tmp_path: Path) -> None:
    """Their layers are called as the operators: "bi_GRU_1" for "bi/GRU_1"; gates are scaled, also behind a Conv."""
    export(api.load(GOOD / name), tmp_path / "m.onnx")
    EXPORTERS["keras"].export(api.load(tmp_path / "m.onnx"), tmp_path / "m.keras")
    assert compare(tmp_path / "m.onnx", tmp_path / "m.keras").equal
    assert compare(tmp_path / "m.keras", tmp_path / "m.onnx").equal
    proto = onnx.load(tmp_path / "m.onnx")
    for tensor in weights(proto):
        before = TensorProto.FromString(tensor.SerializeToString())
        array = numpy_helper.to_array(tensor).copy()
        array.reshape(-1)[-1] += np.float32(1e-3)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.save(proto, tmp_path / "changed.onnx")
        assert not compare(tmp_path / "changed.onnx", tmp_path / "m.keras").equal, tensor.name
        tensor.CopyFrom(before)
