"""TensorFlow.js layers models: `model.json` and, next to it, binary files that hold the weights one after the other.

Sources: tensorflow/tfjs `tfjs-core/src/io/{types.ts,io_utils.ts,weights_loader.ts}` (manifest and quantization),
`tfjs-converter/python/tensorflowjs/converters/keras_h5_conversion.py` (order and names of the weights).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converter import limits
from converter.errors import InvalidModel, Unsupported, clean
from converter.formats.archive import sha256
from converter.formats.stored_bytes import Region, file_size, open_region, read_file
from converter.formats.text import decode, parse_json
from converter.keras.source import FlatWeights, Source
from converter.model import Array, Weight
from converter.readers.common import as_architecture, chosen, provenance
from converter.readers.grouping import by_first_name, by_layer

_HEAD = 1 << 16
OTHER_ORDER = "weights were matched by name, as TensorFlow.js does; the architecture has its layers in another order"
_SOURCE = "convert the Keras model that it was made from"
_MARKS = (b'"modelTopology"', b'"weightsManifest"')

# dtype in the manifest -> dtype of the values; the bytes are little-endian.
_DTYPES = ("float32", "int32", "bool")
# Stored dtypes: whole numbers with scale and min, or, for float16, the numbers themselves.
_QUANTIZED = ("uint8", "uint16", "float16")


def sniff(path: Path) -> bool:
    """Whether the file is a tfjs model.json, or the folder holds one."""
    file = _json_file(path)
    try:
        if not file.is_file() or file.stat().st_size > limits.TEXT_BYTES:
            return False
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
            if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
                return False
            return any(mark in head or mark in stream.read() for mark in _MARKS)
    except OSError:
        return False


def read(path: Path, architecture: Mapping[str, Any] | None) -> Source:
    """The model; an architecture that the user gives goes before the one in it.

    Raises:
        InvalidModel: the JSON or the manifest is broken, or a file of weights is missing or too short.
        Unsupported: a graph model, or one written by TensorFlow.js itself.
    """
    file = _json_file(path)
    tree = _tree(file)
    own = _architecture(tree) if architecture is None else None
    model = chosen(own, architecture)
    listed = _manifest(tree, file)
    weights = by_layer(listed, model)
    version, backend = (own.get(key) if own else None for key in ("keras_version", "backend"))
    digest = sha256(file, *sorted(path for chain, _ in _groups(tree, file) for path in chain.paths))
    described = provenance(path, "tfjs layers model", version, backend, architecture, digest)
    moved = architecture is not None and listed != [w for arrays in weights.layers.values() for w in arrays]
    return Source(model, weights, described, (OTHER_ORDER,) if moved else ())


def read_weights(path: Path) -> FlatWeights:
    """All weights in the order of the manifest, by the first part of their names.

    Raises:
        InvalidModel: the JSON or the manifest is broken, or a file of weights is missing or too short.
        Unsupported: a weight is stored in an unknown way.
    """
    file = _json_file(path)
    return by_first_name(_manifest(_tree(file), file))


def _json_file(path: Path) -> Path:
    return path / "model.json" if path.is_dir() else path


def _tree(file: Path) -> dict[str, Any]:
    tree = parse_json(decode(read_file(file, limits.TEXT_BYTES), ""), "")
    if not isinstance(tree, dict):
        raise InvalidModel("not a tfjs model")
    return tree


def _architecture(tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """{"class_name", "config"} with the versions next to it, or None if the file has weights only."""
    topology = tree.get("modelTopology")
    if topology is None:
        return None
    if not isinstance(topology, dict) or tree.get("format") == "graph-model" or "node" in topology:
        raise Unsupported("a tfjs graph model, which holds no Keras layers", hint=_SOURCE)
    model = as_architecture(topology.get("model_config", topology), "modelTopology")
    version, backend = (topology.get(key) or "" for key in ("keras_version", "backend"))
    if not isinstance(version, str) or not isinstance(backend, str) or version.startswith("tfjs"):
        raise Unsupported(f"written by TensorFlow.js itself ({clean(version, 40)}), not by a Keras", hint=_SOURCE)
    return {**model, "keras_version": version, "backend": backend}


# --- weights ----------------------------------------------------------------------------------------------------------


def _manifest(tree: Mapping[str, Any], file: Path) -> list[Weight]:
    """All weights in order."""
    weights = []
    for chain, entries in _groups(tree, file):
        place = 0
        for entry in entries:
            weight, size = _weight(entry, chain, place)
            weights.append(weight)
            place += size
        if place != chain.size:
            raise InvalidModel(f"the weights take {place} bytes, the files have {chain.size}", where="weightsManifest")
    if len({weight.name for weight in weights}) != len(weights):
        raise InvalidModel("two weights have the same name", where="weightsManifest")
    return weights


def _groups(tree: Mapping[str, Any], file: Path) -> Iterator[tuple[Chain, list[Any]]]:
    manifest = tree.get("weightsManifest")
    if not isinstance(manifest, list):
        raise InvalidModel("no weightsManifest")
    for group in manifest:
        paths = group.get("paths") if isinstance(group, dict) else None
        entries = group.get("weights") if isinstance(group, dict) else None
        if not isinstance(paths, list) or not isinstance(entries, list) or len(paths) > limits.TFJS_FILES:
            raise InvalidModel("a group without a list of paths and one of weights", where="weightsManifest")
        yield Chain([_beside(file, name) for name in paths]), entries


def _beside(file: Path, name: Any) -> Path:
    """A file of weights, which has to be next to the JSON."""
    if not isinstance(name, str) or name in ("", ".", "..") or any(c in name for c in "/\\\0:"):
        raise InvalidModel(f"the path {clean(name, 80)!r} is no plain file name", where="weightsManifest")
    return file.with_name(name)


class Chain:
    """Files read as one, which is how a group of weights is stored."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.sizes = [file_size(path) for path in paths]
        self.size = sum(self.sizes)

    def regions(self, start: int, size: int) -> list[Region]:
        """The parts of the files that make up `size` bytes from `start`."""
        found, begin = [], 0
        for path, length in zip(self.paths, self.sizes, strict=True):
            low, high = max(start, begin), min(start + size, begin + length)
            if low < high:
                found.append(open_region(path, low - begin, high - low))
            begin += length
        return found

    def array(self, dtype: np.dtype[Any], start: int, count: int) -> Array:
        """`count` numbers from byte `start`."""
        raw = [region.array(np.dtype(np.uint8)) for region in self.regions(start, count * dtype.itemsize)]
        return (raw[0] if len(raw) == 1 else np.concatenate([np.empty(0, np.uint8), *raw])).view(dtype)


def _weight(entry: Any, chain: Chain, start: int) -> tuple[Weight, int]:
    """A weight of the manifest, whose bytes begin at `start`, and how many they are."""
    name, shape = (entry.get("name"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(shape, list) or len(shape) > 32:
        raise InvalidModel("a weight has no name or no shape", where="weightsManifest")
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(max(n, 1) for n in shape) > limits.VALUES:
        raise InvalidModel(f"shape {shape}", where=name)
    stored, dtype, decoded = _encoding(entry, name)
    count = math.prod(shape)
    size = count * stored.itemsize
    if start + size > chain.size:
        what = f"shape {shape} needs {size} bytes from {start}, the files have {chain.size}"
        raise InvalidModel(what, where=name)
    row = math.prod(shape[1:])

    def read() -> Array:
        return decoded(chain.array(stored, start, count)).reshape(shape)

    def read_rows(first: int, stop: int) -> Array:
        values = chain.array(stored, start + first * row * stored.itemsize, (stop - first) * row)
        return decoded(values).reshape(stop - first, *shape[1:])

    return Weight(name, tuple(shape), dtype, read, read_rows if shape else None), size


def _encoding(entry: Mapping[str, Any], place: str) -> tuple[np.dtype[Any], str, Callable[[Array], Array]]:
    """How a weight is stored: dtype of its bytes, dtype of its values, and how the first become the second."""
    dtype, quantization = entry.get("dtype"), entry.get("quantization")
    if dtype not in _DTYPES:
        raise Unsupported(f"dtype {clean(dtype, 40)}", where=place)
    if quantization is None:
        stored = np.dtype("uint8" if dtype == "bool" else dtype).newbyteorder("<")
        return stored, dtype, lambda values: values.astype(dtype, copy=False)
    name = quantization.get("dtype") if isinstance(quantization, dict) else None
    if name not in _QUANTIZED or dtype == "bool" or (name == "float16" and dtype != "float32"):
        raise Unsupported(f"quantization {clean(json.dumps(quantization), 80)} of {dtype}", where=place)
    stored = np.dtype(name).newbyteorder("<")
    if name == "float16":
        return stored, dtype, lambda values: values.astype(np.float32)
    scale, low = quantization.get("scale"), quantization.get("min")
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (scale, low)):
        raise InvalidModel("a quantized weight without scale and min", where=place)
    largest = abs(float(scale)) * np.iinfo(stored).max + abs(float(low))
    if not largest <= float(np.finfo(np.float32).max if dtype == "float32" else np.iinfo(np.int32).max):
        raise InvalidModel(f"scale {scale} and min {low} lead beyond {dtype}", where=place)
    return stored, dtype, lambda values: _dequantized(values, float(scale), float(low), dtype)


def _dequantized(values: Array, scale: float, low: float, dtype: str) -> Array:
    """`value * scale + min`, computed in float64 as JavaScript does; integers are rounded half up, as Math.round."""
    exact = values.astype(np.float64) * scale + low
    return exact.astype(np.float32) if dtype == "float32" else np.floor(exact + 0.5).astype(np.int32)
