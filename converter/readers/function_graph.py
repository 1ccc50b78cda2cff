"""SavedModels by the function graph of one of their signatures; Keras' configuration says the order of outputs alone.

Which tensor each variable is: by the object graph where TensorFlow 2 wrote one, edge by edge next to the graph of
objects that is stored with the tensors; what that leaves open by the restore operation of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from converter.errors import ConversionError, InvalidModel, clean
from converter.formats.archive import sha256
from converter.formats.tensor_bundle import Bundle, open_bundle
from converter.model import Array, Model, Provenance, Shape, Weight
from converter.readers.object_graph import TrackedObject, object_graph
from converter.readers.saved_model import VARIABLES, files_of, folder_of, output_names, serving_graph
from converter.tensorflow_graph.build import recover, run_graph
from converter.tensorflow_graph.restoring import restored
from converter.tensorflow_graph.signature import Entry, entry_of


def load(path: Path, signature: str = "") -> Model:
    """The neutral model of what a signature computes.

    Args:
        path: the folder of a SavedModel, or the file in it.
        signature: its name; by default TensorFlow's own, or the only one.

    Raises:
        InvalidModel: a file is broken.
        Unsupported: the signature is not there, or computes what has no neutral form.
    """
    folder = folder_of(path)
    try:
        graph, entry, variables = _opened(folder, signature)
        version = clean(graph.meta_info_def.tensorflow_version, 20)
        source = Provenance(
            str(path), _format(graph, entry), era=f"TensorFlow {version}",
            backend="tensorflow", sha256=sha256(*files_of(folder)),
        )  # fmt: skip
        return recover(entry, variables, source)
    except ConversionError as error:
        raise error.at(path.name) from error
    except OSError as error:
        raise InvalidModel(f"cannot be read: {error.strerror or error}", where=path.name) from error


@dataclass(frozen=True)
class Served:
    """What TensorFlow serves, to be run in NumPy.

    Attributes:
        inputs: their names and shapes.
        outputs: how many there are.
        run: the outputs in Keras' order, from inputs by name; half precision as float32.
    """

    inputs: Mapping[str, Shape]
    outputs: int
    run: Callable[[Mapping[str, Array]], list[Array]]


def served(path: Path) -> Served:
    """The default signature of a SavedModel. Raises as `load`."""
    _, entry, variables = _opened(folder_of(path), "")
    shapes = {clean(port.name, 100): port.shape or () for port in entry.inputs}
    return Served(shapes, len(entry.outputs), partial(run_graph, entry, variables))


def _opened(folder: Path, signature: str) -> tuple[Any, Entry, dict[str, Weight]]:
    """The graph of a folder, a signature of it, and what is stored for each of its variables."""
    graph = serving_graph(folder)
    entry = entry_of(graph, signature, output_names(folder, graph))
    return graph, entry, dict(_variables(folder, graph, entry))


def _format(graph: Any, entry: Entry) -> str:
    """What was read, with the signatures that there are."""
    offered = sorted(one.key for one in graph.signature_def if not one.key.startswith("__"))
    others = [clean(name, 40) for name in offered if name != entry.name][:8]
    kind = f"function graph of a SavedModel of TensorFlow {clean(graph.meta_info_def.tensorflow_version, 20)}"
    chosen = f"{kind}, signature {clean(entry.name, 40)}"
    return f"{chosen} (others: {', '.join(others)})" if others else chosen


def _variables(folder: Path, graph: Any, entry: Entry) -> Iterator[tuple[str, Weight]]:
    """What is stored for each variable of the main graph."""
    if not (folder / VARIABLES).with_suffix(".index").exists():
        return  # a graph whose weights are constants
    bundle = open_bundle(folder / VARIABLES)
    for name, part in restored(entry.library, graph.saver_def.restore_op_name).items():
        if part.key in bundle.entries:
            yield name, part.of(bundle.weight(part.key, part.key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")))
    stored = _objects(graph.object_graph_def.nodes, bundle)
    for name, number in entry.objects.items():
        if number in stored:
            yield name, stored[number]


def _objects(nodes: Any, bundle: Bundle) -> dict[int, Weight]:
    """The variables among the objects of saved_model.pb, found next to the objects stored with the tensors."""
    root = object_graph(bundle) if nodes else None
    if root is None:
        return {}
    found: dict[int, Weight] = {}
    places: dict[int, TrackedObject] = {0: root}
    waiting = [0]
    while waiting:
        number = waiting.pop()
        weight = places[number].variable()
        if weight is not None:
            found[number] = weight
        for child in nodes[number].children:
            if child.node_id in places:
                continue
            if not 0 <= child.node_id < len(nodes):
                raise InvalidModel(f"object {number} refers to objects that are not there", where="saved_model.pb")
            place = places[number].child(child.local_name)
            if place is not None:
                places[child.node_id] = place
                waiting.append(child.node_id)
    return found
