"""PyTorch: `<name>.safetensors`, a state_dict, and next to it `<name>_torch.py`, a module of torch.nn that loads it.

A model that is nothing but one torch.nn.LSTM, GRU or RNN (stacked and bidirectional ones included) has the keys of that
layer ("weight_ih_l0_reverse"), so the layer itself loads it with strict=True; in other models the keys begin with the
layer's name in the module. PyTorch is not needed to write either file.

rules.py holds one rule per neutral layer type, recurrent.py that of recurrent layers, cells.py the cells that torch.nn
does not have, tables.py the rule of lookups, activations.py expressions, source.py the text around them.
"""

from __future__ import annotations

import json
from pathlib import Path

from converter.exporters.torch import recurrent, rules, tables  # rules are registered on import
from converter.exporters.torch.source import Writer, keep_foreign, rule, text
from converter.exporters.weights import describe
from converter.formats import safetensors
from converter.model import Model, layers

__all__ = ["export", "guard", "recurrent", "rules", "tables"]


def export(model: Model, path: Path) -> None:
    """Writes the state_dict at `path` and the module next to it, over existing files.

    Raises:
        Unsupported: a layer without an exact counterpart in torch.nn.
        InvalidModel: a weight's values do not fit its shape.
    """
    writer = Writer(model)
    stacks = recurrent.stacks(model)
    done = {id(node) for stack in stacks.values() for node in stack[1:]}
    for node in model.nodes:
        if id(node) not in done:
            nodes = stacks.get(id(node), (node,))
            rule(node.layer, writer, nodes)
    bare = len(writer.modules) == 1 and len(stacks) == 1 and len(stacks[next(iter(stacks))]) == len(model.nodes)
    prefix = f"{next(iter(writer.modules))}." if bare else ""
    state = {name.removeprefix(prefix): weight for name, weight in writer.state.items()}
    module = module_of(path)
    cells = json.dumps(writer.conventions)
    metadata = {**describe(model), "cells": cells, "conventions": "torch", "module": module.name}
    metadata["complete"] = "true" if _complete(model) else "false"
    source = text(writer, prefix.rstrip("."), path.name)
    safetensors.write(path, state, metadata)
    module.write_text(source, encoding="utf-8")


def guard(path: Path) -> None:
    """Refuses to write over a module of somebody else's.

    Raises:
        FileExistsError: there is a file of the module's name that does not begin as ours do.
    """
    keep_foreign(module_of(path))


def module_of(path: Path) -> Path:
    """Where the module of a state_dict goes."""
    return path.with_name(f"{path.stem}_torch.py")


def _complete(model: Model) -> bool:
    """Whether the arrays alone say the model: nn.LSTM, GRU and tanh RNN, each giving its sequence to the next."""
    values = [value.name for value in model.inputs]
    for node in model.nodes:
        layer = node.layer
        if not isinstance(layer, layers.Recurrent) or not layer.return_sequences or layer.time_major:
            return False
        plain = node.inputs[0].name == values[-1] and not any(node.inputs[1:])  # type: ignore[union-attr]
        if not plain or not recurrent.native(layer) or any(recurrent.kind(d.cell)[1] for d in layer.directions):  # type: ignore[index]
            return False
        values.append(node.outputs[0].name)
    return [value.name for value in model.outputs] == values[-1:] and len(model.inputs) == 1
