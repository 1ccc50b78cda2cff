"""Rules for ONNX operators on text: lookups (LabelEncoder) and lower case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converter.errors import Unsupported
from converter.model import layers
from converter.readers.onnx.general import value_of
from converter.readers.onnx.tensors import Tensor, Val
from converter.readers.onnx.values import Builder, Call


def _side(call: Call, name: str) -> tuple[int | str, ...]:
    """Keys or values; text is UTF-8."""
    if f"{name}_int64s" in call.attributes:
        return tuple(int(n) for n in call.attributes[f"{name}_int64s"].ints)
    if f"{name}_strings" in call.attributes:
        return tuple(text.decode() for text in call.attributes[f"{name}_strings"].strings)
    raise Unsupported("LabelEncoder of other things than whole numbers and text")


def _lookup(builder: Builder, call: Call) -> list[Tensor]:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_LabelEncoder.html"""
    keys, values = _side(call, "keys"), _side(call, "values")
    if not keys or len(keys) != len(values) or len(set(keys)) != len(keys):
        raise Unsupported("LabelEncoder in which a key occurs twice, or without keys")
    words = isinstance(values[0], str)
    default: Any = call.string("default_string", "_Unused") if words else call.integer("default_int64", -1)
    x = value_of(builder, call, 0)
    if (x.dtype == "string") != isinstance(keys[0], str):
        raise Unsupported(f"LabelEncoder of {x.dtype}, with other keys")
    layer = layers.Lookup(keys, values, None if default == layers.NO_INDEX else default)
    return [Val(builder.node(call.name, layer, (x,), x.shape, dtype="string" if words else "int64")[0])]


def _lower(builder: Builder, call: Call) -> list[Tensor]:
    """https://onnx.ai/onnx/operators/onnx__StringNormalizer.html, where ASCII letters alone have a case."""
    told = (call.string("case_change_action", "NONE"), call.integer("is_case_sensitive", 0), call.string("locale", ""))
    if told != ("LOWER", 1, "C") or "stopwords" in call.attributes:
        raise Unsupported("StringNormalizer of another kind than lower case in the locale C")
    x = value_of(builder, call, 0)
    return [Val(builder.node(call.name, layers.LowerCase(), (x,), x.shape)[0])]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"LabelEncoder": _lookup, "StringNormalizer": _lower}
