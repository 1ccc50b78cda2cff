"""Models that ask for more than they hold, links out of a model's folder, and files that change while they are read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from converter import api, limits, readers
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats import stamp
from converter.keras.architecture.inbound import call_specs
from converter.model import Model, Node, Provenance, Value, layers
from converter.model.naming import first_repeated, free_name
from converter.verification import budget

GOOD = Path(__file__).parents[1] / "fixtures/good"


def model_file(path: Path, *added: dict) -> Path:
    """A Sequential model without arrays: an input [3, 2] and these layers."""
    first = {
        "class_name": "InputLayer",
        "config": {"name": "x", "batch_input_shape": [None, None, 2], "dtype": "float32"},
    }
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [first, *added]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in (first, *added)]
        for layer in (first, *added):
            group.create_group(layer["config"]["name"]).attrs["weight_names"] = []
    return path


def layer(class_name: str, **config: object) -> dict:
    return {"class_name": class_name, "config": {"name": "layer", **config}}


@pytest.mark.parametrize(
    "one",
    [
        layer("UpSampling1D", size=2**62), layer("UpSampling1D", size=2**30),
        layer("Reshape", target_shape=[10**18] * 99), layer("Reshape", target_shape=[2**40]),
        layer("Reshape", target_shape={"a": 1}), layer("ZeroPadding1D", padding=[2**30, 0]),
        layer("MaxPooling1D", pool_size=2**31 - 2, strides=1, padding="same"), layer("Permute", dims=[1] * 40),
        layer("Activation", activation=["relu"]), layer("Dropout", rate="x"), layer("Masking", mask_value=None),
        layer("Cropping1D", cropping=[[[1]]]), layer("Lambda", function=[None]), layer("LSTM", units=[1]),
    ],
)  # fmt: skip
def test_sizes_and_forms_of_no_honest_layer_are_refused(one, tmp_path):
    with pytest.raises(ConversionError, match="layer"):
        readers.load(model_file(tmp_path / "m.h5", one))


def test_an_honest_layer_is_read(tmp_path):
    assert len(readers.load(model_file(tmp_path / "m.h5", layer("UpSampling1D", size=3))).nodes) == 1


def test_nested_models_that_double_are_counted_before_they_are_inlined(tmp_path):
    inner = layer("Activation", activation="relu", dtype="float32")
    for depth in range(30):
        first = {"class_name": "InputLayer", "name": f"i{depth}", "inbound_nodes": [],
                 "config": {"name": f"i{depth}", "batch_input_shape": [None, 2], "dtype": "float32"}}  # fmt: skip
        twice = [[[f"i{depth}", 0, 0, {}]], [[inner["config"]["name"], 0, 0, {}]]]
        called = {**inner, "name": inner["config"]["name"], "inbound_nodes": twice}
        ends = {"input_layers": [[f"i{depth}", 0, 0]], "output_layers": [[inner["config"]["name"], 1, 0]]}
        config = {"name": f"m{depth}", "layers": [first, called], **ends}
        inner = {"class_name": "Functional", "config": config}
    path = model_file(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(inner)
    with pytest.raises(Unsupported, match=r"more than 3.* layers once nested models are inlined"):
        readers.load(path)


def model(shape: tuple[int | None, ...]) -> Model:
    x, y = Value("x", shape, "float32"), Value("y", shape, "float32")
    node = Node("n", layers.Cast("float32") if hasattr(layers.Cast, "dtype") else layers.Reshape(()), (x,), (y,), "n")
    return Model("m", (x,), (y,), ("y",), (node,), (), (), Provenance("", ""))


def test_the_proof_is_not_begun_where_it_would_fill_the_memory():
    budget.check(model((None, 512, 512, 64)))
    with pytest.raises(Unsupported, match="the proof would hold"):
        budget.check(model((None, 10**7, 8)))
    with pytest.raises(Unsupported, match="--no-verify"):
        budget.check(model((10**6, 9, 8)))


def test_equal_names_are_numbered_in_one_step():
    taken, counts = {"a", "a_1"}, {}
    for _ in range(20_000):
        taken.add(free_name("a", taken, counts))
    assert len(taken) == 20_002
    assert free_name("b", taken, counts) == "b"
    assert (first_repeated(["a", "b", "a"]), first_repeated(["a"])) == ("a", None)


@pytest.mark.parametrize("part", ["config.json", "model.weights.h5", "metadata.json"])
def test_links_out_of_an_unzipped_model_are_refused(part, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(GOOD / "k3151_stack/unzipped", folder)
    assert readers.load(folder).nodes
    (folder / part).rename(tmp_path / part)
    (folder / part).symlink_to(tmp_path / part)
    with pytest.raises(InvalidModel, match="link out of its folder"):
        readers.load(folder)


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    shutil.copy(GOOD / "tf215_stack/model.h5", path)
    with path.open("ab") as file:

        def change(what: str) -> None:
            if what == "writing":
                file.write(b"more")
                file.flush()

        with pytest.raises(InvalidModel, match=r"m\.h5 changed while it was read"):
            api.convert(path, tmp_path / "m.onnx", check=False, progress=change)
    assert [one.name for one in tmp_path.iterdir()] == ["m.h5"]


def test_files_of_folders_and_checkpoints_are_looked_at(tmp_path):
    (tmp_path / "ck.index").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_bytes(b"1")
    paths = tmp_path / "ck", tmp_path / "folder"
    before = stamp.stamp(*paths)
    stamp.check(before, *paths)
    (tmp_path / "folder/b").write_bytes(b"")
    with pytest.raises(InvalidModel, match="b changed"):
        stamp.check(before, *paths)


def test_rows_stay_below_what_a_runtime_can_hold():
    assert limits.ROW_NUMBERS * 4 <= 1 << 30


def test_layers_are_counted_before_they_are_parsed(tmp_path):
    layers_ = [{"class_name": "Activation", "config": {}}] * (limits.MODEL_NODES + 1)
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        text = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers_}})
        for k in range(0, len(text), 60_000):
            file.attrs[f"model_config{k // 60_000}"] = text[k : k + 60_000]
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = []
    with pytest.raises(Unsupported, match=f"a model of {limits.MODEL_NODES + 1} layers"):
        readers.load(path)


@pytest.mark.parametrize(
    "argument",
    [
        {"class_name": "__tuple__", "items": None}, {"class_name": "__tuple__", "config": 3},
        {"class_name": "__numpy__", "config": {"value": [[1], [1, 2]]}},
        {"class_name": "__numpy__", "config": {"value": [1], "dtype": "no such"}},
        {"class_name": "__keras_tensor__", "config": {"keras_history": [["x"], 0, 0]}},
    ],
)  # fmt: skip
def test_arguments_of_other_forms_are_refused(argument):
    with pytest.raises(InvalidModel):
        call_specs([{"args": [argument], "kwargs": {}}], {"x"})


def test_an_object_with_a_list_for_its_class_is_a_plain_argument():
    (call,) = call_specs([{"args": [{"class_name": ["__tuple__"]}], "kwargs": {}}], {"x"})
    assert call.args == ({"class_name": ["__tuple__"]},)
