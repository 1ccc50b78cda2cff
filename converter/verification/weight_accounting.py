"""Every byte of every initializer of an exported file, held to the arrays of the source.

An initializer is an array of the source under an arrangement in `weight_claims`, bit for bit, or else a small constant
named `<layer>/constant`, by which operators are told axes, sizes and parameters. Which array and which arrangement need
not be known: the bytes decide. Values of large arrays are read in blocks on both sides.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converter.errors import InvalidModel, clean
from converter.model import Array, Model, Weight
from converter.verification.graph_cutting import owner_of
from converter.verification.report import Arrangement
from converter.verification.runtime import Exported
from converter.verification.weight_claims import Claim, claims_of


@dataclass(frozen=True)
class Accounts:
    """What became of each initializer and each array: `wrong` says what is not accounted for."""

    found: tuple[Arrangement, ...]
    wrong: tuple[str, ...]


def account(model: Model, needed: frozenset[str], file: Exported) -> Accounts:
    """Finds for each initializer of the file what it is.

    Args:
        model: the neutral model.
        needed: names of the values that an output depends on.
        file: the exported file.
    """
    nodes = [node for node in model.nodes if any(value.name in needed for value in node.outputs)]
    claims = {clean(node.name): [*claims_of(node.layer, node)] for node in nodes}
    readers = _readers(file.nodes)
    found: list[Arrangement] = []
    wrong: list[str] = []
    used: set[int] = set()
    for name, tensor in file.initializers.items():
        if name.rpartition("/")[2].partition("_")[0] == "constant":
            found.append(Arrangement(name, (), readers.get(name, "read by no operator")))
            continue
        shape, own = tuple(tensor.dims), owner_of(name)
        others = (one for owner, listed in claims.items() if owner != own for one in listed)
        candidates = (one for listed in (claims.get(own, ()), others) for one in listed if one.shape == shape)
        match = _match(file, tensor, candidates, used)
        if match is None:
            wrong.append(f"{name}: it is no array of the source in any known arrangement, nor a declared constant")
        else:
            used.update(id(weight) for weight in match.sources)
            how = f"{match.how}{_cast(match.sources, tensor)}"
            found.append(Arrangement(name, tuple(weight.name for weight in match.sources), how))
    for owner, listed in claims.items():
        for weight in {id(w): w for one in listed for w in one.sources}.values():
            if id(weight) not in used:
                wrong.append(f"{owner}: nothing in the file is its array {weight.name}")
    return Accounts(tuple(found), tuple(wrong))


def _match(
    file: Exported, tensor: onnx.TensorProto, candidates: Iterable[Claim], used: Collection[int]
) -> Claim | None:
    """What an initializer is; of several arrays with its values rather one that nothing else is yet."""
    again = None
    with values_of(file, tensor) as values:
        for one in candidates:
            taken = all(id(weight) in used for weight in one.sources)
            if (again is None or not taken) and _is(values, one):
                if not taken:
                    return one
                again = one
    return again


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


def _cast(sources: tuple[Weight, ...], tensor: onnx.TensorProto) -> str:
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).name
    return "" if sources[0].dtype == kind else f", {sources[0].dtype} as {kind}"


def _is(values: Array, claim: Claim) -> bool:
    """Whether every byte is as the claim says."""
    count = 0
    for have, want in claim.pairs(values):
        want = np.asarray(want)
        if have.shape != want.shape or not _same_bits(have, want.astype(have.dtype, copy=False)):
            return False
        count += have.size
    return count == values.size


def _same_bits(a: Array, b: Array) -> bool:
    if a.dtype.hasobject or a.dtype.itemsize not in (1, 2, 4, 8):
        return bool(np.array_equal(a, b))
    bits = f"u{a.dtype.itemsize}"
    return bool(np.array_equal(np.ascontiguousarray(a).view(bits), np.ascontiguousarray(b).view(bits)))


class values_of:
    """The values of an initializer, mapped from the file where they are large; unmapped at the end."""

    def __init__(self, file: Exported, tensor: onnx.TensorProto) -> None:
        self._file, self._tensor = file, tensor
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Array:
        entries = {entry.key: entry.value for entry in self._tensor.external_data}
        if not entries or not int(entries.get("length", 0)):
            return np.asarray(numpy_helper.to_array(self._tensor, str(self._file.folder)))
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
        return flat.reshape(tuple(self._tensor.dims))

    def __exit__(self, *details: object) -> None:
        self._map = None  # goes with the last array that refers to it
