"""Weights without an architecture: a chain is found where the arrays settle it, and refused where they do not."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from converter import api
from converter.errors import Unsupported
from converter.interpret import run
from converter.readers import load

GOOD = Path(__file__).parent.parent / "fixtures" / "good"


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


LSTM = [("kernel", (3, 20)), ("recurrent_kernel", (5, 20)), ("bias", (20,))]
DENSE = [("kernel", (5, 2)), ("bias", (2,))]


@pytest.mark.parametrize("name", ["weights.h5", "model.weights.h5", "ckpt/w"])
def test_the_chain_equals_the_architecture(name: str) -> None:
    case = GOOD / "tf215_stack"
    if not (case / name).exists() and not (case / f"{name}.index").exists():
        case = next(d for d in sorted(GOOD.glob("*_stack")) if (d / name).exists() or (d / f"{name}.index").exists())
    known, guessed = load(case / name, case / "model.json"), load(case / name)
    assert [type(n.layer) for n in guessed.nodes] == [type(n.layer) for n in known.nodes if n.outputs][
        : len(guessed.nodes)
    ]
    assert "assumed" in guessed.warnings[0]


def test_version_decides_the_default_gate(tmp_path: Path) -> None:
    old = load(write(tmp_path / "old.h5", {"lstm_1": LSTM, "dense_1": DENSE}, "2.2.4"))
    new = load(write(tmp_path / "new.h5", {"lstm_1": LSTM, "dense_1": DENSE}, "2.3.1"))
    x = np.random.default_rng(1).normal(size=(2, 4, 3))
    (a,), (b,) = (list(run(m, {m.inputs[0].name: x}).values()) for m in (old, new))
    assert "hard_sigmoid" in repr(old.nodes[0].layer) and "hard_sigmoid" not in repr(new.nodes[0].layer)
    assert np.max(np.abs(a - b)) > 1e-3


def test_one_dense_takes_a_vector(tmp_path: Path) -> None:
    model = load(write(tmp_path / "dense.h5", {"dense_1": DENSE}))
    assert model.inputs[0].shape == (None, 5)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ({"conv1d_1": [("kernel", (3, 3, 6)), ("bias", (6,))]}, "do not tell which layer"),
        ({"lstm_1": LSTM, "dense_1": [("kernel", (7, 2)), ("bias", (2,))]}, "gives 5 features, 'dense_1' needs 7"),
        ({"dropout_1": []}, ""),
    ],
)
def test_what_is_not_settled_is_refused(
    tmp_path: Path, layers: dict[str, list[tuple[str, tuple[int, ...]]]], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason or "weights"):
        load(write(tmp_path / "w.h5", layers))


def test_arrays_that_settle_nothing_are_inspected_and_written(tmp_path: Path) -> None:
    path = write(tmp_path / "w.h5", {"conv1d_1": [("kernel", (3, 3, 6)), ("bias", (6,))]})
    found = api.inspect(path)
    assert [layer.path for layer in found.layers] == ["conv1d_1/kernel:0", "conv1d_1/bias:0"]
    assert "do not tell which layer" in found.warnings[0]
    api.convert(path, tmp_path / "w.npz", to="npz")
    with np.load(tmp_path / "w.npz") as arrays:
        assert arrays["conv1d_1/kernel:0"].shape == (3, 3, 6)
    with pytest.raises(Unsupported):
        api.convert(path, tmp_path / "w.onnx")
