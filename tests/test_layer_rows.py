"""A layer class has one row: all that Keras has are known, and a new one needs its row and the index alone."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime as ort
import pytest

from converter.errors import Unsupported
from converter.interpret import run
from converter.keras.build import build
from converter.keras.building.graph import Tensor
from converter.keras.layer_type import LayerType
from converter.keras.layers.index import ALIASES, MODULES
from converter.keras.layers.refused import REFUSED
from converter.keras.schema import Config
from converter.keras.source import FlatWeights, Source
from converter.model import Provenance

ROOT = Path(__file__).parents[1]
CONVERTED = {name for names in MODULES.values() for name in names.split()}
NOT_OF_FILES = {"InputSpec", "Lambda"}  # no layer; refused by the name of the layer, see dialects.custom


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_every_layer_of_keras_is_converted_or_refused_for_a_reason(package: str) -> None:
    public = vars(importlib.import_module(package).layers)
    if package == "tf_keras":
        public = public | vars(public["experimental"]) | vars(public["experimental"].preprocessing)
    names = {cls.__name__ for cls in public.values() if inspect.isclass(cls)} | {
        name for name, cls in public.items() if inspect.isclass(cls)
    }
    assert names - CONVERTED - set(ALIASES) - set(REFUSED) == NOT_OF_FILES


def test_no_class_is_converted_and_refused() -> None:
    assert not set(REFUSED) & (CONVERTED | set(ALIASES))


def archive_layer(class_name: str, **config: Any) -> dict[str, Any]:
    """A layer as Keras 3 says that it is its own."""
    own = {"module": "keras.layers", "registered_name": None}
    return {"class_name": class_name, "config": {"name": class_name.lower(), **config}, **own}


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """A model of [batch, 4, 4, 3] without arrays."""
    entry = archive_layer("InputLayer", batch_shape=[None, 4, 4, 3])
    return {"class_name": "Sequential", "config": {"name": "toy", "layers": [entry, *layers]}}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_class_is_called_keras_own_and_a_plugin_may_supply_it(name: str) -> None:
    tree = sequential(archive_layer(name))
    source = Source(tree, FlatWeights({}), Provenance("model.keras", "Keras 3 archive", "3.15.1"))
    with pytest.raises(Unsupported, match=f"{name} is a class of Keras' own that is not converted: .*--plugin"):
        build(source)
    row = LayerType(Config, lambda call: (Tensor(call.ops.with_scalar("multiply", call.x.value, 2.0)),))
    model = build(source, plugins={name: row})
    (y,) = run(model, {model.inputs[0].name: np.ones((1, 4, 4, 3))}).values()
    assert np.all(y == 2)


TOY = '''"""A layer class, as CONTRIBUTING.md says how to add one."""

from __future__ import annotations

from converter.keras.building.graph import Tensor
from converter.keras.layer_type import LayerType
from converter.keras.schema import Config
from converter.keras.spec import Call


class ToyConfig(Config, frozen=True):
    """https://keras.io/api/layers/"""

    times: float = 2.0


def _toy(call: Call) -> tuple[Tensor, ...]:
    return (Tensor(call.ops.with_scalar("multiply", call.x.value, call.config.times)),)


TYPES: dict[str, LayerType] = {"HashedCrossing": LayerType(ToyConfig, _toy, masking="pass", aliases=("OldCrossing",))}
'''


def test_a_new_layer_class_needs_its_row_and_the_index_alone(tmp_path: Path) -> None:
    """In a copy of the program: a module with a row, the index made anew, and the command line converts the class."""
    for name in ("converter", "reference_lstm", "tests/layer_index.py"):
        (shutil.copytree if (ROOT / name).is_dir() else copy_file)(ROOT / name, tmp_path / name)
    (tmp_path / "converter/keras/layers/toy.py").write_text(TOY)

    def python(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=120)

    python("tests/layer_index.py")
    for class_name in ("HashedCrossing", "OldCrossing"):
        with h5py.File(tmp_path / f"{class_name}.h5", "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = "3.15.1", "tensorflow"
            file.attrs["model_config"] = json.dumps(sequential(archive_layer(class_name, times=4.0)))
            file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
        python("-m", "converter", f"{class_name}.h5", "-o", f"{class_name}.onnx")
        session = ort.InferenceSession(tmp_path / f"{class_name}.onnx", providers=["CPUExecutionProvider"])
        x = np.ones((2, 4, 4, 3), np.float32)
        (y,) = session.run(None, {session.get_inputs()[0].name: x})
        assert np.array_equal(y, 4 * x)


def copy_file(source: Path, target: Path) -> None:
    """A file, and the folder it is in."""
    target.parent.mkdir(exist_ok=True)
    shutil.copy(source, target)
