"""ONNX files that hold LSTM, GRU and RNN nodes, as neutral models: stacks of recurrent and Dense layers.

Read are our own files and those of tf2onnx, keras2onnx and PyTorch, as far as their operators are known; every other
operator is refused by name. values.py says what stands for an ONNX tensor, ops.py lists the rules; loops of tf2onnx are
in loop.py, those of our own exports in scan.py and splitting.py. The onnx package is not needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from converter import limits
from converter.errors import ConversionError, InvalidModel, Unsupported
from converter.formats.onnx_tensor import DTYPES, weight
from converter.formats.protobuf import parse
from converter.model import Model, Node, Provenance, State, Value, Weight
from converter.model.layers import Recurrent, every_node
from converter.model.naming import free_name
from converter.model.prune import prune
from converter.readers.described import described, weights_of
from converter.readers.onnx.fitting import fitting
from converter.readers.onnx.folding import folded
from converter.readers.onnx.joining import joined
from converter.readers.onnx.masks import recognized
from converter.readers.onnx.ops import RULES
from converter.readers.onnx.quantized import ROUNDING
from converter.readers.onnx.splitting import taken_apart
from converter.readers.onnx.tensors import Tensor
from converter.readers.onnx.values import Builder, Call

_DOMAINS = ("", "ai.onnx")
_ELSEWHERE = {"ai.onnx.ml": "LabelEncoder"}  # operators of other domains
_STRING = 8  # TensorProto.DataType


def load(path: Path) -> Model:
    """The neutral model of an ONNX file.

    Raises:
        InvalidModel: the file is broken, or its external data lies where it must not.
        Unsupported: an operator, or a use of one, that is not read back.
    """
    if path.stat().st_size > limits.ONNX_BYTES:
        raise InvalidModel("larger than an ONNX file can be")
    data = path.read_bytes()
    proto = parse("OnnxModel", data)
    if not proto.HasField("graph"):
        raise InvalidModel("an ONNX file without a graph")
    if len(proto.graph.node) > limits.ONNX_NODES:
        raise Unsupported(f"an ONNX file of {len(proto.graph.node)} operators; {limits.ONNX_NODES} are read back")
    builder = Builder(_opset(proto), _run)
    for tensor in proto.graph.initializer:
        builder.tensors[tensor.name] = builder.constant(weight(tensor, path.parent))
    inputs = tuple(_input(info, builder) for info in proto.graph.input if info.name not in builder.tensors)
    for k, node in enumerate(proto.graph.node):
        _run(node, k, builder, path.parent)
    outputs = tuple(builder.value(_made(builder, info.name), info.name) for info in proto.graph.output)
    names = _apart([info.name for info in proto.graph.output])
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    states = _states(metadata.get("keras.states", "[]"), inputs, dict(zip(names, outputs, strict=True)))
    carried = {state.input.name for state in states}
    inputs = tuple(value for value in inputs if value.name not in carried)
    results = len(names) - len(states)  # states come after the ordinary outputs
    names, outputs = names[:results], outputs[:results]
    title = f"ONNX by {proto.producer_name or 'an unknown program'}"
    source = Provenance(str(path), title, sha256=hashlib.sha256(data).hexdigest())
    name = proto.graph.name or path.stem
    warnings = tuple(dict.fromkeys(builder.warnings))
    model = joined(prune(Model(name, inputs, outputs, names, tuple(builder.nodes), states, (), source, warnings)))
    nodes = (node for node in every_node(model.nodes) if weights_of(node.layer))
    return replace(model, layers=tuple(described(node, _stored(node)) for node in nodes))


def _states(text: str, inputs: tuple[Value, ...], outputs: Mapping[str, Value]) -> tuple[State, ...]:
    """The states that a stateful model of our own carries from call to call."""
    by_name = {value.name: value for value in inputs}
    try:
        return tuple(State(by_name[entry["input"]], outputs[entry["output"]]) for entry in json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidModel("no list of inputs and outputs", where="keras.states") from error


def _apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names of the outputs; torch lists one tensor twice where a model gives it twice."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    found = []
    for name in names:
        found.append(free_name(name, {*taken, *names} if name in taken else taken, counts, first=2))
        taken.add(found[-1])
    return tuple(found)


def _opset(proto: Any) -> int:
    versions = [entry.version for entry in proto.opset_import if entry.domain in _DOMAINS]
    if len(versions) != 1 or not 7 <= versions[0] <= 64:
        raise Unsupported(f"ONNX operator set {versions}", hint="7 and later are read")
    return int(versions[0])


def _made(builder: Builder, name: str) -> Tensor:
    if name not in builder.tensors:
        raise InvalidModel("nothing makes this tensor", where=name)
    return builder.tensors[name]


def _input(info: Any, builder: Builder) -> Value:
    kind = info.type.tensor_type
    dtypes = {**{number: dtype for number, (dtype, _) in DTYPES.items()}, _STRING: "string"}
    if not info.type.HasField("tensor_type") or kind.elem_type not in dtypes or not kind.HasField("shape"):
        raise Unsupported("an input without a known type and shape", where=info.name)
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    value = Value(info.name, tuple(size if size and size > 0 else None for size in sizes), dtypes[kind.elem_type])
    builder.given(info.name, value)
    return value


def _refused(op: str) -> Unsupported:
    if op in ROUNDING:
        return Unsupported(
            f"the file is quantized: {op} rounds activations as it runs, which no layer does", hint=_WHOLE
        )
    return Unsupported(f"operator {op} is not read back from ONNX")


_WHOLE = "take the file that it was made of, or convert that without --quantize"


def _run(node: Any, index: int, builder: Builder, folder: Path) -> None:
    """Translates one operator."""
    name = node.name or f"{node.op_type}_{index}"
    known = node.domain in _DOMAINS or _ELSEWHERE.get(node.domain) == node.op_type
    rule = RULES.get(node.op_type) if known else None
    call = Call(
        name, node.op_type, [_made(builder, i) if i else None for i in node.input], list(node.output),
        {a.name: a for a in node.attribute}, folder,
    )  # fmt: skip
    try:
        with fitting(call.op, call.inputs, call.attributes):
            made = recognized(builder, call, rule) or taken_apart(builder, call) or folded(builder, call)
            if made is None and rule is not None:
                made = rule(builder, call)
        if made is None:
            raise _refused(node.op_type)
    except ConversionError as error:
        raise error.at(name) from error
    for output, tensor in zip(node.output, made, strict=False):
        if output:
            builder.tensors[output] = tensor


def _stored(node: Node) -> tuple[Weight, ...]:
    """As `weights_of`, but biases as B has them: two of each gate, also where one is made of them here."""
    if not isinstance(node.layer, Recurrent):
        return weights_of(node.layer)
    biases = {id(d.cell.bias) for d in node.layer.directions if d.cell.bias is not None and len(d.cell.bias.shape) == 1}
    weights = weights_of(node.layer)
    return tuple(w.map(lambda b: np.tile(b, 2), (2 * w.size,)) if id(w) in biases else w for w in weights)
