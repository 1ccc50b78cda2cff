"""What is in a model, layer by layer, and what a conversion does with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from converter.lines import Shown, of_inspection
from converter.model import LayerInfo, Model, Node, Shape
from converter.model.layers import Cell, ConvLSTMCell, GRUCell, LSTMCell, Recurrent, SimpleRNNCell

# How the gates of each cell stand in the neutral model, whatever the file has.
GATES: dict[type, str] = {
    LSTMCell: "gates i, f, c, o; kernel [input, 4·units]",
    GRUCell: "gates z, r, h; kernel [input, 3·units]",
    SimpleRNNCell: "kernel [input, units]",
    ConvLSTMCell: "gates i, f, c, o; kernel [*window, input, 4·filters]",
}
# How they stand in files of others, by the beginning of what such a file is called; their layers have two biases.
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


@dataclass(frozen=True)
class LayerReport:
    """One Keras layer.

    Attributes:
        path: its name, after those of the models that hold it.
        class_name: its class.
        output_shapes: of its first call.
        parameters: how many values its weights hold.
        formula: for recurrent layers, how that number comes about.
        gates: for recurrent layers, the order of the gates and the packing.
        conversion: what becomes of it.
    """

    path: str
    class_name: str
    output_shapes: tuple[Shape, ...]
    parameters: int
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
    warnings: tuple[str, ...]

    def summary(self) -> str:
        """The model, and how large it is."""
        return f"{self.name or self.path}, {len(self.layers)} layers, {self.parameters:,} parameters"

    def lines(self) -> list[str]:
        """A table of layers, then inputs, outputs, states and the number of parameters."""
        return of_inspection(self)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def inspection_of(model: Model) -> Inspection:
    """What there is to say of a model; no weight is read."""
    nodes: dict[str, list[Node]] = {}
    for node in model.nodes:
        nodes.setdefault(node.keras_layer, []).append(node)
    inputs = {value.name for value in model.inputs}
    foreign = next((gates for name, gates in FOREIGN.items() if model.source.format.startswith(name)), {})
    layers = tuple(_layer(info, nodes.get(info.path, []), inputs, foreign) for info in model.layers)
    weights = {id(weight): weight.size for info in model.layers for weight in info.weights}
    named = zip(model.outputs, model.output_names, strict=True)
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
        parameters=sum(weights.values()),
        warnings=model.warnings,
    )


def _layer(info: LayerInfo, nodes: list[Node], inputs: set[str], foreign: Mapping[type, str]) -> LayerReport:
    recurrent = [node.layer for node in nodes if isinstance(node.layer, Recurrent)]
    cells = [direction.cell for layer in recurrent for direction in layer.directions]
    distinct = list({id(cell.kernel): cell for cell in cells}.values())
    return LayerReport(
        path=info.path,
        class_name=info.class_name,
        output_shapes=info.output_shapes,
        parameters=sum(weight.size for weight in info.weights),
        formula=" + ".join(_formula(cell, bool(foreign)) for cell in distinct),
        gates="; ".join(dict.fromkeys({**GATES, **foreign}[type(cell)] for cell in cells)),
        conversion=info.effect or _conversion(info, nodes, inputs),
    )


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
