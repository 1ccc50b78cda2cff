"""Recurrent layers of a file in Keras 3's words: LSTM and its kin, RNN with its cells, Bidirectional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from converter.errors import Unsupported
from converter.exporters.keras.arguments import ARGUMENTS
from converter.exporters.keras.graph import policy
from converter.exporters.keras.recurrent import alike, keras_cell
from converter.exporters.keras.training import kept
from converter.exporters.weights import DIRECTIONS
from converter.keras.arrays.binding import snake_case
from converter.keras.spec import LayerSpec
from converter.model import Node, Weight
from converter.model.layers import Direction, Recurrent


@dataclass(frozen=True)
class Made:
    """A layer as Keras 3 has it: its class, arguments and arrays, and what arrays of no cell were multiplied by."""

    class_name: str
    config: dict[str, Any]
    weights: dict[str, Weight] = field(default_factory=dict)
    factor: float = 1.0

    def entry(self, name: str) -> dict[str, Any]:
        """It inside another layer's arguments."""
        config = {"name": name, **self.config}
        return {"module": "keras.layers", "class_name": self.class_name, "config": config, "registered_name": None}

    def below(self, path: str) -> dict[str, Weight]:
        """Its arrays inside another layer."""
        return {f"{path}/{key}": weight for key, weight in self.weights.items()}


def refuse(name: str) -> NoReturn:
    """Says that a layer is not written as it is; nobody reads this, since it is then written as what it computes."""
    raise Unsupported("written as what it computes", where=name)


def arguments(spec: LayerSpec) -> dict[str, Any]:
    """What a layer says in the file that Keras 3 takes, with what only training uses."""
    full: Mapping[str, Any] = spec.full_config
    if spec.class_name not in ARGUMENTS:
        refuse(spec.name)
    found = {name: full[name] for name in ARGUMENTS[spec.class_name] if name in full} | kept(full)
    if spec.class_name.startswith("SpatialDropout"):
        del found["trainable"]  # keras/src/layers/regularization/spatial_dropout.py takes none
    return found


def recurrent(spec: LayerSpec, nodes: Sequence[Node]) -> Made:
    """One of `RECURRENT`, whose nodes these are."""
    directions = [d for n in nodes if isinstance(n.layer, Recurrent) for d in n.layer.directions]
    return (_pair if spec.class_name == "Bidirectional" else _single)(spec, directions, nodes[-1])


RECURRENT = frozenset({"Bidirectional", *(name for name, taken in ARGUMENTS.items() if "return_sequences" in taken)})


def _single(spec: LayerSpec, directions: Sequence[Direction], node: Node) -> Made:
    if spec.class_name == "RNN":
        return _cells(spec, directions, node)
    return _layer(spec, directions, node)


def _layer(spec: LayerSpec, directions: Sequence[Direction], node: Node) -> Made:
    """A layer with its cell's arguments, or a cell."""
    (direction,) = directions if len(directions) == 1 else refuse(spec.name)
    name, config, arrays = keras_cell(direction.cell, spec.name, node.outputs[0].dtype)
    dtype, arrays = policy(node, arrays)
    if node.outputs[0].dtype in ("float16", "bfloat16"):  # some backends have no random matrix of these
        config["recurrent_initializer"] = "zeros"
    return Made(name, {**config, **arguments(spec), **dtype}, arrays)


def _cells(spec: LayerSpec, directions: Sequence[Direction], node: Node) -> Made:
    """RNN of a cell, or of several in a row, which make a node each."""
    cell = spec.children["cell"]
    if cell.class_name != "StackedRNNCells":
        inner = _cell(cell, directions, node)
        config = {"cell": inner.entry(cell.name)}
        return Made("RNN", {**config, **arguments(spec), **policy(node, {})[0]}, inner.below("cell"))
    if len(cell.children) != len(directions) or len(directions) == 1:  # Keras 3 cannot mask or unroll a stack of one
        refuse(spec.name)
    made = [_cell(c, [d], node) for c, d in zip(cell.children.values(), directions, strict=True)]
    entries = [one.entry(child.name) for one, child in zip(made, cell.children.values(), strict=True)]
    dtype = policy(node, {})[0]
    stack = Made("StackedRNNCells", {"cells": entries, **dtype}).entry(cell.name)
    weights: dict[str, Weight] = {}
    counts: dict[str, int] = {}
    for one in made:  # an item of a list is named after its class
        base = snake_case(one.class_name)
        index = counts[base] = counts.get(base, -1) + 1
        weights |= one.below(f"cell/cells/{base}_{index}" if index else f"cell/cells/{base}")
    return Made("RNN", {"cell": stack, **arguments(spec), **dtype}, weights)


def _cell(spec: LayerSpec, directions: Sequence[Direction], node: Node) -> Made:
    """A cell alone: it keeps its arrays itself."""
    made = _layer(spec, directions, node)
    own = {path.removeprefix("cell/"): weight for path, weight in made.weights.items()}
    return Made(f"{made.class_name}Cell", made.config, own)


def _pair(spec: LayerSpec, directions: Sequence[Direction], node: Node) -> Made:
    sides = [spec.children[f"{side}_layer"] for side in DIRECTIONS]
    if len(directions) != len(sides) or not alike(directions):
        refuse(spec.name)
    made = [_single(side, [d], node) for side, d in zip(sides, directions, strict=True)]
    if any(one.config.get("stateful") and one.config.get("return_state") for one in made):
        refuse(spec.name)  # keras/src/layers/rnn/bidirectional.py cannot build that
    weights: dict[str, Weight] = {}
    for side, one in zip(DIRECTIONS, made, strict=True):
        weights |= one.below(f"{side}_layer")
    forward, backward = (one.entry(side.name) for side, one in zip(sides, made, strict=True))
    config = {**arguments(spec), "layer": forward, "backward_layer": backward, **policy(node, {})[0]}
    return Made(spec.class_name, config, weights)
