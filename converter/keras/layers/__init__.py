"""LAYERS: every Keras layer class, by its Keras 3 name; each module is imported when needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from converter.keras.layer_type import LayerType
from converter.keras.layers.index import MODULES
from converter.keras.spec import PREFIX

_OPERATIONS = "converter.keras.operations.nodes"  # Keras 3's operations, "ops.X", too
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names.split()}


class _Layers(Mapping[str, LayerType]):
    """The rows of all modules, looked up where they are."""

    def __getitem__(self, name: str) -> LayerType:
        module = _OPERATIONS if name.startswith(PREFIX) else _MODULE_OF[name]
        row: LayerType = import_module(module).TYPES[name]
        return row

    def __iter__(self) -> Iterator[str]:
        operations = import_module(_OPERATIONS).TYPES
        return iter([*_MODULE_OF, *(name for name in operations if name.startswith(PREFIX))])

    def __len__(self) -> int:
        return len(list(iter(self)))


LAYERS: Mapping[str, LayerType] = _Layers()
