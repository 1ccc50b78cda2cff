"""The `.keras` archive: config.json, metadata.json and model.weights.h5 (keras/src/saving/saving_lib.py)."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.exporters.keras.graph import HINT, Graph, Op, Ref
from converter.exporters.keras.stored import Group, group_of
from converter.formats.keras_metadata import OPENS_FROM, SCALED
from converter.keras.eras.existence import text
from converter.keras.eras.releases import FUNCTIONAL, NAMED_OPERATIONS, SEQUENTIAL
from converter.model import Weight, dtype_of

KERAS_VERSION = "3.15.1"  # whose format this is
MAX_CONSTANT = 100_000  # values: constants go into the configuration as text
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


def write(path: Path, graph: Graph, outputs: list[Ref]) -> None:
    """Writes the archive.

    Raises:
        InvalidModel: a weight's values do not fit its shape.
        Unsupported: a constant too large for the configuration.
    """
    whole, stored = config_of(graph, outputs), group_of(graph.ordered(outputs))
    metadata: dict[str, Any] = {"keras_version": KERAS_VERSION, "date_saved": "1980-01-01@00:00:00"}
    metadata[OPENS_FROM] = text(opens_from(graph, outputs))
    if graph.scaled:
        metadata[SCALED] = graph.scaled
    with tempfile.TemporaryFile(dir=path.parent) as weights, zipfile.ZipFile(path, "w") as archive:
        _weights(weights, stored)
        for name, content in (("metadata.json", metadata), ("config.json", whole)):
            # NaN and Infinity as Keras writes them
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), json.dumps(content))
        size = weights.seek(0, 2)
        weights.seek(0)
        info = zipfile.ZipInfo("model.weights.h5", _EPOCH)
        with archive.open(info, "w", force_zip64=size >= 1 << 31) as member:
            shutil.copyfileobj(weights, member, 1 << 20)


def opens_from(graph: Graph, outputs: list[Ref]) -> tuple[int, int]:
    """The first Keras that opens the archive."""
    ops = graph.ordered(outputs)
    within = [opens_from(*op.inside) for op in ops if op.inside is not None]
    named = any(op.module != "keras.layers" and op.inside is None for op in ops)
    return max([NAMED_OPERATIONS if named else SEQUENTIAL if graph.sequential else FUNCTIONAL, *within])


def config_of(graph: Graph, outputs: list[Ref], name: str = "") -> dict[str, Any]:
    """The content of config.json: a Sequential where the graph is one, else a functional model; `name` if nested."""
    ops = graph.ordered(outputs)
    config: dict[str, Any] = {"name": name or graph.unique(graph.model.name or "model"), "trainable": True}
    if graph.sequential:
        rows = [{key: value for key, value in _entry(op).items() if key not in ("name", "inbound_nodes")} for op in ops]
        config |= {"layers": rows, "build_input_shape": list(graph.inputs[0].shape)}
        return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    config["layers"] = [_entry(op) for op in ops]
    config |= {"input_layers": _keys(graph.inputs), "output_layers": _keys(outputs)}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}


def _key(ref: Ref) -> list[Any]:
    return [ref.op, ref.call, ref.index]


def _keys(refs: list[Ref]) -> list[Any]:
    """A model of one tensor takes it bare; one of several takes a list."""
    return _key(refs[0]) if len(refs) == 1 else [_key(ref) for ref in refs]


def _entry(op: Op) -> dict[str, Any]:
    """One layer, nested model or operation as keras.Functional.get_config writes it."""
    calls = [
        {"args": _encode(list(call.args), op), "kwargs": _encode(dict(sorted(call.kwargs.items())), op)}
        for call in op.calls
    ]
    if op.inside is not None:
        return {**config_of(*op.inside, op.name), "config": op.config, "name": op.name, "inbound_nodes": calls}
    layer = op.module == "keras.layers"
    return {
        "module": op.module,
        "class_name": op.class_name,
        "config": {"name": op.name, **op.config},
        "registered_name": None if layer else op.class_name,
        "name": op.name,
        "inbound_nodes": calls,
    }


def _encode(tree: Any, op: Op) -> Any:
    """Arguments of a call as keras.saving.serialize_keras_object writes them."""
    if isinstance(tree, Ref):
        config = {"shape": list(tree.shape), "dtype": tree.dtype, "keras_history": _key(tree)}
        return {"class_name": "__keras_tensor__", "config": config}
    if isinstance(tree, Weight):
        return _constant(tree, op)
    if isinstance(tree, slice):
        return {"class_name": "__slice__", "config": {"start": tree.start, "stop": tree.stop, "step": tree.step}}
    if isinstance(tree, dict):
        return {key: _encode(value, op) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_encode(value, op) for value in tree]
    return tree


def _constant(weight: Weight, op: Op) -> Any:
    if weight.size > MAX_CONSTANT:
        raise Unsupported(f"a constant of {weight.size} values", where=op.name, hint=HINT)
    values = weight.read()
    if not np.all(np.isfinite(values.astype(np.float64))):
        raise Unsupported("a constant that is infinite or not a number", where=op.name, hint=HINT)
    if not weight.shape and weight.dtype != "float64":  # Keras takes a bare number for float32
        return values.item() if values.dtype.kind in "iub" else float(values)
    return {"class_name": "__numpy__", "config": {"value": values.tolist(), "dtype": weight.dtype}}


def _weights(file: BinaryIO, stored: Group) -> None:
    """model.weights.h5: one group per layer, named after its class and counted in the order of the operations."""
    import h5py

    with h5py.File(file, "w") as store:
        store.create_group("vars")  # Keras 3.3 looks for the model's own
        _group(store, stored)


def _group(place: Any, stored: Group) -> None:
    if stored.layer or stored.arrays:
        held = place.create_group("vars")
        if stored.layer:
            held.attrs["name"] = stored.layer
        for number, weight in stored.arrays.items():
            _dataset(held, number, weight)
    for name, below in stored.groups.items():
        _group(place.create_group(name), below)


def _dataset(group: Any, name: str, weight: Weight) -> None:
    dtype = dtype_of("float32" if weight.dtype == "bfloat16" else weight.dtype)
    dataset = group.create_dataset(name, weight.shape, dtype)
    done = 0
    for block in weight.rows():
        if not weight.shape or done + len(block) > weight.shape[0]:
            raise InvalidModel("its values do not fit its shape", where=weight.name)
        dataset[done : done + len(block)] = block.astype(dtype)
        done += len(block)
    if done != weight.shape[0]:
        raise InvalidModel("its values do not fit its shape", where=weight.name)
