"""What becomes of a Loop: a recurrent layer where its body is a step of a known cell, else a Scan over the body."""

from __future__ import annotations

from converter.errors import Unsupported
from converter.readers.onnx.loop import Loop, read_loop
from converter.readers.onnx.loop_cells import as_cell
from converter.readers.onnx.over_time import body_as_scan
from converter.readers.onnx.tensors import Dims, Tensor
from converter.readers.onnx.values import Builder, Call


def loop(builder: Builder, call: Call) -> list[Tensor]:
    """The variables after the last round, then the sequences.

    Raises:
        InvalidModel: the body is broken. Unsupported: the number of rounds is computed inside, or the body has
            operators that are not read back.
    """
    found = read_loop(builder, call)
    begun = len(builder.nodes)
    made = as_cell(builder, found)
    if made is None:
        del builder.nodes[begun:]
        made = _as_scan(builder, found)
    results: list[Tensor] = []
    for place, name in enumerate(found.variables):
        if place in found.counters:
            results.append(Dims((found.count,), scalar=True, dtype="int32"))
        else:
            results.append(made.pop(0) if place in found.states else found.outer[name])
    return [*results, *made]


def _as_scan(builder: Builder, found: Loop) -> list[Tensor]:
    """Final states and sequences of a Scan over the body."""
    if not found.elements:
        raise Unsupported("Loop whose rounds read nothing")
    if not found.nodes and not found.states and set(found.results[len(found.variables) :]) <= set(found.elements):
        return [found.elements[name] for name in found.results[len(found.variables) :]]  # each element as it is
    given = [builder.value(found.initial(place), found.call.name) for place in found.states]
    given += [builder.value(sequence, found.call.name) for sequence in found.elements.values()]
    names = [*(found.variables[place] for place in found.states), *found.elements]
    after = [found.results[place] for place in found.states] + found.results[len(found.variables) :]
    return body_as_scan(builder, found.call, (names, found.nodes, after), given, len(found.states), found.outer)
