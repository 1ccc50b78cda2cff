"""Keras 3: a `.keras` archive of public layers and `keras.ops` operations that today's Keras opens with compile=False.

Keras itself is not needed to write it. What old versions meant is spelled out, so that Keras 3 cannot read it
otherwise: masks are explicit arguments and stop where the neutral model stops them, and the old hard_sigmoid(x) =
clip(0.2x + 0.5) is the new one of 1.2·x, said by scaling the weights of the gates by 1.2 (one rounding per weight).

structure.py writes the layers of a Keras file as they are, with what only training uses (training.py), where Keras 3
means the same by them (same.py). Else the model is written as what its layers compute: graph.py gathers layers and
operations and puts them in Keras' own order, recurrent.py and rules.py hold one rule per neutral layer type.
activations.py has the names of activations, archive.py writes the ZIP file.
"""

from __future__ import annotations

from pathlib import Path

from converter.errors import Unsupported
from converter.exporters.keras import activations, recurrent, rules, states, training
from converter.exporters.keras.archive import write
from converter.exporters.keras.graph import Graph, Ref, rule
from converter.exporters.keras.structure import structured
from converter.model import Model

__all__ = ["RULES", "export", "notes"]

RULES = (recurrent, rules)  # imported for the rules they register


def export(model: Model, path: Path) -> None:
    """Writes `model` as a `.keras` archive, over an existing one. Weights are read one at a time.

    Raises:
        Unsupported: a layer that Keras 3 cannot compute exactly.
        InvalidModel: a weight's values do not fit its shape.
    """
    write(path, *(structured(model) or _computed(model)))


def _computed(model: Model) -> tuple[Graph, list[Ref]]:
    """A model of what the layers compute, node by node."""
    model = states.inside(model)
    states.check(model)
    graph = Graph(model)
    for node in model.nodes:
        rule(node.layer, graph, node)
    outputs: list[Ref] = []
    for value in model.outputs:
        output = graph.values[value.name]
        if not isinstance(output, Ref):
            raise Unsupported("an output that is a constant")
        outputs.append(output)
    return graph, outputs


def notes(model: Model) -> tuple[str, ...]:
    """What is to be said of a model in this target: weights that are scaled, and what is lost of its training."""
    return (*activations.notes(model), *training.lost(model, structured(model) is not None))
