"""The recurrent operators of an exported graph: what to watch of each, and the same operator as a model of one step.

LSTM, GRU and RNN stand for themselves. A Scan over a cell takes the states first, then the input as projected by the
cell's kernel, then a mask if there is one; see `converter.exporters.onnx.scan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

# Recurrent operators and the number of their states, https://onnx.ai/onnx/operators/onnx__LSTM.html
STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}
KERNEL, LENS, INITIAL = 1, 4, 5  # places of inputs, the same in all three
STATE_NAMES = ("h", "c", "previous")


@dataclass(frozen=True)
class Probe:
    """One recurrent operator.

    Attributes:
        name: of the node, "<neutral node>/LSTM".
        directions: whether each direction goes backwards: (False,), (True,) or (False, True).
        x: name of the input before its projection, [time, batch, input]; "" where it cannot be told.
        fed: name of what the operator reads: x itself, or for a Scan the projected input, [time, batch, ...].
        y: name of the sequence made, [time, directions, batch, units]; "" for a Scan.
        lens: name of sequence_lens, or "".
        mask: name of a Scan's mask, [time, batch, 1, ...], or "".
        initial: names of the initial states, [directions, batch, units] or a Scan's [batch, ...]; "" for zeros.
        stacked: whether states have the axis of directions.
        step: the operator for one step: reads "<name>:x", "<name>:mask", "<name>:h", ...; makes "<name>:h'", ...
    """

    name: str
    directions: tuple[bool, ...]
    x: str
    fed: str
    y: str
    lens: str
    mask: str
    initial: tuple[str, ...]
    stacked: bool
    step: onnx.NodeProto

    @property
    def values(self) -> tuple[str, ...]:
        """Names of all values to watch."""
        return tuple(filter(None, dict.fromkeys((self.x, self.fed, self.y, self.lens, self.mask, *self.initial))))


def find_probes(graph: onnx.GraphProto, extension: onnx.GraphProto) -> tuple[Probe, ...]:
    """All recurrent operators of the main graph; what they read and make becomes an output of `extension`."""
    weights = {tensor.name for tensor in graph.initializer}
    known = {value.name for value in (*graph.input, *graph.output)} | weights
    makers = {name: node for node in graph.node for name in node.output}
    probes = []
    for node in graph.node:
        if node.op_type in STATES and node.input[KERNEL] in weights:
            probe = _native(node, extension)
        elif node.op_type == "Scan":
            probe = _scan(node, makers)
        else:
            continue
        probes.append(probe)
        for name in probe.values:
            if name not in known:
                known.add(name)
                extension.output.add(name=name)
    return tuple(probes)


def _native(node: onnx.NodeProto, extension: onnx.GraphProto) -> Probe:
    y = node.output[0]
    if not y:  # nobody reads the sequence: a second node makes it
        y = f"{node.name}:y"
        whole = extension.node.add()
        whole.CopyFrom(node)
        whole.name, whole.output[:] = y, [y]
    states = STATES[node.op_type]
    inputs = [*node.input, *[""] * (8 - len(node.input))]
    given = [f"{node.name}:{state}" for state in STATE_NAMES[:states]]
    direction = _attributes(node).get("direction", b"forward")
    return Probe(
        name=node.name,
        directions={b"forward": (False,), b"reverse": (True,), b"bidirectional": (False, True)}[direction],
        x=inputs[0],
        fed=inputs[0],
        y=y,
        lens=inputs[LENS],
        mask="",
        initial=tuple(inputs[INITIAL : INITIAL + states]),
        stacked=True,
        step=_step(
            node,
            [f"{node.name}:x", *inputs[KERNEL:LENS], "", *given, *inputs[INITIAL + states :]],
            ["", *(f"{name}'" for name in given)],
        ),
    )


def _scan(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> Probe:
    attributes = _attributes(node)
    scanned = attributes["num_scan_inputs"]
    states, (fed, *masks) = node.input[:-scanned], node.input[-scanned:]
    given = [f"{node.name}:{state}" for state in STATE_NAMES[: len(states)]]
    mask = [f"{node.name}:mask"] * len(masks)
    ys = [f"{node.name}:y'"] * (len(node.output) - len(states))
    return Probe(
        name=node.name,
        directions=(bool(attributes.get("scan_input_directions", [0])[0]),),
        x=_before_projection(fed, makers),
        fed=fed,
        y="",
        lens="",
        mask=masks[0] if masks else "",
        initial=tuple(states),
        stacked=False,
        step=_step(node, [*given, f"{node.name}:x", *mask], [*(f"{name}'" for name in given), *ys]),
    )


def _before_projection(projected: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """x of x·kernel + bias; "" where the projection is something else."""
    maker = makers.get(projected)
    if maker is not None and maker.op_type == "Add":
        maker = makers.get(maker.input[0])
    return maker.input[0] if maker is not None and maker.op_type == "MatMul" else ""


def _step(node: onnx.NodeProto, inputs: list[str], outputs: list[str]) -> onnx.NodeProto:
    step = onnx.NodeProto()
    step.CopyFrom(node)
    while not inputs[-1]:
        inputs.pop()
    step.input[:], step.output[:] = inputs, outputs
    return step


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def keep_steps(model: onnx.ModelProto, probes: Sequence[Probe]) -> None:
    """Leaves nothing of a model but its recurrent operators, for one step each, and their weights."""
    graph = model.graph
    for field in ("node", "input", "output", "value_info"):
        graph.ClearField(field)
    read = {name for probe in probes for name in _names_read(probe.step)}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in read:
            del graph.initializer[index]
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for probe in probes:
        graph.node.append(probe.step)
        for name in dict.fromkeys(name for name in probe.step.input if name.startswith(f"{probe.name}:")):
            value = graph.input.add(name=name)
            value.type.tensor_type.elem_type = _element_type(probe, name, types)
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in probe.step.output if name)


def _element_type(probe: Probe, name: str, types: Mapping[str, int]) -> int:
    """Of one input of a step: a native operator's weights share it, a Scan's body says it."""
    if probe.stacked:
        return types[probe.step.input[KERNEL]]
    body: onnx.GraphProto = _attributes(probe.step)["body"]
    return int(body.input[list(probe.step.input).index(name)].type.tensor_type.elem_type)


def _names_read(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, its body included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _names_read(inner)
