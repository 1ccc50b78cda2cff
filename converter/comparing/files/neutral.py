"""Weights in Keras' packing under neutral names, as the targets npz and safetensors write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from converter.comparing.part import Part, plain, unpacked
from converter.errors import InvalidModel
from converter.formats import safetensors
from converter.model import Weight

_NOT_HERE = ("torch", "flax linen")  # conventions that other targets write into the same container


def sniff(path: Path) -> bool:
    """Whether it is a safetensors file that says that it is in our own packing."""
    if not safetensors.sniff(path):
        return False
    return safetensors.read(path).metadata.get("conventions", "torch") not in _NOT_HERE


def parts(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    contents = safetensors.read(path)
    return neutral_parts(contents.tensors, contents.metadata)


def neutral_parts(tensors: Mapping[str, Weight], metadata: Mapping[str, str]) -> list[Part]:
    """Names end in the field; the metadata names conventions and layer types.

    Raises:
        InvalidModel: the metadata does not say what the arrays are.
    """
    try:
        conventions, kinds = json.loads(metadata["conventions"]), json.loads(metadata["layers"])
    except (KeyError, json.JSONDecodeError) as error:
        raise InvalidModel("its metadata does not say what the arrays are") from error
    groups: dict[str, dict[str, Weight]] = {}
    for name, weight in tensors.items():
        stem, _, field = name.rpartition("/")
        groups.setdefault(stem, {})[field] = weight
    found = []
    for stem, weights in groups.items():
        if stem in conventions and "kernel" in weights and len(weights["kernel"].shape) == 2:
            kind = re.split(r"[/(]", str(conventions[stem]))[1].replace("SimpleRNN", "RNN")
            read = partial(unpacked, weights, str(conventions[stem]))
            found.append(Part(stem, kind, weights["kernel"].shape, read))
        elif kinds.get(stem) != "Constant":
            convolved = stem in conventions  # a recurrent layer whose kernel has more than two axes
            found.append(plain(stem, "ConvLSTM" if convolved else str(kinds.get(stem)), weights))
    return found
