"""The versions of Keras that the tables give a layer class are those that have it."""

from __future__ import annotations

import importlib
import inspect

import pytest

from converter.keras.eras import existence
from converter.keras.eras.switches import Family
from converter.keras.layers import LAYERS
from converter.keras.layers.versions import KERAS_1, versions
from converter.model.activations import NAMES

CLASSES = {name for name in LAYERS if not name.startswith("ops.")}
# Not in the public module of layers: serialized names, and what tf.keras keeps elsewhere.
HIDDEN = {
    2: {"CuDNNGRU", "CuDNNLSTM", "PeepholeLSTMCell", "SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer"},
    3: {"GroupedQueryAttention"},
}


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "major"), [("tf_keras", 2), ("keras", 3)])
def test_each_version_has_the_classes_the_table_says(package: str, major: int) -> None:
    public = set(dir(importlib.import_module(package).layers))
    assert {name for name in CLASSES if major in versions(name)} - HIDDEN[major] == CLASSES & public


def test_keras_1_names_are_layers() -> None:
    assert KERAS_1 <= CLASSES


# Not in the table: what is no layer, or wraps another framework's.
FOREIGN = {"FlaxLayer", "InputSpec", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "family"), [("tf_keras", "tf.keras"), ("keras", "keras3")])
def test_the_newest_versions_have_the_names_the_table_says(package: str, family: Family) -> None:
    """Public layers are in existence.json up to its last version, and what it has up to there is in the package."""
    library, last = importlib.import_module(package), existence.versions(family)[-1]
    table = existence._table()[family]
    layers, activations = (
        {name for name, rows in table[section].items() if rows[-1][1] == existence.text(last)}
        for section in ("layers", "activations")
    )
    public = {name for name, kind in vars(library.layers).items() if inspect.isclass(kind)}
    assert public - FOREIGN <= layers
    functions = {name for name, made in vars(library.activations).items() if inspect.isfunction(made)}
    assert functions <= activations
    for name in sorted(activations & set(NAMES)):  # tf_keras finds some in tf.nn
        assert callable(library.activations.get(name)), name
