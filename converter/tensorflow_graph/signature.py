"""Which part of a SavedModel's graph a signature names, and which stored tensor each of its variables is.

Inputs and outputs are in the order in which the innermost function that takes (or makes) all of them has them: the
model's own; where there is none, in the order of their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.model import Shape
from converter.tensorflow_graph.definitions import Body, Library, Ref, Step, Steps, dtype_name, shape
from converter.tensorflow_graph.frames import without_frames
from converter.tensorflow_graph.running import CALLS
from converter.tensorflow_graph.walking import MAX_DEPTH

DEFAULT = "serving_default"


@dataclass(frozen=True)
class Port:
    """An input or output of a signature.

    Attributes:
        name: as the signature calls it.
        ref: where it is in the main graph.
        dtype, shape: the shape is None where the rank is open.
    """

    name: str
    ref: Ref
    dtype: str
    shape: Shape | None


@dataclass(frozen=True, eq=False)
class Entry:
    """What is to be computed.

    Attributes:
        name: of the signature.
        body: the part of the main graph that it needs; no arguments, the inputs are Placeholders.
        inputs, outputs: in the model's order.
        objects: the object of the SavedModel that each variable of the main graph is, as far as functions say.
    """

    name: str
    library: Library = field(repr=False)
    body: Body = field(repr=False)
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    objects: Mapping[str, int] = field(repr=False, default_factory=dict)


def choose(offered: Sequence[str], wanted: str) -> str:
    """The signature to read: the one asked for, TensorFlow's default, or the only one.

    Raises:
        Unsupported: there is none, or no way to choose.
    """
    shown = ", ".join(clean(name, 40) for name in offered[:8]) or "none"
    if wanted:
        if wanted not in offered:
            raise Unsupported(f"there is no signature {clean(wanted, 60)}", hint=f"signatures: {shown}")
        return wanted
    if DEFAULT in offered:
        return DEFAULT
    if len(offered) == 1:
        return offered[0]
    if not offered:
        raise Unsupported(
            "the SavedModel has no signature, so that nothing says what it computes",
            hint="save it with a signature, or give the architecture with --architecture model.json",
        )
    raise Unsupported("the SavedModel has several signatures and no default", hint=f"choose with --signature: {shown}")


def entry_of(meta_graph: Any, wanted: str = "", order: Sequence[str] = ()) -> Entry:
    """The part of a MetaGraphDef that a signature names.

    Args:
        order: names of outputs in the model's order, where they are known; it counts if it names all of them.

    Raises:
        InvalidModel: the graph is broken. Unsupported: there is no such signature.
    """
    signatures = {entry.key: entry.value for entry in meta_graph.signature_def if not entry.key.startswith("__")}
    name = choose(sorted(signatures), wanted)
    library = Library.of(meta_graph.graph_def)
    steps = plain(library)
    inputs = _ports(signatures[name].inputs, library.main)
    outputs = _ports(signatures[name].outputs, library.main)
    if not outputs:
        raise Unsupported(f"the signature {clean(name, 60)} has no outputs")
    body = Body("", steps, {}, tuple(port.ref for port in outputs))
    inputs, outputs = _in_order(library, body, inputs, outputs)
    if sorted(order) == sorted(port.name for port in outputs):
        outputs = tuple(sorted(outputs, key=lambda port: order.index(port.name)))
    body = Body("", steps, {}, tuple(port.ref for port in outputs))
    return Entry(name, library, body, inputs, outputs, _objects(meta_graph.object_graph_def, steps))


def plain(library: Library) -> Mapping[str, Step]:
    """The main graph with TensorFlow 1's loops, if it has any, as While steps."""
    if any(node.op in ("Enter", "RefEnter") for node in library.graph.node):
        return without_frames(library.main)
    return library.main


def _ports(entries: Any, steps: Steps) -> tuple[Port, ...]:
    found = []
    for entry in sorted(entries, key=lambda entry: natural(entry.key)):
        if not entry.value.name:  # a composite tensor: its parts have names
            raise Unsupported(f"the signature has the ragged or sparse tensor {clean(entry.key, 60)}")
        ref = steps.ref(entry.value.name)
        if ref[0] not in steps:
            raise InvalidModel(f"the signature names {clean(entry.value.name, 80)}, which is not in the graph")
        found.append(Port(entry.key, ref, dtype_name(entry.value.dtype), shape(entry.value.tensor_shape)))
    return tuple(found)


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key by which x_2 comes before x_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,9})", text)]


def _in_order(
    library: Library, body: Body, inputs: tuple[Port, ...], outputs: tuple[Port, ...]
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs by the arguments, outputs by the results of the innermost call that all of them go through."""
    read = {port.ref: port for port in inputs}
    made = dict(enumerate(outputs))  # result of the body -> what it is
    for _ in range(MAX_DEPTH):
        step = _call_of_all(body, tuple(body.results[k] for k in made))
        if step is None:
            break
        inner = library.called(step)
        given = [(place, read[ref]) for place, ref in enumerate(step.inputs) if ref in read]
        if len({port.name for _, port in given}) == len(inputs):
            names = library.arguments(inner.name)
            read = {(names[place], 0): port for place, port in given if place < len(names)}
        by_result = {_through(body, body.results[k])[1]: port for k, port in made.items()}
        if len(by_result) != len(outputs) or max(by_result) >= len(inner.results):
            break
        made = dict(sorted(by_result.items()))
        body = inner
    return tuple(dict.fromkeys(read.values())), tuple(made.values())


def _call_of_all(body: Body, results: Sequence[Ref]) -> Step | None:
    """The one call that makes all these results."""
    makers = {_through(body, ref)[0] for ref in results}
    if len(makers) != 1:
        return None
    step = body.steps.get(makers.pop())
    return step if step is not None and step.op in CALLS else None


def _through(body: Body, ref: Ref) -> Ref:
    """The ref behind Identity steps."""
    for _ in range(1000):
        step = None if ref in body.arguments else body.steps.get(ref[0])
        if step is None or step.op != "Identity" or not step.inputs:
            return ref
        ref = step.inputs[0]
    raise InvalidModel(f"the graph goes in a circle at {clean(ref[0], 80)}")


def _objects(objects: Any, steps: Mapping[str, Step]) -> dict[str, int]:
    """Variables of the main graph by the objects that functions called there are bound to, in order after the user's
    arguments.

    Raises:
        InvalidModel: a function is bound to an object that is not there.
    """
    bound = {entry.key: list(entry.value.bound_inputs) for entry in objects.concrete_functions}
    found: dict[str, int] = {}
    for step in steps.values() if bound else ():
        name = step.attributes.get("f") if step.op in CALLS else None
        numbers = bound.get(name, []) if isinstance(name, str) else []
        if any(not 0 <= number < len(objects.nodes) for number in numbers):
            raise InvalidModel(f"function {clean(step.attributes['f'], 80)} is bound to objects that are not there")
        for ref, number in zip(step.inputs[len(step.inputs) - len(numbers) :], numbers, strict=False):
            found[ref[0]] = number
    return found
