"""Text and learned words against Keras 3 and tf_keras: in every container, in whole models, character by character."""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from test_layers import assert_equal, library, pytestmark, tensors

from converter import api, interpret
from converter.errors import ConversionError, Unsupported
from converter.exporters.onnx import export
from converter.readers import load
from converter.verification.inputs import cases_of

__all__ = ["pytestmark"]  # the marks of test_layers hold here too
LIBRARIES = ["keras", "tf_keras"]
ROOT = Path(__file__).parents[1]
Made = tuple[Any, Any]  # a model and an array to call it on


def strings(*rows: Any) -> np.ndarray:
    return np.array(rows, object)


def on(keras: Any, layer: Any, array: np.ndarray) -> Made:
    """A model of one layer, and what it is called on."""
    given = keras.layers.Input(array.shape[1:], dtype="string" if array.dtype.hasobject else array.dtype.name)
    return keras.Model(given, layer(given)), array


def adapted(layer: Any, data: Any) -> Any:
    layer.adapt(data)
    return layer


WORDS = strings(["a", "b", "zz\u00e9", ""], ["a", "[UNK]", "A", "line"])
LINES = strings(["Hello, FOO!  bar\tworld"], [""], ["foo-bar it's hello hello hello, hello"])
TEXTS = np.array(["Hello, world", "foo bar hello", "it's foobar \u00e9t\u00e9"])
NUMBERS = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
TAUGHT = np.array([["a", "b", "a"], ["c", "zz\u00e9", "c"]])
LEARNED: dict[str, Callable[[Any, Any], Made]] = {
    "StringLookup": lambda k, L: on(k, adapted(L.StringLookup(), TAUGHT), WORDS),
    "StringLookup, mask": lambda k, L: on(k, adapted(L.StringLookup(mask_token="", max_tokens=4), TAUGHT), WORDS),
    "StringLookup, tf_idf": lambda k, L: on(k, adapted(L.StringLookup(output_mode="tf_idf"), TAUGHT), WORDS),
    "StringLookup, tf_idf, padded": lambda k, L: on(
        k,
        adapted(L.StringLookup(output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True, mask_token=""), TAUGHT),
        WORDS,
    ),
    "StringLookup, inverse": lambda k, L: on(
        k, adapted(L.StringLookup(invert=True, mask_token=""), TAUGHT), np.array([[0, 1, 2], [3, -1, 99]])
    ),
    "IntegerLookup": lambda k, L: on(
        k, adapted(L.IntegerLookup(mask_token=0), np.array([[5, 7, 5], [9, 5, -3]])), np.array([[5, 0, -1], [9, -3, 6]])
    ),
    "IntegerLookup, tf_idf": lambda k, L: on(
        k, adapted(L.IntegerLookup(output_mode="tf_idf"), np.array([[5, 7, 5], [9, 8, 9]])), np.array([[5, 0], [9, 9]])
    ),
    "IntegerLookup, inverse": lambda k, L: on(
        k, adapted(L.IntegerLookup(invert=True), np.array([[1, 2, 3]])), np.array([[0, 1], [2, 4]])
    ),
    "TextVectorization": lambda k, L: on(k, adapted(L.TextVectorization(output_sequence_length=4), TEXTS), LINES),
    "TextVectorization, tf_idf": lambda k, L: on(k, adapted(L.TextVectorization(output_mode="tf_idf"), TEXTS), LINES),
    "Discretization": lambda k, L: on(k, adapted(L.Discretization(num_bins=5), NUMBERS), NUMBERS[:20]),
    "Discretization, few": lambda k, L: on(k, adapted(L.Discretization(num_bins=9), NUMBERS[:2]), NUMBERS[:20]),
    "Normalization": lambda k, L: on(k, adapted(L.Normalization(), NUMBERS), NUMBERS[:20]),
}
GIVEN: dict[str, Callable[[Any, Any], Made]] = {
    "StringLookup": lambda k, L: on(k, L.StringLookup(vocabulary=["b", "zz\u00e9"], mask_token=""), WORDS),
    "TextVectorization": lambda k, L: on(k, L.TextVectorization(vocabulary=["foo", "hello"]), LINES),
    "set later": lambda k, L: on(k, later(L.StringLookup(), ["b", "line"]), WORDS),
}


def later(layer: Any, words: list[str]) -> Any:
    layer.set_vocabulary(words)
    return layer


def opset_of(kind: str) -> int | None:
    return 20 if "TextVectorization" in kind else None


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", LEARNED)
def test_learned_in_archives(name: str, kind: str) -> None:
    keras = library(name)
    model, array = LEARNED[kind](keras, keras.layers)
    assert_equal(model, [array], ".keras", opset_of(kind))


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("kind", [*LEARNED, *(f"given {kind}" for kind in GIVEN)])
def test_saved_models(kind: str, sequential: bool) -> None:
    """tf_keras alone writes them with a configuration; words are in tables of the graph."""
    keras = library("tf_keras")
    made = GIVEN[kind.removeprefix("given ")] if kind.startswith("given") else LEARNED[kind]
    model, array = made(keras, keras.layers)
    if sequential:
        last = [keras.layers.Dense(2)] if model.output.dtype == "float32" else []
        dtype = "string" if array.dtype.hasobject else array.dtype.name
        model = keras.Sequential([keras.layers.Input(array.shape[1:], dtype=dtype), model.layers[-1], *last])
    assert_equal(model, [array], "", opset_of(kind))


@pytest.mark.parametrize("kind", ["Discretization", "Normalization"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_learned_in_hdf5(name: str, kind: str) -> None:
    keras = library(name)
    model, array = LEARNED[kind](keras, keras.layers)
    assert_equal(model, [array], ".h5")


@pytest.mark.parametrize("kind", ["StringLookup", "StringLookup, tf_idf", "IntegerLookup", "TextVectorization"])
def test_words_are_not_in_hdf5(tmp_path: Path, kind: str) -> None:
    """Keras 3 writes such files without a word, tf_keras refuses to."""
    keras = library("keras")
    model, _ = LEARNED[kind](keras, keras.layers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "m.h5")
    with pytest.raises(Unsupported, match=r"vocabulary was learned and is not in the file\. Save the model as \.keras"):
        load(tmp_path / "m.h5")


def test_unzipped_archive(tmp_path: Path) -> None:
    keras = library("keras")
    model, array = LEARNED["TextVectorization"](keras, keras.layers)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        archive.extractall(tmp_path / "m")
    neutral = load(tmp_path / "m")
    made = interpret.run(neutral, {neutral.inputs[0].name: array})[neutral.outputs[0].name]
    assert np.array_equal(made, model(tensors([array])))


# --- whole models -----------------------------------------------------------------------------------------------------


def classifier(keras: Any, front: Any, shape: tuple[int, ...], words: int) -> Any:
    """Text -> Embedding with a mask -> LSTM: what people build."""
    layers = keras.layers
    given = layers.Input(shape, dtype="string")
    x = layers.Embedding(words, 4, mask_zero=True)(front(given))
    return keras.Model(given, layers.Dense(1, "sigmoid")(layers.Bidirectional(layers.LSTM(3))(x)))


@pytest.mark.parametrize("name", LIBRARIES)
def test_mask_token_masks_behind_an_embedding(name: str) -> None:
    keras = library(name)
    front = keras.layers.StringLookup(vocabulary=["a", "b"], mask_token="")
    array = strings(["a", "b", "c", ""], ["", "a", "", "b"], ["", "", "", ""], ["a", "a", "a", "[UNK]"])
    assert_equal(classifier(keras, front, (4,), 4), [array], ".keras")


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("length", [None, 5])
def test_text_classifier(name: str, length: int | None) -> None:
    keras = library(name)
    front = adapted(keras.layers.TextVectorization(output_sequence_length=length), TEXTS)
    assert_equal(classifier(keras, front, (1,), len(front.get_vocabulary())), [LINES], ".keras", 20)


@pytest.mark.parametrize("name", LIBRARIES)
def test_text_without_an_axis(name: str) -> None:
    keras = library(name)
    front = keras.layers.TextVectorization(vocabulary=["foo", "hello", "bar"])
    assert_equal(classifier(keras, front, (), 5), [LINES[:, 0]], ".keras", 20)


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_character(name: str) -> None:
    """Alone, inside a word, at its end; the words expected are those that Keras itself finds."""
    keras, rng = library(name), np.random.default_rng(0)
    odd = "aAbB \t\n\v\f\r!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'\u00e9\u00c9\u00a0\u2003\x1c\x85\U0001f600\u00df\u0130"
    texts = [f"a{chr(c)}b {chr(c)} B{chr(c)}" for c in (*range(1, 0x600), 0x2003, 0x3000, 0xFEFF, 0x1F600)]
    texts += ["".join(rng.choice(list(odd), rng.integers(0, 60))) for _ in range(300)]
    words = adapted(keras.layers.TextVectorization(), np.array(texts, object)).get_vocabulary()[2:]
    model, array = on(keras, keras.layers.TextVectorization(vocabulary=words), strings(*([text] for text in texts)))
    assert_equal(model, [array], ".keras", 20)


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = {
    "farmhash": (lambda L: L.StringLookup(vocabulary=["a"], num_oov_indices=2), "FarmHash64, which ONNX does not have"),
    "ngrams": (lambda L: L.TextVectorization(vocabulary=["a"], ngrams=2), "ngrams"),
    "characters": (lambda L: L.TextVectorization(vocabulary=["a"], split="character"), "split='character'"),
    "ragged": (lambda L: L.TextVectorization(vocabulary=["a"], ragged=True), "ragged"),
    "one_hot": (lambda L: L.TextVectorization(vocabulary=["a"], output_mode="one_hot"), "ragged output"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_by_name(tmp_path: Path, kind: str) -> None:
    keras = library("keras")
    make, words = REFUSED[kind]
    given = keras.layers.Input((1,), dtype="string")
    keras.Model(given, make(keras.layers)(given)).save(tmp_path / "m.keras")
    with pytest.raises(Unsupported, match=words) as refusal:
        load(tmp_path / "m.keras")
    assert "build the model with num_oov_indices=1" in str(refusal.value) or "an Input of indices" in str(refusal.value)


def saved(tmp_path: Path) -> Path:
    keras = library("keras")
    front = adapted(keras.layers.TextVectorization(output_sequence_length=4), TEXTS)
    classifier(keras, front, (1,), front.vocabulary_size()).save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--opset 20"),
        ({"to": "torch"}, "LowerCase has no counterpart in torch.nn"),
        ({"to": "keras"}, "LowerCase cannot be written for Keras 3"),
    ],
)
def test_targets_without_text(tmp_path: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        api.convert(saved(tmp_path), tmp_path / "out", **options)


# --- proof ------------------------------------------------------------------------------------------------------------


def test_proof_and_deployment(tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    done = api.convert(saved(tmp_path), target, opset=20, against="tensorflow")
    assert all(report.passed for report in done.reports) and len(done.reports) == 2
    command = [sys.executable, ROOT / "examples/stream.py", target]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "[4, 1]" in shown.stdout


def test_proof_feeds_known_and_unknown_words_and_the_mask(tmp_path: Path) -> None:
    keras = library("keras")
    front = adapted(keras.layers.StringLookup(mask_token="-"), TAUGHT)
    classifier(keras, front, (6,), front.vocabulary_size()).save(tmp_path / "m.keras")
    fed = [set(array.reshape(-1)) for case in cases_of(load(tmp_path / "m.keras")) for array in case.calls[0].values()]
    assert "-" in fed[-1]
    assert {"a", "c", "zz\u00e9"} <= set().union(*fed)
    assert set().union(*fed) - {"-", "a", "b", "c", "zz\u00e9"}


@pytest.mark.parametrize("fault", ["swapped", "default", "mask"])
def test_proof_finds_wrong_tables(tmp_path: Path, fault: str) -> None:
    """A file whose table is not the model's does not pass."""
    path, target = saved(tmp_path), tmp_path / "m.onnx"
    model = load(path)
    export(model, target, opset=20)
    proto = onnx.load(target)
    (table,) = (node for node in proto.graph.node if node.op_type == "LabelEncoder")
    numbers = {attribute.name: attribute for attribute in table.attribute}
    if fault == "swapped":
        numbers["values_int64s"].ints[1], numbers["values_int64s"].ints[2] = numbers["values_int64s"].ints[2:0:-1]
    elif fault == "mask":
        numbers["values_int64s"].ints[0] = 1
    else:
        numbers["default_int64"].i = 2
    onnx.save(proto, target)
    assert not api.verify(path, target).passed


def test_an_unknown_word_without_an_index(tmp_path: Path) -> None:
    """Keras raises an error for it; so does what reads the index."""
    keras = library("keras")
    front = keras.layers.StringLookup(vocabulary=["a", "b"], num_oov_indices=0)
    classifier(keras, front, (2,), 2).save(tmp_path / "m.keras")
    target = tmp_path / "m.onnx"
    assert all(report.passed for report in api.convert(tmp_path / "m.keras", target).reports)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: strings(["a", "c"])}
    with pytest.raises(Exception, match="indices element out of data bounds"):
        session.run(None, feed)
    neutral = load(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="'c' is not in the vocabulary"):
        interpret.run(neutral, {neutral.inputs[0].name: strings(["a", "c"])})


def test_text_where_numbers_are_expected(tmp_path: Path) -> None:
    keras = library("keras")
    given = keras.layers.Input((2,), dtype="string")
    keras.Model(given, keras.layers.Flatten()(given)).save(tmp_path / "m.keras")
    with pytest.raises(ConversionError, match="is called on text"):
        load(tmp_path / "m.keras")
