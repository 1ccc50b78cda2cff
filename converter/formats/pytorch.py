"""PyTorch's `.pt` files (ZIP form, torch >= 1.6) as named arrays. No code of the file is run.

data.pkl is a pickle, a program: it is run by a machine of our own that admits a handful of names, all of them replaced
by functions of this file, and refuses every other one by name (after torch/_weights_only_unpickler.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from converter import limits
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats import pickle_machine
from converter.formats.archive import Zip, open_zip
from converter.model import Array, Weight, dtype_of

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip


# Where checkpoints keep the state_dict: the PyTorch tutorial, Lightning, and what others are used to.
_CHECKPOINT = ("model_state_dict", "state_dict", "model_state", "model")


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    size: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def sniff(path: Path) -> bool:
    """Whether `path` is a ZIP file with a data.pkl in a folder."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(4) != b"PK\3\4":
            return False
    try:
        return _pickle_of(open_zip(path)) is not None
    except ConversionError:  # whoever reads ZIP files says what is wrong with it
        return False


def _pickle_of(archive: Zip) -> str | None:
    names = [name for name in archive.names() if name.endswith("/data.pkl") and name.count("/") == 1]
    return names[0] if len(names) == 1 else None


def read(path: Path) -> Mapping[str, Weight]:
    """The tensors of a state_dict, described; their values are read when asked for.

    Raises:
        InvalidModel: damaged, or a tensor that reaches outside its storage.
        Unsupported: the pickle wants anything but tensors in dictionaries, or is no state_dict.
    """
    archive = open_zip(path)
    name = _pickle_of(archive)
    if name is None:
        raise InvalidModel("no data.pkl in the archive")
    folder = name.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.names() and archive.read(f"{folder}byteorder", 16) != b"little":
        raise Unsupported("a big-endian PyTorch file")
    try:
        tree = pickle_machine.load(archive.read(name, limits.PICKLE_BYTES), _FUNCTIONS, _stored)
    except InvalidModel as error:
        raise (error if error.where == name else error.at(name)) from None
    inner = [tree[key] for key in _CHECKPOINT if isinstance(tree.get(key), dict)] if isinstance(tree, dict) else []
    tree = inner[0] if len(inner) == 1 else tree
    if not isinstance(tree, dict) or not all(isinstance(k, str) and isinstance(v, _Tensor) for k, v in tree.items()):
        raise Unsupported("no state_dict: not a dictionary of tensors", hint="torch.save(model.state_dict(), ...)")
    weights = {key: _weight(archive, folder, key, tensor) for key, tensor in tree.items()}
    _check_sharing(sum(weight.nbytes for weight in weights.values()), path.stat().st_size)
    return weights


def _check_sharing(described: int, stored: int) -> None:
    if described > limits.SHARED_FREE + limits.SHARED_RATIO * stored:
        raise InvalidModel(f"its arrays share storages: {described} bytes of values in a file of {stored}")


def _stored(pid: Any) -> _Storage:
    """A storage by its persistent id: ("storage", type, key, location, number of values)."""
    if type(pid) is not tuple or len(pid) != 5:
        raise InvalidModel("no storage")
    kind, dtype, key, _, size = pid
    known = type(dtype) is str and dtype in _STORAGES.values()
    if kind != "storage" or not known or type(key) is not str or type(size) is not int or not 0 <= size < limits.VALUES:
        raise InvalidModel("no storage")
    return _Storage(key, dtype, size)


def _rebuild(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage) or not isinstance(shape, tuple) or not isinstance(stride, tuple):
        raise InvalidModel("no tensor")
    if len(shape) != len(stride) or len(shape) > limits.RANK:
        raise InvalidModel(f"a tensor of {len(shape)} axes")
    if not all(type(n) is int and 0 <= n < limits.VALUES for n in (offset, *shape, *stride)):
        raise InvalidModel("no tensor")
    return _Tensor(storage, offset, shape, stride)


def _parameter(tensor: Any = None, *_: Any) -> Any:
    return tensor


def _ordered(pairs: Any = (), *_: Any) -> Any:
    if pairs not in ((), []):
        raise InvalidModel("an OrderedDict of given pairs")
    return {}


# What the names of the pickle stand for.
_FUNCTIONS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{(module, name): dtype for module in ("torch", "torch.storage") for name, dtype in _STORAGES.items()},
}


def _weight(archive: Zip, folder: str, name: str, tensor: _Tensor) -> Weight:
    """A tensor as a weight; its extent in the storage, and the storage's in the archive, are checked now."""
    member, dtype = f"{folder}data/{tensor.storage.key}", dtype_of(tensor.storage.dtype)
    if member not in archive.names():
        raise InvalidModel("its storage is not in the archive", where=name)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride, strict=True))
    stored = tensor.storage.size * dtype.itemsize
    if prod(tensor.shape) and last >= tensor.storage.size:
        raise InvalidModel("it reaches outside its storage", where=name)
    if prod(tensor.shape) > max(1, tensor.storage.size):
        raise InvalidModel("it repeats the values of its storage", where=name)

    def values() -> Array:
        data = archive.read(member, stored)
        if len(data) != stored:
            raise InvalidModel(f"its storage has {len(data)} bytes, not {stored}", where=name)
        flat = np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)
        strides = tuple(step * dtype.itemsize for step in tensor.stride)
        view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
        return np.ascontiguousarray(view).reshape(tensor.shape)

    return Weight(name, tensor.shape, tensor.storage.dtype, values)
