"""Recurrent layers as torch.nn.LSTM, GRU and RNN: stacked where layers follow each other directly, else one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from converter.exporters.torch.cells import Masked, declare
from converter.exporters.torch.source import Writer, rule
from converter.exporters.weights import convention_of, gate_cell
from converter.gates import pack
from converter.model import Model, Node, Weight, layers
from converter.model.activations import NAMES, SIGMOID, TANH
from converter.model.layers import Direction, Recurrent

_FORWARD, _BACKWARD = (False, False), (True, True)
_MERGES = {"sum": "{a} + {b}", "mul": "{a} * {b}", "ave": "({a} + {b}) / 2", "concat": "torch.cat([{a}, {b}], -1)"}


def kind(cell: layers.Cell) -> tuple[str, str] | None:
    """The class in torch.nn that computes exactly this cell, and its further arguments; None if there is none."""
    gates = (getattr(cell, "activation", None), getattr(cell, "recurrent_activation", None))
    if isinstance(cell, layers.LSTMCell) and gates == (TANH, SIGMOID) and cell.peephole is None:
        return "LSTM", ""
    if isinstance(cell, layers.GRUCell) and gates == (TANH, SIGMOID) and cell.reset_after:
        return "GRU", ""
    if isinstance(cell, layers.SimpleRNNCell) and cell.activation in (TANH, NAMES["relu"]):
        return "RNN", "" if cell.activation == TANH else ', nonlinearity="relu"'
    return None


def _signs(direction: Direction) -> tuple[bool, bool]:
    return direction.reverse_input, direction.reverse_output


def native(layer: Recurrent) -> bool:
    """Whether one torch layer does it: forward, or forward and backward of one size."""
    pair = layer.directions
    if any(kind(direction.cell) is None for direction in pair):
        return False
    if len(pair) == 1:
        return _signs(pair[0]) == _FORWARD
    first, second = (direction.cell for direction in pair)
    alike = type(first) is type(second) and _settings(first) == _settings(second)
    return alike and [_signs(d) for d in pair] == [_FORWARD, _BACKWARD]


def _settings(cell: layers.Cell) -> tuple[object, ...]:
    units = cell.filters if isinstance(cell, layers.ConvLSTMCell) else cell.units
    return units, cell.activation, getattr(cell, "recurrent_activation", None), getattr(cell, "reset_after", None)


def stacks(model: Model) -> Mapping[int, tuple[Node, ...]]:
    """Runs of recurrent nodes that are one torch layer with several `num_layers`, by the id of their first node."""
    readers: dict[str, list[Node | None]] = {value.name: [None] for value in model.outputs}
    for node in model.nodes:
        for value in node.inputs:
            if value is not None:
                readers.setdefault(value.name, []).append(node)
    followers: dict[int, Node] = {}
    for node in model.nodes:
        used = [value for value in node.outputs if value.name in readers]
        if used == [node.outputs[0]] and len(readers[used[0].name]) == 1:
            next_node = readers[used[0].name][0]
            if next_node is not None and _continues(node, next_node):
                followers[id(node)] = next_node
    inner = {id(node) for node in followers.values()}
    out = {}
    for node in model.nodes:
        if isinstance(node.layer, Recurrent) and id(node) not in inner:
            run = [node]
            while id(run[-1]) in followers:
                run.append(followers[id(run[-1])])
            out[id(node)] = tuple(run)
    return out


def _continues(lower: Node, upper: Node) -> bool:
    a, b = lower.layer, upper.layer
    if not (isinstance(a, Recurrent) and isinstance(b, Recurrent) and native(a) and native(b)):
        return False
    plain = all(value is None for value in (*lower.inputs[1:], *upper.inputs[1:]))
    joined = len(a.directions) == 1 or a.merge == b.merge == "concat"
    first, second = a.directions[0].cell, b.directions[0].cell
    same = type(first) is type(second) and _settings(first) == _settings(second)
    fits = len(a.directions) == len(b.directions) and a.time_major == b.time_major and a.return_sequences
    return plain and joined and same and fits and upper.inputs[0] == lower.outputs[0]


@rule.register
def recurrent(layer: Recurrent, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """torch.nn.LSTM, GRU or RNN; other pairs of directions become two layers and a merge."""
    node = nodes[-1]
    layer = node.layer  # type: ignore[assignment]
    first = writer.inputs(nodes[0])
    if native(layer):
        attribute = _declare(writer, nodes, None)
        count = len(layer.directions)
        states = _initial(layer, first, list(range(count)))
        results = [_call(writer, node, attribute, list(range(count)), first, states)]
    else:
        results = []
        for k, direction in enumerate(layer.directions):
            if kind(direction.cell) is None:
                results.append(_own(writer, node, k, first))
                continue
            attribute = _declare(writer, nodes, k)
            results.append(_call(writer, node, attribute, [k], first, _initial(layer, first, [k])))
    _finish(writer, node, [direction for result in results for direction in result])


def _declare(writer: Writer, nodes: tuple[Node, ...], only: int | None) -> str:
    """The layer in `__init__`, with its part of the state_dict; returns its attribute."""
    layer: Recurrent = nodes[0].layer  # type: ignore[assignment]
    picked = layer.directions if only is None else (layer.directions[only],)
    found = kind(picked[0].cell)
    assert found is not None
    name, extra = found
    cells = [
        [d.cell for d in (n.layer.directions if only is None else (n.layer.directions[only],))]  # type: ignore[union-attr]
        for n in nodes
    ]
    bias = any(cell.bias is not None for pair in cells for cell in pair)
    arguments = [str(picked[0].cell.kernel.shape[0]), str(picked[0].cell.recurrent_kernel.shape[0])]
    arguments += [f"num_layers={len(nodes)}"] if len(nodes) > 1 else []
    arguments += [] if layer.time_major else ["batch_first=True"]
    arguments += ["bidirectional=True"] if len(picked) == 2 else []
    arguments += [] if bias else ["bias=False"]
    state = [
        entry
        for k, pair in enumerate(cells)
        for d, cell in enumerate(pair)
        for entry in _state(cell, name, f"_l{k}" + ("_reverse" if d else ""), bias, nodes[k].name)
    ]
    whole = only is None or len(layer.directions) == 1
    label = nodes[0].name if whole else f"{nodes[0].name} {'forward' if only == 0 else 'backward'}"
    kernels = [cell.kernel for pair in cells for cell in pair]
    return writer.module(label, f"nn.{name}({', '.join(arguments)}{extra})", state, kernels)


def _state(cell: layers.Cell, name: str, suffix: str, bias: bool, place: str) -> Iterator[tuple[str, Weight]]:
    """The arrays of one cell, packed when read."""
    kernel, recurrent_kernel = cell.kernel, cell.recurrent_kernel
    gates = kernel.shape[1]
    shapes = {"weight_ih": kernel.shape[::-1], "weight_hh": recurrent_kernel.shape[::-1]}
    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}

    def read(key: str) -> np.ndarray:
        values = gate_cell(cell, place)
        if bias and values.bias is None:
            values = replace(values, bias=np.zeros(gates, values.kernel.dtype))
        return pack(values, f"torch/{name}")[key]

    for key, shape in shapes.items():
        yield key + suffix, Weight(f"{place}/{key}", shape, kernel.dtype, partial(read, key))


def _initial(layer: Recurrent, inputs: list[str], picked: list[int]) -> str:
    """The initial states as torch takes them: "" for zeros, else "h" or "h, c", each [directions, batch, units]."""
    counts = [direction.cell.states for direction in layer.directions]
    given = inputs[2:] or ["None"] * sum(counts)
    per = counts[picked[0]]
    parts = [[given[sum(counts[:d]) + s] for d in picked] for s in range(per)]
    if all(name == "None" for rows in parts for name in rows):
        return ""
    axis = 1 if layer.time_major else 0
    units = layer.directions[picked[0]].cell.recurrent_kernel.shape[0]
    zeros = f"{inputs[0]}.new_zeros({inputs[0]}.shape[{axis}], {units})"
    stacked = [f"torch.stack([{', '.join(zeros if n == 'None' else n for n in rows)}])" for rows in parts]
    return ", ".join(stacked)


def _call(
    writer: Writer, node: Node, attribute: str, picked: list[int], inputs: list[str], states: str
) -> list[tuple[str, str, list[str]]]:
    """Lines that run a layer; for each direction: its sequence, its last output, its final states."""
    layer: Recurrent = node.layer  # type: ignore[assignment]
    lstm = isinstance(layer.directions[picked[0]].cell, layers.LSTMCell)
    time = 0 if layer.time_major else 1
    flip_in, flip_out = _signs(layer.directions[picked[0]]) if len(picked) == 1 else _FORWARD
    x, mask = inputs[0], inputs[1] if len(inputs) > 1 else "None"
    y, h, c = (writer.local(f"{attribute} {part}") for part in "yhc")
    targets = f"{y}, ({h}, {c})" if lstm else f"{y}, {h}"
    flip = f".flip({time})"
    x = x + flip if flip_in else x
    last = h
    if mask == "None":
        at = f", ({states})" if states and lstm else f", {states}" if states else ""
        writer.lines.append(f"{targets} = self.{attribute}({x}{at})")
    else:
        last = _masked(writer, layer, attribute, (x, mask + flip if flip_in else mask), states, (y, h, c))
    if flip_out:
        writer.lines.append(f"{y} = {y}{flip}")
    units = layer.directions[picked[0]].cell.recurrent_kernel.shape[0]
    if len(picked) == 1:
        return [(y, f"{last}[-1]", [f"{h}[-1]"] + ([f"{c}[-1]"] if lstm else []))]
    parts = (f"{y}[..., :{units}]", f"{y}[..., {units}:]")
    return [(parts[k], f"{last}[{k - 2}]", [f"{h}[{k - 2}]"] + ([f"{c}[{k - 2}]"] if lstm else [])) for k in (0, 1)]


def _masked(
    writer: Writer, layer: Recurrent, attribute: str, given: tuple[str, str], states: str, made: tuple[str, str, str]
) -> str:
    """Lines that run a layer over the kept steps alone; returns the variable of the last outputs."""
    writer.helpers |= {"front", "spread", "kept"}
    cell = layer.directions[0].cell
    lstm, units, (y, h, c) = isinstance(cell, layers.LSTMCell), cell.recurrent_kernel.shape[0], made
    x, mask = (f"{name}.transpose(0, 1)" for name in given) if layer.time_major else given
    names = ("begin h", "begin c")[: 2 if lstm else 1]
    begin = [writer.local(f"{attribute} {name}") for name in names]
    count = 2 if "bidirectional=True" in writer.modules[attribute] else 1
    if states:
        writer.lines.append(f"{', '.join(begin)} = {states}")
    else:
        batch = f"{given[0]}.shape[{1 if layer.time_major else 0}]"
        writer.lines.append(f"{' = '.join(begin)} = {given[0]}.new_zeros({count}, {batch}, {units})")
    packed, last = writer.local(f"{attribute} packed"), writer.local(f"{attribute} last")
    ends, at = (f"({h}, {c})", f"({', '.join(begin)})") if lstm else (h, begin[0])
    writer.lines.append(f"{packed}, {ends} = self.{attribute}(front({x}, {mask}), {at})")
    writer.lines.append(f'{y}, {last} = spread({packed}, {mask}, {begin[0]}, "{layer.masked_output}")')
    writer.lines += [f"{n} = kept({n}, {b}, {mask})" for n, b in zip((h, c), begin, strict=False)]
    writer.lines += [f"{y} = {y}.transpose(0, 1)"] if layer.time_major else []
    return last


def _own(writer: Writer, node: Node, place: int, inputs: list[str]) -> list[tuple[str, str, list[str]]]:
    """Lines that run one direction by a cell of the file's own; its sequence, its last output, its final states."""
    layer: Recurrent = node.layer  # type: ignore[assignment]
    direction = layer.directions[place]
    label = node.name if len(layer.directions) == 1 else f"{node.name} {'backward' if place else 'forward'}"
    mask = node.inputs[1] if len(node.inputs) > 1 else None
    axes = 0 if mask is None else 1 if len(mask.shape) > 2 else len(node.inputs[0].shape) - 2  # type: ignore[union-attr]
    attribute = declare(writer, direction.cell, node.name, label, Masked(layer.masked_output, axes) if mask else None)
    writer.conventions[attribute] = convention_of(direction.cell)
    counts = [one.cell.states for one in layer.directions]
    given = (inputs[2:] or ["None"] * sum(counts))[sum(counts[:place]) :][: counts[place]]
    turn = (".transpose(0, 1)" if layer.time_major else "") + (".flip(1)" if direction.reverse_input else "")
    arguments = [f"{name}{turn}" for name in inputs[: 2 if mask else 1]]
    arguments += given if any(name != "None" for name in given) else []
    y, *states = (writer.local(f"{attribute} {part}") for part in ("y", "h", "c")[: 1 + counts[place]])
    writer.lines.append(f"{', '.join((y, *states))} = self.{attribute}({', '.join(arguments)})")
    last = f"{y}[:, -1]" if mask else states[0]
    if layer.return_sequences and direction.reverse_output:
        back = writer.local(f"{attribute} flipped")
        writer.lines.append(f"{back} = {y}.flip(1)")
        y = back
    return [(f"{y}.transpose(0, 1)" if layer.time_major else y, last, states)]


def _finish(writer: Writer, node: Node, directions: list[tuple[str, str, list[str]]]) -> None:
    """Assigns the node's outputs from what its directions gave."""
    layer: Recurrent = node.layer  # type: ignore[assignment]
    made = [sequence if layer.return_sequences else last for sequence, last, _ in directions]
    if layer.merge is not None and len(made) == 2:
        made = [_merge(layer, made)]
    made += [state for _, _, states in directions for state in states]
    for value, expression in zip(node.outputs, made, strict=True):
        if value.name in writer.read:
            writer.assign(value, expression)


def _merge(layer: Recurrent, made: list[str]) -> str:
    if layer.merge == "concat" and layer.return_sequences and made[0].endswith("]"):
        whole = made[0].split("[")[0]
        if made[1].startswith(whole + "["):
            return whole
    cell = layer.directions[0].cell
    if layer.merge == "concat" and isinstance(cell, layers.ConvLSTMCell) and cell.data_format == "channels_first":
        return f"torch.cat([{made[0]}, {made[1]}], {2 if layer.return_sequences else 1})"
    return _MERGES[str(layer.merge)].format(a=made[0], b=made[1])
