"""TensorFlow checkpoints: `save_weights("P")` and `tf.train.Checkpoint`, named by their prefix P or by P.index.

They hold no architecture. A checkpoint of TensorFlow 1's Saver knows its variables by their names only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter.errors import Unsupported
from converter.formats.archive import sha256
from converter.formats.sorted_table import is_table
from converter.formats.tensor_bundle import Bundle, open_bundle
from converter.keras.source import FlatWeights, Source
from converter.readers.common import NEEDS_ARCHITECTURE, NoArchitecture, provenance
from converter.readers.grouping import by_first_name
from converter.readers.object_graph import named_weights, object_graph, saver_variables

FORMAT = "TensorFlow checkpoint"
_DATA_FILE = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")


def sniff(path: Path) -> bool:
    """Whether `path` is the prefix, the index or a data file of a checkpoint, or a folder with some."""
    if path.is_dir():
        return any(is_table(index) for index in _indices(path))
    index = _index(_prefix(path))
    return is_table(index) or is_table(path) or (index.is_file() and path in (_prefix(path), index))


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The weights of the checkpoint, for an architecture that the user gives.

    Raises:
        InvalidModel: the checkpoint is broken.
        NoArchitecture: none is given.
    """
    bundle = _open(path)
    if architecture is None:
        raise NoArchitecture(
            f"a checkpoint holds no architecture, only weights: {_listed(bundle)}",
            hint=NEEDS_ARCHITECTURE,
        )
    digest = sha256(_index(bundle.prefix), *_data_files(bundle))
    weights = object_graph(bundle) or saver_variables(bundle)
    return Source(architecture, weights, provenance(path, FORMAT, None, "tensorflow", architecture, digest))


def read_weights(path: Path) -> FlatWeights:
    """All arrays of the checkpoint by the first part of their names; see `named_weights`.

    Raises:
        InvalidModel: the checkpoint is broken.
        Unsupported: it is of TensorFlow's first format, or holds things that are no arrays.
    """
    return by_first_name(named_weights(_open(path)).values())


def _open(path: Path) -> Bundle:
    if path.is_dir():
        names = [index.stem for index in _indices(path)]
        if len(names) != 1:
            raise Unsupported(f"{len(names)} checkpoints in one folder", hint=f"name one: {', '.join(names[:5])}")
        path = path / names[0]
    prefix = _prefix(path)
    if not _index(prefix).exists() and is_table(path):
        raise Unsupported(
            "a V1 checkpoint, the format before TensorFlow 0.12, which is not read",
            hint="load it with tf.compat.v1.train.Saver and save it again",
        )
    return open_bundle(prefix)


def _prefix(path: Path) -> Path:
    """The checkpoint's name without the endings of its files."""
    match = _DATA_FILE.fullmatch(path.name)
    if match is not None:
        return path.with_name(match[1])
    if path.suffix == ".index":
        return path.with_suffix("")
    return path


def _indices(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.index"))


def _index(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".index")


def _data_files(bundle: Bundle) -> list[Path]:
    """The data files that are there, in order."""
    return sorted(
        file
        for file in bundle.prefix.parent.iterdir()
        if (match := _DATA_FILE.fullmatch(file.name)) and match[1] == bundle.prefix.name and file.is_file()
    )


def _listed(bundle: Bundle) -> str:
    """How many arrays there are, and the first names."""
    names = list(named_weights(bundle))
    return f"{len(names)} arrays ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
