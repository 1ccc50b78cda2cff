"""What is in a model, layer by layer, and what a conversion does with it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from converter.lines import Shown
from converter.model import LayerInfo, Model, Node, Shape
from converter.model.layers import Activate, Cell, ConvLSTMCell, GRUCell, LSTMCell, Recurrent, SimpleRNNCell, every_node

# The gate order of each cell in the neutral model, whatever the file has.
GATES: dict[type, str] = {
    LSTMCell: "gates i, f, c, o; kernel [input, 4·units]",
    GRUCell: "gates z, r, h; kernel [input, 3·units]",
    SimpleRNNCell: "kernel [input, units]",
    ConvLSTMCell: "gates i, f, c, o; kernel [*window, input, 4·filters]",
}
# The gate order in files of others, by how the format's name begins; their layers have two biases.
FOREIGN: dict[str, dict[type, str]] = {
    "ONNX": {
        LSTMCell: "gates i, o, f, c; W [directions, 4·units, input], R [directions, 4·units, units], B of two biases",
        GRUCell: "gates z, r, h; W [directions, 3·units, input], R [directions, 3·units, units], B of two biases",
        SimpleRNNCell: "W [directions, units, input], R [directions, units, units], B of two biases",
    },
    "PyTorch": {
        LSTMCell: "gates i, f, g, o; weight_ih [4·units, input], weight_hh [4·units, units], two biases",
        GRUCell: "gates r, z, n; weight_ih [3·units, input], weight_hh [3·units, units], two biases",
        SimpleRNNCell: "weight_ih [units, input], weight_hh [units, units], two biases",
    },
}
FOREIGN["safetensors"] = FOREIGN["PyTorch"]
GATE_COUNT = {LSTMCell: 4, GRUCell: 3, SimpleRNNCell: 1}
# Keras 1 keeps an array for each gate: lstm_1_W_i, lstm_1_U_i, lstm_1_b_i, lstm_1_W_c, ...
BY_GATE = re.compile(r"[WUb]_([a-z])(?::0)?$")


@dataclass(frozen=True)
class LayerReport:
    """One Keras layer.

    Attributes:
        path: its name, after those of the models that hold it.
        class_name: its class.
        output_shapes: of its first call.
        parameters: how many values its weights hold.
        trainable: how many of them training changes; None where the file does not say.
        size: of its weights, in bytes.
        activations: the functions that it applies, those of a cell before its gates'.
        reads: paths of the layers whose outputs it reads.
        formula: for recurrent layers, how the number of parameters comes about.
        gates: for recurrent layers, the order of the gates and the packing in the file.
        conversion: what becomes of it.
    """

    path: str
    class_name: str
    output_shapes: tuple[Shape, ...]
    parameters: int
    trainable: int | None
    size: int
    activations: tuple[str, ...]
    reads: tuple[str, ...]
    formula: str
    gates: str
    conversion: str


@dataclass(frozen=True)
class Port:
    """An input or an output, or a state that is carried from call to call."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True, repr=False)
class Inspection(Shown):
    """A whole model, as `convert inspect` shows it."""

    name: str
    path: str
    format: str
    keras_version: str
    era: str
    layers: tuple[LayerReport, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]
    parameters: int
    trainable: int | None
    size: int
    warnings: tuple[str, ...]

    def summary(self) -> str:
        """The model, and how large it is."""
        return f"{self.name or self.path}, {len(self.layers)} layers, {self.parameters:,} parameters"

    def lines(self) -> list[str]:
        """A table of layers, one of how the recurrent ones are packed, then inputs, outputs, states and sizes."""
        from converter.tables import of_inspection, plain

        return plain(of_inspection(self))

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def inspection_of(model: Model) -> Inspection:
    """What there is to say of a model; no weight is read."""
    nodes: dict[str, list[Node]] = {}
    for node in every_node(model.nodes):
        nodes.setdefault(node.keras_layer, []).append(node)
    inputs = {value.name for value in model.inputs}
    foreign = next((gates for name, gates in FOREIGN.items() if model.source.format.startswith(name)), {})
    reads = connections(model)
    layers = tuple(_layer(info, nodes.get(info.path, []), inputs, foreign, reads[info.path]) for info in model.layers)
    weights = {id(weight): weight for info in model.layers for weight in info.weights}
    named = zip(model.outputs, model.output_names, strict=True)
    trained = [info.trainable for info in model.layers if info.weights]
    return Inspection(
        name=model.name,
        path=model.source.path,
        format=model.source.format,
        keras_version=model.source.keras_version,
        era=model.source.era,
        layers=layers,
        inputs=tuple(Port(value.name, value.shape, value.dtype) for value in model.inputs),
        outputs=tuple(Port(name, value.shape, value.dtype) for value, name in named),
        states=tuple(Port(state.input.name, state.input.shape, state.input.dtype) for state in model.states),
        parameters=sum(weight.size for weight in weights.values()),
        trainable=None if None in trained else _trainable(model.layers),
        size=sum(weight.nbytes for weight in weights.values()),
        warnings=model.warnings,
    )


def _trainable(layers: tuple[LayerInfo, ...]) -> int:
    """Of all layers; what a wrapped layer keeps is its wrapper's, too, and counted once."""
    paths = {info.path for info in layers}
    outer = [info for info in layers if not any(info.path.startswith(f"{path}/") for path in paths)]
    return sum(info.trainable or 0 for info in outer)


def connections(model: Model) -> dict[str, tuple[str, ...]]:
    """For each layer the layers that it reads: as the file says, else by the values of the graph."""
    if any(info.reads for info in model.layers):
        return {info.path: info.reads for info in model.layers}
    makers = {value.name: node.keras_layer for node in model.nodes for value in node.outputs}
    makers |= {value.name: value.name for value in model.inputs}
    read: dict[str, dict[str, None]] = {info.path: {} for info in model.layers}
    for node in model.nodes:
        of_layer = read.setdefault(node.keras_layer, {})
        of_layer |= {makers[value.name]: None for value in node.inputs if value is not None and value.name in makers}
    return {path: tuple(name for name in names if name != path) for path, names in read.items()}


def _layer(
    info: LayerInfo, nodes: list[Node], inputs: set[str], foreign: Mapping[type, str], reads: tuple[str, ...]
) -> LayerReport:
    recurrent = [node.layer for node in nodes if isinstance(node.layer, Recurrent)]
    cells = [direction.cell for layer in recurrent for direction in layer.directions]
    distinct = list({id(cell.kernel): cell for cell in cells}.values())
    functions = [name for cell in distinct for name in _activations(cell)]
    functions += [node.layer.activation.name for node in nodes if isinstance(node.layer, Activate)]
    return LayerReport(
        path=info.path,
        class_name=info.class_name,
        output_shapes=info.output_shapes,
        parameters=sum(weight.size for weight in info.weights),
        trainable=info.trainable,
        size=sum(weight.nbytes for weight in info.weights),
        activations=tuple(dict.fromkeys(functions)),
        reads=reads,
        formula=" + ".join(_formula(cell, bool(foreign) or _two_biases(info, cell)) for cell in distinct),
        gates=_by_gate(info) or "; ".join(dict.fromkeys({**GATES, **foreign}[type(cell)] for cell in cells)),
        conversion=info.effect or _conversion(info, nodes, inputs),
    )


def _activations(cell: Cell) -> tuple[str, ...]:
    gates = getattr(cell, "recurrent_activation", None)
    return (cell.activation.name,) if gates is None else (cell.activation.name, gates.name)


def _two_biases(info: LayerInfo, cell: Cell) -> bool:
    """Whether the file keeps an input's and a recurrent bias one after the other, as cuDNN's layers do."""
    if isinstance(cell, ConvLSTMCell) or cell.bias is None:
        return False
    return any(weight.shape == (2 * GATE_COUNT[type(cell)] * cell.units,) for weight in info.weights)


def _by_gate(info: LayerInfo) -> str:
    """The packing of Keras 1, where each gate has arrays of its own; "" for every other."""
    found = [match for weight in info.weights if (match := BY_GATE.search(weight.name))]
    if not found or len(found) != len(info.weights):
        return ""
    gates = ", ".join(dict.fromkeys(match[1] for match in found))
    return f"an array for each gate, {gates}: W [input, units], U [units, units], b [units]"


def _conversion(info: LayerInfo, nodes: list[Node], inputs: set[str]) -> str:
    if not nodes:
        return "input" if info.path in inputs or info.class_name == "InputLayer" else "no node of its own"
    counted: dict[str, int] = {}
    for node in nodes:
        for name in _operators(node):
            counted[name] = counted.get(name, 0) + 1
    return ", ".join(name if n == 1 else f"{n} × {name}" for name, n in counted.items())


def _operators(node: Node) -> list[str]:
    """A recurrent layer by the operator that will compute it, any other by its neutral name."""
    if not isinstance(node.layer, Recurrent):
        return [type(node.layer).__name__]
    from converter.exporters.onnx.native import fit_together, is_native
    from converter.exporters.onnx.native_weights import OPERATORS

    directions, mask = node.layer.directions, node.inputs[1]
    if len(directions) == 2 and mask is None and fit_together(*directions):
        return [f"native bidirectional {OPERATORS[type(directions[0].cell)]}"]
    return [
        f"native {OPERATORS[type(one.cell)]}" if is_native(one.cell) else f"Scan over {type(one.cell).__name__}"
        for one in directions
    ]


def _formula(cell: Cell, two_biases: bool) -> str:
    """4·(units·input + units² + units), with the numbers of this cell; 2·units where the file has two biases."""
    bias = cell.bias is not None
    if isinstance(cell, ConvLSTMCell):
        window, features, filters = math.prod(cell.kernel.shape[:-2]), cell.kernel.shape[-2], cell.filters
        inner = math.prod(cell.recurrent_kernel.shape[:-2])
        return f"4·({filters}·{window}·{features} + {filters}²·{inner}{f' + {filters}' if bias else ''})"
    units, features = cell.units, cell.kernel.shape[0]
    twice = "2·" if cell.bias is not None and (two_biases or len(cell.bias.shape) == 2) else ""
    terms = f"{units}·{features} + {units}²{f' + {twice}{units}' if bias else ''}"
    extra = f" + 3·{units}" if isinstance(cell, LSTMCell) and cell.peephole is not None else ""
    count = GATE_COUNT[type(cell)]
    return (f"{count}·({terms})" if count > 1 else terms) + extra
