"""TensorFlow checkpoints: `save_weights("P")` and `tf.train.Checkpoint`, named by their prefix P or by P.index.

They hold no architecture. What a checkpoint of TensorFlow 1's Saver holds can be listed, but not matched with layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter.errors import Unsupported
from converter.formats.sorted_table import is_table
from converter.formats.stored_bytes import sha256
from converter.formats.tensor_bundle import Bundle, open_bundle
from converter.keras.source import Source
from converter.model import Provenance, Weight
from converter.readers.object_graph import named_weights, object_graph

FORMAT = "TensorFlow checkpoint"
_DATA_FILE = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")


def sniff(path: Path) -> bool:
    """Whether `path` is the prefix, the index or a data file of a checkpoint, or a folder with just one."""
    prefix = _prefix(path)
    return is_table(prefix.with_name(prefix.name + ".index")) or is_table(path)


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The weights of the checkpoint, for an architecture that the user gives.

    Raises:
        InvalidModel: the checkpoint is broken.
        Unsupported: there is no architecture, or no object graph to match it with.
    """
    bundle = _open(path)
    root = object_graph(bundle)
    if root is None:
        raise Unsupported(
            f"a checkpoint of TensorFlow 1's Saver: {_listed(bundle)}, but nothing says which layer owns them",
            hint="its arrays can be inspected and written with --to npz",
        )
    if architecture is None:
        raise Unsupported(
            f"a checkpoint holds no architecture, only weights: {_listed(bundle)}",
            hint="pass the model's JSON with --architecture",
        )
    version, backend = (str(architecture.get(key) or "") for key in ("keras_version", "backend"))
    digest = sha256([_index(bundle.prefix), *_data_files(bundle)])
    return Source(architecture, root, Provenance(str(path), FORMAT, version, backend=backend, sha256=digest))


def read_weights(path: Path) -> dict[str, Weight]:
    """All arrays of the checkpoint by name, without an architecture; see `named_weights`.

    Raises:
        InvalidModel: the checkpoint is broken.
        Unsupported: it is of TensorFlow's first format, or holds things that are no arrays.
    """
    return named_weights(_open(path))


def _open(path: Path) -> Bundle:
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
    if path.is_dir() and not (path / "saved_model.pb").exists():
        found = sorted(path.glob("*.index"))
        return found[0].with_suffix("") if len(found) == 1 else path
    return path


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
