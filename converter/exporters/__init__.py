"""Targets, one module each, with `export(model, path, ...)`. Imported when used: `module(name).export(...)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Exporter:
    """One row: the module that exports, the suffix of its files, and what users call it."""

    module: str
    suffix: str
    title: str


EXPORTERS: Mapping[str, Exporter] = {
    "onnx": Exporter("converter.exporters.onnx", ".onnx", "ONNX"),
    "keras": Exporter("converter.exporters.keras", ".keras", "Keras 3 archive"),
    "torch": Exporter("converter.exporters.torch", ".safetensors", "PyTorch state_dict and module"),
    "flax": Exporter("converter.exporters.flax", ".safetensors", "Flax variables"),
    "npz": Exporter("converter.exporters.npz", ".npz", "NumPy arrays in Keras' packing"),
    "safetensors": Exporter("converter.exporters.safetensors", ".safetensors", "arrays in Keras' packing"),
}


def module(name: str) -> ModuleType:
    """The exporter's module, imported now.

    Raises:
        KeyError: no such target.
    """
    return import_module(EXPORTERS[name].module)
