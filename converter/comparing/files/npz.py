"""NumPy archives of our own: neutral arrays, and the member "metadata" that says what they are."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from converter.comparing.files.neutral import neutral_parts
from converter.comparing.part import Part
from converter.errors import ConversionError, InvalidModel
from converter.formats.archive import Zip, open_zip
from converter.model import Array, constant

MAX_ARRAY = 1 << 32
_METADATA = "metadata.npy"


def sniff(path: Path) -> bool:
    """Whether it is an archive with our metadata."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        return _METADATA in open_zip(path).names()
    except ConversionError:  # whoever reads ZIP files says what is wrong with it
        return False


def parts(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel: a member is no array, or the metadata does not say what they are.
    """
    archive = open_zip(path)
    try:
        metadata = json.loads(str(_array(archive, _METADATA)))
    except (ValueError, json.JSONDecodeError) as error:
        raise InvalidModel("its metadata is no JSON text", where="metadata") from error
    tensors = {}
    with zipfile.ZipFile(path) as file:  # in file order
        members = [name for name in file.namelist() if name != _METADATA]
    for member in members:
        name, array = member.removesuffix(".npy"), _array(archive, member)
        tensors[name] = constant(name, array)
    return neutral_parts(tensors, metadata)


def _array(archive: Zip, member: str) -> Array:
    try:
        array: Array = np.load(io.BytesIO(archive.read(member, MAX_ARRAY)), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidModel(f"no NumPy array: {error}", where=member) from error
    return array
