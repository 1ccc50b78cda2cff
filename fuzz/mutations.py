"""Mutations of model files: of their bytes, and of what is in them (JSON of an architecture, HDF5, ZIP, pickles).

Each takes a random generator, so that a seed gives the file again.
"""

from __future__ import annotations

import io
import json
import math
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What may stand where another value belongs.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**62, -(2**63), 10**18, 0.5, -1e300, math.nan, -math.inf, "", "None", "\0",
    "/etc/passwd", "float33", "string", [], [[]], [None], [1] * 40, {}, {"class_name": "LSTM", "config": {}}, {"": 0},
    "a" * 300, [0, -1, None],
)  # fmt: skip


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, taken away, put in or repeated; often near the start, where headers are."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        size = len(changed)
        if not size:
            break
        place = rng.randrange(size if rng.random() < 0.5 else min(size, 4096))
        kind = rng.randrange(6)
        if kind <= 1:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            changed[place : place + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1\0\0\0")
            )
        elif kind == 3:
            del changed[place : place + rng.choice((1, 4, 64))]
        elif kind == 4:
            changed[place:place] = rng.randbytes(rng.choice((1, 4, 8)))
        else:
            changed[place:place] = changed[place : place + rng.choice((1, 16, 256))]
    return bytes(changed[: rng.randrange(len(changed) + 1)]) if rng.random() < 0.05 else bytes(changed)


def mutated_tree(tree: Any, rng: random.Random) -> Any:
    """A JSON tree with some nodes replaced by odd ones, dropped, repeated or swapped for others of the tree."""
    places = list(_places(tree))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not places:
            return rng.choice(ODD)
        holder, key = rng.choice(places)
        kind = rng.randrange(5)
        try:
            if kind <= 2:
                holder[key] = rng.choice(ODD)
            elif kind == 3:
                del holder[key]
            else:
                other, at = rng.choice(places)
                holder[key] = json.loads(json.dumps(other[at]))
        except (LookupError, ValueError, RecursionError):  # gone with a holder that went before
            continue
    return tree


def _places(tree: Any) -> Any:
    todo = [tree]
    while todo:
        holder = todo.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, value in items:
            yield holder, key
            todo.append(value)


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """JSON text with its tree mutated."""
    return json.dumps(mutated_tree(json.loads(data), rng)).encode()


def mutated_zip(data: bytes, rng: random.Random) -> bytes:
    """A ZIP file with one member mutated, its checksums right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice([*members, *[name for name in members if name.endswith((".json", ".pkl"))] * 3])
    members[name] = (mutated_json if name.endswith(".json") else mutated_bytes)(members[name], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return stream.getvalue()


def mutated_h5(data: bytes, rng: random.Random) -> bytes:
    """An HDF5 file with its architecture, a list of names or an array mutated, its structure right."""
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        if "model_config" in file.attrs and rng.random() < 0.8:
            text = file.attrs["model_config"]
            file.attrs["model_config"] = mutated_json(text if isinstance(text, bytes) else text.encode(), rng)
            return _closed(file, stream)
        found: list[Any] = []
        file.visititems(lambda name, item: found.append(item))
        if found:
            _mutate_item(rng.choice(found), rng)
        return _closed(file, stream)


def _closed(file: Any, stream: io.BytesIO) -> bytes:
    file.close()
    return stream.getvalue()


def _mutate_item(item: Any, rng: random.Random) -> None:
    if item.attrs and rng.random() < 0.5:
        item.attrs[rng.choice(list(item.attrs))] = rng.choice((b"x", 0, [b"a", b"a"], [], [b"../a"], b"\xff", 1.5))
    elif item.name != "/":
        parent, name = item.parent, item.name.rsplit("/", 1)[1]
        del parent[name]
        if rng.random() < 0.7:
            import numpy as np

            shape = rng.choice(((), (0,), (3,), (2, 2), (1, 1, 1, 1), (0, 4)))
            parent[name] = np.zeros(shape, rng.choice(("f4", "f8", "i4", "S3", "c8", "?")))


def mutated(path: Path, rng: random.Random) -> bytes:
    """A file mutated in a way that its kind has, or byte by byte."""
    data = path.read_bytes()
    by_kind: dict[str, Callable[[bytes, random.Random], bytes]] = {
        ".h5": mutated_h5, ".hdf5": mutated_h5, ".keras": mutated_zip, ".pt": mutated_zip, ".json": mutated_json,
    }  # fmt: skip
    change = by_kind.get(path.suffix, mutated_bytes)
    try:
        return (change if rng.random() < 0.7 else mutated_bytes)(data, rng)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, zipfile.BadZipFile):
        return mutated_bytes(data, rng)  # the seed is broken itself, and its structure cannot be read
