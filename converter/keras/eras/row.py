"""The form of the tables of switches: what changed from version to version, and who has seen it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Version = tuple[int, int, int]
# (since this version, the value, the evidence); fixtures that the evidence names ask for the row, as a test sees
Row = tuple[Version, Any, str]
# Name -> family -> rows by version. "keras:theano" is for files of that backend, "keras:other" for any but TensorFlow.
Switches = Mapping[str, Mapping[str, tuple[Row, ...]]]

ALWAYS: Version = (0, 0, 0)
TF2: Version = (2, 2, 5)  # TensorFlow 2.0, which writes 2.2.4 as TF 1.13 to 1.15 do; see Era.key
