"""Recurrent cells that torch.nn does not have, as small scriptable modules that the written file carries along.

Other activations, GRU(reset_after=False), peepholes and ConvLSTM. The gates lie as in nn.LSTM and nn.GRU (i, f, g, o;
r, z, n), with one bias, two for a GRU that resets after the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial, singledispatch

import numpy as np

from converter.errors import Unsupported
from converter.exporters.torch.activations import activated
from converter.exporters.torch.source import Writer
from converter.gates import gate_order
from converter.model import Array, Weight, layers
from converter.model.activations import Activation
from converter.model.layers import MaskedOutput


@dataclass
class Text:
    """What is special about one kind of cell.

    Attributes:
        kind: "LSTM", "GRU", "RNN", "ConvLSTM".
        about: the first line of its docstring, after the kind.
        arguments: of `__init__`, as written where it is made.
        parameters: name -> shape, as expressions of the arguments' names.
        before: lines before the loop, which make `gates`, the input's part of all steps.
        step: lines of one step, which make h_next (and c_next) from h (and c).
        state: arrays by parameter.
    """

    kind: str
    about: str
    arguments: Mapping[str, int]
    parameters: Mapping[str, str]
    before: list[str]
    step: list[str]
    state: Mapping[str, Weight]


def _reordered(weight: Weight, kind: str, axes: tuple[int, ...] | None = None) -> Weight:
    """Gates on the last axis, in torch's order; then axes reordered, by default the last one first."""
    order, axes = gate_order(f"torch/{kind}", "weight_ih"), axes or tuple(reversed(range(len(weight.shape))))

    def transform(array: Array) -> Array:
        apart = array.reshape(*array.shape[:-1], len(order), -1)[..., order, :]
        return np.ascontiguousarray(apart.reshape(array.shape).transpose(axes))

    return weight.map(transform, tuple(weight.shape[axis] for axis in axes))


def _matrices(cell: layers.LSTMCell | layers.GRUCell | layers.SimpleRNNCell, kind: str) -> dict[str, Weight]:
    state = {"weight_ih": _reordered(cell.kernel, kind), "weight_hh": _reordered(cell.recurrent_kernel, kind)}
    if cell.bias is not None and len(cell.bias.shape) == 1:
        state["bias"] = _reordered(cell.bias, kind)
    return state


def _parameters(state: Mapping[str, Weight], gates: int) -> dict[str, str]:
    rows = f"{gates} * hidden_size" if gates > 1 else "hidden_size"
    shapes = {"weight_ih": f"{rows}, input_size", "weight_hh": f"{rows}, hidden_size", "peephole": "3, hidden_size"}
    return {name: shapes.get(name, rows) for name in state}


def _linear(state: Mapping[str, Weight], bias: str = "bias") -> str:
    return f"gates = F.linear(x, self.weight_ih{f', self.{bias}' if bias in state else ''})"


def _sizes(cell: layers.LSTMCell | layers.GRUCell | layers.SimpleRNNCell) -> dict[str, int]:
    return {"input_size": cell.kernel.shape[0], "hidden_size": cell.units}


@singledispatch
def text_of(cell: object, place: str) -> Text:
    """The text of a cell's module.

    Raises:
        Unsupported: an activation that PyTorch does not have.
    """
    raise Unsupported(f"no {type(cell).__name__} for PyTorch", where=place)


@text_of.register
def _lstm(cell: layers.LSTMCell, place: str) -> Text:
    gate, act = (partial(activated, function, place=place) for function in (cell.recurrent_activation, cell.activation))
    state = _matrices(cell, "LSTM")
    before = [_linear(state)]
    see_old, see_new = [], []
    if cell.peephole is not None:
        state["peephole"] = cell.peephole.map(lambda p: p.reshape(3, -1), (3, cell.units))
        see_old = ["i, f = i + self.peephole[0] * c, f + self.peephole[1] * c"]
        see_new = ["o = o + self.peephole[2] * c_next"]
    step = [
        "i, f, g, o = (gates[:, t] + F.linear(h, self.weight_hh)).chunk(4, 1)",
        *see_old,
        f"c_next = {gate('f')} * c + {gate('i')} * {act('g')}",
        *see_new,
        f"h_next = {gate('o')} * {act('c_next')}",
    ]
    about = f"gates by {cell.recurrent_activation.name}, {cell.activation.name} for the cell"
    about += ", peepholes for i, f, o" if see_old else ""
    return Text("LSTM", about, _sizes(cell), _parameters(state, 4), before, step, state)


@text_of.register
def _gru(cell: layers.GRUCell, place: str) -> Text:
    gate, act = (partial(activated, function, place=place) for function in (cell.recurrent_activation, cell.activation))
    state = _matrices(cell, "GRU")
    about = f"gates by {cell.recurrent_activation.name}, {cell.activation.name} for the candidate"
    finish = ["h_next = z * h + (1 - z) * n"]
    if not cell.reset_after:
        before = [_linear(state), "w_r, w_z, w_n = self.weight_hh.chunk(3)"]
        step = [
            "r, z, n = gates[:, t].chunk(3, 1)",
            f"r = {gate('(r + F.linear(h, w_r))')}",
            f"z = {gate('(z + F.linear(h, w_z))')}",
            f"n = {act('(n + F.linear(r * h, w_n))')}",
        ]
        about += ", reset before the product"
        return Text("GRU", about, _sizes(cell), _parameters(state, 3), before, [*step, *finish], state)
    if cell.bias is not None:
        for k, name in enumerate(("bias_ih", "bias_hh")):
            row = cell.bias.map(lambda b, k=k: b[k], cell.bias.shape[1:])  # type: ignore[misc]
            state[name] = _reordered(row, "GRU")
    hidden = f"F.linear(h, self.weight_hh{', self.bias_hh' if 'bias_hh' in state else ''})"
    step = [
        "r, z, n = gates[:, t].chunk(3, 1)",
        f"h_r, h_z, h_n = {hidden}.chunk(3, 1)",
        f"r, z = {gate('(r + h_r)')}, {gate('(z + h_z)')}",
        f"n = {act('(n + r * h_n)')}",
    ]
    before = [_linear(state, "bias_ih")]
    return Text("GRU", about, _sizes(cell), _parameters(state, 3), before, [*step, *finish], state)


@text_of.register
def _simple(cell: layers.SimpleRNNCell, place: str) -> Text:
    state = _matrices(cell, "RNN")
    step = [f"h_next = {activated(cell.activation, '(gates[:, t] + F.linear(h, self.weight_hh))', place)}"]
    return Text("RNN", cell.activation.name, _sizes(cell), _parameters(state, 1), [_linear(state)], step, state)


def _over_channels(cell: layers.ConvLSTMCell, activation: Activation) -> Activation:
    """An activation along the last axis of a state, which are the channels; PyTorch has them at place 1."""
    moved = cell.data_format == "channels_last" and "axis" in activation.arguments
    return Activation(activation.name, (1, *activation.parameters[1:])) if moved else activation


@text_of.register
def _conv_lstm(cell: layers.ConvLSTMCell, place: str) -> Text:
    rank, window, inner = cell.rank, cell.kernel.shape[: cell.rank], cell.recurrent_kernel.shape[: cell.rank]
    if rank > 3:
        raise Unsupported(f"no Conv{rank}d in PyTorch", where=place)
    functions = (_over_channels(cell, one) for one in (cell.recurrent_activation, cell.activation))
    gate, act = (partial(activated, function, place=place) for function in functions)
    turned = (rank + 1, rank, *range(rank))
    state = {"weight_ih": _reordered(cell.kernel, "LSTM", turned)}
    state["weight_hh"] = _reordered(cell.recurrent_kernel, "LSTM", turned)
    state |= {} if cell.bias is None else {"bias": cell.bias}
    shapes = {
        "weight_ih": f"4 * filters, channels, {', '.join(map(str, window))}",
        "weight_hh": f"4 * filters, filters, {', '.join(map(str, inner))}", "bias": "4 * filters",
    }  # fmt: skip
    last = cell.data_format == "channels_last"
    padded = "x" if cell.padding == "valid" else f"same(x, {list(window)}, {list(cell.strides)}, {list(cell.dilation)})"
    bias = "None" if cell.bias is None else "self.bias"
    before = [
        "batch = x.shape[0]",
        f"x = x.flatten(0, 1){'.movedim(-1, 1)' if last else ''}",
        f"gates = F.conv{rank}d({padded}, self.weight_ih, {bias}, {list(cell.strides)}, 0, {list(cell.dilation)})",
        "gates = gates.unflatten(0, [batch, -1])",
    ]
    step = [
        f"inner = F.conv{rank}d(same(h, {list(inner)}, {[1] * rank}, {[1] * rank}), self.weight_hh)",
        "i, f, g, o = (gates[:, t] + inner).chunk(4, 1)",
        f"c_next = {gate('f')} * c + {gate('i')} * {act('g')}",
        f"h_next = {gate('o')} * {act('c_next')}",
    ]
    about = f"gates by {cell.recurrent_activation.name}, {cell.activation.name} for the cell, {cell.data_format}"
    sizes = {"channels": cell.kernel.shape[-2], "filters": cell.filters}
    return Text("ConvLSTM", about, sizes, {n: shapes[n] for n in state}, before, step, state)


@dataclass(frozen=True)
class Masked:
    """What a mask does: the output of masked steps, and how many axes it lacks at one step."""

    rule: MaskedOutput
    axes: int


def declare(writer: Writer, cell: layers.Cell, place: str, label: str, masked: Masked | None) -> str:
    """A cell in `__init__`; returns its attribute.

    Args:
        place: for messages.
        label: what the attribute is named after.
        masked: what the mask does, None without one.
    """
    text = text_of(cell, place)
    if isinstance(cell, layers.ConvLSTMCell):
        writer.helpers.add("same")
    name = writer.class_of(f"Keras{text.kind}", tuple(_source(text, cell, masked)))
    arguments = ", ".join(str(value) for value in text.arguments.values())
    return writer.module(label, f"{name}({arguments})", text.state.items(), [cell.kernel])


def _source(text: Text, cell: layers.Cell, masked: Masked | None) -> Iterator[str]:
    """The class, all but its first line."""
    states = ["h", "c"] if text.kind in ("LSTM", "ConvLSTM") else ["h"]
    given = [f"{name}: Optional[torch.Tensor] = None" for name in states]
    arguments = ", ".join(["self", "x", *(["mask"] if masked else []), *given])
    last = isinstance(cell, layers.ConvLSTMCell) and cell.data_format == "channels_last"
    yield f'    """{text.kind}, batch first: {text.about}."""'
    yield ""
    yield f"    def __init__(self, {', '.join(f'{name}: int' for name in text.arguments)}):"
    yield "        super().__init__()"
    yield from (f"        self.{n} = nn.Parameter(torch.zeros({shape}))" for n, shape in text.parameters.items())
    yield ""
    yield f"    def forward({arguments}):"
    yield from (f"        {line}" for line in text.before)
    zeros = "torch.zeros_like(gates[:, 0].chunk(4, 1)[0])" if text.kind == "ConvLSTM" else None
    zeros = zeros or "torch.zeros(x.shape[0], self.weight_hh.shape[1], dtype=x.dtype, device=x.device)"
    for name in states:
        yield f"        if {name} is None:"
        yield f"            {name} = {zeros}"
        if last:
            yield "        else:"
            yield f"            {name} = {name}.movedim(-1, 1)"
    if masked and masked.rule == "previous":
        yield "        y = torch.zeros_like(h)"
    yield "        outputs = []"
    yield "        for t in range(gates.shape[1]):"
    yield from (f"            {line}" for line in (*text.step, *_carry(states, masked)))
    moved = ".movedim(2, -1)" if last else ""
    ends = ", ".join(f"{name}.movedim(1, -1)" if last else name for name in states)
    yield f"        return torch.stack(outputs, 1){moved}, {ends}"


def _carry(states: list[str], masked: Masked | None) -> list[str]:
    """The end of a step: masked ones leave the states as they are, their output is by the rule."""
    if masked is None:
        return [f"{', '.join(states)} = {', '.join(f'{n}_next' for n in states)}", "outputs.append(h)"]
    keep = f"keep = mask[:, t{', None' * masked.axes}]"
    where = [f"{name} = torch.where(keep, {name}_next, {name})" for name in states]
    if masked.rule == "state":
        return [keep, *where, "outputs.append(h)"]
    other = "y" if masked.rule == "previous" else "torch.zeros_like(h)"
    return [keep, f"y = torch.where(keep, h_next, {other})", *where, "outputs.append(y)"]
