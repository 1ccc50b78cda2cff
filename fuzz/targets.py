"""What is fuzzed: for each kind of container seeds made from the fixtures, mutations of its own, and how it is read.

Everything is read below the last wall (`converter.errors.walled`), so that each place that relies on a form is seen,
and the values of the arrays are read, too.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import seed_files
from mutations import mutated_bytes, mutated_h5, mutated_tree
from seed_files import Seed
from structures import mutated_index, mutated_message, mutated_pickle, mutated_safetensors, with_members

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "fixtures/good"
VALUES = 1_000_000  # arrays of more values than this are not drawn for an architecture

Mutation = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """A kind of container.

    Attributes:
        seeds: made from the fixtures.
        change: a mutation that keeps the structure; bytes alone are changed next to it.
        read: reads what is at a path, with an architecture or without.
        parse: reads the bytes themselves; there is no file then.
    """

    seeds: Callable[[], list[Seed]]
    change: Mutation
    read: Callable[[Path, Path | None], object] = lambda path, architecture: None
    parse: Callable[[bytes], object] | None = None

    def run(self, path: Path, architecture: Path | None) -> object:
        """Reads what is at a path."""
        return self.read(path, architecture) if self.parse is None else self.parse(path.read_bytes())

    def mutated(self, seed: Seed, rng: random.Random) -> bytes:
        """The seed's bytes, changed; a few times in a hundred with no regard for structure."""
        if rng.random() < 0.12:
            return mutated_bytes(seed.data, rng)
        try:
            return self.change(seed.data, rng)
        except Exception:  # what coverage keeps for further changes may be broken already
            return mutated_bytes(seed.data, rng)


# --- reading ----------------------------------------------------------------------------------------------------------


def _model(path: Path, architecture: Path | None, route: str = "") -> object:
    from converter import readers

    model = readers.load(path, architecture, route=route)
    for layer in model.layers:
        for weight in layer.weights:
            if weight.size <= VALUES:
                weight.read()
    return model


def _sample(path: Path, architecture: Path | None) -> object:
    """A layer sample: an architecture, and the shapes of its arrays."""
    from converter.errors import InvalidModel
    from converter.keras import build
    from converter.keras.source import FlatWeights, Source
    from converter.model import Provenance, constant

    try:
        raw = json.loads(path.read_bytes())
        arrays = {
            str(layer): tuple(constant(str(name), np.ones(_shape(shape)), str(dtype)) for name, shape, dtype in listed)
            for layer, listed in raw["arrays"].items()
        }
        tree, version = dict(raw["architecture"]), str(raw["version"])
        source = Source(tree, FlatWeights(arrays), Provenance("sample", "sample", version))
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        raise InvalidModel("no sample") from None
    return build(source)


def _shape(shape: Any) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in shape)
    if not 0 <= np.prod([float(n) for n in sizes]) <= VALUES or len(sizes) > 8:
        raise ValueError("no shape of an array in a file")
    return sizes


def _text(path: Path, architecture: Path | None) -> object:
    from converter.readers.common import read_architecture

    return read_architecture(path)


def _pickle(data: bytes) -> object:
    from converter.formats import pickle_machine, pytorch

    return pickle_machine.load(data, pytorch._FUNCTIONS, pytorch._stored)


def _json_text(data: bytes) -> object:
    from converter.formats.text import decode
    from converter.readers.common import filled, parse_architecture

    return filled(parse_architecture(decode(data, "m.json"), "m.json"), "m.json")


def _table(data: bytes) -> object:
    from converter.formats.protobuf import parse
    from converter.formats.sorted_table import read_table

    return [parse("BundleEntry", value) for _, value in read_table(data)]


def _snappy(data: bytes) -> object:
    from converter.formats.snappy import decompress

    return decompress(data, 1 << 20)


# --- mutations of parts -----------------------------------------------------------------------------------------------


def _json(data: bytes, rng: random.Random) -> bytes:
    return json.dumps(mutated_tree(json.loads(data), rng)).encode()


def _npy(data: bytes, rng: random.Random) -> bytes:
    """The array of a text that is JSON, with its tree changed; texts in JSON are changed as JSON, too."""
    if rng.random() < 0.2:
        return mutated_bytes(data, rng)
    tree = json.loads(str(np.load(io.BytesIO(data))))
    key = rng.choice(list(tree))
    if isinstance(tree[key], str) and tree[key][:1] in ("{", "[") and rng.random() < 0.8:
        tree[key] = json.dumps(mutated_tree(json.loads(tree[key]), rng))
    else:
        tree = mutated_tree(tree, rng)
    stream = io.BytesIO()
    np.save(stream, np.array(json.dumps(tree)))
    return stream.getvalue()


def _members(data: bytes, rng: random.Random, changes: Mapping[str, Mutation]) -> bytes:
    """A ZIP file with one member changed as its name's ending says, its checksums right; or renamed, or left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice([*members, *[name for name in members if name.endswith((".json", ".pkl"))] * 4])
    change = next((c for ending, c in changes.items() if name.endswith(ending)), mutated_bytes)
    content = members.pop(name)
    kind = rng.randrange(40)
    if kind:
        members[rng.choice(("../x", "x/../y", name[:-1], "a\0b")) if kind == 1 else name] = change(content, rng)
    return with_members(members)


def _text_lines(data: bytes, rng: random.Random) -> bytes:
    """YAML with lines dropped, repeated, moved, or their values replaced."""
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, kind = rng.randrange(len(lines)), rng.randrange(5)
        if kind == 0:
            lines[at] = b""
        elif kind == 1:
            lines.insert(at, rng.choice(lines))
        elif kind == 2:
            lines[at] = b" " * rng.randrange(6) + lines[at].lstrip()
        else:
            odd = rng.choice((b"!!python/object:os.system", b"&a [*a]", b"1:2:3", b"1e999", b"[[[", b"~", b"- - -",
                              b"0x" + b"f" * 50, b"2001-01-01", b"{a: b", b"*x", b"'", b"<<: *a", b"yes"))  # fmt: skip
            lines[at] = lines[at].partition(b":")[0] + b": " + odd
    return b"\n".join(lines)


TARGETS: dict[str, Target] = {
    "architecture": Target(seed_files.samples, _json, _sample),
    "json": Target(partial(seed_files.alone, "*/model.json"), _json, _text),
    "yaml": Target(partial(seed_files.alone, "*/model.yaml", most=8000), _text_lines, _text),
    "json_text": Target(partial(seed_files.alone, "*/model.json"), _json, parse=_json_text),
    "pickle": Target(seed_files.pickles, mutated_pickle, parse=_pickle),
    "table": Target(seed_files.indices, mutated_index, parse=_table),
    "snappy": Target(seed_files.compressed, mutated_bytes, parse=_snappy),
    "h5": Target(partial(seed_files.alone, "*/model.h5", most=50_000), mutated_h5, _model),
    "weights_h5": Target(seed_files.weights, mutated_h5, _model),
    "keras": Target(
        partial(seed_files.alone, "*/model.keras", most=50_000),
        partial(_members, changes={".json": _json, ".h5": mutated_h5}), _model,
    ),
    "onnx": Target(partial(seed_files.exported, "onnx"), mutated_message, _model),
    "pt": Target(seed_files.state_dicts, partial(_members, changes={".pkl": mutated_pickle}), _model),
    "safetensors": Target(seed_files.safetensors, mutated_safetensors, _model),
    "npz": Target(partial(seed_files.exported, "npz"), partial(_members, changes={"metadata.npy": _npy}), _model),
    "checkpoint": Target(seed_files.checkpoints, mutated_index, _model),
    "saved_model": Target(seed_files.metadata_seeds, mutated_message, _model),
    "function_graph": Target(
        partial(seed_files.saved_models, ("k3151_exported/export",), "saved_model.pb"), mutated_message,
        partial(_model, route="graph"),
    ),
    "frozen_graph": Target(seed_files.frozen, mutated_message, _model),
    "tfjs": Target(seed_files.tfjs, _json, _model),
}  # fmt: skip
"""By the name that `--only` takes."""
