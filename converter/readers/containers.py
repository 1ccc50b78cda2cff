"""The kinds of containers: one row of `READERS` and one module each; which one a file is, is found by its content."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from converter.keras.source import FlatWeights, ObjectWeights, PathWeights, Source


@dataclass(frozen=True)
class Container:
    """A kind of container.

    Attributes:
        module: reads it, see `Reader`; where it holds no Keras architecture, by `load(path)`, which gives a model.
        seconds: of processor time that it may take, and more for each byte (`limits.READER_BYTES_PER_SECOND`); its
            bytes and nodes are in `limits`. The slowest honest ones: 5,000 layers in HDF5 take 8 s.
        suffixes: of files that a search for models takes for one.
        marks: names, as `glob` has them, that make a folder a model, together.
    """

    module: str
    seconds: int
    suffixes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


READERS: Mapping[str, Container] = {
    "state_dict": Container("converter.readers.state_dict", 30),  # before keras_zip: torch.save writes ZIP files
    # Before h5: what it stores may look like HDF5 behind a user block.
    "keras_zip": Container("converter.readers.keras_zip", 120, (".keras",), ("config.json", "metadata.json")),
    "h5": Container("converter.readers.h5", 120, (".h5", ".hdf5")),
    "saved_model": Container("converter.readers.saved_model", 120, marks=("saved_model.*",)),
    "checkpoint": Container("converter.readers.checkpoint", 60),
    "tfjs": Container("converter.readers.tfjs", 60, marks=("model.json", "*.bin")),
}
"""In the order they are asked."""

OTHERS: Mapping[str, tuple[str, Container]] = {
    "converter.formats.onnx_tensor": ("onnx", Container("converter.readers.onnx.file", 60)),
    "converter.formats.safetensors": ("state_dict", READERS["state_dict"]),
    "converter.formats.npz": ("own_arrays", Container("converter.readers.own_arrays", 30)),
    "converter.formats.pytorch": ("state_dict", READERS["state_dict"]),
}
"""Files without a Keras architecture: a small module with `sniff(path)`, asked of every file -> kind and container."""


class Reader(Protocol):
    """What every module of READERS offers."""

    def sniff(self, path: Path) -> bool:
        """Whether the content of `path` is of this kind; cheap."""

    def read(self, path: Path, architecture: Mapping[str, Any] | None) -> Source:
        """What the file says of a model; an architecture given replaces its own."""

    def read_weights(self, path: Path) -> FlatWeights | PathWeights | ObjectWeights:
        """Its arrays alone; no architecture is needed."""


def reader(kind: str) -> Reader:
    """The module that reads a kind of container."""
    return cast(Reader, importlib.import_module(READERS[kind].module))


def find(path: Path) -> str:
    """The kind of container that `path` is, a key of READERS; found by its content, not its name.

    Raises:
        InvalidModel: there is nothing there, or nothing that could hold a model.
        Unsupported: it is something known that is not read: ONNX, PyTorch, a Git LFS pointer, ...
    """
    for kind in READERS:
        if reader(kind).sniff(path):
            return kind
    from converter.readers.unreadable import describe

    raise describe(path)
