"""`--to keras` keeps the layers of a file, and what only training uses, where Keras 3 means the same by them."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neutral_models import Builder, lstm_model
from sampling import some

from converter import api
from converter.errors import ConversionError, Unsupported
from converter.exporters import keras
from converter.exporters.keras.structure import structured
from converter.model import State, Value
from converter.model.layers import Direction, Recurrent

GOOD = Path(__file__).parents[1] / "fixtures" / "good"
BROKEN = {Path(name).parts[-2:] for name in json.loads((GOOD.parent / "index.json").read_text())["broken"]}
CANDIDATES = sorted(path for case in GOOD.iterdir() for path in (case / "model.h5", case / "model.keras"))
FILES = [path for path in CANDIDATES if path.exists() and path.parts[-2:] not in BROKEN]
# TensorFlow's convolutions with the channels first need a GPU.
NO_KERNEL = {"k122_silent", "k122th_convlstm", "k122th_deconv"}
genuine = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not all(find_spec(n) for n in ("tensorflow", "keras")), reason="needs TensorFlow and Keras 3"),
    pytest.mark.filterwarnings("ignore"),
]


def config_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def exported(name: str, folder: Path) -> dict[str, Any]:
    keras.export(api.load(GOOD / name), folder / "m.keras")
    return config_of(folder / "m.keras")


def classes(config: dict[str, Any]) -> list[str]:
    return [layer["class_name"] for layer in config["config"]["layers"]]


def test_a_sequential_stays_one(tmp_path: Path) -> None:
    config = exported("k224_td/model.h5", tmp_path)
    assert config["class_name"] == "Sequential"
    assert classes(config) == ["InputLayer", "TimeDistributed", "LSTM", "TimeDistributed"]


def test_keras_3_3_finds_the_group_of_the_model_itself(tmp_path: Path) -> None:
    """Without it, 3.3 opens no archive ("object 'vars' doesn't exist"); later ones do not ask."""
    import h5py

    exported("k224_td/model.h5", tmp_path)
    with zipfile.ZipFile(tmp_path / "m.keras") as archive, h5py.File(archive.open("model.weights.h5"), "r") as store:
        assert isinstance(store["vars"], h5py.Group)
        assert not len(store["vars"])


def test_masks_stay_with_their_layers(tmp_path: Path) -> None:
    assert classes(exported("tf215_maskbi/model.h5", tmp_path)) == ["InputLayer", "Masking", "Bidirectional", "LSTM"]


def test_what_keras_3_reads_otherwise_is_written_as_what_it_computes(tmp_path: Path) -> None:
    model = api.load(GOOD / "k224_maskbi" / "model.h5")
    assert structured(model) is None
    assert "NotEqual" in classes(exported("k224_maskbi/model.h5", tmp_path))


def test_most_fixtures_keep_their_layers() -> None:
    files = some([path for path in FILES if not path.parent.name.endswith(("words", "texts", "counts"))], 3)
    assert sum(structured(api.load(path)) is not None for path in files) > 0.7 * len(files)


@pytest.mark.parametrize("name", ["k122_share/model.h5", "k224_share/model.h5", "k3151_share/model.keras"])
def test_a_shared_layer_stays_one(name: str, tmp_path: Path) -> None:
    config = exported(name, tmp_path)
    assert max(len(layer["inbound_nodes"]) for layer in config["config"]["layers"]) > 1
    assert len(classes(config)) == len(api.load(GOOD / name).written.config.layers)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["k122_nested/model.h5", "k224_nested/model.h5", "k3151_nested/model.keras"])
def test_nested_models_stay(name: str, tmp_path: Path) -> None:
    config = exported(name, tmp_path)
    inner = [layer for layer in config["config"]["layers"] if layer["class_name"] in ("Functional", "Sequential")]
    assert inner and all(layer["config"]["layers"] for layer in inner)
    assert any(len(layer["inbound_nodes"]) > 1 for layer in inner)


def test_rnn_keeps_its_cells(tmp_path: Path) -> None:
    layers = exported("k3151_cells/model.keras", tmp_path)["config"]["layers"]
    cells = [layer["config"]["cell"]["class_name"] for layer in layers if layer["class_name"] == "RNN"]
    assert "StackedRNNCells" in cells
    with zipfile.ZipFile(tmp_path / "m.keras") as archive, zipfile.ZipFile(GOOD / "k3151_cells/model.keras") as old:
        assert groups(archive) == groups(old)


@pytest.mark.parametrize(
    ("name", "needed"),
    [("k224_td/model.h5", "3.3"), ("k3151_nested/model.keras", "3.5"), ("k224_maskbi/model.h5", "3.11")],
)
def test_an_archive_says_which_keras_opens_it(name: str, needed: str, tmp_path: Path) -> None:
    exported(name, tmp_path)
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["opens_from"] == needed


def test_what_any_keras_that_opens_it_reads_otherwise_is_written_as_what_it_computes() -> None:
    """Keras 3.5 and 3.6 drop the mask at the door of a nested model that is given one."""
    assert structured(api.load(GOOD / "tf26_maskgiven" / "model.h5")) is None


def test_states_that_two_calls_share_are_refused(tmp_path: Path) -> None:
    """Keras 2.2 lets both begin with what the call before left; a layer of Keras 3 hands them from one to the other."""
    b = Builder()
    x, (h, c) = b.input("x", (2, None, 3)), (Value(name, (2, 4), "float32") for name in ("h", "c"))
    layer = Recurrent((Direction(b.lstm(3, 4)),))
    first, second = (b.node(name, layer, [x, None, h, c], (2, 4), (2, 4), (2, 4)) for name in ("one", "two"))
    model = b.model([first[0], second[0]], states=(State(h, second[1]), State(c, second[2])))
    with pytest.raises(Unsupported, match="no layer alone begins and ends with"):
        keras.export(model, tmp_path / "m.keras")


def groups(archive: zipfile.ZipFile) -> set[str]:
    """The arrays of an archive by their places."""
    import h5py

    with h5py.File(archive.open("model.weights.h5"), "r") as store:
        found: set[str] = set()
        store.visititems(lambda name, item: found.add(name) if isinstance(item, h5py.Dataset) else None)
    return {name for name in found if not name.startswith("optimizer/")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that Keras 3 itself made, with everything that only training uses."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from keras import Sequential, constraints, layers, regularizers
    model = Sequential([
        layers.Input((7, 3)),
        layers.LSTM(5, return_sequences=True, dropout=0.3, recurrent_dropout=0.2, kernel_regularizer="l2", name="a"),
        layers.Dropout(0.5, name="drop"),
        layers.BatchNormalization(momentum=0.9, name="norm"),
        layers.TimeDistributed(layers.Dense(4, kernel_constraint=constraints.MaxNorm(2.0)), name="td"),
        layers.Bidirectional(layers.GRU(3, recurrent_regularizer=regularizers.L1L2(0.1, 0.2)), name="both"),
        layers.GaussianNoise(0.1, name="noise"),
        layers.Activation("linear", name="same"),
        layers.Dense(2, "softmax", activity_regularizer=regularizers.L1(0.01), trainable=False, name="out"),
    ])  # fmt: skip
    path = tmp_path_factory.mktemp("trained") / "m.keras"
    model.save(path)
    return path


class Genuine:
    pytestmark = genuine


class TestTraining(Genuine):
    def test_everything_is_kept(self, trained: Path, tmp_path: Path) -> None:
        from keras.models import load_model

        done = api.convert(trained, tmp_path / "again.keras", to="keras")
        assert done.reports[0].passed
        assert not done.warnings
        old, new = load_model(trained, compile=False), load_model(done.files[0], compile=False)
        assert type(new).__name__ == "Sequential"
        for a, b in zip(old.layers, new.layers, strict=True):
            assert (a.name, type(a), a.trainable) == (b.name, type(b), b.trainable)
            assert plain(a.get_config()) == plain(b.get_config())
        x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
        np.testing.assert_array_equal(np.asarray(old(x)), np.asarray(new(x)))

    def test_what_is_lost_is_said(self, tmp_path: Path) -> None:
        from keras import Model, layers

        x = layers.Input((4, 3))
        y = layers.LSTM(3, dropout=0.25, name="lstm")(layers.Dropout(0.5, name="drop")(x))
        model = Model(x, layers.PReLU()(y))  # not among the layers that are kept
        model.save(tmp_path / "m.keras")
        done = api.convert(tmp_path / "m.keras", tmp_path / "again.keras", to="keras")
        (said,) = done.warnings
        assert "left out" in said and "dropout of lstm" in said and "Dropout drop" in said


class TestAgainst(Genuine):
    @pytest.mark.parametrize("name", ["k3151_stack/model.keras", "k224_acts/model.h5", "k3151_statemask/model.keras"])
    def test_keras_itself_proves_it(self, name: str, tmp_path: Path) -> None:
        done = api.convert(GOOD / name, tmp_path / "again.keras", to="keras", against="keras")
        assert [report.passed for report in done.reports] == [True, True]
        assert done.reports[1].runtime.startswith("Keras 3.")

    def test_other_weights_are_found(self, tmp_path: Path) -> None:
        shifted = Builder()
        shifted.weight(1)  # the draws after it are others
        keras.export(lstm_model(shifted), tmp_path / "m.keras")
        assert not api.verify(lstm_model(Builder()), tmp_path / "m.keras", against="keras").passed


def plain(config: Any) -> Any:
    """Without initializers, seeds and the numbers of shared objects, which say nothing of the trained model."""
    if isinstance(config, dict):
        gone = {"seed", "shared_object_id", "unroll", "module", "registered_name", "build_config"}
        kept = {k: plain(v) for k, v in config.items() if k not in gone and "initializer" not in k}
        return {k: v for k, v in kept.items() if k != "name" or isinstance(v, str)}
    return [plain(item) for item in config] if isinstance(config, list | tuple) else config


class TestGenuine(Genuine):
    @pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}{path.suffix}")
    def test_keras_3_opens_every_archive_and_predicts_the_same(self, path: Path, tmp_path: Path) -> None:
        from keras.models import load_model

        try:
            keras.export(api.load(path), tmp_path / "m.keras")
        except ConversionError as problem:
            assert str(problem)
            return
        revived = load_model(tmp_path / "m.keras", compile=False)
        if path.parent.name in NO_KERNEL:
            return
        given, want = np.load(path.parent / "inputs.npz"), np.load(path.parent / "expected.npz")
        states = [name for name in given.files if name.startswith("call")]
        for call in range(1 + max((int(name[4:].split("_")[0]) for name in states), default=0)):
            before = f"call{call}_" if states else ""
            arrays = [given[f"{before}in{k}"] for k in range(sum(n.startswith(f"{before}in") for n in given.files))]
            have = revived(arrays if len(arrays) > 1 else arrays[0])
            have = have if isinstance(have, list | tuple) else [have]
            for k, array in enumerate(have):
                right = np.asarray(want[f"{before}out{k}"], np.float64)
                low = "mixed" in path.parent.name or right.dtype == np.float16
                scale = max(1.0, float(np.abs(right).max(initial=0)))
                np.testing.assert_allclose(np.asarray(array), right, rtol=0, atol=(1e-2 if low else 2e-5) * scale)
