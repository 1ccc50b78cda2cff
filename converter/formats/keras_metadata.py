"""What `metadata.json` of a `.keras` archive of our own says next to what Keras writes there."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from zipfile import is_zipfile

from converter import limits
from converter.errors import InvalidModel
from converter.formats.archive import open_zip
from converter.formats.text import decode, parse_json

MEMBER = "metadata.json"
SCALED = "scaled_weights"
"""By layer (and direction): what the blocks of the last axis of its arrays, one for each gate, were multiplied by."""

OPENS_FROM = "opens_from"
"""The first version of Keras that opens the archive."""


def scaled_weights(path: Path) -> Mapping[str, tuple[float, ...]]:
    """The entry `SCALED` of an archive; nothing where it is none, or does not say it.

    Raises:
        InvalidModel: it is not what we write.
    """
    archive = open_zip(path) if path.is_file() and is_zipfile(path) else None
    if archive is None or MEMBER not in archive.names():
        return {}
    metadata = parse_json(decode(archive.read(MEMBER, limits.TEXT_BYTES), MEMBER), MEMBER)
    found = metadata.get(SCALED, {}) if isinstance(metadata, dict) else {}
    if not isinstance(found, dict) or not all(isinstance(by, list) and all(map(_factor, by)) for by in found.values()):
        raise InvalidModel(f"{SCALED} is not a list of factors for each layer", where=MEMBER)
    return {name: tuple(map(float, by)) for name, by in found.items()}


def _factor(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6 and isfinite(value)
