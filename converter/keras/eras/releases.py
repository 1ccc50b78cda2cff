"""Facts about whole releases: the Keras in each TensorFlow, and which Keras 3 open what an archive holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from converter.keras.eras.candidates import runs
from converter.keras.eras.existence import text, versions
from converter.keras.eras.switches import Era

# tensorflow/python/keras/__init__.py of each release, for SavedModels that do not name it; from 2.5 on it has
# TensorFlow's own numbers.
KERAS_OF_TENSORFLOW: Final[Mapping[tuple[int, int], str]] = {
    (1, 13): "2.2.4-tf",
    (1, 14): "2.2.4-tf",
    (1, 15): "2.2.4-tf",
    (2, 0): "2.2.4-tf",
    (2, 1): "2.3.0-tf",
    (2, 2): "2.3.0-tf",
    (2, 3): "2.4.0",
    (2, 4): "2.4.0",
} | {(2, minor): f"2.{minor}.0" for minor in range(5, 16)}

# The first Keras 3 that opens what an archive of 3.15 holds: CI opens the archives of all fixtures in 3.3.3, 3.5.0 and
# the newest.
SEQUENTIAL: Final = (3, 3)
FUNCTIONAL: Final = (3, 5)
NAMED_OPERATIONS: Final = (3, 11)  # keras/src/ops/operation.py: get_config writes the name, from_config takes it


def openers(first: tuple[int, int]) -> list[str]:
    """One of each run of versions from `first` on that nothing tells apart."""
    eras = [Era("keras3", (major, minor, patch)) for major, minor, patch in versions("keras3")]
    return [text(run[-1].version) for run in runs([era for era in eras if era.version >= first])]
