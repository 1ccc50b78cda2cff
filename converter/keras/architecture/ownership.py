"""Whose class it is: Keras' own, or one of the author's that only bears the name of a layer of some Keras.

A class counts as Keras' own where the file says so (`module`, in archives), and where it does not, only if that version
had a class of that name and the configuration has every key that it always wrote. A name alone says nothing:
LayerNormalization in a file of Keras 2.2.4, or one without `axis`, is code that the file does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from converter.errors import ConversionError, clean
from converter.keras.architecture.context import Context
from converter.keras.architecture.dialects import MODELS, custom, is_foreign, is_operation
from converter.keras.eras.existence import anywhere, had
from converter.keras.eras.switches import Era
from converter.keras.layers import LAYERS
from converter.keras.layers.index import ALIASES

# What base classes of layers write, each in some version.
ANY_LAYER = frozenset({
    "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "input_dtype", "build_config",
    "activity_regularizer", "autocast", "batch_size", "dynamic", "shared_object_id",
})  # fmt: skip

_NO_LAYERS = ("_initializer", "_regularizer", "_constraint", "dtype", "init")  # some are called like layers: Identity


def refuse_strangers(raw: Mapping[str, Any], context: Context) -> None:
    """Refuse a layer that is not Keras' own, or that wraps one that is not.

    Raises:
        Unsupported: and why it is the author's.
    """
    for layer in _unexplained(raw, context):
        if reason := stranger(layer, context.era, complete=context.complete):
            error: ConversionError = custom(layer, reason)
            raise error if layer is raw else error.at(f"wrapped {clean(layer['class_name'])}")


def stranger(raw: Mapping[str, Any], era: Era, complete: bool = True) -> str:
    """Why a serialized layer is not Keras' own; "" if it is, or if no Keras has a class of its name.

    `complete`: whether the configuration is as `get_config` wrote it, not by somebody's hand.
    """
    name, config = str(raw.get("class_name")), raw.get("config")
    if isinstance(raw.get("module"), str) or name in MODELS or name == "Lambda" or is_foreign(raw):
        return ""
    operation = era.switch("operations_are_layers") and is_operation(raw)
    span = had("operations" if operation else "layers", name, era)
    if span is None:
        some = anywhere("layers", name)
        known = some or name in LAYERS or name in ALIASES
        return f"{era} has none of that name" + (f" ({some} did)" if some else "") if known else ""
    if not complete or not isinstance(config, Mapping) or "trainable" not in config:  # every layer's get_config has it
        return ""
    if missing := sorted(span.always - {*config}):
        return f"that of {era} always writes {', '.join(missing[:3])}"
    row = LAYERS.get(name)
    if row is None or era.switch("keras1_spellings") or operation:
        return ""
    keys = span.always | span.ever | ANY_LAYER | {*row.config.__struct_fields__, *row.config.inert}
    if surplus := sorted(clean(key, 40) for key in {*config} - keys):
        return f"that of {era} never writes {', '.join(surplus[:3])}"
    return ""


def is_complete(architecture: Any) -> bool:
    """Whether any layer of an architecture says `trainable`, as every get_config does and hand-written ones don't."""
    waiting = [architecture]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            config = item.get("config")
            if "class_name" in item and isinstance(config, Mapping) and "trainable" in config:
                return True
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return False


def _unexplained(raw: Mapping[str, Any], context: Context) -> Iterator[Mapping[str, Any]]:
    """A layer and those it wraps, without models' own and without what a plugin explains."""
    waiting: list[Any] = [raw]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, Mapping):
            name, config = item.get("class_name"), item.get("config")
            if isinstance(name, str) and isinstance(config, Mapping):
                own = config.get("name")
                if name in MODELS or context.plugin_for(item, own if isinstance(own, str) else ""):
                    continue
                if item is raw or name in LAYERS or anywhere("layers", name):
                    yield item
                waiting += [value for key, value in config.items() if not key.endswith(_NO_LAYERS)]
