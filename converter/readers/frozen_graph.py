"""Frozen graphs of TensorFlow 1 (.pb): inputs are its Placeholders, outputs what nobody reads; or those named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean
from converter.formats.archive import sha256
from converter.formats.stored_bytes import read_file
from converter.formats.tensor_bundle import DTYPES
from converter.model import Model, Provenance
from converter.tensorflow_graph.build import recover
from converter.tensorflow_graph.definitions import Body, Library, Step
from converter.tensorflow_graph.signature import Entry, Port, plain
from converter.tensorflow_graph.walking import ordered

_NO_OUTPUTS = frozenset({"Const", "NoOp", "Assert", "Placeholder", "SaveV2", "RestoreV2", "MergeV2Checkpoints"})


def load(path: Path, outputs: Sequence[str] = (), inputs: Sequence[str] = ()) -> Model:
    """The neutral model of a GraphDef.

    Args:
        outputs: names of nodes; by default the only one that nobody reads.
        inputs: names of nodes whose values are given, in this order, in place of the Placeholders.

    Raises:
        InvalidModel: the file is broken, or has no such node.
        Unsupported: it leaves a choice of outputs, does not say the shape of an input, or cannot be converted.
    """
    library = Library.of(read_file(path, limits.PROTO_BYTES))
    steps = plain(library)
    given = {_node(name, steps): None for name in inputs}
    if given:
        steps = {name: _given(step) if name in given else step for name, step in steps.items()}
    read = {ref[0] for step in steps.values() for ref in step.inputs}
    ends = [step.name for step in steps.values() if step.name not in read and step.op not in _NO_OUTPUTS]
    if not outputs and len(ends) != 1:
        shown = ", ".join(clean(name, 60) for name in ends[:8]) or "none"
        raise Unsupported(f"a graph with {len(ends)} ends ({shown})", hint="name the outputs with --outputs")
    chosen = list(outputs) or ends
    for name in chosen:
        _node(name, steps)
    refs = tuple(library.main.ref(name) for name in chosen)
    body = Body("", steps, {}, refs)
    read_first = [step for step in ordered(body) if step.op == "Placeholder"]
    open_ones = [step.name for step in read_first if given and step.name not in given]
    if open_ones:
        raise Unsupported(f"{clean(open_ones[0], 60)} is an input, too", hint="name all of them with --inputs")
    ports_in = tuple(_input(steps[name]) for name in given or [step.name for step in read_first])
    ports = tuple(Port(name, ref, "", None) for name, ref in zip(chosen, refs, strict=True))
    source = Provenance(str(path), "frozen graph of TensorFlow", era="TensorFlow 1", backend="tensorflow",
                        sha256=sha256(path))  # fmt: skip
    return recover(Entry(path.stem, library, body, ports_in, ports), {}, source)


def _node(name: str, steps: Mapping[str, Step]) -> str:
    """The name of a node that is there; ":0", its first output, may be behind it."""
    node = name.removesuffix(":0") if name.removesuffix(":0") in steps else name.partition(":")[0]
    if node not in steps:
        raise InvalidModel(f"the graph has no node {clean(name, 60)}")
    return node


def _given(step: Step) -> Step:
    """A Placeholder in the place of a step: what the graph says of its first output."""
    if step.op == "Placeholder":
        return step
    kinds = [key for key in ("T", "dtype", "DstT", "Tparams") if key in step.attr]
    shapes = step.attr.get("_output_shapes")
    if not kinds or shapes is None:
        raise Unsupported(f"the file does not say the type and the shape of what {step.text()} makes")
    one = type(shapes)()
    one.shape.CopyFrom(shapes.list.shape[0]) if shapes.list.shape else one.shape.Clear()
    return Step(step.name, "Placeholder", (), (), {"dtype": step.attr[kinds[0]], "shape": one})


def _input(step: Step) -> Port:
    dtype, shape = step.attributes.get("dtype", "float32"), step.attributes.get("shape")
    known = isinstance(dtype, str) and dtype in (*DTYPES.values(), "string")
    if not known or not isinstance(shape, tuple | None):
        raise InvalidModel("a Placeholder without a type or a shape", where=clean(step.name, 80))
    return Port(step.name, (step.name, 0), dtype, shape or None)
