"""What a configuration is read by: the era of the file, and the layers that the user supplies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from converter.keras.activation_argument import function_name
from converter.keras.architecture.dialects import is_foreign
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType
from converter.keras.layers.refused import REFUSED
from converter.model.activations import Activation


@dataclass(frozen=True, eq=False)
class Context:
    """An era, and plugins: rows like those of `converter.keras.layers.LAYERS`, by the names of `plugin_for`.

    `activations`: functions that plugins explain, by name.
    `ordering` is the dim_ordering that the file's layers agree on ("" if they don't), see `dialects.ordering_of`.
    `complete`: whether the file's configurations are as `get_config` wrote them, see `ownership.is_complete`.
    """

    era: Era
    plugins: Mapping[str, LayerType] = field(default_factory=dict)
    ordering: str = ""
    complete: bool = True
    activations: Mapping[str, Activation] = field(default_factory=dict)

    def activated(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration in which the functions that plugins explain are what they are said to be."""
        found = {
            key: self.activations[name]
            for key, value in config.items()
            if key.endswith("activation") and (name := function_name(value)) in self.activations
        }
        return {**config, **{key: {"class_name": "function", "config": meant} for key, meant in found.items()}}

    def plugin_for(self, raw: Mapping[str, Any], own: str) -> str:
        """The key of the plugin that explains the serialized layer `raw` called `own`, or "".

        A class is looked up as "Package>Class", as registered, then as "Class"; a Lambda as "Lambda:name_of_the_layer".
        What the file says to be Keras' own is looked up only where the program refuses that class. Where the file does
        not say (legacy HDF5), a plugin that bears the name of a layer of Keras comes first.
        """
        if not self.plugins:
            return ""
        name = str(raw.get("class_name"))
        if name == "Lambda":
            names = [f"Lambda:{own}"]
        elif isinstance(raw.get("module"), str) and not is_foreign(raw) and name not in REFUSED:
            return ""
        else:
            names = [str(raw.get("registered_name")), name, name.rpartition(">")[2]]
        return next((key for key in names if key in self.plugins), "")
