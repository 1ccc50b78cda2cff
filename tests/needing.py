"""Marks of test files that build models with genuine Keras."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

BOTH_KERAS = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        not all(find_spec(name) for name in ("tensorflow", "keras", "tf_keras")), reason="needs TensorFlow and tf_keras"
    ),
    pytest.mark.filterwarnings("ignore"),  # Keras' own, while it builds and saves
]
