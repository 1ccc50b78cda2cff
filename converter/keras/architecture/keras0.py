"""Architectures of Keras 0.3, rewritten as Keras 1 would have written them.

A layer there is one flat object: `name` is its class, `custom_name` its name, all else its configuration; a Graph
lists its inputs, nodes and outputs. Source: keras/utils/layer_utils.py and keras/layers/containers.py of 0.3.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean

VERSION = "0.3.3"
BACKEND = "theano"  # both backends give a masked step the output before it, as Theano's of Keras 1 does

KEPT = frozenset({
    "Dense", "TimeDistributedDense", "LSTM", "GRU", "SimpleRNN", "Embedding", "Masking", "Dropout", "Activation",
    "Flatten", "Reshape", "RepeatVector", "Permute", "GaussianNoise", "GaussianDropout", "ActivityRegularization",
    "LeakyReLU", "ELU", "MaxoutDense", "Highway",
})  # fmt: skip
"""Classes that compute in 0.3 what they compute in Keras 1, by their genuine fixtures."""

REFUSED: Mapping[str, str] = {
    "BatchNormalization": "it divides by a standard deviation that it keeps, not by a variance",
    "AutoEncoder": "which of its two models it computes depends on how it is run",
    "Siamese": "it computes one of several branches",
    "Lambda": "it holds Python code, which is never run",
    "LambdaMerge": "it holds Python code, which is never run",
    "MaskedLambda": "it holds Python code, which is never run",
    **dict.fromkeys(
        ("Convolution1D", "Convolution2D", "Convolution3D"),
        "Theano flips its kernel and TensorFlow does not, and the file does not say which it was",
    ),
}
RENAMED: Mapping[str, Mapping[str, str]] = {"Reshape": {"dims": "target_shape"}}
UNTRUE: Mapping[str, frozenset[str]] = {"Embedding": frozenset({"input_shape"})}  # it states the number of words there
BOOKKEEPING = frozenset({"name", "custom_name", "cache_enabled", "trainable"})
MERGES = frozenset({"sum", "mul", "concat", "ave"})  # `dot` and `cos` number their axes otherwise than Keras 1
SAVE_AGAIN = "load it with Keras 0.3 and save it again with Keras 1"

Raw = Mapping[str, Any]


def fits(tree: Any) -> bool:
    """Whether it is a model of Keras 0.3."""
    if not isinstance(tree, Mapping) or "class_name" in tree:
        return False
    return (tree.get("name") == "Sequential" and isinstance(tree.get("layers"), list)) or (
        tree.get("name") == "Graph" and isinstance(tree.get("nodes"), Mapping)
    )


def rewritten(tree: Raw) -> dict[str, Any]:
    """The architecture {"class_name", "config", "keras_version", "backend"} that Keras 1 would write.

    Raises:
        InvalidModel: the configuration is malformed.
        Unsupported: a class that computes something else in Keras 1, or that is not known.
    """
    return {**_layer(tree, "model", 0), "keras_version": VERSION, "backend": BACKEND}


def _layer(raw: Any, name: str, depth: int) -> dict[str, Any]:
    """A layer; `name` is its own where it has none that is its alone."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        raise InvalidModel("a layer of Keras 0.3 must be an object with a name")
    if depth > limits.MODEL_DEPTH:
        raise Unsupported(f"layers are nested more than {limits.MODEL_DEPTH} deep")
    kind = raw["name"]
    if kind == "Sequential":
        return {"class_name": kind, "name": name, "config": _listed(raw.get("layers"), name, depth)}
    if kind == "Graph":
        return {"class_name": "Model", "name": name, "config": _graph(raw, name, depth)}
    dropped, renamed = BOOKKEEPING | UNTRUE.get(kind, frozenset()), RENAMED.get(kind, {})
    config = {renamed.get(k, k): v for k, v in raw.items() if k not in dropped}
    if kind == "Merge":
        config["mode"] = _mode(raw.get("mode"), name)
        config["layers"] = _listed(raw.get("layers"), name, depth)
    elif kind == "TimeDistributed":
        config["layer"] = _layer(raw.get("layer"), f"{name}_layer", depth + 1)
    elif kind not in KEPT:
        why = REFUSED.get(kind, "no fixture of that Keras tells that it computes what later ones do")
        raise Unsupported(f"the layer {clean(name)!r}: {clean(kind)} of Keras 0.3 is not converted: {why}",
                          hint=SAVE_AGAIN)  # fmt: skip
    return {"class_name": kind, "config": {**config, "name": name}}


def _listed(layers: Any, owner: str, depth: int) -> list[dict[str, Any]]:
    if not isinstance(layers, list):
        raise InvalidModel(f"{clean(owner)!r} lists no layers")
    wanted = [_own(layer) or f"{owner}_{k + 1}" for k, layer in enumerate(layers)]
    names = [name if wanted.count(name) == 1 else f"{name}_{k + 1}" for k, name in enumerate(wanted)]
    return [_layer(layer, name, depth + 1) for layer, name in zip(layers, names, strict=True)]


def _own(raw: Any) -> str:
    """The name that the author gave, or the class's, which 0.3 gives to every layer of it."""
    found = raw.get("custom_name") or raw.get("name") if isinstance(raw, Mapping) else None
    return found.lower() if isinstance(found, str) and found == raw.get("name") else str(found or "")


def _mode(mode: Any, name: str) -> str:
    if not isinstance(mode, str) or mode not in MERGES:
        raise Unsupported(f"the layer {clean(name)!r}: merging by {clean(mode)} is not converted from Keras 0.3",
                          hint=SAVE_AGAIN)  # fmt: skip
    return mode


def _graph(raw: Raw, name: str, depth: int) -> dict[str, Any]:
    """A Graph as a Functional model: each node that takes several tensors gets a Merge in front."""
    inputs = [_input(item) for item in _rows(raw, "input_config")]
    nodes = raw.get("nodes")
    if not isinstance(nodes, Mapping):
        raise InvalidModel(f"the Graph {clean(name)!r} of Keras 0.3 has no nodes")
    layers, outputs = [*inputs], []
    for node in _rows(raw, "node_config"):
        taken, joined = _taken(node, node["name"])
        layer = _layer(nodes.get(node["name"]), node["name"], depth + 1)
        layers += [*joined, {**layer, "name": node["name"], "inbound_nodes": [taken]}]
    for output in _rows(raw, "output_config"):
        taken, joined = _taken(output, f"{output['name']}_output")
        layers += joined
        outputs.append(taken[0])
    return {
        "name": name,
        "layers": layers,
        "input_layers": [[item["name"], 0, 0] for item in inputs],
        "output_layers": outputs,
    }


def _rows(raw: Raw, key: str) -> Iterator[Raw]:
    rows = raw.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and isinstance(row.get("name"), str)
                                             for row in rows):  # fmt: skip
        raise InvalidModel(f"a Graph of Keras 0.3 without {key}")
    return iter(rows)


def _input(row: Raw) -> dict[str, Any]:
    shape = row.get("batch_input_shape")
    if shape is None and isinstance(row.get("input_shape"), Sequence):
        shape = [None, *row["input_shape"]]
    dtype = "int32" if row.get("dtype") == "int" else "float32"
    config = {"name": row["name"], "batch_input_shape": shape, "input_dtype": dtype, "sparse": False}
    return {"class_name": "InputLayer", "name": row["name"], "config": config, "inbound_nodes": []}


def _taken(row: Raw, name: str) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """The tensors that a node or output takes: one, and the Merge that makes it of several."""
    several = row.get("inputs")
    if not several:
        return [[row.get("input"), 0, 0]], []
    if not isinstance(several, list):
        raise InvalidModel(f"the inputs of {clean(name)!r} are no list")
    merge = f"{name}_merge"
    config = {
        "name": merge,
        "mode": _mode(row.get("merge_mode", "concat"), name),
        "mode_type": "raw",
        "concat_axis": row.get("concat_axis", -1),
        "dot_axes": -1,
        "output_shape": None,
        "output_shape_type": "raw",
    }
    refs = [[one, 0, 0] for one in several]
    return [[merge, 0, 0]], [{"class_name": "Merge", "name": merge, "config": config, "inbound_nodes": [refs]}]
