"""Small SavedModels and checkpoints made by hand, of one LSTM."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from bundle_files import Tensor, field, numbers, object_graph, shape_proto, write

KERNEL = np.arange(24, dtype="f4").reshape(2, 12)
LAYERS = [{"class_name": "LSTM", "config": {"name": "lstm", "units": 3, "batch_input_shape": [None, 7, 2]}}]
ARCHITECTURE = {"class_name": "Sequential", "config": {"name": "s", "layers": LAYERS}}
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def tensors(**more: Tensor) -> dict[str | bytes, Tensor]:
    """One LSTM's kernel under a key that says nothing, and an object graph with a cycle that leads to it."""
    nodes = [
        ({"layer_with_weights-0": 1, "optimizer": 3}, "", ""),
        ({"cell": 2, "parent": 0}, "", ""),
        ({"kernel": 4}, "", ""),
        ({}, "", ""),
        ({}, "lstm/lstm_cell/kernel", "variables/0" + VALUE),
    ]
    slot = numbers(np.zeros(3, "f4"))
    graph = {"_CHECKPOINTABLE_OBJECT_GRAPH": object_graph(nodes), "variables/0" + VALUE: numbers(KERNEL)}
    return {**graph, "optimizer/iter" + VALUE: slot, "variables/0/.OPTIMIZER_SLOT/optimizer/m" + VALUE: slot, **more}


def saved(
    folder: Path,
    version: str = "2.4.1",
    identifier: str = "_tf_keras_sequential",
    metadata: str = "",
    beside: str = "",
    stored: dict[str | bytes, Tensor] | None = None,
) -> Path:
    """A SavedModel whose root says `metadata`, with `beside` as the root's entry in keras_metadata.pb."""
    write(folder / "variables" / "variables", tensors() if stored is None else stored)
    root = field(1, field(1, 1) + field(2, "layer_with_weights-0")) + field(
        4, field(1, identifier) + field(3, metadata)
    )
    tensor = field(1, "x:0") + field(2, 1) + field(3, shape_proto([-1, 7, 2]))
    signature = field(1, "serving_default") + field(2, field(1, field(1, "x") + field(2, tensor)))
    meta = (
        field(1, field(4, "serve") + field(5, version)) + field(5, signature) + field(7, field(1, root) + field(1, b""))
    )
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, meta))
    if beside:
        node = field(2, 0) + field(3, "root") + field(4, "_tf_keras_sequential") + field(5, beside)
        (folder / "keras_metadata.pb").write_bytes(field(1, node))
    return folder


def root_metadata(architecture: dict = ARCHITECTURE, **more: object) -> str:
    return json.dumps({"class_name": architecture["class_name"], "model_config": architecture, **more})


def kernel_of(source) -> np.ndarray:
    return source.weights.child("layer_with_weights-0", "cell", "kernel").variable().read()


def given_architecture(folder: Path) -> Path:
    (folder / "model.json").write_text(json.dumps({**ARCHITECTURE, "keras_version": "2.6.0", "backend": "tensorflow"}))
    return folder / "model.json"


def tfjs_model(
    folder: Path, weights: list[dict], pieces: list[bytes], architecture: dict = ARCHITECTURE, **more
) -> Path:
    folder.mkdir(exist_ok=True)
    names = [f"group1-shard{i}.bin" for i in range(len(pieces))]
    for name, piece in zip(names, pieces, strict=True):
        (folder / name).write_bytes(piece)
    topology = {"keras_version": "2.15.0", "backend": "tensorflow", "model_config": architecture}
    tree = {
        "format": "layers-model",
        "modelTopology": topology,
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    (folder / "model.json").write_text(json.dumps({**tree, **more}))
    return folder / "model.json"
