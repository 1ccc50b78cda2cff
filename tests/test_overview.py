"""inspect of a model with layers that cannot be converted: the whole table, every problem, what --outputs can name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converter import api
from converter.errors import Unsupported

GOOD = Path(__file__).parents[1] / "fixtures/good"
DENSE = {"units": 3, "activation": "linear", "use_bias": True}


def chain(path: Path, *layers: tuple[str, str, dict[str, Any]]) -> Path:
    """A Sequential as Keras 2.2.4 writes it; every Dense takes and gives 3 features."""
    raw = [{"class_name": kind, "config": {"name": name, **config}} for kind, name, config in layers]
    raw[0]["config"]["batch_input_shape"] = [None, 3]
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": raw}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(model), "2.2.4"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for _, name, _ in layers]
        for kind, name, _ in layers:
            arrays = {"kernel": (3, 3), "bias": (3,)} if kind in {"Dense", "Mine"} else {}
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/{array}:0".encode() for array in arrays]
            for array, shape in arrays.items():
                inner[f"{name}/{array}:0"] = np.ones(shape, "float32")
    return path


def test_every_layer_and_every_problem(tmp_path: Path) -> None:
    """Refused when it is parsed (a class of the author's), when it is built (a mode), and what is behind them."""
    path = chain(
        tmp_path / "m.h5", ("Dense", "one", DENSE), ("Dense", "two", DENSE), ("Mine", "own", {}),
        ("Dense", "after", DENSE), ("Other", "last", {}),
    )  # fmt: skip
    with pytest.raises(Unsupported):
        api.load(path)
    found = api.inspect(path)
    rows = {layer.path: (layer.class_name, layer.conversion) for layer in found.layers}
    assert [name for name in rows if not name.endswith("_input")] == ["one", "two", "own", "after", "last"]
    assert rows["one"] == ("Dense", "Dense")
    assert rows["own"][0] == "Mine" and rows["own"][1].startswith("REFUSED: the class Mine is not Keras' own")
    assert rows["after"][1] == "behind a layer that is refused"
    assert rows["last"][1].startswith("REFUSED")
    assert [line.split(":")[0] for line in found.warnings[:2]] == ["layer 'own' (Mine)", "layer 'last' (Other)"]
    assert found.warnings[-1].endswith("--outputs two")
    assert api.load(path, outputs=["two"]).outputs


def test_layers_that_are_refused_while_they_are_built(tmp_path: Path) -> None:
    """They are found one by one, each without the layers found before."""
    shape = {"target_shape": [4]}  # 3 numbers do not make 4
    path = chain(tmp_path / "m.h5", ("Dense", "one", DENSE), ("Mine", "own", {}), ("Reshape", "bad", shape))
    assert "own" in str(api.inspect(path).warnings)
    path = chain(tmp_path / "n.h5", ("Dense", "one", DENSE), ("Dense", "mine", DENSE | {"activation": "mine"}))
    found = api.inspect(path)
    assert [layer.path for layer in found.layers][-2:] == ["one", "mine"]
    assert found.layers[-1].conversion.startswith("REFUSED")
    assert found.warnings[-1].endswith("--outputs one")


def test_a_layer_in_a_nested_model_does_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    shutil.copy(GOOD / "k3151_nested" / "model.h5", path)
    with h5py.File(path, "r+") as file:
        text = str(file.attrs["model_config"])
        before, name, after = text.partition('"inner_dense"')
        kind = before.rindex('"Dense"')
        file.attrs["model_config"] = before[:kind] + '"Mine"' + before[kind + len('"Dense"') :] + name + after
    rows = {layer.path: (layer.class_name, layer.conversion) for layer in api.inspect(path).layers}
    assert rows["inner/inner_dense"][0] == "Mine" and rows["inner/inner_dense"][1].startswith("REFUSED")
    assert rows["inner/inner_lstm"] == ("LSTM", "in a model with a layer that is refused")
    assert rows["tail/tail_lstm"] == ("LSTM", "behind a layer that is refused")


def test_arrays_are_left_where_nothing_else_can_be_read(tmp_path: Path) -> None:
    path = chain(tmp_path / "m.h5", ("Dense", "one", DENSE))
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Mine", "config": {}})
    assert [layer.path for layer in api.inspect(path).layers] == ["one/kernel:0", "one/bias:0"]
