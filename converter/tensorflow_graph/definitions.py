"""A GraphDef and its function library as bodies of steps: names resolved, attributes decoded when asked for.

Sources, in tensorflow/tensorflow: `core/framework/{graph,node_def,function,attr_value,tensor}.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported, clean
from converter.formats.protobuf import parse
from converter.formats.tensor_bundle import DTYPES, STRING
from converter.model import Array, dtype_of

Ref = tuple[str, int]  # a step, and which of its outputs

FOLD_BYTES = 1 << 26  # of one constant that the graph declares or that folding makes
MAX_RANK = 32

# Operators of several named outputs; of all others the outputs are one list.
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "TopKV2": ("values", "indices"), "Unique": ("y", "idx"), "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"), "TensorArrayV3": ("handle", "flow"),
    "TensorListPopBack": ("output_handle", "tensor"),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
                    ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3")),
}  # fmt: skip
# Fields of a TensorProto by the code of its type; float16 and bfloat16 are kept as their bits.
_FIELDS: Mapping[int, str] = {
    1: "float_val", 2: "double_val", **dict.fromkeys((3, 4, 5, 6, 11, 12, 13, 15, 16, 17), "int_val"),
    7: "string_val", 8: "scomplex_val", 9: "int64_val", 10: "bool_val", 14: "half_val", 19: "half_val",
    22: "uint32_val", 23: "uint64_val",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Step:
    """A NodeDef.

    Attributes:
        name: unique in its body.
        op: TensorFlow's operator.
        inputs: what it reads.
        after: steps that come before it, whatever they make.
        attr: attributes as they are in the file.
        loop: for a loop of TensorFlow 1 that became a While: its condition and its body.
    """

    name: str
    op: str
    inputs: tuple[Ref, ...]
    after: tuple[str, ...]
    attr: Mapping[str, Any] = field(repr=False, default_factory=dict)
    loop: tuple[Body, Body] | None = field(repr=False, default=None)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Their values; a function is its name, a dtype its NumPy name, a tensor an array."""
        return {key: attribute(value, self.name) for key, value in self.attr.items()}

    def text(self) -> str:
        """For messages: operator and name."""
        return f"{clean(self.op, 40)} {clean(self.name, 80)}"


@dataclass(frozen=True, eq=False)
class Body:
    """What a function computes, or a part of the main graph.

    Attributes:
        name: of the function.
        steps: by name.
        arguments: which refs are arguments, and which one each is.
        results: what it gives back.
        effects: further steps that must run.
        attr: the function's own attributes.
    """

    name: str
    steps: Mapping[str, Step]
    arguments: Mapping[Ref, int]
    results: tuple[Ref, ...]
    effects: tuple[str, ...] = ()
    attr: Mapping[str, Any] = field(repr=False, default_factory=dict)


class Steps(Mapping[str, Step]):
    """Steps made when first asked for: most functions of a SavedModel are for training."""

    def __init__(self, nodes: Any, arguments: frozenset[str] = frozenset()) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._made: dict[str, Step] = {}
        self._arguments = arguments

    def __getitem__(self, name: str) -> Step:
        if name not in self._made:
            node = self._nodes[name]
            read = tuple(self.ref(text) for text in node.input if not text.startswith("^"))
            after = tuple(text[1:] for text in node.input if text.startswith("^"))
            attr = {entry.key: entry.value for entry in node.attr}
            self._made[name] = Step(name, node.op, read, tuple(a for a in after if a not in self._arguments), attr)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def ref(self, text: str) -> Ref:
        """ "node", "node:1", or in functions "node:output:1".

        Raises:
            InvalidModel: no number where there must be one.
        """
        name, *rest = text.split(":")
        if not rest:
            return name, 0
        if not rest[-1].isdecimal() or len(rest[-1]) > 6:
            raise InvalidModel(f"{clean(text, 80)} is no output of a node")
        index = int(rest[-1])
        if len(rest) == 2 and name in self._nodes:
            names = OUTPUTS.get(self._nodes[name].op, ())
            index += names.index(rest[0]) if rest[0] in names else 0
        return name, index


@dataclass(frozen=True, eq=False)
class Library:
    """The main graph and all functions."""

    graph: Any = field(repr=False)
    _made: dict[str, Body] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(data: bytes) -> Library:
        """From the bytes of a GraphDef.

        Raises:
            InvalidModel: they are none.
        """
        return Library(parse("GraphDef", data))

    @cached_property
    def _functions(self) -> dict[str, Any]:
        return {function.signature.name: function for function in self.graph.library.function}

    @cached_property
    def main(self) -> Steps:
        """The steps of the main graph."""
        return Steps(self.graph.node)

    def function(self, name: str) -> Body:
        """A function by name.

        Raises:
            InvalidModel: there is none.
        """
        if name not in self._functions:
            raise InvalidModel(f"the graph calls a function {clean(name, 80)} that it does not have")
        if name not in self._made:
            self._made[name] = _body(self._functions[name])
        return self._made[name]

    def called(self, step: Step, key: str = "f") -> Body:
        """The function that an attribute of a step names.

        Raises:
            InvalidModel: it names none that is there.
        """
        name = step.attributes.get(key)
        if not isinstance(name, str):
            raise InvalidModel(f"{step.text()} names no function as {clean(key, 40)!r}")
        return self.function(name)

    def arguments(self, name: str) -> tuple[str, ...]:
        """Names of a function's arguments."""
        self.function(name)
        return tuple(arg.name for arg in self._functions[name].signature.input_arg)


def _body(function: Any) -> Body:
    names = [arg.name for arg in function.signature.input_arg]
    steps = Steps(function.node_def, frozenset(names))
    ret = {entry.key: entry.value for entry in function.ret}
    missing = [arg.name for arg in function.signature.output_arg if arg.name not in ret]
    if missing:
        raise InvalidModel(f"function {clean(function.signature.name, 80)} does not make {clean(missing[0])}")
    return Body(
        name=function.signature.name,
        steps=steps,
        arguments={(name, 0): k for k, name in enumerate(names)},
        results=tuple(steps.ref(ret[arg.name]) for arg in function.signature.output_arg),
        effects=tuple(entry.value for entry in function.control_ret),
        attr={entry.key: entry.value for entry in function.attr},
    )


def dtype_name(code: int) -> str:
    """NumPy's name of a code of types.proto."""
    return "string" if code == STRING else DTYPES.get(code, f"dtype {code}")


def attribute(value: Any, where: str) -> Any:
    """The Python value of an AttrValue."""
    for kind in ("i", "f", "b"):
        if value.HasField(kind):
            return getattr(value, kind)
    if value.HasField("s"):
        return value.s.decode("utf-8", "replace")
    if value.HasField("type"):
        return dtype_name(value.type)
    if value.HasField("tensor"):
        return tensor(value.tensor, where)
    if value.HasField("func"):
        return value.func.name
    if value.HasField("shape"):
        return shape(value.shape)
    items = value.list
    found = [*items.i, *items.f, *items.b, *(s.decode("utf-8", "replace") for s in items.s)]
    found += [one.name for one in items.func]
    return found or [dtype_name(code) for code in items.type] or [shape(one) for one in items.shape]


def shape(proto: Any) -> tuple[int | None, ...] | None:
    """A TensorShapeProto; None where the rank is open."""
    return None if proto.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


def tensor(proto: Any, where: str) -> Array:
    """A TensorProto. One value that stands for many is repeated without being copied.

    Raises:
        InvalidModel: its values are not as many as its shape says.
        Unsupported: it holds neither numbers nor text.
    """
    sizes = tuple(dim.size for dim in proto.tensor_shape.dim)
    code = proto.dtype - 100 if proto.dtype > 100 else proto.dtype
    if len(sizes) > MAX_RANK or any(n < 0 for n in sizes):
        raise InvalidModel(f"a constant of shape {list(sizes)[:MAX_RANK]}", where=where)
    if code not in _FIELDS:
        raise Unsupported(f"a constant of TensorFlow's type {code}", where=where)
    count, dtype = math.prod(sizes), dtype_of(dtype_name(code))
    if proto.tensor_content:
        if len(proto.tensor_content) != count * dtype.itemsize or dtype.hasobject:
            raise InvalidModel(f"a constant of shape {list(sizes)} in {len(proto.tensor_content)} bytes", where=where)
        return np.frombuffer(proto.tensor_content, dtype.newbyteorder("<")).astype(dtype).reshape(sizes)
    values: Any = getattr(proto, _FIELDS[code])
    if code in (14, 19):
        listed = np.array(values, np.uint16).view(dtype)
    elif code == 8:
        listed = np.array(values, np.float32).view(np.complex64)
    elif code == STRING:
        listed = np.empty(len(values), object)
        listed[:] = list(values)
    else:
        listed = np.array(values, dtype)
    if len(listed) > count:
        raise InvalidModel(f"{len(listed)} values in a constant of shape {list(sizes)}", where=where)
    if len(listed) < 2:
        one = listed[0] if len(listed) else np.zeros((), dtype)
        return np.broadcast_to(one, sizes)
    return np.concatenate([listed, np.broadcast_to(listed[-1], count - len(listed))]).reshape(sizes)
