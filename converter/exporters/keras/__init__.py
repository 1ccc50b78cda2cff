"""Keras 3: a `.keras` archive of public layers and `keras.ops` operations that today's Keras opens with compile=False.

Keras itself is not needed to write it. What old versions meant is spelled out, so that Keras 3 cannot read it
otherwise: masks are explicit arguments and stop where the neutral model stops them, and the old hard_sigmoid(x) =
clip(0.2x + 0.5) is the new one of 1.2·x, said by scaling the weights of the gates by 1.2 (one rounding per weight).

graph.py gathers layers and operations and puts them in Keras' own order, recurrent.py and rules.py hold one rule per
neutral layer type, activations.py the names of activations, archive.py writes the ZIP file.
"""

from __future__ import annotations

from pathlib import Path

from converter.errors import Unsupported
from converter.exporters.keras import recurrent, rules
from converter.exporters.keras.archive import write
from converter.exporters.keras.graph import Graph, Ref, rule
from converter.model import Model

__all__ = ["RULES", "export"]

RULES = (recurrent, rules)  # imported for the rules they register


def export(model: Model, path: Path) -> None:
    """Writes `model` as a `.keras` archive, over an existing one. Weights are read one at a time.

    Raises:
        Unsupported: a layer that Keras 3 cannot compute exactly.
        InvalidModel: a weight's values do not fit its shape.
    """
    graph = Graph(model)
    for node in model.nodes:
        rule(node.layer, graph, node)
    outputs = [graph.values[value.name] for value in model.outputs]
    for output in outputs:
        if not isinstance(output, Ref):
            raise Unsupported("an output that is a constant")
    write(path, graph, outputs)  # type: ignore[arg-type]
