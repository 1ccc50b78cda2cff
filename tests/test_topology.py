"""How layers are joined: models of Keras 3 and tf_keras, saved, converted, run, compared; and parts of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_compare import library
from needing import BOTH_KERAS

from converter.api import load
from converter.errors import InvalidModel, Unsupported
from converter.exporters.onnx import export
from converter.interpret import run
from converter.keras import build
from converter.keras.source import FlatWeights, Source
from converter.model import Model, Provenance

LIBRARIES = ["keras", "tf_keras"]
pytestmark = BOTH_KERAS
Build = Callable[[Any], Any]


# --- models -----------------------------------------------------------------------------------------------------------


def three_deep(k: Any) -> Any:
    """A model in a model in a model, one of them Sequential, two layers of one name."""
    a = k.Input((5, 3))
    inner = k.Model(a, k.layers.LSTM(4, return_sequences=True, name="same")(a), name="inner")
    b = k.Input((5, 3))
    middle = k.Sequential([b, inner, k.layers.Dense(3, name="same")], name="middle")
    c = k.Input((5, 3))
    return k.Model(c, k.layers.GRU(2, name="same")(middle(c)))


def shared_layer(k: Any) -> Any:
    """One LSTM on two inputs and on its own output; one Dense on all."""
    a, b = k.Input((5, 4), name="a"), k.Input((5, 4), name="b")
    lstm, dense = k.layers.LSTM(4, return_sequences=True), k.layers.Dense(2)
    last = k.layers.LSTM(3)
    ys = [dense(last(lstm(x))) for x in (a, lstm(b), b)]
    return k.Model([b, a], [k.layers.Add()(ys), ys[2]])


def shared_model(k: Any) -> Any:
    """A model of two inputs and two outputs, called twice, the second time on its own outputs in the other order."""
    x, s = k.Input((None, 3)), k.Input((3,))
    y, h = k.layers.GRU(3, return_sequences=True, return_state=True)(x, initial_state=s)
    inner = k.Model([x, s], [k.layers.Dense(3)(h), y], name="inner")
    a, b = k.Input((None, 3), name="a"), k.Input((3,), name="b")
    first = inner([a, b])
    second = inner([first[1], first[0]])
    return k.Model([a, b], [second[1], first[0], second[0]])


def dict_inputs(k: Any) -> Any:
    """A model whose inputs and outputs are dicts, in a model that calls it with one."""
    x = {"zeta": k.Input((5, 3), name="zeta"), "alpha": k.Input((5, 2), name="alpha")}
    y = k.layers.Concatenate()([x["zeta"], x["alpha"]])
    outputs = {"second": k.layers.LSTM(2)(y), "first": k.layers.Dense(1)(y)}
    inner = k.Model(x, outputs, name="inner")
    a, b = k.Input((5, 2), name="a"), k.Input((5, 3), name="b")
    made = inner({"alpha": a, "zeta": b})
    return k.Model([a, b], [made["second"], made["first"]])


def outer_dicts(k: Any) -> Any:
    x = {"zeta": k.Input((5, 3), name="zeta"), "alpha": k.Input((5, 3), name="alpha")}
    y = k.layers.Subtract()([x["zeta"], x["alpha"]])
    return k.Model(x, {"second": k.layers.LSTM(2)(y), "first": k.layers.Dense(1)(y)})


def many_outputs(k: Any) -> Any:
    """All outputs of one layer, in another order, and an LSTM started by two of them."""
    x = k.Input((None, 3))
    y, h, c = k.layers.LSTM(4, return_sequences=True, return_state=True)(x)
    z, *_ = k.layers.LSTM(4, return_sequences=True, return_state=True)(y, initial_state=[c, h])
    return k.Model(x, [c, z, h])


def bidirectional_states(k: Any) -> Any:
    x = k.Input((5, 3))
    y, *states = k.layers.Bidirectional(k.layers.LSTM(2, return_sequences=True, return_state=True))(x)
    z = k.layers.Bidirectional(k.layers.LSTM(2))(y, initial_state=states)
    return k.Model(x, [z, states[3]])


def implied_input(k: Any) -> Any:
    """A Sequential that was never told its input's shape, built by its first call."""
    model = k.Sequential([k.layers.LSTM(4, return_sequences=True), k.layers.Dense(2)])
    model(np.zeros((2, 5, 3), "float32"))
    return model


def sequential_first(k: Any) -> Any:
    """A Sequential that begins with a Sequential that begins with a model."""
    a = k.Input((None, 3))
    inner = k.Model(a, k.layers.LSTM(4, return_sequences=True)(a))
    return k.Sequential([k.Sequential([inner, k.layers.Dense(3)]), k.layers.LSTM(2)])


def fixed_batch(k: Any) -> Any:
    x = k.Input(batch_shape=(2, 5, 3)) if k.__name__ == "keras" else k.Input((5, 3), batch_size=2)
    return k.Model(x, k.layers.LSTM(4)(x))


def open_axes(k: Any) -> Any:
    """Several axes left open, a layer on each step."""
    x = k.Input((None, None, 3))
    y = k.layers.TimeDistributed(k.layers.LSTM(4))(x)
    return k.Model(x, [k.layers.LSTM(2, return_sequences=True)(y), y])


def distributed_model(k: Any) -> Any:
    """A whole model on each step, two axes deep."""
    a = k.Input((4, 3))
    inner = k.Model(a, k.layers.Dense(2)(k.layers.LSTM(4)(a)), name="inner")
    x = k.Input((2, 5, 4, 3))
    y = k.layers.TimeDistributed(k.layers.TimeDistributed(inner))(x)
    return k.Model(x, k.layers.TimeDistributed(k.layers.LSTM(2))(y))


def passed_through(k: Any) -> Any:
    """Outputs that are inputs, and one output twice."""
    a, b = k.Input((5, 3), name="a"), k.Input((2,), name="b")
    y = k.layers.LSTM(2, name="lstm")(a)
    return k.Model([a, b], [y, a, y, b])


def passed_through_inside(k: Any) -> Any:
    """A nested model that gives back one of its inputs, and the same output twice."""
    a, b = k.Input((5, 3)), k.Input((5, 2))
    y = k.layers.LSTM(2, return_sequences=True)(a)
    inner = k.Model([a, b], [b, y, y], name="inner")
    x, z = k.Input((5, 3), name="x"), k.Input((5, 2), name="z")
    return k.Model([x, z], k.layers.Concatenate()(inner([x, z])))


def other_calls(k: Any) -> Any:
    """Layers and a model that were called elsewhere, too, before, between and after their calls in the model."""
    lstm, dense = k.layers.LSTM(3, return_sequences=True), k.layers.Dense(3)
    inner = k.Sequential([k.Input((5, 3)), k.layers.Dense(3)], name="inner")
    other, x = k.Input((5, 3)), k.Input((5, 3))
    inner(dense(lstm(other)))
    y = lstm(x)
    dense(other)
    z = inner(dense(y))
    inner(other)
    return k.Model(x, [lstm(inner(z)), dense(z)])


def part_of_a_model(k: Any) -> Any:
    """A model cut out of the middle of another, and joined with a second one."""
    x = k.Input((5, 3))
    y = k.layers.LSTM(3, return_sequences=True)(x)
    z = k.layers.Dense(3)(y)
    head = k.Model(y, z, name="head")
    a = k.Input((5, 3))
    return k.Model(a, k.layers.GRU(2)(head(head(a))))


def shared_across(k: Any) -> Any:
    """A layer and a model, both in a nested model and outside of it, with the same weights."""
    dense = k.layers.Dense(3, name="dense")
    a = k.Input((5, 3))
    small = k.Model(a, k.layers.LSTM(3, return_sequences=True)(a), name="small")
    b = k.Input((5, 3))
    big = k.Model(b, dense(small(b)), name="big")
    x = k.Input((5, 3))
    return k.Model(x, k.layers.Add()([big(x), dense(small(big(x)))]))


def masked_models(k: Any) -> Any:
    """A mask that goes into a nested model and out of it."""
    a = k.Input((5, 4))
    inner = k.Model(a, k.layers.LSTM(3, return_sequences=True)(a), name="inner")
    x = k.Input((5,), dtype="int32")
    y = inner(k.layers.Embedding(4, 4, mask_zero=True)(x))
    return k.Model(x, k.layers.LSTM(2)(inner(k.layers.Dense(4)(y))))


def keywords(k: Any) -> Any:
    """A mask and states by keyword, the states of another input."""
    x, m, s = k.Input((5, 3), name="x"), k.Input((5,), name="m", dtype="bool"), k.Input((4,), name="s")
    y = k.layers.LSTM(4, return_sequences=True)(x, mask=m, initial_state=[s, k.layers.Dense(4)(s)])
    return k.Model([s, m, x], k.layers.LSTM(2)(y, mask=m))


MODELS: list[Build] = [
    three_deep, shared_layer, shared_model, dict_inputs, outer_dicts, many_outputs, bidirectional_states, implied_input,
    sequential_first, fixed_batch, open_axes, distributed_model, passed_through, passed_through_inside, other_calls,
    part_of_a_model, shared_across, masked_models, keywords,
]  # fmt: skip


# --- comparing --------------------------------------------------------------------------------------------------------


def randomized(model: Any) -> Any:
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype("float32") * 0.5 for w in model.get_weights()])
    return model


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [a for key in sorted(value) for a in flat(value[key])]
    return [a for v in value for a in flat(v)] if isinstance(value, list | tuple) else [value]


def arrays_for(inputs: list[Any]) -> list[Any]:
    """Random arrays for Keras tensors; 2 stands for an open batch, 5 for an open time."""
    rng = np.random.default_rng(1)
    made = []
    for tensor in inputs:
        shape = [n or (5 if k else 2) for k, n in enumerate(tuple(tensor.shape))]
        kind = getattr(tensor.dtype, "name", tensor.dtype)
        values = rng.normal(size=shape) if kind == "float32" else rng.integers(0, 3 if kind == "int32" else 2, shape)
        made.append(values.astype(kind))
    return made


def assert_equal(path: Path, model: Model, arrays: list[Any], truth: list[Any]) -> None:
    """The reference and the exported file give what Keras gave, output by output."""
    import onnxruntime

    export(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {value.name: array for value, array in zip(model.inputs, arrays, strict=True)}
    reference = run(model, feeds)
    exported = session.run(None, {k.name: v for k, v in zip(session.get_inputs(), arrays, strict=True)})
    assert len(truth) == len(model.outputs) == len(set(model.output_names)) == len(exported)
    for have, value, want in zip(exported, model.outputs, truth, strict=True):
        assert have.shape == want.shape
        np.testing.assert_allclose(reference[value.name], want, rtol=0, atol=1e-5)
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_gives_what_keras_gives(build: Build, name: str, suffix: str, tmp_path: Path) -> None:
    model = randomized(build(library(name)))
    model.save(tmp_path / f"model.{suffix}")
    if (build, suffix) == (shared_across, "keras"):  # which Keras itself cannot open either
        with pytest.raises(
            InvalidModel, match=r"layer 'small' .*no weights under 'functional_1'.* in several models once"
        ):
            load(tmp_path / "model.keras")
        return
    arrays = arrays_for(model.inputs)
    names = [tensor.name.partition(":")[0] for tensor in model.inputs]
    given = dict(zip(names, arrays, strict=True)) if build is outer_dicts else arrays
    truth = [np.asarray(t) for t in flat(model(given if len(arrays) > 1 else arrays[0]))]
    assert_equal(tmp_path / "out.onnx", load(tmp_path / f"model.{suffix}"), arrays, truth)


def test_models_that_double_again_and_again_are_refused_at_once() -> None:
    """Forty nested models, each of which calls the next one twice: 2**40 layers, needed for the output or not."""

    def tensor(layer: str, node: int) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "keras_history": [layer, node, 0]}}

    inner: dict[str, Any] = {"class_name": "Activation", "name": "s", "config": {"name": "s", "activation": "tanh"}}
    for depth in range(40):
        twice = [{"args": [tensor("i", 0)], "kwargs": {}}, {"args": [tensor("s", 0)], "kwargs": {}}]
        layers = [
            {
                "class_name": "InputLayer",
                "name": "i",
                "config": {"name": "i", "batch_shape": [None, 3]},
                "inbound_nodes": [],
            },
            {**inner, "inbound_nodes": twice},
        ]
        config = {
            "name": "s",
            "layers": layers,
            "input_layers": [["i", 0, 0]],
            "output_layers": [["s", int(depth > 0), 0]],
        }
        inner = {"class_name": "Functional", "name": "s", "config": config}
    with pytest.raises(Unsupported, match="calls more than"):
        build(Source(inner, FlatWeights({}), Provenance("m", "", "3.15.1")))
