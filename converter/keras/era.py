"""Which Keras wrote a file, and what that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Era:
    """A Keras version as far as meaning depends on it.

    Attributes:
        family: "keras" (multi-backend Keras 1 and 2), "tf.keras" (with tf_keras and Keras 2.4+, which are the same
            code), or "keras3".
        version: of Keras, e.g. (2, 2, 4).
        backend: "tensorflow", "theano", ... or "" where the file is silent.
    """

    family: Literal["keras", "tf.keras", "keras3"]
    version: tuple[int, int, int]
    backend: str = ""

    @property
    def major(self) -> int:
        """1, 2 or 3."""
        return max(1, self.version[0])

    def __str__(self) -> str:
        name = {"keras": "Keras", "tf.keras": "tf.keras", "keras3": "Keras"}[self.family]
        return f"{name} {'.'.join(map(str, self.version))}"


def parse(version: str, backend: str = "") -> Era:
    """The era of a `keras_version` attribute: "1.2.2", "2.2.4-tf", "2.15.0", "3.15.1".

    Raises:
        ValueError: the text is no version.
    """
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?([-.\w]*)", version.strip())
    if match is None:
        raise ValueError(f"{version!r} is not a Keras version")
    numbers = (int(match[1]), int(match[2]), int(match[3] or 0))
    if numbers[0] >= 3:
        return Era("keras3", numbers, backend)
    if numbers[0] == 2 and ("tf" in match[4] or numbers >= (2, 4, 0)):
        return Era("tf.keras", numbers, backend or "tensorflow")
    return Era("keras", numbers, backend)
