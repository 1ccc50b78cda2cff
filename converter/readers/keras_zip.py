"""`.keras` files of Keras 3 and of Keras 2.12 to 2.15 (tf_keras), the same as a folder, and sharded weights.

Source: keras/src/saving/saving_lib.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from converter import limits
from converter.errors import InvalidModel, Unsupported
from converter.formats import hdf5
from converter.formats.archive import Folder, Zip, open_zip, sha256
from converter.formats.stored_bytes import file_size
from converter.formats.text import decode, parse_json
from converter.keras.source import PathWeights, Source
from converter.readers.common import NEEDS_ARCHITECTURE, chosen, parse_architecture, provenance
from converter.readers.path_weights import VOCABULARY, StoredPaths

ASSETS = "assets"
CONFIG, METADATA = "config.json", "metadata.json"
WEIGHTS, SHARDS, PICKLED = "model.weights.h5", "model.weights.json", "model.weights.npz"


def sniff(path: Path) -> bool:
    """Whether it is a ZIP file, the folder of one that holds a Keras model, or the index of sharded weights."""
    if path.is_dir():
        names = Folder(path).names()
        return CONFIG in names and bool({METADATA, WEIGHTS, SHARDS} & names)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4096)
    return start.startswith((b"PK\3\4", b"PK\5\6")) or (start.lstrip().startswith(b"{") and b'"weight_map"' in start)


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The model of a `.keras` file or folder. An architecture given replaces the file's own.

    Raises:
        InvalidModel: the file is broken, or no Keras model.
        Unsupported: weights as NumPy archive, encrypted members, or no architecture at all.
    """
    if path.is_file() and not _is_zip(path):
        return _read_shards(path, chosen(None, architecture))
    archive = _open(path)
    names = archive.names()
    own = None if CONFIG not in names else parse_architecture(_text(archive, CONFIG), CONFIG)
    if own is None and architecture is None:  # a whole model that lost a part: nothing is guessed
        raise InvalidModel(f"there is no {CONFIG} in it, which holds the architecture", hint=NEEDS_ARCHITECTURE)
    metadata = parse_json(_text(archive, METADATA), METADATA) if METADATA in names else {}
    stated = metadata.get("keras_version") if isinstance(metadata, dict) else None
    version = stated if isinstance(stated, str) else None
    kind, files = ("Keras archive", [path]) if isinstance(archive, Zip) else ("Keras folder", _files(archive, names))
    described = provenance(path, kind, version, None, architecture, sha256(*files))
    return Source(chosen(own, architecture), _weights(archive), described)


def _read_shards(index: Path, architecture: Mapping[str, Any]) -> Source:
    folder = Folder(index.parent)
    files = (index, *_files(folder, _shard_names(folder, index.name)))
    described = provenance(index, "HDF5 weights (.weights.json, sharded)", None, None, architecture, sha256(*files))
    return Source(architecture, _shards(folder, index.name), described)


def _files(folder: Folder, names: Iterable[str]) -> list[Path]:
    """What a folder's model is made of, in order: files directly in it, and the words of its layers."""
    words = (path for path in sorted((folder.path / ASSETS).rglob(VOCABULARY)) if path.is_file())
    inside = [path for path in words if path.resolve().is_relative_to(folder.path.resolve())]
    return [*(folder.path / name for name in sorted(names)), *inside]


def read_weights(path: Path) -> PathWeights:
    """The arrays of a `.keras` file or folder, or of sharded weights.

    Raises:
        ConversionError: as `read`.
    """
    if path.is_file() and not _is_zip(path):
        return _shards(Folder(path.parent), path.name)
    return _weights(_open(path))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _open(path: Path) -> Folder | Zip:
    if path.is_dir():
        return Folder(path)
    archive = open_zip(path)
    names = archive.names()
    if CONFIG not in names and WEIGHTS not in names:
        raise _other_zip(names)
    return archive


# What else a ZIP file may be: how a member's name ends, what that means, and what to do.
_OTHER_ZIPS = (
    ("data.pkl", "a PyTorch file: a ZIP of pickled objects", "only Keras models are read"),
    ("saved_model.pb", "a SavedModel packed in a ZIP file", "unzip it and give the folder"),
    (".npy", "a NumPy archive: arrays without a model", ""),
    (".h5", "a ZIP file with an HDF5 file in it", "unzip it and give the .h5 file"),
    (".keras", "a ZIP file with a .keras file in it", "unzip it and give the .keras file"),
    ("config.json", "a ZIP file with config.json in a folder, not at its top", "unzip it and give that folder"),
)


def _other_zip(names: frozenset[str]) -> Unsupported | InvalidModel:
    for end, what, hint in _OTHER_ZIPS:
        if any(name.endswith(end) and ".." not in name for name in names):
            return Unsupported(what, hint=hint)
    return InvalidModel("a ZIP file without config.json: not a Keras model")


def _text(archive: Folder | Zip, name: str) -> str:
    return decode(archive.read(name, limits.TEXT_BYTES), name)


def _weights(archive: Folder | Zip) -> PathWeights:
    names = archive.names()
    if WEIGHTS in names:
        return StoredPaths((_hdf5(archive, WEIGHTS),), asset=_assets(archive, names))
    if SHARDS in names:
        return _shards(archive, SHARDS)
    if PICKLED in names:
        hint = "save the model again with Keras 3, which writes model.weights.h5"
        raise Unsupported("weights as a NumPy archive, which may hold code", where=PICKLED, hint=hint)
    raise InvalidModel("there is no model.weights.h5 in it: an architecture without weights")


def _hdf5(archive: Folder | Zip, name: str) -> hdf5.Group:
    try:
        if isinstance(archive, Folder):
            file_size(archive.path / name)  # a link out of the folder is refused
            return hdf5.open_file(archive.path / name)
        return hdf5.open_stream(*archive.open(name))
    except InvalidModel as error:
        raise (error if error.where == name else error.at(name)) from None


def _shards(archive: Folder | Zip, index: str) -> StoredPaths:
    parts = tuple(_hdf5(archive, name) for name in _shard_names(archive, index))
    return StoredPaths(parts, asset=_assets(archive, archive.names()))


def _assets(archive: Folder | Zip, names: Collection[str]) -> Callable[[tuple[str, ...]], bytes | None]:
    """Files that layers keep next to their arrays, below `assets` by the same names as the groups of the arrays."""

    def read(path: tuple[str, ...]) -> bytes | None:
        name = "/".join((ASSETS, *path))
        if isinstance(archive, Folder):
            return archive.read_below(name, limits.TEXT_BYTES)
        return archive.read(name, limits.TEXT_BYTES) if name in names else None

    return read


def _shard_names(archive: Folder | Zip, index: str) -> tuple[str, ...]:
    """The files that an index names, each once; all are next to it.

    Raises:
        InvalidModel: the index is broken, names a path, or a file is missing.
    """
    tree = parse_json(_text(archive, index), index)
    table = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(table, dict):
        raise InvalidModel("no weight_map: not an index of sharded weights", where=index)
    listed: dict[str, None] = {}
    for files in table.values():
        for name in files if isinstance(files, list) else [files]:
            if not isinstance(name, str) or not name or "/" in name or "\\" in name or name.startswith("."):
                raise InvalidModel(f"{name!r} is not a plain file name", where=index)
            listed[name] = None
    missing = sorted(listed.keys() - archive.names())
    if missing or not listed or len(listed) > limits.KERAS_SHARDS:
        raise InvalidModel(f"the shard {missing[0]!r} is missing" if missing else "no usable shards", where=index)
    return tuple(listed)
