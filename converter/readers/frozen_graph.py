"""Frozen graphs of TensorFlow 1 (.pb): inputs are its Placeholders, outputs what nobody reads, or those named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean
from converter.formats.archive import sha256
from converter.formats.stored_bytes import read_file
from converter.model import Model, Provenance
from converter.tensorflow_graph.build import recover
from converter.tensorflow_graph.definitions import Body, Library, Step
from converter.tensorflow_graph.signature import Entry, Port, plain
from converter.tensorflow_graph.walking import ordered

_NO_OUTPUTS = frozenset({"Const", "NoOp", "Assert", "Placeholder", "SaveV2", "RestoreV2", "MergeV2Checkpoints"})


def load(path: Path, outputs: Sequence[str] = ()) -> Model:
    """The neutral model of a GraphDef.

    Args:
        outputs: names of nodes; by default the only one that nobody reads.

    Raises:
        InvalidModel: the file is broken, or has no such node.
        Unsupported: it leaves a choice of outputs, or cannot be converted.
    """
    library = Library.of(read_file(path, limits.PROTO_BYTES))
    steps = plain(library)
    read = {ref[0] for step in steps.values() for ref in step.inputs}
    ends = [step.name for step in steps.values() if step.name not in read and step.op not in _NO_OUTPUTS]
    if not outputs and len(ends) != 1:
        shown = ", ".join(clean(name, 60) for name in ends[:8]) or "none"
        raise Unsupported(f"a graph with {len(ends)} ends ({shown})", hint="name the outputs with --outputs")
    chosen = list(outputs) or ends
    missing = next((name for name in chosen if name.partition(":")[0] not in steps), None)
    if missing is not None:
        raise InvalidModel(f"the graph has no node {clean(missing, 60)}")
    refs = tuple(library.main.ref(name) for name in chosen)
    body = Body("", steps, {}, refs)
    inputs = tuple(_input(step) for step in ordered(body) if step.op == "Placeholder")
    ports = tuple(Port(name, ref, "", None) for name, ref in zip(chosen, refs, strict=True))
    source = Provenance(str(path), "frozen graph of TensorFlow", era="TensorFlow 1", backend="tensorflow",
                        sha256=sha256(path))  # fmt: skip
    return recover(Entry(path.stem, library, body, inputs, ports), {}, source)


def _input(step: Step) -> Port:
    shape = step.attributes.get("shape")
    return Port(step.name, (step.name, 0), str(step.attributes.get("dtype", "float32")), shape or None)
