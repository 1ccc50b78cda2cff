"""Parts of a model between --inputs and --outputs, and --stateful: the parts joined again do what the whole does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
from command_line import run as run_line
from keras_compare import library

from converter import InvalidModel, Unsupported, api
from converter.interpret import run

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "fixtures/good"
ERAS = ("k209", "k224", "k231", "tf115", "tf26", "tf215", "k305", "k3151")
SEQ2SEQ = [GOOD / f"{name}_encdec/model.h5" for name in ERAS]
FEEDS = ("target", "encoder:1", "encoder:2")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def example() -> ModuleType:
    """examples/seq2seq.py."""
    spec = importlib.util.spec_from_file_location("seq2seq", ROOT / "examples/seq2seq.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", SEQ2SEQ, ids=lambda file: file.parent.name)
def test_encoder_and_decoder_come_from_one_training_file(file: Path, tmp_path: Path) -> None:
    """Decoded token by token, the parts choose what the whole model chooses when it is fed the same tokens."""
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    api.convert(file, encoder, outputs=("encoder:1", "encoder:2"))
    api.convert(file, decoder, begin=FEEDS, outputs=("head", "decoder:1", "decoder:2"))
    assert [i.name for i in session(encoder).get_inputs()] == ["source"]
    assert [i.name for i in session(decoder).get_inputs()] == ["target", "encoder_1", "encoder_2"]
    assert [o.name for o in session(decoder).get_outputs()] == ["head", "decoder_1", "decoder_2"]
    rng = np.random.default_rng(0)
    source, first = rng.standard_normal((3, 5, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0]]
    tokens = list(example().decode(str(encoder), str(decoder), source, first, steps=6))
    fed = np.stack([first, *tokens[:-1]], 1)
    model = api.load(file)
    whole = run(model, {"source": source, "target": fed})[model.outputs[0].name]
    np.testing.assert_array_equal(np.stack(tokens, 1).argmax(-1), whole.argmax(-1))


def words_model(keras: Any) -> Any:
    """Words in, words out: Embeddings with masks, one LSTM each."""
    layers = keras.layers
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    _, h, c = layers.LSTM(4, return_state=True, name="e")(layers.Embedding(9, 3, mask_zero=True)(source))
    fed = layers.Embedding(7, 3, mask_zero=True)(target)
    y, _, _ = layers.LSTM(4, return_sequences=True, return_state=True, name="d")(fed, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(7, name="head")(y))


def attention_model(keras: Any) -> Any:
    """A decoder that looks at all of the encoder's steps."""
    layers = keras.layers
    source, target = keras.Input((None, 5), name="source"), keras.Input((None, 7), name="target")
    seen, h, c = layers.LSTM(4, return_sequences=True, return_state=True, name="e")(source)
    y, _, _ = layers.LSTM(4, return_sequences=True, return_state=True, name="d")(target, initial_state=[h, c])
    both = layers.Concatenate()([y, layers.Attention()([y, seen])])
    return keras.Model([source, target], layers.Dense(7, name="head")(both))


def stacked_model(keras: Any) -> Any:
    """Two GRU layers each."""
    layers = keras.layers
    source, target = keras.Input((None, 5), name="source"), keras.Input((None, 7), name="target")
    x, first = layers.GRU(4, return_sequences=True, return_state=True, name="e1")(source)
    _, second = layers.GRU(3, return_state=True, name="e2")(x)
    y, _ = layers.GRU(4, return_sequences=True, return_state=True, name="d1")(target, initial_state=first)
    y, _ = layers.GRU(3, return_sequences=True, return_state=True, name="d2")(y, initial_state=second)
    return keras.Model([source, target], layers.Dense(7, name="head")(y))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("build", "read", "states"),
    [
        (words_model, ("e:1", "e:2"), ("d:1", "d:2")),
        (attention_model, ("e:0", "e:1", "e:2"), ("d:1", "d:2")),
        (stacked_model, ("e1:1", "e2:1"), ("d1:1", "d2:1")),
    ],
)
def test_the_example_decodes_what_keras_does(build: Any, read: Any, states: Any, tmp_path: Path) -> None:
    keras = library("keras")
    keras.utils.set_random_seed(0)
    model = build(keras)
    model.save(tmp_path / "m.keras")
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    api.convert(tmp_path / "m.keras", encoder, outputs=read)
    api.convert(tmp_path / "m.keras", decoder, begin=("target", *read), outputs=("head", *states))
    rng, words = np.random.default_rng(1), build is words_model
    source = rng.integers(1, 9, (2, 5)) if words else rng.standard_normal((2, 5, 5))
    first = np.eye(7, dtype=np.float32)[[1, 2]]
    tokens = list(example().decode(str(encoder), str(decoder), source.astype(np.float32), first, steps=5))
    fed = np.stack([first, *tokens[:-1]], 1)
    whole = np.asarray(model([source.astype(np.float32), fed.argmax(-1).astype(np.float32) if words else fed]))
    np.testing.assert_array_equal(np.stack(tokens, 1).argmax(-1), whole.argmax(-1))


def test_what_the_part_needs_must_be_named() -> None:
    with pytest.raises(InvalidModel, match=r"needs the input 'source'"):
        api.load(SEQ2SEQ[0], begin=("target", "encoder:1"), outputs=("head",))
    with pytest.raises(InvalidModel, match=r"has 3 outputs, counted from 0"):
        api.load(SEQ2SEQ[0], outputs=("encoder:3",))
    with pytest.raises(InvalidModel, match=r": 'nothing' is no layer of the model"):
        api.load(SEQ2SEQ[0], begin=("nothing",), outputs=("head",))
    with pytest.raises(InvalidModel, match=r"Name with --outputs where the part ends"):
        api.load(SEQ2SEQ[0], begin=("target",))


@pytest.mark.parametrize("name", ["tf215_stack", "k122_stack", "k3151_stack"])
def test_a_model_trained_without_states_can_be_streamed(name: str, tmp_path: Path) -> None:
    """Two calls of the streamed model carry what one call of a twice as long sequence would."""
    file = next(file for file in (GOOD / name / "model.h5", GOOD / name / "model.keras") if file.exists())
    api.convert(file, tmp_path / "stream.onnx", stateful=True)
    streamed = session(tmp_path / "stream.onnx")
    states = json.loads(streamed.get_modelmeta().custom_metadata_map["keras.states"])
    assert all(s["output"] == s["input"].removesuffix("_in") + "_out" for s in states)
    x, *state_inputs = streamed.get_inputs()
    batch = np.random.default_rng(0).standard_normal((2, *x.shape[1:])).astype(np.float32)
    names = [o.name for o in streamed.get_outputs()]
    zeros = {i.name: np.zeros((2, i.shape[1]), np.float32) for i in state_inputs}
    first = dict(zip(names, streamed.run(None, {x.name: batch, **zeros}), strict=True))
    plain = api.load(file)
    want = run(plain, {plain.inputs[0].name: batch})[plain.outputs[0].name]
    np.testing.assert_allclose(first[names[0]], want, atol=1e-5)
    second = streamed.run(None, {x.name: batch, **{s["input"]: first[s["output"]] for s in states}})
    assert np.abs(second[0] - first[names[0]]).max() > 1e-4


def test_a_streamed_part_has_the_states_of_its_own_layers(tmp_path: Path) -> None:
    file = GOOD / "tf215_stack/model.h5"
    part = api.load(file, begin=("lstm",), outputs=("dense",), stateful=True)
    assert [state.input.name for state in part.states] == ["lstm_1_h_in", "lstm_1_c_in"]
    assert not api.load(file, begin=("lstm_1",), outputs=("dense",), stateful=True).states
    api.convert(file, tmp_path / "part.onnx", begin=("lstm",), outputs=("dense",), stateful=True)


def test_what_is_named_in_several_options_is_all_meant(tmp_path: Path) -> None:
    file = SEQ2SEQ[-1]
    words = ("--inputs", "target", "--inputs", "encoder:1,encoder:2", "--outputs", "head", "--outputs", "decoder:1")
    assert run_line(file, *words, "-o", "decoder.onnx", folder=tmp_path).returncode == 0
    assert [i.name for i in session(tmp_path / "decoder.onnx").get_inputs()] == ["target", "encoder_1", "encoder_2"]
    assert [o.name for o in session(tmp_path / "decoder.onnx").get_outputs()] == ["head", "decoder_1"]
    two = run_line(file, "--inputs", "x.npz", "--inputs", "y.npz", folder=tmp_path)
    assert (two.returncode, "--inputs takes one .npz file" in two.stderr) == (2, True)


def test_a_part_is_run_on_data_of_its_own(tmp_path: Path) -> None:
    x = {"target": np.ones((2, 4, 2), np.float32), "encoder_1": np.ones((2, 4)), "encoder_2": np.ones((2, 4))}
    np.savez(tmp_path / "x.npz", **{name: array.astype(np.float32) for name, array in x.items()})
    words = ("--inputs", "target,encoder:1,encoder:2", "--inputs", "x.npz", "--outputs", "head", "-o", "d.onnx")
    done = run_line(SEQ2SEQ[-1], *words, folder=tmp_path)
    assert (done.returncode, "[2, 4, 2] [2, 4] [2, 4]" in done.stdout) == (0, True), done.stderr


def test_what_reads_from_the_end_is_no_stream() -> None:
    with pytest.raises(Unsupported, match=r"reads its input from the end"):
        api.load(GOOD / "k122_bi/model.h5", stateful=True)
