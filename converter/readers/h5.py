"""HDF5 files of Keras: whole models, weights of the legacy layout (since 0.3), `.weights.h5` of Keras 3, 2.12 to 2.15.

Keras 0.3 stores weights alone: arrays by number, in groups by number, or of a Graph in one group.

Source: keras/src/legacy/saving/legacy_h5_format.py; keras/engine/topology.py of Keras 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter.errors import ConversionError, InvalidModel
from converter.formats import hdf5
from converter.formats.archive import sha256
from converter.keras.source import FlatWeights, PathWeights, Source
from converter.model import Weight
from converter.model.naming import first_repeated
from converter.readers.common import chosen, parse_architecture, provenance
from converter.readers.path_weights import StoredPaths

TOP_LEVEL = "top_level_model_weights"
"""The group of the arrays that belong to the model itself, not to a layer; listed nowhere."""


def sniff(path: Path) -> bool:
    """Whether it is an HDF5 file."""
    return path.is_file() and hdf5.is_hdf5(path)


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The model of an HDF5 file. An architecture given replaces the file's own.

    Raises:
        InvalidModel: the file is broken, or holds no Keras model.
        Unsupported: it holds weights only and no architecture is given.
    """
    root = hdf5.open_file(path)
    text = root.joined_text("model_config")
    own = None if text is None or architecture is not None else parse_architecture(text, "model_config")
    kind, weights = _weights(root)
    kind = kind if text is None else "HDF5 whole model"
    where = _weights_root(root)
    version, backend = (root.text(key) or where.text(key) for key in ("keras_version", "backend"))
    return Source(
        chosen(own, architecture), weights, provenance(path, kind, version, backend, architecture, sha256(path))
    )


def read_weights(path: Path) -> FlatWeights | PathWeights:
    """The arrays of an HDF5 file, whether or not it holds an architecture.

    Raises:
        ConversionError: as `read`.
    """
    return _weights(hdf5.open_file(path))[1]


def _weights_root(root: hdf5.Group) -> hdf5.Group:
    """The group that lists the layers: the root of a weights file, `model_weights` of a whole model."""
    if root.texts("layer_names") is not None:
        return root
    return root.group("model_weights") or root


def _weights(root: hdf5.Group) -> tuple[str, FlatWeights | PathWeights]:
    """What kind of file it is, and its arrays."""
    where = _weights_root(root)
    names = where.texts("layer_names")
    if names is not None:
        return "HDF5 weights", FlatWeights(_layers(where, names))
    if StoredPaths.fits(root):
        return "HDF5 weights (.weights.h5)", StoredPaths((root,))
    numbered = _numbered(root, "layer_") or tuple(name for name in root.names() if name == "graph")
    if numbered:
        return "HDF5 weights of Keras 0.3", FlatWeights({name: _parameters(root, name) for name in numbered})
    raise InvalidModel("an HDF5 file, but not one of Keras: there are no weights of layers in it")


def _numbered(group: hdf5.Group, prefix: str) -> tuple[str, ...]:
    """The names prefix0, prefix1, ... in a group, by number."""
    found = [name for name in group.names() if re.fullmatch(rf"{prefix}(0|[1-9]\d{{0,8}})", name)]
    return tuple(sorted(found, key=lambda name: int(name.removeprefix(prefix))))


def _parameters(root: hdf5.Group, layer: str) -> tuple[Weight, ...]:
    """The arrays of a layer of Keras 0.3, which have no names: `save_weights` in keras/models.py of 0.3.3."""
    group = root.group(layer)
    if group is None:
        raise InvalidModel(f"{layer} is no group")
    return tuple(group.weight(name, name=f"{layer}/{name}") for name in _numbered(group, "param_"))


def _layers(where: hdf5.Group, names: tuple[str, ...]) -> dict[str, tuple[Weight, ...]]:
    if (repeated := first_repeated(names)) is not None:
        raise InvalidModel(f"layer_names lists {repeated!r} twice")
    layers = {name: _arrays(where, name) for name in names}
    top = where.group(TOP_LEVEL)
    if top is not None and top.texts("weight_names"):
        layers[TOP_LEVEL] = _arrays(where, TOP_LEVEL)
    return layers


def _arrays(where: hdf5.Group, layer: str) -> tuple[Weight, ...]:
    """The arrays of a top-level layer, in file order. Its name may hold slashes, then it is a path of groups."""
    try:
        group = where.group(*hdf5.split(layer))
        if group is None:
            raise InvalidModel("the layer is listed but its group is missing")
        names = group.texts("weight_names")
        if names is None:
            raise InvalidModel("the layer's group has no weight_names")
        if len(set(names)) != len(names):
            raise InvalidModel("weight_names lists an array twice")
        return tuple(group.weight(*hdf5.split(name), name=name) for name in names)
    except ConversionError as error:
        raise error.at(f"layer {layer!r}") from None
