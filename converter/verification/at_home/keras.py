"""A `.keras` archive in Keras 3."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converter.model import Array
from converter.verification.at_home import Started
from converter.verification.elsewhere import installed


def started(path: Path) -> Started:
    """The archive, loaded.

    Raises:
        Unsupported: Keras is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keras = installed("keras", "keras-lstm-convert[tensorflow]")
    model = keras.models.load_model(path, compile=False)

    def run(inputs: Sequence[Array], states: Sequence[Array]) -> Sequence[Array]:
        if states and not any(np.any(state) for state in states):  # a new sequence: Keras keeps the states itself
            for layer in model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state() if hasattr(layer, "reset_state") else layer.reset_states()
        made = model(list(inputs) if len(inputs) > 1 else inputs[0])
        made = made if isinstance(made, list | tuple) else [made]
        return [np.asarray(keras.ops.convert_to_numpy(array)) for array in made]

    return Started(f"Keras {keras.__version__} on {keras.backend.backend()}", run, states=False)
