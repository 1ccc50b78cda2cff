"""Models whose inputs and outputs are nested lists and dicts, and models called on such, by Keras 3 and tf_keras.

The inputs of the inner models are used differently, so that any that are exchanged give other outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_compare import library
from needing import BOTH_KERAS

from converter.api import load
from converter.errors import Unsupported
from converter.interpret import run
from converter.model import Model

LIBRARIES = ["keras", "tf_keras"]
pytestmark = BOTH_KERAS
Structure = Callable[[Any, Any, Any], Any]

# A structure of the inputs "b", "a" and "c", and how the model is called on three tensors.
CALLS: dict[str, tuple[Structure, Structure]] = {
    "dict of a list": (lambda b, a, c: {"u": [a, b], "c": c}, lambda x, y, z: {"c": z, "u": [x, y]}),
    "list of a list": (lambda b, a, c: [a, [b, c]], lambda x, y, z: [x, [y, z]]),
    "list of lists of one": (lambda b, a, c: [[b], [a], c], lambda x, y, z: [[x], [y], z]),
    "list of a list alone": (lambda b, a, c: [[b, a, c]], lambda x, y, z: [[x, y, z]]),
    "tuples": (lambda b, a, c: (b, (a, (c,))), lambda x, y, z: (x, (y, (z,)))),
    "list of a dict": (lambda b, a, c: [a, {"z": b, "d": c}], lambda x, y, z: [x, {"d": y, "z": z}]),
    "dict of dicts": (
        lambda b, a, c: {"q": {"z": b, "y": [a]}, "a": c}, lambda x, y, z: {"q": {"z": x, "y": [y]}, "a": z}
    ),
    "list of a list of a dict": (lambda b, a, c: [[{"z": b, "y": [a]}, c]], lambda x, y, z: [[{"z": x, "y": [y]}, z]]),
    "keys of other names": (lambda b, a, c: {"a": b, "b": a, "c": c}, lambda x, y, z: {"a": x, "b": y, "c": z}),
    "keys out of order": (lambda b, a, c: {"c": b, "b": a, "a": c}, lambda x, y, z: {"a": x, "b": y, "c": z}),
    "list by names": (lambda b, a, c: [b, a, c], lambda x, y, z: {"a": x, "b": y, "c": z}),
    "list of a dict of names": (lambda b, a, c: [b, a, c], lambda x, y, z: [{"a": x, "b": y, "c": z}]),
    "numbers": (lambda b, a, c: {10: b, 9: a, 8: c}, lambda x, y, z: {10: x, 9: y, 8: z}),
}  # fmt: skip
OUTPUTS: list[Structure] = [
    lambda p, q, r: {"z": [p, r], "a": q},
    lambda p, q, r: [p, [q, r]],
    lambda p, q, r: [[p], {"q": q, "a": r}],
    lambda p, q, r: {"o": (p, q), "n": {"m": r}},
]


def inner_model(k: Any, structure: Structure, outputs: Structure) -> Any:
    ends = {name: k.Input((4, 2), name=name) for name in "bac"}
    joined = k.layers.Concatenate()([ends["b"], ends["a"], ends["c"]])
    y, h, c = k.layers.LSTM(2, return_sequences=True, return_state=True, name="lstm")(joined)
    return k.Model(structure(*ends.values()), outputs(y, h, k.layers.Dense(2, name="dense")(c)), name="inner")


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [a for key in sorted(value) for a in flat(value[key])]
    return [a for v in value for a in flat(v)] if isinstance(value, list | tuple) else [value]


def randomized(model: Any) -> Any:
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model


def assert_equal(model: Model, feeds: dict[str, Any], truth: list[Any]) -> None:
    found = run(model, feeds)
    assert [value.name for value in model.inputs] == list(feeds)
    assert len(truth) == len(model.outputs) == len(set(model.output_names))
    for value, want in zip(model.outputs, truth, strict=True):
        np.testing.assert_allclose(found[value.name], want, rtol=0, atol=1e-5)


def arrays(count: int) -> list[Any]:
    return list(np.random.default_rng(1).normal(size=(count, 2, 4, 2)).astype("float32"))


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("case", CALLS)
def test_nested_calls_give_what_keras_gives(case: str, name: str, tmp_path: Path) -> None:
    suffix = ["h5", "keras"][(len(case) + len(name)) % 2]
    structure, call = CALLS[case]
    k = library(name)
    inner = inner_model(k, structure, OUTPUTS[len(case) % len(OUTPUTS)])
    x, y, z = (k.Input((4, 2), name=n) for n in "xyz")
    first = flat(inner(call(x, y, z)))
    second = flat(inner(call(z, first[0], x))) if len(first[0].shape) == 3 else []
    model = randomized(k.Model([x, y, z], first + second))
    model.save(tmp_path / f"model.{suffix}")
    feeds = dict(zip("xyz", arrays(3), strict=True))
    assert_equal(load(tmp_path / f"model.{suffix}"), feeds, [np.asarray(t) for t in model(list(feeds.values()))])


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("case", sorted(set(CALLS) - {"numbers"}))  # which become text, and change their order
def test_nested_models_give_what_keras_gives(case: str, name: str, tmp_path: Path) -> None:
    suffix = ["h5", "keras", "json", "tf"][list(CALLS).index(case) % 4]
    structure = CALLS[case][0]
    k = library(name)
    outputs = OUTPUTS[len(case) % len(OUTPUTS)]
    if (suffix, name) == ("tf", "keras"):  # which exports no nested outputs
        outputs = lambda p, q, r: [p, q, r]  # noqa: E731
    model = randomized(inner_model(k, structure, outputs))
    feeds = dict(zip("bac", arrays(3), strict=True))
    truth = [np.asarray(t) for t in flat(model(structure(*feeds.values())))]
    wanted = {n: feeds[n] for n in [t.name.partition(":")[0] for t in model.inputs]}
    path, architecture = tmp_path / f"model.{suffix}", None
    if suffix == "json":
        path, architecture = tmp_path / "model.weights.h5", path
        architecture.write_text(model.to_json())
        model.save_weights(path)
    elif suffix == "tf" and name == "keras":
        model.export(path)
    else:
        model.save(path)
    assert_equal(load(path, architecture=architecture), wanted, truth)


def test_outputs_are_called_after_their_keys(tmp_path: Path) -> None:
    names = []
    for outputs in OUTPUTS:
        inner_model(library("keras"), lambda b, a, c: [b, a, c], outputs).save(tmp_path / "model.keras")
        names.append(load(tmp_path / "model.keras").output_names)
    assert names == [
        ("a_1", "z", "z_1"), ("lstm", "lstm_1", "dense"), ("lstm", "a_1", "q"), ("n_m", "o", "o_1"),
    ]  # fmt: skip


def test_masks_that_keras_gives_to_other_inputs_are_refused(tmp_path: Path) -> None:
    """Keras 3 goes by the names of the inputs for the tensors of a dict, and by its sorted keys for their masks."""
    k = library("keras")
    b, a = k.Input((4, 2), name="b"), k.Input((4, 2), name="a")
    inner = k.Model([b, a], k.layers.Add()([k.layers.LSTM(3)(b), k.layers.GRU(3)(a)]), name="inner")
    x, y = k.Input((4, 2), name="x"), k.Input((4, 2), name="y")
    masked = k.layers.Masking()(x)
    for called, fits in (({"a": masked, "b": y}, False), ([masked, y], True)):
        k.Model([x, y], inner(called)).save(tmp_path / "model.keras")
        if fits:
            load(tmp_path / "model.keras")
            continue
        with pytest.raises(Unsupported, match="this Keras gives the masks to other inputs"):
            load(tmp_path / "model.keras")
