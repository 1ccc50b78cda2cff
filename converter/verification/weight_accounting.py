"""Every byte of every initializer of an exported file, held to the arrays of the source.

An initializer is an array of the source under an arrangement in `weight_claims`, bit for bit, or else a small constant
named `<layer>/constant`, which gives operators axes, sizes and parameters. Which array and which arrangement need
not be known: the bytes decide. Values of large arrays are read in blocks on both sides.
"""

from __future__ import annotations

import mmap
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from msgspec import structs
from onnx import helper, numpy_helper

from converter.errors import InvalidModel, clean
from converter.model import Array, Model, Node, Weight
from converter.model.layers import Recurrent, every_node
from converter.model.prune import directions_read
from converter.verification.graph_cutting import owner_of
from converter.verification.report import Arrangement
from converter.verification.weight_claims import Claim, claims_of

KEPT = 1 << 26  # bytes of a mapped file that stay in memory after they were compared

if TYPE_CHECKING:
    from converter.verification.runtime import Exported


@dataclass(frozen=True)
class Accounts:
    """What became of each initializer and each array.

    Attributes:
        found: what each initializer is.
        wrong: what is not accounted for.
        unread: the layers whose arrays are in no initializer, because no output depends on them.
    """

    found: tuple[Arrangement, ...]
    wrong: tuple[str, ...]
    unread: tuple[str, ...]


def _nothing() -> None:
    """Nothing to forget."""


@dataclass(frozen=True)
class Opened:
    """The values of an initializer; `forget` frees the memory of what was read of them, which may be read again."""

    values: Array
    forget: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Held:
    """An initializer of a file.

    Attributes:
        name, dtype, shape: as the file says.
        reader: what reads it, for a constant.
        open: gives its values, as long as the context is open.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    reader: str
    open: Callable[[], AbstractContextManager[Opened]]


def account(
    model: Model,
    needed: frozenset[str],
    initializers: Iterable[Held],
    claims_on: Callable[[Any, Node], Iterable[Claim]] = claims_of,
) -> Accounts:
    """Finds for each initializer of a file what it is.

    Args:
        model: the neutral model.
        needed: names of the values that an output depends on.
        initializers: of the exported file.
        claims_on: what the initializers of a node may be.
    """
    nodes = [*every_node(node for node in model.nodes if any(value.name in needed for value in node.outputs))]
    claims = {clean(node.name): [*claims_on(node.layer, node)] for node in nodes}
    found: list[Arrangement] = []
    wrong: list[str] = []
    used: set[tuple[int, str]] = set()
    for one in initializers:
        if one.name.rpartition("/")[2].partition("_")[0] == "constant":
            found.append(Arrangement(one.name, (), one.reader))
            continue
        own = owner_of(one.name)
        others = (claim for owner, listed in claims.items() if owner != own for claim in listed)
        candidates = (c for listed in (claims.get(own, ()), others) for c in listed if c.shape == one.shape)
        match = _match(one, candidates, used)
        if match is None:
            what = "it is no array of the source in any known arrangement, nor a declared constant"
            wrong.append(f"{one.name}: {what}")
        else:
            used.update(_keys(match))
            how = f"{match.how}{_cast(match.sources, one.dtype)}"
            found.append(Arrangement(one.name, tuple(weight.name for weight in match.sources), how))
    unread = tuple(_unread(model, {node.keras_layer for node in nodes}))
    needless = {id(weight) for node in nodes for claim in _of_unread_directions(node, needed, claims_on)
                for weight in claim.sources}  # fmt: skip
    return Accounts(tuple(found), (*wrong, *_missing(claims, used, needless)), unread)


def _of_unread_directions(
    node: Node, needed: frozenset[str], claims_on: Callable[[Any, Node], Iterable[Claim]]
) -> Iterator[Claim]:
    """The claims on those directions of a recurrent node that no output depends on."""
    if isinstance(node.layer, Recurrent):
        read = directions_read(node, needed)
        rest = tuple(one for one, wanted in zip(node.layer.directions, read, strict=True) if not wanted)
        yield from claims_on(structs.replace(node.layer, directions=rest), node) if rest else ()


def _keys(claim: Claim) -> set[tuple[int, str]]:
    """What of its sources a claim stands for: all of them, or a part."""
    return {(id(weight), claim.how if claim.parts > 1 else "") for weight in claim.sources}


def _missing(
    claims: Mapping[str, Sequence[Claim]], used: Collection[tuple[int, str]], needless: Collection[int]
) -> Iterator[str]:
    """The arrays that are nowhere in the file, or not whole, but for those that nothing needs."""
    found = Counter(weight for weight, _ in used)
    for owner, listed in claims.items():
        for weight in {id(w): w for one in listed for w in one.sources}.values():
            parts = max(one.parts for one in listed if weight in one.sources)
            if (id(weight), "") not in used and found[id(weight)] < parts and id(weight) not in needless:
                yield f"{owner}: nothing in the file is its array {weight.name}"


def _unread(model: Model, read: Collection[str]) -> Iterator[str]:
    """The layers with arrays that no node in the file comes from."""
    holders = {"/".join(parts[: k + 1]) for path in read for parts in [path.split("/")] for k in range(len(parts))}
    for layer in model.layers:
        if layer.weights and layer.path not in holders:
            yield layer.path


def _match(held: Held, candidates: Iterable[Claim], used: Collection[tuple[int, str]]) -> Claim | None:
    """What an initializer is; of several arrays with its values rather one that nothing else is yet."""
    again = None
    with held.open() as opened:
        for one in candidates:
            taken = all(key in used for key in _keys(one))
            if (again is None or not taken) and _is(opened, one):
                if not taken:
                    return one
                again = one
    return again


def held_by(file: Exported) -> Iterator[Held]:
    """The initializers of an ONNX file."""
    readers = _readers(file.nodes)
    for name, tensor in file.initializers.items():
        kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).name
        reader = readers.get(name, "read by no operator")
        yield Held(name, kind, tuple(tensor.dims), reader, partial(values_of, file, tensor))


def _readers(nodes: Iterable[onnx.NodeProto]) -> dict[str, str]:
    """By the name of what operators read: the first of them and the place."""
    found: dict[str, str] = {}
    for node in nodes:
        for place, name in enumerate(node.input):
            found.setdefault(name, f"constant: input {place} of {node.op_type} {node.name}")
        for attribute in node.attribute:
            for name, reader in _readers(attribute.g.node).items():
                found.setdefault(name, reader)
    return found


def _cast(sources: tuple[Weight, ...], kind: str) -> str:
    return "" if sources[0].dtype == kind else f", {sources[0].dtype} as {kind}"


def _is(opened: Opened, claim: Claim) -> bool:
    """Whether every byte is as the claim says."""
    count = held = 0
    for have, want in claim.pairs(opened.values):
        want = np.asarray(want)
        if have.shape != want.shape or not _same_bits(have, want.astype(have.dtype, copy=False)):
            return False
        count, held = count + have.size, held + have.nbytes
        if held >= KEPT:
            opened.forget()
            held = 0
    return count == opened.values.size


def _same_bits(a: Array, b: Array) -> bool:
    if a.dtype.hasobject or a.dtype.itemsize not in (1, 2, 4, 8):
        return bool(np.array_equal(a, b))
    bits = f"u{a.dtype.itemsize}"
    return bool(np.array_equal(np.ascontiguousarray(a).view(bits), np.ascontiguousarray(b).view(bits)))


class values_of(AbstractContextManager[Opened]):
    """The values of an initializer, mapped from the file where they are large; unmapped at the end."""

    def __init__(self, file: Exported, tensor: onnx.TensorProto) -> None:
        self._file, self._tensor = file, tensor
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Opened:
        entries = {entry.key: entry.value for entry in self._tensor.external_data}
        if not entries or not int(entries.get("length", 0)):
            return Opened(np.asarray(numpy_helper.to_array(self._tensor, str(self._file.folder))))
        offset, length = int(entries.get("offset", 0)), int(entries["length"])
        if Path(entries["location"]).name != entries["location"]:
            raise InvalidModel("its values lie outside of the file's folder", where=self._tensor.name)
        start = offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        with (self._file.folder / entries["location"]).open("rb") as file:
            if length < 0 or offset < 0 or offset + length > os.fstat(file.fileno()).st_size:
                raise InvalidModel("its values lie past the end of the file", where=self._tensor.name)
            self._map = mmap.mmap(file.fileno(), length + offset - start, access=mmap.ACCESS_READ, offset=start)
        dtype = helper.tensor_dtype_to_np_dtype(self._tensor.data_type)
        flat = np.frombuffer(self._map, dtype, length // dtype.itemsize, offset - start)
        return Opened(flat.reshape(tuple(self._tensor.dims)), self._forget)

    def _forget(self) -> None:
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._map = None  # goes with the last array that refers to it
