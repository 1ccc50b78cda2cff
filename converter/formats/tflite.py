"""TFLite files as they are: flatbuffers by the classes of the runtime's own package, imported when one is read.

What a file claims is checked before it is used: buffers, shapes and numbers of tensors.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from converter import limits
from converter.errors import SURPRISES, InvalidModel, Unsupported
from converter.model import Array, dtype_of

PACKAGE = "ai-edge-litert"
IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of every buffer, as the schema asks
CACHE_LINE = 64  # matrices start on one: kernels that read across two are 4 % slower
MATRIX = 4096  # bytes from which a buffer counts as one
METADATA = "keras_lstm_convert"  # JSON: source, states, which tensor holds which value, the owner of each operator
MIN_RUNTIME = "min_runtime_version"  # TensorFlow's own: the oldest runtime that has all operators
TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}  # TensorType
NAMES = {number: name for name, number in TYPES.items()}


def sniff(path: Path) -> bool:
    """Whether the file says that it is a TFLite flatbuffer."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(8)[4:] == IDENTIFIER


def release(version: str) -> tuple[int, ...]:
    """A runtime's version, to be compared."""
    return tuple(int(part) for part in version.split("."))


@cache
def schema() -> ModuleType:
    """Classes of the flatbuffer's tables.

    Raises:
        Unsupported: the package is not installed.
    """
    try:
        return import_module("ai_edge_litert.schema_py_generated")
    except ImportError as error:
        raise Unsupported(f"{PACKAGE} is not installed", hint=f"pip install {PACKAGE}") from error


@cache
def _aligned() -> Any:
    """A buffer that packs its bytes where the schema wants them; the generated code aligns them to 1."""
    s = schema()

    class Aligned(s.BufferT):  # type: ignore[misc, name-defined]
        def Pack(self, builder: Any) -> Any:
            place = None
            if self.data is not None and len(self.data):
                data = np.asarray(self.data, np.uint8)
                builder.StartVector(1, data.size, CACHE_LINE if data.size >= MATRIX else ALIGNMENT)
                builder.head -= data.size
                builder.Bytes[builder.head : builder.head + data.size] = data.tobytes()
                place = builder.EndVector()
            s.BufferStart(builder)
            if place is not None:
                s.BufferAddData(builder, place)
            return s.BufferEnd(builder)

    return Aligned


def pack(model: Any) -> bytes:
    """The bytes of a model of the schema's classes: the same for the same model."""
    import flatbuffers

    aligned = []
    for buffer in model.buffers:
        aligned.append(_aligned()())
        aligned[-1].data = buffer.data
    model.buffers = aligned
    size = sum(0 if buffer.data is None else len(buffer.data) + CACHE_LINE for buffer in model.buffers)
    builder = flatbuffers.Builder(size + (1 << 16))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


@dataclass(frozen=True)
class Contents:
    """A file.

    Attributes:
        data: its bytes.
        model: the tables, as the schema's classes have them.
        names: of the tensors of its first graph.
        metadata: what the file says of itself, as ours do.
    """

    data: bytes = field(repr=False)
    model: Any = field(repr=False)
    names: tuple[str, ...]
    metadata: dict[str, Any]

    @property
    def graph(self) -> Any:
        """The first graph."""
        return self.model.subgraphs[0]

    def said(self, key: str) -> dict[str, str]:
        """An object of names in the metadata; empty where there is nothing of the kind."""
        found = self.metadata.get(key)
        return {a: b for a, b in found.items() if isinstance(b, str)} if isinstance(found, dict) else {}

    def owners(self) -> list[str]:
        """The owner of each operator of the first graph, "" where the file does not say it."""
        found = self.metadata.get("owners")
        listed = [one if isinstance(one, str) else "" for one in found] if isinstance(found, list) else []
        count = len(self.graph.operators)
        return (listed + [""] * count)[:count]

    def kind(self, operator: Any) -> str:
        """What an operator is called."""
        return operator_name(self.model.operatorCodes[operator.opcodeIndex])

    def name(self, tensor: Any) -> str:
        """What a tensor is called."""
        return _name(tensor)

    def constants(self, graph: Any) -> list[int]:
        """The tensors of a graph that have values."""
        return [k for k, tensor in enumerate(graph.tensors) if _held(self.model, tensor)]

    def each_constant(self) -> Iterator[tuple[str, Array]]:
        """The constants of all graphs by name, each buffer once."""
        seen: set[int] = set()
        for graph in self.model.subgraphs:
            for place in self.constants(graph):
                tensor = graph.tensors[place]
                if tensor.buffer not in seen:
                    seen.add(tensor.buffer)
                    yield _name(tensor), self.values(graph, place)

    def values(self, graph: Any, place: int) -> Array:
        """The values of a constant of a graph.

        Raises:
            InvalidModel: its bytes do not fit its shape.
        """
        tensor = graph.tensors[place]
        if tensor.type not in NAMES:
            raise Unsupported(f"TFLite data type {tensor.type}", where=_name(tensor))
        dtype, shape = dtype_of(NAMES[tensor.type]).newbyteorder("<"), tuple(int(n) for n in _list(tensor.shape))
        data = np.asarray(self.model.buffers[tensor.buffer].data, np.uint8)
        if len(shape) > limits.RANK or min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != data.size:
            raise InvalidModel(f"{data.size} bytes for shape {shape}", where=_name(tensor))
        values: Array = data.view(dtype).reshape(shape).astype(dtype_of(NAMES[tensor.type]))
        return values


def operator_name(code: Any) -> str:
    """The name of an operator's code, as the schema has it; a custom one's own."""
    names = {number: name for name, number in vars(schema().BuiltinOperator).items() if isinstance(number, int)}
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    custom = bytes(code.customCode or b"").decode("utf-8", "replace")
    return custom if names.get(number) == "CUSTOM" else names.get(number, str(number))


def read_tables(data: bytes) -> Any:
    """The tables of a file, as the schema's classes have them. Raises many things where they are broken."""
    model = schema().ModelT.InitFromPackedBuf(data, 0)
    _check(model)
    return model


def read(path: Path) -> Contents:
    """A file.

    Raises:
        InvalidModel: its tables are broken.
        Unsupported: the schema's package is not installed.
        OSError: it cannot be read.
    """
    schema()
    data = path.read_bytes()
    try:
        model = read_tables(data)
        graph = model.subgraphs[0]
        names = tuple(_name(tensor) for tensor in graph.tensors)
        return Contents(data, model, names, _metadata(model))
    except (*SURPRISES, struct.error, MemoryError) as error:
        raise InvalidModel("it is no sound TFLite file", where=path.name) from error


def _held(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _check(model: Any) -> None:
    """Every number that refers to something refers to something that is there."""
    for graph in model.subgraphs:
        count = len(graph.tensors)
        for places in (graph.inputs, graph.outputs, *_places(graph)):
            if any(not -1 <= place < count for place in _list(places)):
                raise ValueError(places)
        for name in ("inputs", "outputs"):
            setattr(graph, name, [int(place) for place in _list(getattr(graph, name))])
        for operator in graph.operators or []:
            operator.inputs, operator.outputs = ([int(n) for n in _list(side)]
                                                 for side in (operator.inputs, operator.outputs))  # fmt: skip
            model.operatorCodes[operator.opcodeIndex]
        for tensor in graph.tensors:
            model.buffers[tensor.buffer]


def _places(graph: Any) -> Iterator[Any]:
    for operator in graph.operators or []:
        yield operator.inputs
        yield operator.outputs


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _name(tensor: Any) -> str:
    return bytes(tensor.name or b"").decode("utf-8", "replace")


def _metadata(model: Any) -> dict[str, Any]:
    for entry in model.metadata or []:
        if bytes(entry.name or b"").decode("utf-8", "replace") == METADATA:
            try:
                found = json.loads(bytes(np.asarray(model.buffers[entry.buffer].data, np.uint8)))
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}
