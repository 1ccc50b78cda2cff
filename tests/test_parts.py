"""Parts of models: what --outputs names, and what is said without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_topology import LIBRARIES, arrays_for, assert_equal, flat, library, pytestmark, randomized

from converter.api import load
from converter.errors import InvalidModel, Unsupported

__all__ = ["pytestmark"]  # the marks of test_topology hold here too
Build = Callable[[Any], Any]


def registered(k: Any) -> Any:
    """A class of an author's own, with weights."""

    class Head(k.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(shape[-1], 4))

        def call(self, x: Any) -> Any:
            return x @ self.w

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:-1], 4)

    return Head


def lambda_head(k: Any) -> Any:
    x = k.Input((5, 3))
    y = k.layers.Dropout(0.5, name="dropout")(k.layers.LSTM(4, name="lstm")(x))
    return k.Model(x, k.layers.Dense(2)(k.layers.Lambda(lambda t: t * 2, name="twice")(y)))


def loss_head(k: Any) -> Any:
    """As CTC models are trained: labels and lengths are inputs, and a Lambda of everything is the output."""
    labels, x, length = (
        k.Input(shape, name=name) for shape, name in (((4,), "labels"), ((None, 3), "x"), ((1,), "length"))
    )
    y = k.layers.Dense(5, activation="softmax", name="softmax")(k.layers.LSTM(4, return_sequences=True)(x))
    halved = k.layers.Lambda(lambda n: n / 2, name="halved", output_shape=(1,))(length)
    loss = k.layers.Lambda(lambda ts: ts[0][:, :1, 0] + ts[2], name="ctc", output_shape=(1,))([y, labels, halved])
    return k.Model([labels, x, length], loss)


def branches(k: Any) -> Any:
    """A class of its own with weights next to layers that do without it, which stand later in the file."""
    x = k.Input((5, 3))
    y = k.layers.LSTM(4, return_sequences=True, name="lstm")(x)
    own = registered(k)(name="own")(y)
    z = k.layers.Dense(4, name="before")(k.layers.Dense(4, name="first")(y))
    return k.Model(x, [k.layers.Dense(4, name="after")(own), k.layers.Dense(4, name="branch")(z)])


def inside(k: Any) -> Any:
    """A nested model with a Lambda, and a branch next to it."""
    a = k.Input((5, 3))
    inner = k.Model(a, k.layers.Lambda(lambda t: t * 2)(k.layers.LSTM(2, name="before")(a)), name="inner")
    x = k.Input((5, 3))
    y = k.layers.GRU(2, name="gru")(x)
    return k.Model(x, k.layers.Add(name="add")([y, inner(x)]))


def deep_inside(k: Any) -> Any:
    """A class of its own with weights two models deep, before and behind layers that do without it."""
    a = k.Input((5, 3))
    y, h, _ = k.layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")(a)
    z = k.layers.Dense(4, name="inside")(y)
    low = k.Model(a, [k.layers.Dense(2, name="after")(registered(k)(name="own")(z)), h], name="low")
    b = k.Input((5, 3))
    c = k.layers.Dense(3, name="before")(b)
    middle = k.Model(b, [*low(c), k.layers.GRU(4, name="gru")(c)], name="middle")
    x = k.Input((5, 3))
    own, h, g = middle(k.layers.Dense(3, name="first")(x))
    return k.Model(x, [k.layers.Flatten()(own), k.layers.Add(name="add")([h, g])])


def two_deep(k: Any) -> Any:
    """Functional models in one another; what is asked for comes before and behind the output of the inner one."""
    a = k.Input((5, 3))
    inner = k.Model(
        a, k.layers.Dense(3, name="out")(k.layers.LSTM(4, return_sequences=True, name="lstm")(a)), name="inner"
    )
    b = k.Input((5, 3))
    middle = k.Model(b, k.layers.Dense(3, name="dense")(inner(b)), name="middle")
    c = k.Input((5, 3))
    return k.Model(c, k.layers.GRU(2)(middle(c)))


def states(k: Any) -> Any:
    x = k.Input((None, 3))
    y, h, _ = k.layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")(x)
    return k.Model(x, k.layers.Dense(2)(k.layers.GRU(4)(y, initial_state=h)))


def called_thrice(k: Any) -> Any:
    """A layer and a model of two outputs, called several times."""
    a = k.Input((5, 4))
    inner = k.Model(a, [k.layers.LSTM(4, return_sequences=True)(a), k.layers.Dense(4)(a)], name="inner")
    x, y = k.Input((5, 4), name="x"), k.Input((5, 4), name="y")
    dense = k.layers.Dense(4, name="dense")
    one, two = inner(x)
    three, four = inner(dense(one))
    return k.Model([x, y], k.layers.Add()([dense(three), dense(four), two, y]))


# model, the outputs asked for, what must be said without them, and names of the inputs that are left
PARTS: list[tuple[Build, tuple[str, ...], str, list[str]]] = [
    (lambda_head, ("dropout",), "layer 'twice' .*--outputs dropout, or .*--plugin", []),
    (lambda_head, ("lstm",), "--outputs dropout", []),
    (loss_head, ("softmax",), "layer '(halved|ctc)' .*--outputs softmax, or", ["x"]),
    (branches, ("branch",), "layer 'own' .*--outputs (lstm,branch|branch,lstm), or .*--plugin", []),
    (branches, ("before", "lstm", "before"), "layer 'own'", []),
    (inside, ("gru",), "layer 'inner' .*: layer 'lambda.*--outputs inner/before,gru, or", []),
    (inside, ("inner/before", "gru", "inner/before"), "layer 'inner'", []),
    (deep_inside, ("middle/low/inside", "middle/gru", "middle/low/lstm"), "--outputs .*middle/low/inside", []),
    (states, ("lstm",), "", []),
    (called_thrice, ("inner", "y"), "", ["x", "y"]),
    (called_thrice, ("x", "dense"), "", ["x"]),
    (two_deep, ("middle/inner/lstm", "middle", "middle/dense"), "", []),
]
CHECKPOINTED = [branches, states, called_thrice, deep_inside, two_deep]


def files_of(model: Any, name: str, build: Build, folder: Path) -> list[tuple[Path, Path | None]]:
    """The model in every kind of file that the library writes, with the architecture where it is apart."""
    found: list[tuple[Path, Path | None]] = [(folder / "model.h5", None), (folder / "model.keras", None)]
    for path, _ in found:
        model.save(path)
    if name == "tf_keras" and build in CHECKPOINTED:
        model.save_weights(folder / "ckpt")
        (folder / "model.json").write_text(model.to_json())
        found.append((folder / "ckpt", folder / "model.json"))
    return found


def tensors_of(k: Any, model: Any, layer: str) -> list[Any]:
    """What a layer gave in its last call in the model, or one of a nested model in its only call."""
    holder, _, below = layer.partition("/")
    found = model.get_layer(holder)
    if below:
        inner = k.Model(found.inputs, tensors_of(k, found, below))
        given = flat(found._inbound_nodes[-1].input_tensors)
        return flat(inner(given if len(given) > 1 else given[0]))
    if layer in {"x", "y"}:
        return flat(found.output)
    node = found._inbound_nodes[-1]
    return flat(node.output_tensors if hasattr(node, "output_tensors") else node.outputs)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("number", range(len(PARTS)))
def test_parts(number: int, name: str, tmp_path: Path) -> None:
    build, outputs, message, inputs = PARTS[number]
    k = library(name)
    model = randomized(build(k))
    kept = [t for t in model.inputs if not inputs or t.name.partition(":")[0] in inputs]
    arrays = arrays_for(kept)
    part = k.Model(model.inputs, [t for layer in outputs for t in tensors_of(k, model, layer)])
    every = iter(arrays)
    given = [
        next(every) if any(t is one for one in kept) else np.zeros([n or 2 for n in t.shape], "float32")
        for t in model.inputs
    ]
    truth = [np.asarray(t) for t in flat(part(given if len(given) > 1 else given[0]))]
    for path, architecture in files_of(model, name, build, tmp_path):
        if message:
            with pytest.raises(Unsupported, match=message):
                load(path, architecture)
        else:
            load(path, architecture)
        assert_equal(tmp_path / "out.onnx", load(path, architecture, outputs), arrays, truth)


def test_a_name_that_is_no_layer(tmp_path: Path) -> None:
    lambda_head(library("keras")).save(tmp_path / "model.keras")
    with pytest.raises(InvalidModel, match=r"'lstn' is no layer of the model\. The last layers .*lstm, dropout, twice"):
        load(tmp_path / "model.keras", outputs=("lstn",))


def test_a_layer_of_a_model_that_is_called_twice(tmp_path: Path) -> None:
    called_thrice(library("keras")).save(tmp_path / "model.keras")
    with pytest.raises(InvalidModel, match=r"'inner/dense.*called 2 times.* Name 'inner' itself"):
        load(tmp_path / "model.keras", outputs=("inner/dense_1",))
