"""The versions of Keras that the tables give a layer class are those that have it."""

from __future__ import annotations

import importlib

import pytest

from converter.keras.layers import LAYERS
from converter.keras.layers.versions import KERAS_1, versions

CLASSES = {name for name in LAYERS if not name.startswith("ops.")}
# Not in the public module of layers: serialised names, and what tf.keras keeps elsewhere.
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
