"""Graphs -> bytes of a flatbuffer, by the schema's own classes. The same graphs give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.exporters.tflite.build import Built
from converter.exporters.tflite.graph import Graph
from converter.exporters.tflite.operators import OPERATORS
from converter.exporters.tflite.tensors import Buffer, Op, Tensor, element_type
from converter.formats.tflite import METADATA, MIN_RUNTIME, pack, release, schema
from converter.model import Array, dtype_of

SCHEMA_VERSION = 3
VERSION_BYTES = 16  # that a runtime's version takes in the metadata, zeros behind it
LARGEST = (1 << 31) - (1 << 20)  # a flatbuffer's offsets are signed, of 32 bits; what is not weights has to fit, too
DESCRIPTION = "keras-lstm-convert"
SIGNATURE = "serving_default"
PLACEHOLDER = 127  # what readers of an older schema find in place of a number above it


def write(built: Built, said: Mapping[str, Any]) -> bytes:
    """The file.

    Args:
        built: the graphs.
        said: what the file says of itself, as JSON in its metadata.

    Raises:
        Unsupported: the schema's package is not installed, or the weights are too large for a flatbuffer.
    """
    s = schema()
    store = built.store
    size = sum(_bytes(tensor) for graph in store.graphs for tensor in {buffer.number: tensor for tensor, buffer
               in graph.constants.items()}.values())  # fmt: skip
    if size > LARGEST:
        raise Unsupported(f"{size / 1e9:.1f} GB of weights do not fit into a TFLite file, which holds 2 GB")
    codes: dict[tuple[str, int], int] = {}
    model = s.ModelT()
    model.version, model.description = SCHEMA_VERSION, DESCRIPTION
    held = {buffer.number: (tensor, buffer) for graph in store.graphs for tensor, buffer in graph.constants.items()}
    numbers = {old: new for new, old in enumerate(sorted(held), 1)}
    model.subgraphs = [_subgraph(s, graph, codes, numbers) for graph in store.graphs]
    model.operatorCodes = [_code(s, kind, version) for kind, version in codes]
    model.buffers = [_buffer(s, None), *(_buffer(s, _data(*held[old])) for old in numbers)]
    oldest = max((OPERATORS[kind].since[version] for kind, version in codes), key=release, default="1.5.0")
    texts = {MIN_RUNTIME: oldest.encode().ljust(VERSION_BYTES, b"\0"), METADATA: json.dumps(
        {**said, "values": _values(built), "owners": [op.owner for op in store.graphs[0].ops]},
        separators=(",", ":"), ensure_ascii=False).encode()}  # fmt: skip
    model.metadata = []
    for name, text in texts.items():
        entry = s.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(_buffer(s, text))
        model.metadata.append(entry)
    model.signatureDefs = [_signature(s, store.graphs[0])]
    return pack(model)


def _bytes(tensor: Tensor) -> int:
    return int(np.prod([n or 1 for n in tensor.shape], dtype=np.int64)) * dtype_of(tensor.dtype).itemsize


def _data(tensor: Tensor, buffer: Buffer) -> bytes:
    array: Array = buffer.read().astype(dtype_of(tensor.dtype).newbyteorder("<"), copy=False)
    assert array.shape == tensor.shape, f"{tensor.name}: {array.shape} for {tensor.shape}"
    return np.ascontiguousarray(array).tobytes()


def _tensors(graph: Graph) -> Iterator[Tensor]:
    """Every tensor that is used: inputs, constants, what operators make, outputs."""
    yield from graph.inputs
    for op in graph.ops:
        yield from (tensor for tensor in op.inputs if tensor is not None)
        yield from op.outputs
        yield from op.inner
    yield from graph.outputs


def _subgraph(s: Any, graph: Graph, codes: dict[tuple[str, int], int], numbers: Mapping[int, int]) -> Any:
    made = s.SubGraphT()
    places = {tensor.name: place for place, tensor in enumerate({t.name: t for t in _tensors(graph)}.values())}
    made.name = graph.name
    made.tensors = [_tensor(s, tensor, graph, numbers) for tensor in {t.name: t for t in _tensors(graph)}.values()]
    made.inputs = [places[tensor.name] for tensor in graph.inputs]
    made.outputs = [places[tensor.name] for tensor in graph.outputs]
    made.operators = [_operator(s, op, codes, places) for op in graph.ops]
    return made


def _tensor(s: Any, tensor: Tensor, graph: Graph, numbers: Mapping[int, int]) -> Any:
    made = s.TensorT()
    made.name, made.type = tensor.name, element_type(tensor.dtype)
    made.shape = [1 if n is None else n for n in tensor.shape]
    if None in tensor.shape:
        made.shapeSignature = [-1 if n is None else n for n in tensor.shape]
    made.hasRank = True
    buffer = graph.constants.get(tensor)
    made.buffer = numbers[buffer.number] if buffer else 0
    made.isVariable = tensor in graph.variables
    if tensor.scaled is not None:
        made.quantization = s.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [tensor.scaled.scale], [tensor.scaled.zero]
    return made


def _operator(s: Any, op: Op, codes: dict[tuple[str, int], int], places: Mapping[str, int]) -> Any:
    made = s.OperatorT()
    made.opcodeIndex = codes.setdefault((op.kind, op.version), len(codes))
    made.inputs = [-1 if tensor is None else places[tensor.name] for tensor in op.inputs]
    made.outputs = [places[tensor.name] for tensor in op.outputs]
    made.intermediates = [places[tensor.name] for tensor in op.inner]
    name = OPERATORS[op.kind].options
    if name:
        made.builtinOptionsType = getattr(s.BuiltinOptions, name)
        made.builtinOptions = getattr(s, f"{name}T")()
    for option, value in op.options.items():
        if not hasattr(made.builtinOptions, option):
            raise TypeError(f"{op.kind} has no option {option}")
        setattr(made.builtinOptions, option, value)
    return made


def _code(s: Any, kind: str, version: int) -> Any:
    made = s.OperatorCodeT()
    made.builtinCode = getattr(s.BuiltinOperator, kind)
    made.deprecatedBuiltinCode = min(made.builtinCode, PLACEHOLDER)
    made.version = version
    return made


def _buffer(s: Any, data: bytes | None) -> Any:
    made = s.BufferT()
    made.data = None if data is None else np.frombuffer(data, np.uint8)
    return made


def _signature(s: Any, graph: Graph) -> Any:
    """Inputs and outputs by name, as `get_signature_runner` takes them."""
    made = s.SignatureDefT()
    made.signatureKey, made.subgraphIndex = SIGNATURE, 0
    places = {name: place for place, name in enumerate({tensor.name: None for tensor in _tensors(graph)})}

    def maps(tensors: list[Tensor]) -> list[Any]:
        found = []
        for tensor in tensors:
            entry = s.TensorMapT()
            entry.name, entry.tensorIndex = tensor.name, places[tensor.name]
            found.append(entry)
        return found

    made.inputs, made.outputs = maps(graph.inputs), maps(graph.outputs)
    return made


def _values(built: Built) -> dict[str, str]:
    """The tensors in the file by the name of the value they hold."""
    there = {tensor.name for tensor in _tensors(built.store.graphs[0])}
    return {value: name for value, name in built.values.items() if name in there}
