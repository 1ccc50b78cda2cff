"""Weights with an architecture of their own: every container x swapped, renamed, shuffled, surplus and missing layers.

What `load_weights` of the genuine Keras does is the judge: the same numbers, or a refusal where it refuses. Layers are
all of one width, so that any exchange of arrays fits the shapes and shows in the outputs alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keras_compare import EXAMPLES, interpreted, library
from keras_models import KERAS3, TF_KERAS
from needing import BOTH_KERAS

from converter.errors import ConversionError
from converter.readers import load

pytestmark = BOTH_KERAS
WIDTH = 4
CONTAINERS = {  # by library: what a file is called, and whether Keras matches its layers one by one
    KERAS3: ("w.weights.h5", "w.h5"),
    TF_KERAS: ("w.weights.h5", "w.h5", "ck"),
}
EVERY = [(name, container) for name, containers in CONTAINERS.items() for container in containers]


def layer(keras: Any, kind: str, name: str) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "lstm": lambda: keras.layers.LSTM(WIDTH, return_sequences=True, name=name),
        "gru": lambda: keras.layers.GRU(WIDTH, return_sequences=True, name=name),
        "dense": lambda: keras.layers.Dense(WIDTH, activation="tanh", name=name),
        "norm": lambda: keras.layers.BatchNormalization(name=name),
        "both": lambda: keras.layers.Bidirectional(
            keras.layers.LSTM(WIDTH, return_sequences=True), merge_mode="sum", name=name
        ),
        "each": lambda: keras.layers.TimeDistributed(keras.layers.Dense(WIDTH), name=name),
        "drop": lambda: keras.layers.Dropout(0.5, name=name),
        "nested": lambda: keras.Sequential(
            [keras.layers.Input((5, WIDTH)), keras.layers.BatchNormalization(), keras.layers.Dense(WIDTH),
             keras.layers.LSTM(WIDTH, return_sequences=True)], name=name,
        ),
    }  # fmt: skip
    return made[kind]()


def build(keras: Any, kinds: list[str], names: list[str], branches: bool) -> Any:
    """A chain of layers; with `branches` every other one is next to the one before, and both are added."""
    x = start = keras.layers.Input((5, WIDTH), name="x")
    before = x
    for k, (kind, name) in enumerate(zip(kinds, names, strict=True)):
        made = layer(keras, kind, name)
        if branches and k % 2:
            x, before = keras.layers.Add(name=f"add_{k}")([made(before), x]), x
        else:
            x, before = made(x), x
    return keras.Model(start, x)


def randomize(model: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model.set_weights([np.abs(rng.normal(size=w.shape)) + 0.1 for w in model.get_weights()])


def save(model: Any, folder: Path, container: str) -> Path:
    """The weights; as legacy HDF5 in a whole file, since Keras 3 writes no other."""
    path = folder / container
    (model.save if container == "w.h5" else model.save_weights)(str(path))
    return path


def both(keras: Any, path: Path, architecture: str, by_name: bool = False) -> tuple[Any, Any, tuple[str, ...]]:
    """What Keras makes of random inputs and what we do, each None where it refuses, and our warnings."""
    json_file = path.with_name("model.json")
    json_file.write_text(architecture)
    arrays = [np.random.default_rng(1).normal(size=(2, 5, WIDTH)).astype("float32")]
    theirs = keras.models.model_from_json(architecture)
    try:
        theirs.load_weights(str(path), **({"by_name": True} if by_name else {}))
        wanted = np.asarray(theirs(arrays[0], training=False))
    except (ValueError, TypeError, OSError):
        wanted = None
    try:
        ours = load(path, json_file, by_name=by_name)
    except ConversionError:
        return wanted, None, ()
    return wanted, interpreted(ours, arrays, 1)[0][0], ours.warnings


def equal(ours: Any, wanted: Any) -> bool:
    return float(np.max(np.abs(ours - wanted))) < 2e-5


def shuffled(architecture: str, seed: int) -> str:
    """The same architecture, its layers listed in another order, as somebody might write it."""
    tree = json.loads(architecture)
    random.Random(seed).shuffle(tree["config"]["layers"])
    return json.dumps(tree)


def chains() -> st.SearchStrategy[list[str]]:
    kinds = st.sampled_from(["lstm", "lstm", "gru", "dense", "dense", "norm", "both", "each", "drop", "nested"])
    return st.lists(kinds, min_size=2, max_size=6).filter(lambda drawn: any(kind != "drop" for kind in drawn))


@pytest.mark.parametrize(("library_name", "container"), EVERY)
def test_what_load_weights_does(library_name: str, container: str) -> None:
    keras = library(library_name)

    @settings(max_examples=max(1, EXAMPLES // 4), deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(chains(), st.booleans(), st.sampled_from(["same", "swapped", "new", "order"]), st.integers(0, 99))
    def compare(kinds: list[str], branches: bool, change: str, seed: int) -> None:
        keras.backend.clear_session()
        names = [f"layer_{k}" for k in range(len(kinds))]
        model = build(keras, kinds, names, branches)
        randomize(model, seed)
        if change == "swapped":
            random.Random(seed).shuffle(names)
        elif change == "new":
            names = [f"other_{k}" for k in range(len(kinds))]
        architecture = build(keras, kinds, names, branches).to_json()
        if change == "order":
            architecture = shuffled(architecture, seed)
        with TemporaryDirectory() as folder:
            wanted, ours, warnings = both(keras, save(model, Path(folder), container), architecture)
        assert wanted is not None
        assert ours is not None
        assert equal(ours, wanted)
        assert not warnings or change == "swapped", warnings

    compare()


def two_lstms(keras: Any, names: list[str]) -> Any:
    return build(keras, ["lstm", "lstm", "dense"], names, False)


@pytest.mark.parametrize(("library_name", "container"), EVERY)
def test_names_in_another_order_are_warned_of(library_name: str, container: str, tmp_path: Path) -> None:
    keras = library(library_name)
    model = two_lstms(keras, ["a", "b", "c"])
    randomize(model, 0)
    path = save(model, tmp_path, container)
    swapped = two_lstms(keras, ["b", "a", "c"]).to_json()
    wanted, ours, warnings = both(keras, path, swapped)
    assert equal(ours, wanted)
    names_its_layers = (library_name, container) != (TF_KERAS, "w.weights.h5")
    assert any("names differ" in line and "'a' for 'b'" in line for line in warnings) == names_its_layers
    if not names_its_layers:
        return
    json_file = tmp_path / "model.json"
    named = interpreted(load(path, json_file, by_name=True), [np.ones((2, 5, WIDTH))], 1)[0][0]
    other = two_lstms(keras, ["b", "a", "c"])
    other.set_weights([w for name in "bac" for w in model.get_layer(name).get_weights()])
    assert equal(named, np.asarray(other(np.ones((2, 5, WIDTH)))))


@pytest.mark.parametrize(("library_name", "container"), EVERY)
def test_surplus_layers(library_name: str, container: str, tmp_path: Path) -> None:
    """Where Keras refuses them, names decide, as with by_name=True; where it passes over them, so do we. Both warn."""
    keras = library(library_name)
    model = two_lstms(keras, ["a", "b", "c"])
    randomize(model, 0)
    path = save(model, tmp_path, container)
    part = build(keras, ["lstm", "lstm"], ["a", "b"], False)
    wanted, ours, warnings = both(keras, path, part.to_json())
    if wanted is None:
        part.set_weights([w for name in "ab" for w in model.get_layer(name).get_weights()])
        wanted = np.asarray(part(np.random.default_rng(1).normal(size=(2, 5, WIDTH)).astype("float32")))
    assert equal(ours, wanted)
    assert any("which" in line and "does not have" in line for line in warnings)


@pytest.mark.parametrize(("library_name", "container"), EVERY)
def test_missing_layers_are_refused(library_name: str, container: str, tmp_path: Path) -> None:
    keras = library(library_name)
    model = build(keras, ["lstm", "dense"], ["a", "c"], False)
    path = save(model, tmp_path, container)
    for names in (["a", "b", "c"], ["d", "e", "f"]):
        _, ours, _ = both(keras, path, two_lstms(keras, names).to_json())
        assert ours is None


@pytest.mark.parametrize("container", ["w.weights.h5", "ck"])
@pytest.mark.parametrize("equal_layers", [False, True])
def test_sub_classed_models(container: str, equal_layers: bool, tmp_path: Path) -> None:
    """Attributes have no order: shapes settle which layer is which, or names, of which .weights.h5 keeps some."""
    keras = library(TF_KERAS)
    width = WIDTH if equal_layers else 3

    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.second = keras.layers.LSTM(WIDTH, return_sequences=True)
            self.first = keras.layers.LSTM(width, return_sequences=True)

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

    arrays = [np.random.default_rng(1).normal(size=(2, 5, WIDTH)).astype("float32")]
    model = Mine()
    model(arrays[0])
    randomize(model, 0)
    path = save(model, tmp_path, container)
    start = keras.layers.Input((5, WIDTH))
    for names in (("first", "second"), ("one", "two"), ("lstm", "lstm_1"), ("lstm_1", "lstm")):
        inner = keras.layers.LSTM(width, return_sequences=True, name=names[0])(start)
        outer = keras.layers.LSTM(WIDTH, return_sequences=True, name=names[1])(inner)
        (tmp_path / "model.json").write_text(keras.Model(start, outer).to_json())
        if equal_layers and (names[0] != "first" or container != "ck"):
            with pytest.raises(ConversionError):
                load(path, tmp_path / "model.json")
        else:
            ours = interpreted(load(path, tmp_path / "model.json"), arrays, 1)[0][0]
            assert equal(ours, np.asarray(model(arrays[0])))


@pytest.mark.parametrize("equal_layers", [False, True])
@pytest.mark.parametrize("attributes", [("first", "second"), ("second", "first"), ("zeta", "alpha")])
def test_sub_classed_models_of_keras_3(equal_layers: bool, attributes: tuple[str, str], tmp_path: Path) -> None:
    """Shapes settle which layer is which; equal ones are right by name or refused, whatever the attributes' order."""
    keras = library(KERAS3)
    width = WIDTH if equal_layers else 3

    class Mine(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            setattr(self, attributes[1], keras.layers.LSTM(WIDTH, return_sequences=True))
            setattr(self, attributes[0], keras.layers.LSTM(width, return_sequences=True))

        def call(self, x: Any) -> Any:
            return getattr(self, attributes[1])(getattr(self, attributes[0])(x))

    arrays = [np.random.default_rng(1).normal(size=(2, 5, WIDTH)).astype("float32")]
    model = Mine()
    model(arrays[0])
    randomize(model, 0)
    path = save(model, tmp_path, "w.weights.h5")
    start = keras.layers.Input((5, WIDTH))
    right = 0
    for names in (attributes, ("one", "two"), ("lstm", "lstm_1"), ("lstm_1", "lstm")):
        inner = keras.layers.LSTM(width, return_sequences=True, name=names[0])(start)
        outer = keras.layers.LSTM(WIDTH, return_sequences=True, name=names[1])(inner)
        (tmp_path / "model.json").write_text(keras.Model(start, outer).to_json())
        try:
            ours = load(path, tmp_path / "model.json", keras_version=keras.__version__)
        except ConversionError as problem:
            assert equal_layers, problem
            continue
        assert equal(interpreted(ours, arrays, 1)[0][0], np.asarray(model(arrays[0]))), names
        right += 1
    assert equal_layers or right == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights.h5", "--architecture weights.h5: no architecture, as it holds weights only"),
        ("ckpt", "no architecture, as it holds weights only"),
        (".", "a folder without a model"),
        ("inputs.npz", "inputs.npz: a NumPy archive: arrays without a model"),
        ("missing.json", "there is no such file"),
    ],
)
def test_what_is_no_architecture_is_told(name: str, said: str) -> None:
    folder = Path(__file__).parents[1] / "fixtures/good/tf215_stack"
    with pytest.raises(ConversionError) as caught:
        load(folder / "weights.h5", folder / name)
    assert said in str(caught.value)
