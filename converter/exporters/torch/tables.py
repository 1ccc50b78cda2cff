"""Lookups of numbers, as binary searches in sorted buffers. PyTorch has no strings."""

from __future__ import annotations

import numpy as np

from converter.errors import Unsupported
from converter.exporters.torch.source import HINT, Writer, rule
from converter.model import Node, constant, layers


@rule.register
def lookup(layer: layers.Lookup, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """The values are in the order of their keys."""
    (node,) = nodes
    if isinstance(layer.keys[0], str) or isinstance(layer.values[0], str):
        raise Unsupported("a lookup of text: PyTorch has no strings", where=node.name, hint=HINT)
    keys, values = (np.asarray(side, np.int64) for side in (layer.keys, layer.values))
    order = np.argsort(keys)
    sorted_keys, sorted_values = (
        writer.constant(f"{node.name} {name}", constant(name, side[order]))
        for name, side in (("keys", keys), ("values", values))
    )
    (x,) = writer.inputs(node)
    place = writer.local(f"{node.name} place")
    default = layers.NO_INDEX if layer.default is None else layer.default
    writer.lines.append(f"{place} = torch.searchsorted({sorted_keys}, {x}.contiguous()).clamp(max={len(keys) - 1})")
    found = f"torch.where({sorted_keys}[{place}] == {x}, {sorted_values}[{place}], {default})"
    writer.assign(node.outputs[0], found)
