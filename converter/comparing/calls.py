"""Layers that are called more than once, where a file lists each call as a layer with weights of its own.

ONNX files of ours write the weights of a recurrent operator for each call of its layer, under the call's name:
"lstm/LSTM", "lstm__1/LSTM". The layer is then held once by the other file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from converter.comparing.part import Part

_OPERATOR = re.compile(r"(/[A-Z]\w*)+(?= |$)")  # the end of a node's name in ONNX: "/LSTM", "/MatMul_2"
_CALL = re.compile(r"__\d+(?=[/ ]|$)")


@cache
def layer_name(name: str) -> str:
    """The name of a part as its Keras layer has it, with the direction, without the operator."""
    return _OPERATOR.sub("", name)


@cache
def spellings(name: str) -> tuple[str, str]:
    """A name as any format may spell it: with the operator, as archives made of ONNX files have it, and without.

    The first level of a PyTorch layer, "lstm.l0 forward", is the layer itself.
    """
    name = re.sub(r"\.l0(?= |$)", "", name)
    whole, layer = (re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") for text in (name, layer_name(name)))
    return whole, layer


def calls_again(parts: Sequence[Part], other: Sequence[Part]) -> list[tuple[Part, Part]]:
    """The parts that the other file has no layer for, as they are further calls of one before, each with that one.

    Whether the weights are the same is for the caller to see.
    """
    there = {spelling for part in other for spelling in spellings(part.name)}
    first: dict[tuple[str, tuple[object, ...]], Part] = {}
    found: list[tuple[Part, Part]] = []
    for part in parts:
        name = layer_name(part.name)
        again = _CALL.search(name) and not there.intersection(spellings(part.name))
        before = first.get((_CALL.sub("", name), part.signature)) if again else None
        if before is not None:
            found.append((part, before))
        else:
            first.setdefault((name, part.signature), part)
    return found
