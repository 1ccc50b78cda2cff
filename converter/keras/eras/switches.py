"""Which Keras wrote a file, and what that changes: SWITCHES, one table by version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from converter.keras.eras.file_switches import FILES
from converter.keras.eras.layer_switches import LAYERS
from converter.keras.eras.mask_switches import MASKS
from converter.keras.eras.recurrent_switches import RECURRENT
from converter.keras.eras.row import Row, Switches

Family = Literal["keras", "tf.keras", "keras3"]


@dataclass(frozen=True)
class Era:
    """A Keras version as far as meaning depends on it.

    Attributes:
        family: "keras" (multi-backend Keras 1 and 2), "tf.keras" (with tf_keras and Keras 2.4+, which are the same
            code), or "keras3".
        version: of Keras, e.g. (2, 2, 4).
        backend: "tensorflow", "theano", ... or "" where the file is silent.
        later: for versions that two releases of TensorFlow write, whether the file is of the later one: "2.2.4-tf" of
            TF 1.13 and 1.15, or of 2.0; "2.3.0-tf" of TF 2.1.4, or of 2.2.
        ragged: whether InputLayers say if they are ragged, as they do since TF 1.15; None where there is no InputLayer.
    """

    family: Family
    version: tuple[int, int, int]
    backend: str = ""
    later: bool = False
    ragged: bool | None = None

    @property
    def major(self) -> int:
        """1, 2 or 3."""
        return max(1, self.version[0])

    @property
    def key(self) -> tuple[int, int, int]:
        """The version as the table of switches sorts it: the later of two that are written alike counts one more."""
        major, minor, patch = self.version
        return (major, minor, patch + self.later)

    def switch(self, name: str) -> Any:
        """The value of a switch for this version: the last row at or below it."""
        return self.row(name)[1]

    def row(self, name: str) -> Row:
        """The row of a switch for this version and backend."""
        families = SWITCHES[name]
        others = () if self.backend in {"", "tensorflow"} else (f"{self.family}:{self.backend}", f"{self.family}:other")
        rows = next(families[family] for family in (*others, self.family) if family in families)
        return [row for row in rows if row[0] <= self.key][-1]

    def __str__(self) -> str:
        name = {"keras": "Keras", "tf.keras": "tf.keras", "keras3": "Keras"}[self.family]
        return f"{name} {'.'.join(map(str, self.version))}"


SWITCHES: Switches = {**FILES, **LAYERS, **MASKS, **RECURRENT}


def parse(version: str, backend: str = "") -> Era:
    """The era of a `keras_version` attribute: "1.2.2", "2.2.4-tf", "2.15.0", "3.15.1".

    Raises:
        ValueError: the text is no version.
    """
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?([-.+\w]*)", version.strip())
    if match is None:
        raise ValueError(f"{version!r} is not a Keras version")
    numbers = (int(match[1]), int(match[2]), int(match[3] or 0))
    if numbers[0] >= 3:
        return Era("keras3", numbers, backend)
    if numbers[0] == 2 and ("tf" in match[4] or numbers >= (2, 4, 0)):
        return Era("tf.keras", numbers, backend or "tensorflow")
    return Era("keras", numbers, backend)
