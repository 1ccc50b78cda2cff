"""The layers of PyTorch state_dicts and of Flax variables, for comparing files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import numpy as np

from converter.errors import InvalidModel
from converter.model import Weight
from converter.readers.state_dict import RECURRENT, Block

Layer = tuple[str, str, Mapping[str, Weight]]  # name, kind, arrays by neutral field


def types(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """What the layers are, by name, as our own files say; empty for files of others.

    Raises:
        InvalidModel: the metadata is not what we write.
    """
    try:
        found = json.loads(metadata.get("layers", "{}"))
    except json.JSONDecodeError as error:
        raise InvalidModel("its metadata is not JSON", where="layers") from error
    return {re.sub(r"[^a-z0-9]+", "_", str(k).lower()).strip("_"): str(v) for k, v in dict(found).items()}


def torch_blocks(arrays: Mapping[str, Weight]) -> Iterator[Block]:
    """Arrays by layer, whatever the layer; single arrays (buffers) are no layer."""
    blocks: dict[str, Block] = {}
    for key, weight in arrays.items():
        match = RECURRENT.fullmatch(key)
        prefix, _, part = key.rpartition(".")
        name, reverse = prefix, ""
        if match:
            prefix, part, level, reverse = match.groups()
            name = ".".join(p for p in (prefix, f"l{level}" if level else None) if p) or "l0"
        elif not prefix:
            continue
        block = blocks.setdefault(name, Block(name))
        (block.reverse if reverse else block.arrays)[part] = weight
    return iter(blocks.values())


def torch_layer(block: Block, kinds: Mapping[str, str]) -> Layer:
    """A layer without recurrence: its kind, told from its arrays, and the arrays as Keras has them."""
    arrays = dict(block.arrays)
    weight, bias = arrays.get("weight"), arrays.get("bias")
    if "running_mean" in arrays:
        fields = {"gamma": weight, "beta": bias, "mean": arrays["running_mean"], "variance": arrays.get("running_var")}
        return block.name, "BatchNormalization", _present(fields)
    if weight is None:
        return block.name, "?", arrays
    rank = len(weight.shape)
    if rank == 1:
        return block.name, "LayerNormalization", _present({"gamma": weight, "beta": bias})
    if rank == 2 and bias is None and kinds.get(block.name) == "Embedding":
        return block.name, "Embedding", {"table": weight}
    axes = (*range(2, rank), 1, 0)
    shape = tuple(weight.shape[axis] for axis in axes)
    kernel = weight.map(lambda w: np.transpose(w, axes), shape)
    return block.name, "Dense" if rank == 2 else "Conv", _present({"kernel": kernel, "bias": bias})


def _present(fields: Mapping[str, Weight | None]) -> dict[str, Weight]:
    return {name: weight for name, weight in fields.items() if weight is not None}


_FLAX = {"kernel": "kernel", "bias": "bias", "embedding": "table", "scale": "gamma", "mean": "mean", "var": "variance"}


def flax_layers(
    arrays: Mapping[str, Weight], kinds: Mapping[str, str]
) -> tuple[dict[str, dict[str, Weight]], list[Layer]]:
    """Cells by place, their arrays by their names in linen; and the other layers."""
    cells: dict[str, dict[str, Weight]] = {}
    others: dict[str, dict[str, Weight]] = {}
    for key, weight in arrays.items():
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
