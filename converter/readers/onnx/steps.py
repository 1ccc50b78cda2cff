"""The body of a Scan, run in NumPy: the few operators that steps of our own exports are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.gates import KINDS
from converter.model import Array
from converter.readers.onnx.fitting import fitting
from converter.readers.onnx.tensors import Const
from converter.readers.onnx.values import Call
from reference_lstm.activations import FUNCTIONS, erf
from reference_lstm.conv import convolve, paddings

_MAX_NODES = 200
Ops = Mapping[str, Callable[..., Any]]


@dataclass
class Body:
    """A body and the arrays of the file that it reads.

    Attributes:
        call: the Scan.
        graph: the body.
        arrays: of the file, by name.
        matrices: recurrent kernels that a MatMul or a Conv reads, in order.
        vector: the one other array of one axis and more than one value: peepholes, or a recurrent bias; or None.
        scalars: single numbers.
        product, activated: kept by whoever recognizes the body.
    """

    call: Call
    graph: Any
    arrays: Mapping[str, Array]
    matrices: list[Array]
    vector: Array | None
    scalars: list[float]
    product: Array | None = None
    activated: dict[object, Array] = field(default_factory=dict)

    @property
    def scanned(self) -> int:
        """How many inputs are taken step by step."""
        return self.call.integer("num_scan_inputs", 0)

    @property
    def carried(self) -> int:
        """How many are handed from step to step."""
        return len(self.graph.input) - self.scanned

    @property
    def kind(self) -> str:
        """ "LSTM", "GRU", "RNN" or "ConvLSTM", by the shapes of its matrices."""
        first = self.matrices[0]
        if first.ndim > 2:
            return "ConvLSTM"
        rows, columns = first.shape
        kind = {**KINDS, 2: "GRU"}.get(columns // rows if columns % rows == 0 else 0)
        if kind is None or len(self.matrices) != (2 if columns == 2 * rows else 1):
            raise Unsupported(f"Scan over matrices {[m.shape for m in self.matrices]}")
        return kind

    @property
    def recurrent(self) -> Array:
        """The recurrent kernel in Keras' packing, float64."""
        return np.concatenate(self.matrices, axis=-1)

    def integers(self, name: str) -> list[int]:
        """An attribute of the Scan."""
        return [int(i) for i in self.call.attributes[name].ints] if name in self.call.attributes else []

    def directions(self, name: str) -> list[int]:
        """Like `integers`; what is not said is 0."""
        return self.integers(name) or [0]

    def run(self, given: list[Array]) -> list[Array]:
        """The outputs of one step.

        Raises:
            Unsupported: an operator that no step of ours has.
        """
        values = dict(self.arrays) | {info.name: array for info, array in zip(self.graph.input, given, strict=True)}
        run(self.graph.node, values, OPS)
        return [_known(values, info.name) for info in self.graph.output]


def _known(values: Mapping[str, Array], name: str) -> Array:
    if name not in values:
        raise InvalidModel("nothing makes this tensor", where=name)
    return values[name]


def run(nodes: Iterable[Any], values: dict[str, Array], ops: Ops) -> None:
    """Adds what each operator makes to `values`, by name.

    Raises:
        Unsupported: an operator that is not among `ops`.
    """
    for node in nodes:
        rule = ops.get(node.op_type)
        if rule is None:
            raise Unsupported(f"operator {node.op_type} in a Scan is not read back from ONNX")
        inputs = [_known(values, name) if name else None for name in node.input]
        attributes = {a.name: a for a in node.attribute}
        with fitting(node.op_type, inputs, attributes):
            if node.op_type == "Split" and "split" not in attributes and len(inputs) == 1:
                inputs.append(_parts(attributes, inputs[0], len(node.output)))
            made = rule(attributes, *inputs)
        for name, array in zip(node.output, made if isinstance(made, list) else [made], strict=False):
            values[name] = array


def body_of(call: Call, constants: Mapping[str, Const]) -> Body:
    """The body of a Scan, and what it reads of the file's arrays.

    Raises:
        InvalidModel: there is none. Unsupported: it is none of ours.
    """
    if "body" not in call.attributes:
        raise InvalidModel("Scan without a body")
    graph = call.attributes["body"].g
    scanned = call.integer("num_scan_inputs", 0)
    if (
        len(graph.node) > _MAX_NODES
        or scanned not in (1, 2)
        or len(graph.input) != len(call.inputs)
        or graph.initializer
    ):
        raise Unsupported("Scan of this form")
    read = dict.fromkeys(name for node in graph.node for name in node.input if name in constants)
    arrays = {name: constants[name].array for name in read}
    matrices: dict[str, Array] = {}
    vectors: dict[str, Array] = {}
    scalars: list[float] = []
    for node in graph.node:
        for k, name in enumerate(node.input):
            if name not in arrays:
                continue
            array = arrays[name]
            if node.op_type in ("MatMul", "Conv") and k == 1 and array.ndim >= 2:
                matrices[name] = _kernel(array.astype(np.float64))
            elif array.ndim == 1 and array.size > 1 and array.dtype.kind == "f":
                vectors[name] = array.astype(np.float64)
            elif array.size == 1 and array.dtype.kind == "f":
                scalars.append(float(np.round(float(array.ravel()[0]), 8)))
    if not matrices or len(vectors) > 1:
        raise Unsupported("Scan of this form")
    wide = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}
    return Body(call, graph, wide, list(matrices.values()), next(iter(vectors.values()), None), scalars)


def _kernel(array: Array) -> Array:
    """Of a Conv: [out, in, *window] as [*window, in, out]."""
    return array if array.ndim == 2 else array.transpose(*range(2, array.ndim), 1, 0)


def _conv(attributes: Mapping[str, Any], x: Array, kernel: Array) -> Array:
    ones = (1,) * (x.ndim - 2)
    window = kernel.shape[2:]
    pads = list(attributes["pads"].ints) if "pads" in attributes else [0] * (2 * len(window))
    same = paddings(x.shape[2:], window, ones, "same")
    plain = all(list(attributes[name].ints) == list(ones) for name in ("strides", "dilations") if name in attributes)
    if pads != [a for a, _ in same] + [b for _, b in same] or not plain or "auto_pad" in attributes:
        raise Unsupported("Conv of this kind in a Scan")
    return convolve(x, _kernel(kernel), strides=ones, padding="same", dilation=ones, data_format="channels_first")


def _split(attributes: Mapping[str, Any], x: Array, sizes: Array | None = None) -> list[Array]:
    axis = int(attributes["axis"].i) if "axis" in attributes else 0
    if sizes is None and "split" in attributes:
        sizes = np.array(attributes["split"].ints)
    if sizes is None:
        raise Unsupported("Split of this kind in a Scan")
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _parts(attributes: Mapping[str, Any], x: Array | None, count: int) -> Array:
    """Sizes of equal parts; the last may be smaller."""
    size = np.asarray(x).shape[int(attributes["axis"].i) if "axis" in attributes else 0]
    each = -(-size // count)
    return np.array([min(each, size - k * each) for k in range(count)])


def _softmax(name: str) -> Callable[..., Array]:
    return lambda attributes, x: FUNCTIONS[name](x, attributes["axis"].i if "axis" in attributes else -1)


def _clip(attributes: Mapping[str, Any], x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    ends: list[Any] = [attributes[n].f if n in attributes else given for n, given in (("min", low), ("max", high))]
    made: Array = np.clip(x, -math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
    return made


def alike(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the inputs alone."""
    return lambda attributes, *inputs: function(*inputs)


def _hard_sigmoid(attributes: Mapping[str, Any], x: Array) -> Array:
    alpha, beta = (attributes[n].f if n in attributes else d for n, d in (("alpha", 0.2), ("beta", 0.5)))
    return np.clip(alpha * x + beta, 0, 1)


OPS: Ops = {
    "Add": alike(np.add), "Sub": alike(np.subtract), "Mul": alike(np.multiply), "Div": alike(np.divide),
    "Max": alike(np.maximum), "Min": alike(np.minimum), "Neg": alike(np.negative), "Abs": alike(np.abs),
    "Exp": alike(np.exp), "Log": alike(np.log), "Sqrt": alike(np.sqrt), "Greater": alike(np.greater),
    "Less": alike(np.less), "Where": alike(np.where), "Identity": alike(lambda x: x), "MatMul": alike(np.matmul),
    "Tanh": alike(np.tanh), "Relu": alike(lambda x: np.maximum(x, 0)), "Reciprocal": alike(np.reciprocal),
    "Sigmoid": alike(FUNCTIONS["sigmoid"]), "Softplus": alike(FUNCTIONS["softplus"]),
    "Softsign": alike(FUNCTIONS["softsign"]), "Erf": alike(erf), "Cast": alike(lambda x: x),
    "HardSigmoid": _hard_sigmoid, "Softmax": _softmax("softmax"), "LogSoftmax": _softmax("log_softmax"),
    "Clip": _clip, "Split": _split, "Conv": _conv,
}  # fmt: skip
