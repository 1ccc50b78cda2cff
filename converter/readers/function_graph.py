"""SavedModels by the function graph of one of their signatures; Keras' configuration says the order of outputs alone.

Which tensor each variable is: by the object graph where TensorFlow 2 wrote one, edge by edge next to the graph of
objects that is stored with the tensors; what that leaves open by the restore operation of the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from converter.errors import ConversionError, InvalidModel, clean
from converter.formats.archive import sha256
from converter.formats.tensor_bundle import Bundle, open_bundle
from converter.model import Model, Provenance, Weight
from converter.readers.object_graph import TrackedObject, object_graph
from converter.readers.saved_model import VARIABLES, files_of, folder_of, output_names, serving_graph
from converter.tensorflow_graph.build import recover
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
        graph = serving_graph(folder)
        entry = entry_of(graph, signature, output_names(folder, graph))
        version = clean(graph.meta_info_def.tensorflow_version, 20)
        source = Provenance(
            str(path), _format(graph, entry), era=f"TensorFlow {version}",
            backend="tensorflow", sha256=sha256(*files_of(folder)),
        )  # fmt: skip
        return recover(entry, dict(_variables(folder, graph, entry)), source)
    except ConversionError as error:
        raise error.at(path.name) from error
    except OSError as error:
        raise InvalidModel(f"cannot be read: {error.strerror or error}", where=path.name) from error


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
