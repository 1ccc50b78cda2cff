"""SavedModels of Keras: the architecture from Keras's metadata, the weights from the tensor bundle.

Where the metadata is: `keras_metadata.pb` (TF 2.5 to 2.15, tf_keras), inside saved_model.pb (TF 1.15 to 2.4), or
`assets/saved_model.json` (TF 1's `export_saved_model`). A SavedModel without any is read by
`converter.readers.function_graph`. Sources: tensorflow/tensorflow
`core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto`, keras-team/tf-keras `saving/legacy/saved_model/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from converter import limits
from converter.errors import ConversionError, InvalidModel, Unsupported, clean
from converter.formats.archive import sha256
from converter.formats.protobuf import parse
from converter.formats.stored_bytes import read_file
from converter.formats.tensor_bundle import Bundle, open_bundle
from converter.formats.text import decode, parse_json
from converter.keras.eras.releases import KERAS_OF_TENSORFLOW
from converter.keras.source import FlatWeights, Source
from converter.model import Shape
from converter.readers.common import NEEDS_ARCHITECTURE, NoConfiguration, as_architecture, provenance
from converter.readers.exported import exported_weights, is_exported
from converter.readers.grouping import by_first_name
from converter.readers.object_graph import named_weights, object_graph, saver_variables
from converter.readers.saved_tables import words_at
from converter.tensorflow_graph.definitions import dtype_name, shape

PROTO = "saved_model.pb"
METADATA = "keras_metadata.pb"
EXPORTED = Path("assets", "saved_model.json")
VARIABLES = Path("variables", "variables")


_OTHER_FORMS = {"saved_model.cpb": "split into chunks", "saved_model.pbtxt": "written as text"}
_STATES = "/keras_api/states/"
_MODELS = ("_tf_keras_sequential", "_tf_keras_network", "_tf_keras_model")


@dataclass(frozen=True)
class Signature:
    """A function that the SavedModel offers.

    Attributes:
        name: "serving_default", ...
        inputs, outputs: name -> dtype and shape; the shape is None where the rank is open.
    """

    name: str
    inputs: Mapping[str, tuple[str, Shape | None]]
    outputs: Mapping[str, tuple[str, Shape | None]]


def sniff(path: Path) -> bool:
    """Whether `path` is a folder with a saved_model file of any form, or that file itself."""
    folder = folder_of(path)
    return any((folder / name).is_file() for name in (PROTO, *_OTHER_FORMS))


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The model of the folder; an architecture that the user gives goes before the one in it.

    Raises:
        InvalidModel: a file is missing or broken.
        Unsupported: the folder holds no configuration of a Keras model, or a form of SavedModel that is not read.
    """
    folder = folder_of(path)
    graph = serving_graph(folder)
    version = graph.meta_info_def.tensorflow_version
    own = _configuration(folder, graph) if architecture is None else None
    model = own if architecture is None else architecture
    if model is None:
        raise _no_configuration(folder, graph)
    bundle = open_bundle(folder / VARIABLES)
    root = object_graph(bundle)
    keras = (own or {}).get("keras_version") or KERAS_OF_TENSORFLOW.get(_numbers(version))
    kind = f"SavedModel of TensorFlow {clean(version)}"
    source = provenance(path, kind, keras, "tensorflow", architecture, sha256(*files_of(folder)))
    if root is not None and architecture is not None and is_exported(root):
        return Source(model, exported_weights(root, architecture), source, _warnings(bundle))
    weights = saver_variables(bundle) if root is None else replace(root, tables=partial(words_at, graph))
    return Source(model, weights, source, _warnings(bundle))


def _warnings(bundle: Bundle) -> tuple[str, ...]:
    """Keras goes on from the states that a SavedModel holds; an exported model is given its states."""
    states = [key for key in bundle.entries if _STATES in key]
    if not any(np.any(bundle.weight(key).read()) for key in states):
        return ()
    return ("stateful layers were saved after some calls: Keras would go on from their states, which are not exported",)


def read_weights(path: Path) -> FlatWeights:
    """All variables by the first part of their names, Keras's configuration or not; see `named_weights`.

    Raises:
        InvalidModel: the variables are missing or broken.
        Unsupported: one of them holds no numbers.
    """
    return by_first_name(named_weights(open_bundle(folder_of(path) / VARIABLES)).values())


def signatures(path: Path) -> tuple[Signature, ...]:
    """What a SavedModel offers to be called, by name.

    Raises:
        InvalidModel: saved_model.pb is broken.
        Unsupported: it has another form.
    """
    entries = sorted(serving_graph(folder_of(path)).signature_def, key=lambda entry: str(entry.key))
    return tuple(
        Signature(entry.key, _tensors(entry.value.inputs), _tensors(entry.value.outputs))
        for entry in entries
        if not entry.key.startswith("__")  # TensorFlow's own initialization
    )


def _tensors(entries: Any) -> dict[str, tuple[str, Shape | None]]:
    return {entry.key: (dtype_name(entry.value.dtype), shape(entry.value.tensor_shape)) for entry in entries}


def folder_of(path: Path) -> Path:
    """The folder of a SavedModel, given itself or the file in it."""
    return path.parent if path.name in (PROTO, *_OTHER_FORMS) else path


def serving_graph(folder: Path) -> Any:
    """The meta graph for serving.

    Raises:
        InvalidModel: saved_model.pb is broken. Unsupported: it has another form.
    """
    if not (folder / VARIABLES.parent).resolve().is_relative_to(folder.resolve()):
        raise InvalidModel("a link out of the model's folder", where=str(VARIABLES.parent))
    if not (folder / PROTO).exists():
        for name, form in _OTHER_FORMS.items():
            if (folder / name).exists():
                hint = "load it with TensorFlow and save it again, as .keras or .h5"
                raise Unsupported(f"a SavedModel {form} is not read", where=name, hint=hint)
    data = read_file(folder / PROTO, limits.PROTO_BYTES)
    try:
        graphs = parse("SavedModel", data).meta_graphs
    except InvalidModel as error:
        raise error.at(PROTO) from None
    if not graphs:
        raise InvalidModel("holds no graph: empty or cut off", where=PROTO)
    serving = [graph for graph in graphs if "serve" in graph.meta_info_def.tags]
    return (serving or graphs)[0]


def _configuration(folder: Path, graph: Any) -> dict[str, Any] | None:
    """{"class_name", "config"} of the root model, with the versions next to it, or None.

    What saved_model.pb says itself goes first: a keras_metadata.pb next to it is then left over from another save.
    """
    nodes = graph.object_graph_def.nodes
    if nodes and nodes[0].user_object.metadata:
        return _root(nodes[0].user_object.identifier, nodes[0].user_object.metadata, PROTO)
    if (folder / METADATA).exists():
        return _from_metadata(read_file(folder / METADATA, limits.PROTO_BYTES), nodes)
    if not nodes and (folder / EXPORTED).exists():
        text = decode(read_file(folder / EXPORTED, limits.PROTO_BYTES), str(EXPORTED))
        return _checked(parse_json(text, str(EXPORTED)), str(EXPORTED))
    return None


def output_names(folder: Path, graph: Any) -> tuple[str, ...]:
    """What Keras calls the outputs of a functional model, in order (Functional._set_output_names); () where no
    configuration says it. TensorFlow keeps them in the order of their names.
    """
    try:
        tree = _configuration(folder, graph)
    except ConversionError:
        return ()
    config = tree["config"] if tree is not None else None
    names: list[str] = []
    counts: dict[str, int] = {}
    for base in _layers_in(config.get("output_layers") if isinstance(config, dict) else None):
        name = base
        while name in names:
            counts[base] = counts.get(base, 0) + 1
            name = f"{base}_{counts[base]}"
        names.append(name)
    return tuple(names)


def _layers_in(listed: Any) -> list[str]:
    """The layers of outputs, [name, node, tensor] each, in lists and dicts as `tf.nest.flatten` orders them."""
    if isinstance(listed, dict):
        return [name for key in sorted(listed) for name in _layers_in(listed[key])]
    if not isinstance(listed, list):
        return []
    if listed and isinstance(listed[0], str):
        return [listed[0]]
    return [name for entry in listed for name in _layers_in(entry)]


def _from_metadata(data: bytes, objects: Any) -> dict[str, Any] | None:
    """What keras_metadata.pb says of the root."""
    try:
        nodes = parse("SavedMetadata", data).nodes
    except InvalidModel as error:
        raise error.at(METADATA) from None
    for node in nodes:
        if not 0 <= node.node_id < len(objects) or objects[node.node_id].user_object.identifier != node.identifier:
            raise InvalidModel(
                f"object {node.node_id} is another in saved_model.pb: left over from another save", where=METADATA
            )
    root = next((node for node in nodes if node.node_id == 0), None)
    return None if root is None else _root(root.identifier, root.metadata, METADATA)


def _root(identifier: str, metadata: str, place: str) -> dict[str, Any] | None:
    if identifier not in _MODELS or not metadata:
        return None
    return _checked(parse_json(metadata, f"metadata in {place}"), place)


def _checked(tree: Any, place: str) -> dict[str, Any]:
    """The architecture within a root's metadata.

    Raises:
        InvalidModel: it has not the shape of one.
        Unsupported: the model is a class of its own, whose code no file holds.
    """
    if not isinstance(tree, dict):
        raise InvalidModel("no model configuration", where=place)
    model = tree.get("model_config") or tree
    if isinstance(model, dict) and "config" not in model:
        model = {**model, "config": tree.get("config")}
    model = as_architecture(model, place)
    config = model["config"]
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list):
        raise Unsupported(
            f"a subclassed model ({clean(model['class_name'], 60)}): how its layers are joined is Python code, which "
            "no file holds",
            where=place,
            hint="rebuild it as a functional model, set its weights and save that",
        )
    kept = {key: tree[key] for key in ("keras_version", "backend") if isinstance(tree.get(key), str)}
    return {"class_name": model["class_name"], "config": _plain(config), **kept}


def _plain(tree: Any) -> Any:
    """Tuples and shapes, which the metadata wraps, as plain lists."""
    if isinstance(tree, dict):
        if tree.get("class_name") in ("__tuple__", "TensorShape") and isinstance(tree.get("items"), list):
            return _plain(tree["items"])
        return {key: _plain(value) for key, value in tree.items()}
    return [_plain(item) for item in tree] if isinstance(tree, list) else tree


def _no_configuration(folder: Path, graph: Any) -> NoConfiguration:
    """Says what the SavedModel holds instead."""
    names = list(named_weights(open_bundle(folder / VARIABLES)))
    offered = sorted(entry.key for entry in graph.signature_def if not entry.key.startswith("__"))
    shown = ", ".join(clean(name, 60) for name in names[:4]) + (", ..." if len(names) > 4 else "")
    return NoConfiguration(
        "a SavedModel without a Keras configuration, as model.export() and tf.saved_model.save() write it: "
        f"{len(names)} variables ({shown}), signatures {', '.join(clean(name, 40) for name in offered[:4]) or 'none'}",
        hint=f"save the model with model.save(), or {NEEDS_ARCHITECTURE}",
    )


def _numbers(version: str) -> tuple[int, int]:
    match = re.match(r"(\d{1,3})\.(\d{1,3})", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def files_of(folder: Path) -> list[Path]:
    """The regular files of the folder, links not followed, sorted by their path in it."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
