"""SavedModels and checkpoints: the architecture found, arrays by object, the rest refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_files import Tensor, field, masked, numbers, object_graph, strings, table, write
from tf_files import ARCHITECTURE, KERNEL, VALUE, given_architecture, kernel_of, root_metadata, saved, tensors

from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.keras.source import NamedWeights
from converter.readers import read_source, read_weights, saved_model
from converter.readers.containers import find

# --- SavedModel -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", [False, True])
def test_savedmodel(tmp_path: Path, beside: bool) -> None:
    text = root_metadata(keras_version="2.6.0", backend="tensorflow")
    folder = saved(tmp_path / "m", "2.6.5", metadata="" if beside else text, beside=text if beside else "")
    assert find(folder) == "saved_model" == find(folder / "saved_model.pb")
    source = read_source(folder)
    assert source.architecture["config"] == ARCHITECTURE["config"]
    assert (kernel_of(source) == KERNEL).all()
    assert (source.provenance.keras_version, source.provenance.backend) == ("2.6.0", "tensorflow")
    assert source.provenance.format == "SavedModel of TensorFlow 2.6.5"
    assert len(source.provenance.sha256) == 64
    assert "layer_with_weights-0" in source.weights.children()
    cycle = source.weights.child("layer_with_weights-0", "parent", "layer_with_weights-0", "cell")
    assert cycle is not None
    assert cycle.variable() is None
    assert source.weights.child("layer_with_weights-0", "forward_layer", "cell") is None


@pytest.mark.parametrize(
    ("tensorflow", "keras"),
    [
        ("1.15.5", "2.2.4-tf"),
        ("2.0.4", "2.2.4-tf"),
        ("2.1.4", "2.3.0-tf"),
        ("2.3.0", "2.4.0"),
        ("2.13.1", "2.13.0"),
        ("9.9", ""),
    ],
)
def test_keras_of_a_tensorflow(tmp_path: Path, tensorflow: str, keras: str) -> None:
    source = read_source(saved(tmp_path / "m", tensorflow, metadata=root_metadata()))
    assert source.provenance.keras_version == keras
    assert tensorflow in source.provenance.format


def test_wrapped_shapes_become_lists(tmp_path: Path) -> None:
    wrapped = {"class_name": "__tuple__", "items": [None, {"class_name": "TensorShape", "items": [7, 2]}]}
    config = {"name": "s", "layers": [{"class_name": "InputLayer", "config": {"batch_input_shape": wrapped}}]}
    text = root_metadata({"class_name": "Sequential", "config": config})
    layers = read_source(saved(tmp_path / "m", metadata=text)).architecture["config"]["layers"]
    assert layers[0]["config"]["batch_input_shape"] == [None, [7, 2]]


def test_metadata_left_over_from_another_save(tmp_path: Path) -> None:
    stale = root_metadata({"class_name": "Sequential", "config": {"name": "stale", "layers": []}})
    source = read_source(saved(tmp_path / "a", metadata=root_metadata(), beside=stale))
    assert source.architecture["config"]["name"] == "s"
    with pytest.raises(InvalidModel, match="left over from another save"):
        read_source(saved(tmp_path / "b", identifier="_generic_user_object", beside=stale))


def test_export_of_tensorflow_1(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    (folder / "saved_model.pb").write_bytes(field(2, field(1, field(4, "serve") + field(5, "1.15.5"))))
    (folder / "assets").mkdir()
    (folder / "assets" / "saved_model.json").write_text(json.dumps({**ARCHITECTURE, "keras_version": "2.2.4-tf"}))
    source = read_source(folder)
    assert source.architecture["config"] == ARCHITECTURE["config"]
    assert (kernel_of(source) == KERNEL).all()


def test_no_configuration_names_what_is_there(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", "2.21.0", "_generic_user_object")
    with pytest.raises(
        Unsupported, match=r"without a Keras configuration.*1 variables \(lstm/lstm_cell/kernel\).*serving_default"
    ):
        read_source(folder)
    (signature,) = saved_model.signatures(folder)
    assert (signature.name, signature.inputs) == ("serving_default", {"x": ("float32", (None, 7, 2))})
    given = tmp_path / "model.json"
    given.write_text(json.dumps({**ARCHITECTURE, "keras_version": "2.15.0"}))
    source = read_source(folder, given)
    assert source.provenance.keras_version == "2.15.0"
    assert (kernel_of(source) == KERNEL).all()


@pytest.mark.parametrize("config", [{}, {"layer was saved without config": True}])
def test_subclassed_models(tmp_path: Path, config: dict) -> None:
    with pytest.raises(Unsupported, match=r"subclassed model \(Sub\)"):
        read_source(saved(tmp_path / "m", metadata=root_metadata({"class_name": "Sub", "config": config})))


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_other_forms(tmp_path: Path, name: str) -> None:
    (saved(tmp_path / "m") / "saved_model.pb").rename(tmp_path / "m" / name)
    with pytest.raises(Unsupported, match=name):
        read_source(tmp_path / "m")


@pytest.mark.parametrize(
    "metadata", ["{", "[1]", '{"class_name": "Sequential"}', '{"class_name": 3, "config": {}}', "NaN"]
)
def test_broken_metadata(tmp_path: Path, metadata: str) -> None:
    with pytest.raises(ConversionError, match=r"saved_model\.pb"):
        read_source(saved(tmp_path / "m", metadata=metadata))


def test_broken_protobufs(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", metadata=root_metadata())
    content = (folder / "saved_model.pb").read_bytes()
    for cut in (0, 1, len(content) // 2, len(content) - 1):
        (folder / "saved_model.pb").write_bytes(content[:cut])
        with pytest.raises(InvalidModel, match=r"m: saved_model\.pb"):
            read_source(folder)


def test_states_of_stateful_layers_are_warned_of(tmp_path: Path) -> None:
    key = "layer_with_weights-0/keras_api/states/0" + VALUE
    for value, count in ((0, 0), (1, 1)):
        stored = tensors(**{key: numbers(np.full((2, 3), value, "f4"))})
        source = read_source(saved(tmp_path / str(value), metadata=root_metadata(), stored=stored))
        assert len(source.warnings) == count


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w", "w.index", "w.data-00000-of-00001", "."])
def test_checkpoint(tmp_path: Path, name: str) -> None:
    write(tmp_path / "c" / "w", tensors())
    path = tmp_path / "c" / name
    assert find(path) == "checkpoint"
    source = read_source(path, given_architecture(tmp_path))
    assert (kernel_of(source) == KERNEL).all()
    assert source.provenance.keras_version == "2.6.0"
    (weight,) = [w for ws in read_weights(path).layers.values() for w in ws]
    assert weight.name == "lstm/lstm_cell/kernel"
    with pytest.raises(Unsupported, match="--architecture"):
        read_source(path)


def test_layers_by_place_alone(tmp_path: Path) -> None:
    """TF 1.15 numbers no layers with weights in models that are built by their first call."""
    nodes = [
        ({"layer-1": 2, "layer-0": 1, "layer-10": 2}, "", ""),
        ({}, "", ""),
        ({"kernel": 3}, "", ""),
        ({}, "k", "k" + VALUE),
    ]
    stored = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes), "k" + VALUE: numbers(KERNEL)}
    weights = read_source(write(tmp_path / "w", stored), given_architecture(tmp_path)).weights
    assert weights.child("layer_with_weights-0", "kernel").variable().name == "k"
    assert weights.child("layer_with_weights-1") is not None
    assert weights.child("layer_with_weights-2") is None


def test_names_that_repeat_give_way_to_places(tmp_path: Path) -> None:
    nodes = [({"a": 1, "b": 2}, "", ""), ({}, "kernel", "a" + VALUE), ({}, "kernel", "b" + VALUE)]
    stored = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes)} | {k + VALUE: numbers(KERNEL) for k in "ab"}
    assert [w.name for w in read_weights(write(tmp_path / "w", stored)).layers[""]] == ["a", "b"]


def test_checkpoints_without_objects_can_be_listed(tmp_path: Path) -> None:
    prefix = write(tmp_path / "w", {"lstm/kernel": numbers(KERNEL)})
    assert [w.name for w in read_weights(prefix).layers["lstm"]] == ["lstm/kernel"]
    found = read_source(prefix, given_architecture(tmp_path)).weights
    assert isinstance(found, NamedWeights) and list(found.arrays) == ["lstm/kernel"]


def test_first_checkpoint_format(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(table({b"": field(1, field(1, b""))}))
    with pytest.raises(Unsupported, match="V1 checkpoint"):
        read_source(tmp_path / "model.ckpt")


def test_several_checkpoints_in_a_folder(tmp_path: Path) -> None:
    for name in ("epoch-1", "epoch-2"):
        write(tmp_path / name, tensors())
    with pytest.raises(Unsupported, match="epoch-1, epoch-2"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "nodes",
    [
        [({"layer_with_weights-0": 9}, "", "")],
        [({"layer_with_weights-0": -1}, "", "")],
        [({"layer_with_weights-0": 1}, "", ""), ({}, "k", "not there")],
    ],
)
def test_broken_object_graphs(tmp_path: Path, nodes: list) -> None:
    prefix = write(tmp_path / "w", {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes)})
    with pytest.raises(InvalidModel):
        read_source(prefix, given_architecture(tmp_path)).weights.child("layer_with_weights-0").variable()


def test_object_graph_is_no_message_or_no_object(tmp_path: Path) -> None:
    for i, tensor in enumerate(
        (strings([b"\xff"]), strings([b""]), numbers(KERNEL), Tensor(7, (), b"\0", masked(b"")))
    ):
        prefix = write(tmp_path / f"w{i}", {"_CHECKPOINTABLE_OBJECT_GRAPH": tensor})
        with pytest.raises(InvalidModel):
            read_source(prefix, given_architecture(tmp_path))


def test_long_chains_of_objects(tmp_path: Path) -> None:
    nodes = [({"layer-0": i + 1}, "", "") for i in range(20_000)] + [({}, "k", "k" + VALUE)]
    stored = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes), "k" + VALUE: numbers(KERNEL)}
    weights = read_source(write(tmp_path / "w", stored), given_architecture(tmp_path)).weights
    assert weights.child("layer_with_weights-0", "layer_with_weights-0") is not None
