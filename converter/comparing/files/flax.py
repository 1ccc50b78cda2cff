"""Flax variables (linen) of our own: cells below ".../cell", other layers by the name of their field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from converter.comparing.files.metadata import types
from converter.comparing.part import Part, plain, unpacked
from converter.formats import safetensors
from converter.gates import ORDERS
from converter.model import Weight

Layer = tuple[str, str, Mapping[str, Weight]]  # name, kind, arrays by neutral field


def sniff(path: Path) -> bool:
    """Whether it is a safetensors file that says so."""
    return safetensors.sniff(path) and safetensors.read(path).metadata.get("conventions") == "flax linen"


def parts(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    contents = safetensors.read(path)
    cells, others = _layers(contents.tensors, types(contents.metadata))
    found = [plain(*layer) for layer in others]
    for place, given in cells.items():
        kind = "LSTM" if "ii/kernel" in given else "GRU" if "iz/kernel" in given else "RNN"
        first = next(weight for name, weight in given.items() if name.startswith("i") and name.endswith("/kernel"))
        shape = (first.shape[0], len(ORDERS[kind]) * first.shape[1])
        convention = {"LSTM": "flax/LSTMCell", "GRU": "flax/GRUCell", "RNN": "flax/SimpleCell"}[kind]
        found.append(Part(place, kind, shape, partial(unpacked, given, convention)))
    return found


_FLAX = {"kernel": "kernel", "bias": "bias", "embedding": "table", "scale": "gamma", "mean": "mean", "var": "variance"}


def _layers(arrays: Mapping[str, Weight], kinds: Mapping[str, str]) -> tuple[dict[str, dict[str, Weight]], list[Layer]]:
    """Cells by place, their arrays by their names in linen; and the other layers."""
    cells: dict[str, dict[str, Weight]] = {}
    others: dict[str, dict[str, Weight]] = {}
    for key, weight in arrays.items():
        if key.startswith("constants/"):  # of the graph, no layer's
            continue
        place, inside, part = key.partition("/cell/")
        if inside:
            cells.setdefault(place.removeprefix("params/"), {})[part] = weight
            continue
        _, name, part = key.split("/") if key.count("/") == 2 else ("", key, "?")
        others.setdefault(name, {})[_FLAX.get(part, part)] = weight
    out: list[Layer] = []
    for name, fields in others.items():
        kind = kinds.get(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"), "Dense")
        if kind.endswith("Normalization"):
            fields = {"beta" if field == "bias" else field: weight for field, weight in fields.items()}
        out.append((name, kind, fields))
    return cells, out
