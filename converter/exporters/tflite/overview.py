"""What is in a TFLite file, whoever wrote it: its interface, its operators, and what each runtime needs for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converter.errors import clean
from converter.exporters.tflite.operators import OPERATORS
from converter.formats.tflite import NAMES, Contents, read, release
from converter.lines import Shown, line, shape, size
from converter.model import Shape

# Operators that TFLite Micro does not have (2026-08), and those whose name there is not that of ours in camel case.
NOT_IN_MICRO = (
    "GELU", "POW", "RANGE", "REDUCE_ANY", "REDUCE_PROD", "SIGN", "TILE", "TOPK_V2", "UNIDIRECTIONAL_SEQUENCE_RNN",
)  # fmt: skip
IN_MICRO = {
    "AVERAGE_POOL_2D": "AveragePool2D", "BATCH_MATMUL": "BatchMatMul", "CONV_2D": "Conv2D", "CUMSUM": "CumSum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "MAX_POOL_2D": "MaxPool2D", "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}  # fmt: skip


@dataclass(frozen=True)
class Port:
    """An input or an output."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Used:
    """An operator: how often all graphs have it, and since which runtime it exists ("" where not known)."""

    kind: str
    version: int
    count: int
    since: str


@dataclass(frozen=True, repr=False)
class Overview(Shown):
    """A file.

    Attributes:
        name, size: of the file, and its bytes.
        inputs, outputs: in order; None for an open size.
        operators: by name.
        runtime: the oldest TensorFlow Lite or LiteRT that has them all; "" where not known.
        micro: for TFLite Micro, the calls that register them with the resolver.
        missing: those that TFLite Micro does not have.
    """

    name: str
    size: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: tuple[Used, ...]
    runtime: str
    micro: tuple[str, ...]
    missing: tuple[str, ...]

    def summary(self) -> str:
        """Its size and how many operators it has."""
        return f"{self.name}: TFLite, {size(self.size)}, {sum(one.count for one in self.operators)} operators"

    def lines(self) -> list[str]:
        """The file, its interface, its operators, and what a resolver of TFLite Micro needs."""
        ports = [f"{what:6} {one.name}: {one.dtype} {shape(one.shape)}"
                 for what, listed in (("input", self.inputs), ("output", self.outputs)) for one in listed]  # fmt: skip
        width = max((len(one.kind) for one in self.operators), default=0)
        used = [f"  {one.count:4} {one.kind:{width}}  version {one.version}{', since ' * bool(one.since)}{one.since}"
                for one in self.operators]  # fmt: skip
        runtime = f"runs in TensorFlow Lite and LiteRT since {self.runtime}" if self.runtime else ""
        calls = [f"  tflite::MicroMutableOpResolver<{len(self.micro)}> resolver;",
                 *(f"  resolver.{call}();" for call in self.micro)]  # fmt: skip
        micro = ["for TFLite Micro:", *calls]
        if self.missing:
            micro = [f"TFLite Micro has no {', '.join(self.missing)}"]
        elif any(None in one.shape for one in self.inputs):
            micro.append("  it takes each open size (?) as 1: fix them with --batch and --steps")
        texts = [self.summary(), *ports, "operators:", *used, *filter(None, [runtime]), *micro]
        return [line(text) for text in texts]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def overview(path: Path) -> Overview:
    """What is in a file.

    Raises:
        InvalidModel, Unsupported, OSError: it cannot be read.
    """
    contents = read(path)
    codes = contents.model.operatorCodes
    counts = Counter(op.opcodeIndex for graph in contents.model.subgraphs for op in graph.operators or [])
    used = sorted(
        (Used(contents.kind(op), codes[op.opcodeIndex].version, counts[op.opcodeIndex], "")
         for op in {op.opcodeIndex: op for graph in contents.model.subgraphs for op in graph.operators or []}.values()),
        key=lambda one: (one.kind, one.version),
    )  # fmt: skip
    known = tuple(Used(one.kind, one.version, one.count, _since(one)) for one in used)
    runtime = max((one.since for one in known), key=release, default="") if all(one.since for one in known) else ""
    kinds = dict.fromkeys(one.kind for one in known)
    missing = tuple(kind for kind in kinds if kind in NOT_IN_MICRO or kind not in OPERATORS)
    micro = tuple(f"Add{IN_MICRO.get(kind) or _camel(kind)}" for kind in kinds)
    inputs, outputs = (_ports(contents, places) for places in (contents.graph.inputs, contents.graph.outputs))
    return Overview(
        path.name, len(contents.data), inputs, outputs, known, runtime, () if missing else micro, missing
    )  # fmt: skip


def _since(one: Used) -> str:
    row = OPERATORS.get(one.kind)
    return row.since.get(one.version, "") if row else ""


def _camel(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split("_"))


def _ports(contents: Contents, places: list[int]) -> tuple[Port, ...]:
    found = []
    for tensor in (contents.graph.tensors[place] for place in places):
        fixed = [int(n) for n in ([] if tensor.shape is None else tensor.shape)]
        said = [int(n) for n in ([] if tensor.shapeSignature is None else tensor.shapeSignature)] or fixed
        dtype = NAMES.get(tensor.type, f"type {tensor.type}")
        found.append(Port(clean(contents.name(tensor)), dtype, tuple(None if n < 0 else n for n in said)))
    return tuple(found)
