"""PyTorch state_dicts (.safetensors, .pt) as models: recurrent layers in a row, with Linear, Embedding and norms.

A state_dict holds arrays under names, and no architecture. Layers are recognized by their arrays and put in the only
order that their sizes allow: neither the order of a file (safetensors sorts names) nor names say it. What the arrays
do not say is computed as torch.nn does by default and noted in the model's warnings, or refused. With an architecture
of Keras' own, nothing is left open: its layers take the arrays of the torch layers of their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.formats import pytorch, safetensors
from converter.formats.archive import sha256
from converter.keras.arrays.chains import orders
from converter.keras.source import FlatWeights, Source
from converter.model import LayerInfo, Model, Node, Provenance, Value, Weight, constant, layers
from converter.model.layers import Direction, Recurrent
from converter.readers.common import chosen
from converter.readers.described import weights_of
from converter.readers.own_arrays import OURS, model_of
from converter.readers.state_blocks import Block, blocks_of, cell, projection

_CLASSES = {
    "RNN": "SimpleRNN", "Linear": "Dense", "LayerNorm": "LayerNormalization", "BatchNorm": "BatchNormalization",
}  # fmt: skip
_HINT = "--architecture FILE, a Keras architecture whose layers have the names of the torch layers, says it"
_EPSILON = 1e-5  # torch.nn's default
_MAX_SHOWN, _MAX_LISTED = 3, 8  # orders in a message, and layers whose orders are listed


def sniff(path: Path) -> bool:
    """Whether it is a file of PyTorch's, or safetensors."""
    return safetensors.sniff(path) or pytorch.sniff(path)


def load(path: Path) -> Model:
    """The model that a state_dict describes.

    Raises:
        InvalidModel: the file is broken, or arrays of a layer do not fit each other.
        Unsupported: arrays of other layers, layers of undetermined order, or activations that the file omits.
    """
    if safetensors.sniff(path):
        contents = safetensors.read(path)
        ours = contents.metadata.get("format") == OURS
        if ours and contents.metadata.get("conventions") != "torch" and "graph" in contents.metadata:
            return model_of(path, contents, "safetensors of ours")
    title, arrays = _arrays(path)
    blocks = blocks_of(arrays)
    for block in blocks:
        if block.kind == "Conv":
            shape = block.arrays["weight"].shape
            raise Unsupported(
                f"a convolution {shape} whose strides and padding no array says", where=block.name, hint=_HINT
            )
    return _model(path, title, _in_a_row(blocks))


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The arrays of a state_dict for a Keras architecture whose layers have the names of the torch layers.

    Raises:
        InvalidModel: as `load`, or the names do not match.
        Unsupported: there is no architecture.
    """
    title, arrays = _arrays(path)
    given = chosen(None, architecture)
    every = blocks_of(arrays)
    blocks = {_plain(block.name): block for block in every}
    if len(blocks) != len(every):
        raise Unsupported("two of its layers would have one name in Keras; rename one of them")
    names = [_name(layer) for layer in given.get("config", {}).get("layers", ()) if isinstance(layer, dict)]
    found = {name: blocks.pop(_plain(name)) for name in names if _plain(name) in blocks}
    if blocks:
        mine, theirs = ", ".join(block.name for block in blocks.values()), ", ".join(name for name in names if name)
        raise InvalidModel(f"no layer of the architecture is called as {mine} of the state_dict; it has {theirs}")
    weights = FlatWeights({name: tuple(_keras_arrays(block)) for name, block in found.items()})
    return Source(given, weights, Provenance(str(path), title, sha256=sha256(path)))


def read_weights(path: Path) -> FlatWeights:
    """The arrays by their names in torch."""
    return FlatWeights({name: (weight,) for name, weight in _arrays(path)[1].items()})


def _name(layer: Mapping[str, Any]) -> str:
    config = layer.get("config")
    return str(config.get("name", "")) if isinstance(config, Mapping) else ""


def _plain(name: str) -> str:
    """A name as both sides may spell it; the single layer of a torch module stands for itself."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removesuffix("_l0")


def _keras_arrays(block: Block) -> tuple[Weight, ...]:
    """A layer's arrays in the order that Keras keeps them in.

    Raises:
        Unsupported: Keras has no such layer.
    """
    if block.recurrent and projection(block) is not None:
        raise Unsupported("Keras has no LSTM with a projection", where=block.name, hint="leave --architecture out")
    return weights_of(_layer(block))


def _arrays(path: Path) -> tuple[str, Mapping[str, Weight]]:
    """What kind of file it is, and its arrays."""
    if not safetensors.sniff(path):
        return "PyTorch state_dict", pytorch.read(path)
    contents = safetensors.read(path)
    if contents.metadata.get("format") == OURS:
        _refuse_ours(contents.metadata)
    return "safetensors state_dict", contents.tensors


def _refuse_ours(metadata: Mapping[str, str]) -> None:
    """Our own files say that they say too little."""
    conventions = metadata.get("conventions", "an unknown convention")
    if conventions != "torch":
        raise Unsupported(
            f"a safetensors file in {conventions[:80]!r} packing", hint="only PyTorch state_dicts are read back"
        )
    if metadata.get("complete") != "true":
        raise Unsupported("its model has activations or connections that a state_dict does not hold", hint=_HINT)


def _in_a_row(blocks: list[Block]) -> list[Block]:
    """The layers one after the other, in the only order that their sizes allow.

    Raises:
        Unsupported: there is none, or more than one.
    """
    order, alone = orders([block.sizes for block in blocks])
    if alone:
        return [blocks[index] for index in order]
    if not order:
        sizes = ", ".join(f"{b.name} {b.sizes[0]}→{b.sizes[1]}" for b in blocks[:8])
        raise Unsupported(f"the sizes of its layers allow no order: {sizes}", hint=_HINT)
    if len(blocks) > _MAX_LISTED:
        raise Unsupported(f"the sizes of its {len(blocks)} layers allow more than one order", hint=_HINT)
    listed = " or ".join(" → ".join(block.name for block in chain) for chain in _orders([], blocks)[:_MAX_SHOWN])
    raise Unsupported(f"the sizes of its layers allow more than one order: {listed}", hint=_HINT)


def _orders(done: list[Block], rest: list[Block]) -> list[list[Block]]:
    """Orders of a few layers, to be shown."""
    if not rest:
        return [done]
    fitting = [block for block in rest if not done or done[-1].sizes[1] == block.sizes[0]]
    found: list[list[Block]] = []
    for block in fitting:
        found += _orders([*done, block], [b for b in rest if b is not block])
        if len(found) >= _MAX_SHOWN:
            break
    return found


def _model(path: Path, title: str, chain: list[Block]) -> Model:
    words = chain[0].kind == "Embedding"
    x = Value("input", (None, None) if words else (None, None, chain[0].sizes[0]), "int64" if words else "float32")
    inputs, nodes, warnings = (x,), [], ["every layer is taken to return its whole sequence; a state_dict does not say"]
    for block in chain:
        layer, projected = _layer(block), projection(block) if block.recurrent else None
        width = block.sizes[1] if projected is None else projected.shape[0]
        y = Value(f"{block.name}:0", (None, None, width), "float32")
        states = tuple(Value(f"{block.name}:{k + 1}", (None, s), "float32") for k, s in enumerate(_states(layer)))
        optional = (x, None, *[None] * len(states)) if block.recurrent else (x,)
        nodes.append(Node(block.name, layer, optional, (y, *states), block.name))
        x = y
        if projected is not None:
            x = Value(f"{block.name}/projection:0", (None, None, projected.shape[1]), "float32")
            nodes.append(Node(f"{block.name}/projection", layers.Dense(projected, None), (y,), (x,), block.name))
            warnings.append(f"{block.name}: its projection is multiplied into the recurrent kernel, rounded once")
        if block.kind == "RNN":
            warnings.append(f"{block.name}: taken for nonlinearity='tanh'; a state_dict does not say")
        if block.kind in ("LayerNorm", "BatchNorm"):
            warnings.append(f"{block.name}: taken for eps=1e-05; a state_dict does not say")
    for block, after in pairwise(chain):
        if block.kind == "Linear":
            raise Unsupported(f"no array says which activation comes between {block.name} and {after.name}", hint=_HINT)
    named = {node.name: node for node in nodes}
    infos = tuple(_info(block, named[block.name]) for block in chain)
    source = Provenance(str(path), title, sha256=sha256(path))
    return Model(path.stem, inputs, (x,), ("output",), tuple(nodes), (), infos, source, tuple(warnings))


def _info(block: Block, node: Node) -> LayerInfo:
    weights = (*block.arrays.values(), *block.reverse.values())
    kind = _CLASSES.get(block.kind, block.kind)
    return LayerInfo(block.name, f"Bidirectional({kind})" if block.reverse else kind, (node.outputs[0].shape,), weights)


def _states(layer: layers.Layer) -> list[int]:
    if not isinstance(layer, Recurrent):
        return []
    return [d.cell.units for d in layer.directions for _ in range(d.cell.states)]  # type: ignore[union-attr]


def _layer(block: Block) -> layers.Layer:
    return _recurrent(block) if block.recurrent else _LAYERS[block.kind](block.arrays)


def _dense(arrays: Mapping[str, Weight]) -> layers.Dense:
    weight = arrays["weight"]
    return layers.Dense(weight.map(np.transpose, weight.shape[::-1]), arrays.get("bias"))


def _conv(arrays: Mapping[str, Weight]) -> layers.Conv:
    """The settings are the architecture's; only the arrays of this are read."""
    weight = arrays["weight"]
    rank = len(weight.shape) - 2
    axes = (*range(2, rank + 2), 1, 0)
    kernel = weight.map(lambda w: np.transpose(w, axes), tuple(weight.shape[axis] for axis in axes))
    return layers.Conv(rank, kernel, arrays.get("bias"), (1,) * rank, "valid", (1,) * rank)


def _batch_norm(arrays: Mapping[str, Weight]) -> layers.BatchNormalization:
    mean = arrays["running_mean"]
    ones = constant("running_var", np.ones(mean.shape), mean.dtype)
    return layers.BatchNormalization(
        2, arrays.get("weight"), arrays.get("bias"), mean, arrays.get("running_var", ones), _EPSILON
    )


_LAYERS: Mapping[str, Callable[[Mapping[str, Weight]], layers.Layer]] = {
    "Linear": _dense,
    "Conv": _conv,
    "Embedding": lambda arrays: layers.Embedding(arrays["weight"]),
    "LayerNorm": lambda arrays: layers.LayerNormalization((2,), arrays["weight"], arrays.get("bias"), _EPSILON),
    "BatchNorm": _batch_norm,
}


def _recurrent(block: Block) -> Recurrent:
    directions = [Direction(cell(block.name, block.kind, block.arrays))]
    if block.reverse:
        directions.append(Direction(cell(block.name, block.kind, block.reverse), True, True))
    return Recurrent(tuple(directions), "concat" if block.reverse else None, return_sequences=True)
