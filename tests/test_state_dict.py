"""PyTorch state_dicts: what the arrays say is read; the rest is refused unless an architecture says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from neutral_models import Builder, lstm_model

from converter import api, interpret
from converter.comparing.compare import compare
from converter.errors import ConversionError, Unsupported
from converter.exporters import EXPORTERS
from converter.formats import safetensors
from converter.model import Weight, constant, layers
from converter.model.activations import Activation
from converter.readers import state_dict


def arrays(**shapes: tuple[int, ...]) -> dict[str, Weight]:
    draw = np.random.default_rng(0).normal
    return {name: constant(name, draw(size=shape).astype(np.float32)) for name, shape in shapes.items()}


def lstm(features: int, units: int, prefix: str = "lstm.") -> dict[str, Weight]:
    shapes = {"weight_ih": (4 * units, features), "weight_hh": (4 * units, units)}
    shapes |= {"bias_ih": (4 * units,), "bias_hh": (4 * units,)}
    return arrays(**{f"{prefix}{part}_l0": shape for part, shape in shapes.items()})


def written(path: Path, state: dict[str, Weight]) -> Path:
    safetensors.write(path, state, {})
    return path


def test_neither_names_nor_the_order_of_a_file_tell_the_order_of_layers(tmp_path: Path) -> None:
    state = {**arrays(**{"fc.weight": (8, 8), "fc.bias": (8,)}), **lstm(8, 8)}
    with pytest.raises(Unsupported, match=r"more than one order: fc → lstm\.l0 or lstm\.l0 → fc"):
        api.load(written(tmp_path / "m.safetensors", state))


@pytest.mark.parametrize(("last", "found"), [((6, 5), "no order"), ((5, 4), "14 layers allow more than one order")])
def test_orders_of_many_layers_are_not_tried_one_by_one(last: tuple[int, int], found: str, tmp_path: Path) -> None:
    state = arrays(**{f"fc{k}.weight": (4, 4) for k in range(13)}, **{"last.weight": last})
    with pytest.raises(Unsupported, match=found):
        api.load(written(tmp_path / "m.safetensors", state))


def test_an_architecture_tells_it(tmp_path: Path) -> None:
    state = {**arrays(**{"fc.weight": (8, 8), "fc.bias": (8,)}), **lstm(8, 8)}
    path = written(tmp_path / "m.safetensors", state)
    config = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, None, 8], "dtype": "float32"}},
        {"class_name": "LSTM", "config": {"name": "lstm", "units": 8}},
        {"class_name": "Dense", "config": {"name": "fc", "units": 8, "activation": "softmax"}},
    ]
    model = {"class_name": "Sequential", "keras_version": "3.15.1", "config": {"name": "m", "layers": config}}
    (tmp_path / "model.json").write_text(json.dumps(model))
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    read = api.load(path, tmp_path / "model.json")
    have = interpret.run(read, {read.inputs[0].name: x})[read.outputs[0].name]
    weights = {name: weight.read().astype(np.float64) for name, weight in state.items()}
    logits = run_lstm(x, weights)[:, -1] @ weights["fc.weight"].T + weights["fc.bias"]
    want = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(have, want, rtol=0, atol=1e-6)
    config[2]["config"]["name"] = "head"
    (tmp_path / "model.json").write_text(json.dumps(model))
    with pytest.raises(ConversionError, match="no layer of the architecture is called as fc"):
        api.load(path, tmp_path / "model.json")


def run_lstm(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """torch.nn.LSTM by its documentation."""
    h = c = np.zeros((len(x), w["lstm.weight_hh_l0"].shape[1]))
    outputs = []
    for step in x.transpose(1, 0, 2):
        gates = step @ w["lstm.weight_ih_l0"].T + h @ w["lstm.weight_hh_l0"].T
        i, f, g, o = np.split(gates + w["lstm.bias_ih_l0"] + w["lstm.bias_hh_l0"], 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        outputs.append(h)
    return np.stack(outputs, 1)


def test_embeddings_and_norms_are_read_in_the_only_order_there_is(tmp_path: Path) -> None:
    head = arrays(**{"fc.weight": (2, 5), "fc.bias": (2,), "norm.weight": (5,), "norm.bias": (5,)})
    state = {**head, **lstm(3, 5), **arrays(**{"embedding.weight": (3, 3)})}
    model = api.load(written(tmp_path / "m.safetensors", state))
    kinds = [type(node.layer) for node in model.nodes]
    assert kinds == [layers.Embedding, layers.Recurrent, layers.LayerNormalization, layers.Dense]


def test_no_activation_is_invented(tmp_path: Path) -> None:
    state = {**lstm(3, 5), **arrays(**{"a.weight": (6, 5), "b.weight": (2, 6)})}
    with pytest.raises(Unsupported, match="which activation comes between a and b"):
        api.load(written(tmp_path / "m.safetensors", state))


def test_our_own_file_comes_back_only_if_the_arrays_say_all(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    EXPORTERS["torch"].export(lstm_model(Builder(), gate=Activation("hard_sigmoid", (0.2, 0.5))), path)
    with pytest.raises(Unsupported, match="activations or connections that a state_dict does not hold"):
        api.load(path)


def test_a_convolution_is_not_guessed(tmp_path: Path) -> None:
    state = {**arrays(**{"conv.weight": (4, 3, 5), "conv.bias": (4,)}), **lstm(4, 5)}
    with pytest.raises(Unsupported, match="whose strides and padding no array says"):
        api.load(written(tmp_path / "m.safetensors", state))


@pytest.mark.parametrize("read", [api.load, lambda path: compare(path, path)], ids=["load", "compare"])
def test_no_layer_is_dropped_for_another_of_its_name(read: Callable[[Path], object], tmp_path: Path) -> None:
    """The first level of nn.LSTM, and a cell in a module l0: the later one took the place of the other."""
    layer = lstm(2, 3, "x.")
    cell = {f"x.l0.{name[2:-3]}": weight for name, weight in layer.items()}
    with pytest.raises(Unsupported, match="the same part of a layer of that name"):
        read(written(tmp_path / "both.safetensors", {**layer, **cell}))


def test_layers_of_one_name_in_keras_are_refused(tmp_path: Path) -> None:
    state = {**lstm(2, 3, "enc.lstm."), **lstm(2, 3, "enc_lstm.")}
    given = {"class_name": "Sequential", "config": {"layers": []}}
    with pytest.raises(Unsupported, match="one name in Keras"):
        state_dict.read(written(tmp_path / "m.safetensors", state), given)
