"""What values recurrent layers take on data of the user's, by the float64 reference: for targets that use integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.exporters.tflite import integer
from converter.exporters.tflite.tensors import Ranges
from converter.holding import with_values
from converter.model import Array, Model, Node
from converter.model.layers import Recurrent
from converter.verification import natural
from converter.verification.own_data import OwnData
from converter.verification.recurrence import equation_of, followed


def ranges(model: Model, inputs: Path | None) -> Mapping[str, tuple[Ranges, ...]]:
    """By node the ranges of x, h and c of each direction, for the LSTMs that compute in integers.

    Raises:
        Unsupported: there is no data.
        InvalidModel: the model does not take it.
    """
    case = OwnData(inputs).case(model)
    if case is None:
        raise Unsupported("integers want data to be calibrated on", hint="give some with --inputs X.npz")
    try:
        ((call,),) = natural.run(model, [case])
    except (ValueError, IndexError, TypeError) as error:
        raise InvalidModel(f"the model does not take your inputs: {error}") from error
    return {
        node.name: _of(node, [None if value is None else call.values[value.name] for value in node.inputs])
        for node in model.nodes
        if isinstance(node.layer, Recurrent)
        and node.inputs[1] is None
        and all(integer.fits(direction.cell) for direction in node.layer.directions)
    }


def _of(node: Node, given: Sequence[Array | None]) -> tuple[Ranges, ...]:
    x, _, *initial = (None if array is None else array.astype(np.float64) for array in given)
    found = []
    equation = equation_of(with_values(node.layer), "float32")
    for place, one in enumerate(followed(equation, [x, None, *initial], ())):
        h, c = ([states[k] for states in one.states] for k in (0, 1))
        starts = [array for array in initial[2 * place : 2 * place + 2] if array is not None]
        found.append(Ranges(_span([x]), _span([*h, *starts[:1]]), _span([*c, *starts[1:]])))
    return tuple(found)


def _span(arrays: Sequence[Array | None]) -> tuple[float, float]:
    present = [array for array in arrays if array is not None and array.size]
    return min(float(a.min()) for a in present), max(float(a.max()) for a in present)
