"""NumPy archives of our own: arrays in Keras' packing, and the member "metadata" that says what they are."""

from __future__ import annotations

import io
import json
import math
import tokenize
import warnings
import zipfile
from pathlib import Path

import numpy as np

from converter.errors import SURPRISES, ConversionError, InvalidModel
from converter.formats.archive import Zip, open_zip
from converter.formats.safetensors import Contents
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


def read(path: Path) -> Contents:
    """The arrays, in file order, and the metadata.

    Raises:
        InvalidModel: a member is no array, or the metadata is not what we write.
    """
    archive = open_zip(path)
    try:
        metadata = json.loads(_text(_array(archive, _METADATA)))
    except (ValueError, json.JSONDecodeError) as error:
        raise InvalidModel("its metadata is no JSON text", where="metadata") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InvalidModel("its metadata is not made of texts", where="metadata")
    with zipfile.ZipFile(path) as file:  # in file order
        members = [name for name in file.namelist() if name != _METADATA]
    tensors = {}
    for member in members:
        name = member.removesuffix(".npy")
        tensors[name] = constant(name, _array(archive, member))
    return Contents(tensors, metadata)


def _text(array: Array) -> str:
    """The text that an array holds; NumPy itself takes any number for a character.

    Raises:
        ValueError: it holds none, or several.
    """
    if array.dtype.kind != "U" or array.ndim:
        raise ValueError("no text")
    return array.astype(array.dtype.newbyteorder("<")).tobytes().decode("utf-32-le").rstrip("\0")


def _array(archive: Zip, member: str) -> Array:
    """A member's values; what its header declares is held to what is there before anything is allocated."""
    data = archive.read(member, MAX_ARRAY)
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Python 2 wrote the header
            shape, fortran, dtype = read_header(stream)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
            raise InvalidModel(f"no NumPy array of {dtype.name} {shape}"[:120], where=member)
        values = np.frombuffer(data, dtype, offset=stream.tell())
        return np.array(values.reshape(shape, order="F" if fortran else "C"))
    except (*SURPRISES, EOFError, SyntaxError, tokenize.TokenError) as error:  # the header is Python's syntax
        raise InvalidModel(f"no NumPy array: {error}", where=member) from error
