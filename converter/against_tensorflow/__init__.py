"""The same proof against TensorFlow: the neutral model run with its own layers and operators, in float64.

The layers are built from the neutral model, not by loading the file, which today's Keras reads as something else where
meaning changed. Files of Keras 1 and 2 use tf_keras' layers, those of Keras 3 Keras 3's. Needs the extra `tensorflow`.

    stage      TensorFlow, a Keras, and the activations
    layers     one rule per neutral layer that Keras has
    operators  the small ones, as TensorFlow operators
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from converter.against_tensorflow.layers import compute
from converter.against_tensorflow.stage import Stage
from converter.errors import Unsupported
from converter.model import Array, Model
from converter.model.layers import Recurrent
from converter.verification import Truth

__all__ = ["engine"]


def _array(tensor: Any) -> Array:
    """NumPy's, strings as text."""
    array = np.asarray(tensor)
    return np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype.hasobject else array


def engine(model: Model) -> Truth:
    """TensorFlow as the truth for a model.

    Raises:
        Unsupported: TensorFlow or the Keras that the file needs is not installed, or Keras runs on another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    package = "keras" if model.source.keras_version.startswith("3") else "tf_keras"
    try:
        tf, keras, activations = import_module("tensorflow"), import_module(package), import_module("keras")
    except ImportError as error:
        raise Unsupported(
            f"{error.name} is not installed, so there is nothing to compare with",
            hint="pip install 'keras-lstm-convert[tensorflow]'",
        ) from error
    if activations.backend.backend() != "tensorflow":
        raise Unsupported("Keras does not run on TensorFlow here", hint="set KERAS_BACKEND=tensorflow")
    stage = Stage(tf, keras.layers, activations.activations)

    def run(inputs: Mapping[str, Array], states: Mapping[str, Array]) -> dict[str, Array]:
        values: dict[str, Any] = {name: stage.tensor(array) for name, array in {**inputs, **states}.items()}
        for node in model.nodes:
            given = [None if value is None else values[value.name] for value in node.inputs]
            made = compute(node.layer, stage, given, node.outputs[0].dtype)
            made = made if isinstance(node.layer, Recurrent) else [made]
            values.update({value.name: tensor for value, tensor in zip(node.outputs, made, strict=True)})
        wanted = [value.name for value in model.outputs] + [state.output.name for state in model.states]
        return {name: _array(values[name]) for name in wanted}

    return Truth(f"TensorFlow {tf.__version__}, {package} {keras.__version__}", run)
