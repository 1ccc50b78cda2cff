"""Weights without an architecture are no model: they are refused, drafted, filled in, and then converted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sampling import some

from converter import api
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.interpret import run
from converter.keras.arrays.draft import unfilled
from converter.keras.arrays.recognize import BY_NAME
from converter.readers import load

GOOD = Path(__file__).parent.parent / "fixtures" / "good"
WEIGHTS = [
    (case, path)
    for case in sorted(GOOD.iterdir())
    if (case / "model.json").exists()
    for path in (case / "weights.h5", case / "model.weights.h5", *sorted(case.glob("ckpt/*.index")))
    if path.exists()
]


def write(path: Path, layers: dict[str, list[tuple[str, tuple[int, ...]]]], version: str = "2.2.4") -> Path:
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{array}:0".encode() for array, _ in arrays]
            for array, shape in arrays:
                group.create_dataset(f"{name}/{array}:0", data=rng.normal(size=shape).astype("float32"))
    return path


def numbered(path: Path, layers: dict[str, list[tuple[int, ...]]]) -> Path:
    """A file as Keras 3 writes it."""
    with h5py.File(path, "w") as file:
        for name, shapes in layers.items():
            variables = file.create_group(f"layers/{name}/vars")
            for k, shape in enumerate(shapes):
                variables[str(k)] = np.ones(shape, "float32")
    return path


LSTM = [("kernel", (3, 20)), ("recurrent_kernel", (5, 20)), ("bias", (20,))]
DENSE = [("kernel", (5, 2)), ("bias", (2,))]


@pytest.mark.parametrize(("case", "path"), some(WEIGHTS, 3), ids=lambda p: p.name)
def test_weights_alone_are_refused(case: Path, path: Path) -> None:
    with pytest.raises(Unsupported, match=r"without an architecture: .*not known: .*convert draft"):
        load(path)


def filled(tree: Any, truth: dict[str, Any], version: str) -> Any:
    """A draft with each "?" replaced by what the true architecture says of that layer."""
    answers = {layer["config"]["name"]: layer["config"] for layer in layers_of(truth)}
    for layer in layers_of(tree):
        config = layer["config"]
        answer = answers[config["name"]]
        for one, said in ((config, answer), (inner(config), inner(answer))):
            for key in [key for key, value in one.items() if value == "?"]:
                one[key] = said[key]
    tree["keras_version"] = version if tree["keras_version"] == "?" else tree["keras_version"]
    return tree


def layers_of(tree: dict[str, Any]) -> list[dict[str, Any]]:
    config = tree["config"]
    return config["layers"] if isinstance(config, dict) else config


def inner(config: dict[str, Any]) -> dict[str, Any]:
    return config["layer"]["config"] if "layer" in config else {}


@pytest.mark.parametrize("name", ["weights.h5", "model.weights.h5", "ckpt/w"])
@pytest.mark.parametrize("case", sorted(GOOD.glob("*_stack")) + sorted(GOOD.glob("*_last")), ids=lambda p: p.name)
def test_a_draft_filled_in_is_the_model(case: Path, name: str, tmp_path: Path) -> None:
    path = case / name
    if not path.exists() and not path.with_name(path.name + ".index").exists():
        return
    truth = json.loads((case / "model.json").read_text())
    if truth.get("class_name") != "Sequential" or not truth.get("keras_version"):
        return
    known = load(path, case / "model.json")
    tree = api.draft(path)
    assert list(unfilled(tree))
    given = tmp_path / "model.json"
    given.write_text(json.dumps(tree))
    with pytest.raises(Unsupported, match='are still "\\?"'):
        load(path, given)
    try:
        tree = filled(tree, truth, truth["keras_version"])
    except KeyError:  # the file calls its layers otherwise than the architecture
        return
    given.write_text(json.dumps(tree))
    model = load(path, given)
    rng = np.random.default_rng(0)
    arrays = {v.name: rng.normal(size=[3 if n is None else n for n in v.shape]) for v in known.inputs}
    (wanted,) = run(known, arrays).values()
    (made,) = run(model, dict(zip([v.name for v in model.inputs], arrays.values(), strict=True))).values()
    np.testing.assert_array_equal(made, wanted)


def test_what_arrays_and_names_settle(tmp_path: Path) -> None:
    layers = {
        "embedding_1": [("embeddings", (9, 3))],
        "masking_1": [],
        "dropout_1": [],
        "bidirectional_1": [(f"{side}/{name}", shape) for side in ("forward", "backward") for name, shape in LSTM],
        "conv1d_1": [("kernel", (2, 10, 5)), ("bias", (5,))],
        "gru_1": [("kernel", (5, 12)), ("recurrent_kernel", (4, 12)), ("bias", (2, 12))],
        "norm": [(name, (4,)) for name in ("gamma", "beta", "moving_mean", "moving_variance")],
        "mine": [("w", (2, 2, 2, 2, 2))],
        "dense_1": [("kernel", (4, 2)), ("bias", (2,))],
    }
    tree = api.draft(write(tmp_path / "w.h5", layers))
    found = {layer["config"]["name"]: (layer["class_name"], layer["config"]) for layer in layers_of(tree)}
    assert [*found] == [*layers]
    classes = ["Embedding", "Masking", "Dropout", "Bidirectional", "Conv1D", "GRU", "BatchNormalization", "?", "Dense"]
    assert [name for name, _ in found.values()] == classes
    assert found["gru_1"][1]["reset_after"] is True and found["gru_1"][1]["units"] == 4
    assert found["masking_1"][1]["mask_value"] == "?" and found["dropout_1"][1] == {"name": "dropout_1"}
    assert found["bidirectional_1"][1]["layer"]["config"]["return_sequences"] == "?"
    assert (tree["class_name"], tree["keras_version"]) == ("Sequential", "2.2.4")


def test_two_directions_of_different_layers(tmp_path: Path) -> None:
    gru = [("backward_gru/kernel", (3, 15)), ("backward_gru/recurrent_kernel", (5, 15)), ("backward_gru/bias", (2, 15))]
    path = write(tmp_path / "w.h5", {"bidirectional": [*((f"forward_lstm/{name}", s) for name, s in LSTM), *gru]})
    assert {("bidirectional", key) for key in ("layer", "backward_layer", "merge_mode")} <= set(
        unfilled(api.draft(path))
    )
    with pytest.raises(Unsupported, match="bidirectional Bidirectional; not known: layer, backward_layer, merge_mode"):
        load(path)


def test_scales_of_a_quantized_layer_are_no_bias() -> None:
    """Keras writes the kernel in int8, the bias if there is one, and a scale per unit."""
    found = layers_of(api.draft(GOOD / "k3151_int8" / "model.weights.h5"))
    classes = {
        layer["config"]["name"]: (layer["class_name"], layer["comment"].get("class_name", "")) for layer in found
    }
    assert classes["lstm"][0] == "LSTM"
    for name in ("dense", "dense_1", "einsum_dense", "embedding"):
        assert classes[name][0] == "?" and "in int8: quantized" in classes[name][1]


@pytest.mark.parametrize("first", range(0, len(BY_NAME), 5))
def test_every_class_with_any_arrays(first: int, tmp_path: Path) -> None:
    """Names promise a class; its arrays may be anything."""
    shapes: list[list[tuple[int, ...]]] = [[], [(2, 3, 2, 3, 2)], [(2,), (3, 2)]]
    layers = {
        f"{name}_{k}": [(f"w{i}", shape) for i, shape in enumerate(arrays)]
        for name in sorted(BY_NAME)[first : first + 5]
        for k, arrays in enumerate(shapes)
    }
    path = write(tmp_path / "w.h5", layers | {"lstm_8": LSTM})
    assert [layer["config"]["name"] for layer in layers_of(api.draft(path))] == [*layers, "lstm_8"]
    with pytest.raises(Unsupported, match="weights without an architecture"):
        load(path)


def test_layers_that_do_not_follow_each_other_are_asked_for(tmp_path: Path) -> None:
    tree = api.draft(write(tmp_path / "w.h5", {"a": LSTM, "b": LSTM, "c": [("kernel", (7, 2)), ("bias", (2,))]}))
    assert tree["class_name"] == "Functional" and tree["config"]["input_layers"] == "?"
    assert {("a", "inbound_nodes"), ("b", "inbound_nodes"), ("c", "inbound_nodes")} <= set(unfilled(tree))


def test_the_order_of_keras3_files(tmp_path: Path) -> None:
    """Layers of one class are numbered; which class comes first only the sizes tell."""
    settled = {"dense": [(5, 4), (4,)], "lstm": [(3, 20), (5, 20), (20,)], "dense_1": [(4, 6), (6,)]}
    tree = api.draft(numbered(tmp_path / "a.weights.h5", settled))
    assert [layer["config"]["name"] for layer in layers_of(tree)] == ["lstm", "dense", "dense_1"]
    assert "order" not in tree
    open_order = {"dense": [(4, 4), (4,)], "lstm": [(4, 16), (4, 16), (16,)]}
    tree = api.draft(numbered(tmp_path / "b.weights.h5", open_order))
    assert tree["order"] == "?" and ("", "order") in set(unfilled(tree))


@pytest.mark.parametrize("kinds", [1, 2])
def test_many_equal_layers_take_no_time(kinds: int, tmp_path: Path) -> None:
    names = [f"{kind}{f'_{k}' if k else ''}" for kind in ("dense", "simple")[:kinds] for k in range(12)]
    path = numbered(tmp_path / "w.weights.h5", {name: [(8, 8), (8,)] for name in names})
    start = time.perf_counter()
    tree = api.draft(path)
    assert time.perf_counter() - start < 5
    assert [layer["config"]["name"] for layer in layers_of(tree)] == names
    assert ("order" in tree) == (kinds == 2)


def test_a_draft_is_written_once(tmp_path: Path) -> None:
    path = write(tmp_path / "w.h5", {"lstm_1": LSTM})
    api.draft(path, tmp_path / "model.json")
    with pytest.raises(FileExistsError):
        api.draft(path, tmp_path / "model.json")
    with pytest.raises(FileExistsError, match="is the model itself"):
        api.draft(path, path, force=True)


def test_a_whole_model_needs_no_draft() -> None:
    with pytest.raises(Unsupported, match="holds its architecture"):
        api.draft(next(GOOD.glob("*_stack/model.h5")))


@pytest.mark.parametrize("layers", [{"dropout_1": []}, {}])
def test_no_arrays(layers: dict[str, list[tuple[str, tuple[int, ...]]]], tmp_path: Path) -> None:
    with pytest.raises(ConversionError):
        load(write(tmp_path / "w.h5", layers))


def test_a_question_mark_of_the_model_stays(tmp_path: Path) -> None:
    """Only what a comment asks for counts as open."""
    words = {"class_name": "StringLookup", "config": {"name": "s", "vocabulary": ["?"], "oov_token": "?"}}
    assert list(unfilled({"class_name": "Sequential", "config": {"layers": [words]}})) == []


def test_arrays_are_inspected_and_written_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "w.h5", {"conv1d_1": [("kernel", (3, 3, 6)), ("bias", (6,))]})
    found = api.inspect(path)
    assert [layer.path for layer in found.layers] == ["conv1d_1/kernel:0", "conv1d_1/bias:0"]
    assert "without an architecture" in found.warnings[0]
    api.convert(path, tmp_path / "w.npz", to="npz")
    with np.load(tmp_path / "w.npz") as arrays:
        assert arrays["conv1d_1/kernel:0"].shape == (3, 3, 6)
    with pytest.raises(Unsupported):
        api.convert(path, tmp_path / "w.onnx")


def test_an_architecture_that_is_broken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(InvalidModel):
        load(write(tmp_path / "w.h5", {"lstm_1": LSTM}), tmp_path / "model.json")
