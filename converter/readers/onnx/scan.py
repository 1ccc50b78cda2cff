"""Scan of our own exports (exporters/onnx/scan.py) as recurrent layers: cells that no operator of ONNX computes.

What a step computes is found by trying: its body is run on random numbers, and so is every cell that its arrays fit,
with every pair of activations. Nothing is taken from names or metadata. The input's projection, which the export does
before the Scan, is taken into the cell where it is a Dense; else the cell's own kernel is the identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from converter.errors import Unsupported
from converter.model import Array, Value, Weight, constant, layers
from converter.model.activations import BY_MAJOR, NAMES, Activation
from converter.model.layers import Direction, MaskedOutput, Recurrent
from converter.readers.onnx.over_time import over_time, plain_scan
from converter.readers.onnx.steps import Body, body_of
from converter.readers.onnx.tensors import Const, Tensor, Val, is_zero
from converter.readers.onnx.values import Builder, Call
from reference_lstm import activate
from reference_lstm.conv import convolve

_ROWS, _CLOSE = 48, 1e-5
_SCALES = (0.3, 2.0, 10.0)  # of the random numbers, and once beyond what any constant of the body bounds
_CELLS: Mapping[str, type[layers.Cell]] = {
    "LSTM": layers.LSTMCell, "GRU": layers.GRUCell, "RNN": layers.SimpleRNNCell, "ConvLSTM": layers.ConvLSTMCell,
}  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """A cell that computes what the body does: its kind, activations, and what masked steps put out."""

    kind: str
    activation: Activation
    gate: Activation
    rule: MaskedOutput


def scan(builder: Builder, call: Call) -> list[Tensor]:
    """A recurrent layer where the body is a step of a known cell, else a Scan.

    Raises:
        Unsupported: it is neither.
    """
    begun = len(builder.nodes)
    try:
        return _cell_over_time(builder, call)
    except Unsupported as why:
        if not plain_scan(call):
            raise
        del builder.nodes[begun:]
        try:
            return over_time(builder, call)
        except Unsupported as neither:
            raise Unsupported(f"{why.what}; nor as it is: {neither.what}", where=neither.where) from neither


def _cell_over_time(builder: Builder, call: Call) -> list[Tensor]:
    """A recurrent layer of one direction: its final states, its last output where the export carries it, its sequence.

    Raises:
        Unsupported: the body is no step of a cell that is known.
    """
    body = body_of(call, {name: t for name, t in builder.tensors.items() if isinstance(t, Const)})
    count = len(call.inputs) - body.scanned
    with np.errstate(all="ignore"):  # of activations that are tried and are not meant
        found, states = _recognized(body)
    steps = call.tensor(count)
    if not isinstance(steps, Val):
        raise Unsupported("Scan over something that is no sequence")
    mask = _mask(builder, call, count + 1) if body.scanned == 2 else None
    x = builder.value(Val(steps.value, not steps.swapped), call.name)
    conv = found.kind == "ConvLSTM"
    x, cell = _conv_cell(builder, call, body, found, x) if conv else _cell(builder, call, body, found, x)
    initial = [_initial(builder, call, k, conv) for k in range(states)]
    signs = (body.directions("scan_input_directions")[0] == 1, body.directions("scan_output_directions")[:1] == [1])
    layer = Recurrent((Direction(cell, *signs),), None, return_sequences=True, masked_output=found.rule)
    width = cell.filters if isinstance(cell, layers.ConvLSTMCell) else cell.units
    state = (x.shape[0], *x.shape[2:-1], width)
    shapes = ((*x.shape[:2], *x.shape[2:-1], width), *[state] * states)
    y, *finals = builder.node(call.name, layer, (x, mask, *initial), *shapes)
    out: list[Tensor] = [Val(_outward(builder, call, value, 1, conv)) for value in finals]
    if count > states:
        last = Recurrent(layer.directions, None, False, found.rule)
        (h, *_) = builder.node(f"{call.name}/last", last, (x, mask, *initial), state, *[state] * states)
        out.append(Val(_outward(builder, call, h, 1, conv)))
    first = body.integers("scan_output_axes")[:1] in ([0], [])
    return [*out, Val(_outward(builder, call, y, 2, conv), first)]


def _outward(builder: Builder, call: Call, value: Value, lead: int, conv: bool) -> Value:
    """With the channels first, as the Scan has them."""
    rank = len(value.shape)
    axes = (*range(lead), rank - 1, *range(lead, rank - 1))
    return builder.transposed(value, axes, f"{call.name}/first") if conv else value


def _inward(builder: Builder, call: Call, value: Value, lead: int) -> Value:
    rank = len(value.shape)
    return builder.transposed(value, (*range(lead), *range(lead + 1, rank), lead), f"{call.name}/last")


def _initial(builder: Builder, call: Call, index: int, conv: bool) -> Value | None:
    tensor = call.tensor(index)
    if is_zero(tensor):
        return None
    value = builder.value(tensor, call.name)
    return _inward(builder, call, value, 1) if conv else value


def _mask(builder: Builder, call: Call, index: int) -> Value:
    """[time, batch, 1, ...] as [batch, time]."""
    tensor = call.tensor(index)
    value = builder.value(tensor, call.name)
    axes = tuple(range(2, len(value.shape)))
    if any(value.shape[axis] != 1 for axis in axes):
        raise Unsupported("Scan with a mask of each place")
    (flat,) = builder.node(f"{call.name}/mask", layers.Squeeze(axes), (value,), value.shape[:2])
    return builder.value(Val(flat, True), call.name)


def _cell(builder: Builder, call: Call, body: Body, found: _Found, x: Value) -> tuple[Value, layers.Cell]:
    """The cell, and what it reads: the input of the Dense before it, or what that puts out."""
    recurrent = body.recurrent
    units, width = recurrent.shape
    made = builder.producer(x)
    dense = made.layer if made is not None and isinstance(made.layer, layers.Dense) else None
    kernel, bias = constant(f"{call.name}/kernel", np.eye(width), x.dtype), None
    if made is not None and dense is not None and made.inputs[0] is not None:
        x, kernel, bias = made.inputs[0], dense.kernel, dense.bias
    weight = constant(f"{call.name}/recurrent_kernel", recurrent, kernel.dtype)
    if found.kind == "LSTM":
        peephole = None if body.vector is None else constant(f"{call.name}/peephole", body.vector, kernel.dtype)
        return x, layers.LSTMCell(units, kernel, weight, bias, found.activation, found.gate, peephole)
    if found.kind == "RNN":
        return x, layers.SimpleRNNCell(units, kernel, weight, bias, found.activation)
    after = len(body.matrices) == 1
    if after and (bias is not None or body.vector is not None):
        bias = _two(call, bias, body.vector, width, kernel.dtype)
    return x, layers.GRUCell(units, kernel, weight, bias, found.activation, found.gate, after)


def _two(call: Call, bias: Weight | None, recurrent: Array | None, width: int, dtype: str) -> Weight:
    """The input's bias above the recurrent one."""

    def read() -> Array:
        rows = np.zeros((2, width), kind)
        rows[0] = 0 if bias is None else bias.read()
        rows[1] = 0 if recurrent is None else recurrent
        return rows

    kind = np.dtype(dtype)
    return Weight(f"{call.name}/bias", (2, width), dtype, read)


def _conv_cell(builder: Builder, call: Call, body: Body, found: _Found, x: Value) -> tuple[Value, layers.Cell]:
    """Over the convolved input, through a kernel that is the identity; Keras wants it as wide as the recurrent one."""
    recurrent, rank = body.recurrent, len(x.shape) - 3
    ones, width = (1,) * rank, recurrent.shape[-1]
    same = np.zeros((*recurrent.shape[:rank], width, width))
    same[tuple((n - 1) // 2 for n in recurrent.shape[:rank])] = np.eye(width)
    kernel = constant(f"{call.name}/kernel", same, x.dtype)
    weight = constant(f"{call.name}/recurrent_kernel", recurrent, x.dtype)
    cell = layers.ConvLSTMCell(
        rank, width // 4, kernel, weight, None, found.activation, found.gate, ones, "same", ones, "channels_last"
    )
    return _inward(builder, call, x, 2), cell


def _recognized(body: Body) -> tuple[_Found, int]:
    """The cell that a body is a step of, and how many states it has.

    Raises:
        Unsupported: none is.
    """
    kind = body.kind
    states, gates = _CELLS[kind].states, len(_CELLS[kind].gates)
    size = body.recurrent.shape[-1] // gates
    spatial = tuple(n + 2 for n in body.recurrent.shape[:-2]) if kind == "ConvLSTM" else ()
    x, *given = _drawn(body, (gates * size, *[size] * body.carried), spatial)
    real = (np.arange(len(x)) % 2 == 0).reshape(-1, *[1] * (x.ndim - 1))
    made = body.run([*given, x, *([real] if body.scanned == 2 else [])])
    h = made[0]
    want = np.where(real, h, given[0]) if body.scanned == 2 else h
    for activation, gate in _pairs(kind, body):
        new = _step(kind, body, x, given, activation, gate)
        ends = [np.where(real, a, b) if body.scanned == 2 else a for a, b in zip(new, given, strict=False)]
        if all(_close(a, b) for a, b in zip(ends, made[:states], strict=True)) and _close(want, h):
            return _Found(kind, activation, gate, _rule(body, made, given, new[0], real, states)), states
    raise Unsupported("Scan whose body is no step of a known cell with known activations")


def _drawn(body: Body, sizes: Sequence[int], spatial: tuple[int, ...]) -> list[Array]:
    """Random arrays of several scales, row by row."""
    draw = np.random.default_rng(0)
    scales = (*_SCALES, *(3 * abs(n) for n in body.scalars if 1 < abs(n) < 1e4))
    rows = 2 * len(scales) if spatial else _ROWS
    by = np.resize(np.repeat(scales, 2), rows).reshape(-1, *[1] * (1 + len(spatial)))
    return [by * draw.normal(size=(rows, size, *spatial)) for size in sizes]


def _rule(body: Body, made: list[Array], given: list[Array], new: Array, real: Array, states: int) -> MaskedOutput:
    """What masked steps put out: the last output, zeros, or the state."""
    y = made[-1] if len(made) > states else made[0]
    others: list[tuple[MaskedOutput, Array]] = [("state", given[0]), ("zero", np.zeros_like(new))]
    if body.carried > states:
        others.insert(0, ("previous", given[states]))
    if body.scanned < 2:
        others = [("previous", new)]
    for rule, other in others:
        if _close(np.where(real, new, other), y):
            return rule
    raise Unsupported("Scan whose masked steps put out something else")


def _close(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=_CLOSE, atol=_CLOSE))


def _pairs(kind: str, body: Body) -> Iterator[tuple[Activation, Activation]]:
    """Activations of the cell and of its gates that may be meant, the usual ones first."""
    along = [Activation(name, (1,)) for name in ("softmax", "log_softmax", "sparsemax")]
    known = [*NAMES.values(), *(a for major in BY_MAJOR.values() for a in major.values())]
    own = [a for x in body.scalars for a in _with(x)]
    every = [a for a in dict.fromkeys([*known, *own, *along]) if a.name != "glu"]  # which halves what it gets
    return product(every, every if kind != "RNN" else every[:1])


def _with(x: float) -> list[Activation]:
    return [
        Activation("leaky_relu", (x,)), Activation("elu", (x,)), Activation("relu", (0.0, x, 0.0)),
        Activation("relu", (x, float("inf"), 0.0)), Activation("relu", (0.0, float("inf"), x)),
        Activation("hard_sigmoid", (x, 0.5)), Activation("thresholded_relu", (x,)),
    ]  # fmt: skip


def _step(
    kind: str, body: Body, x: Array, states: list[Array], activation: Activation, gate: Activation
) -> list[Array]:
    """A step of a cell in float64: its new states."""

    def act(function: Activation, z: Array) -> Array:
        return activate((function.name, function.parameters), z)

    def once(function: Activation, name: str, z: Array) -> Array:
        """For what is the same whatever the other function is."""
        key = (name, function)
        if key not in body.activated:
            body.activated[key] = act(function, z)
        return body.activated[key]

    h = states[0]
    if kind == "RNN":
        return [act(activation, x + h @ body.recurrent)]
    if kind == "GRU":
        u_z, u_r, u_h = np.split(body.recurrent, 3, axis=1)
        b_z, b_r, b_h = np.split(np.zeros(x.shape[1]) if body.vector is None else body.vector, 3)
        x_z, x_r, x_h = np.split(x, 3, axis=1)
        z, r = once(gate, "z", x_z + h @ u_z + b_z), once(gate, "r", x_r + h @ u_r + b_r)
        inner = r * (h @ u_h + b_h) if len(body.matrices) == 1 else (r * h) @ u_h
        return [z * h + (1 - z) * act(activation, x_h + inner)]
    c = states[1]
    parts = np.split(x + _product(kind, body, h), 4, axis=1)
    looks = [0.0, 0.0, 0.0] if body.vector is None or kind != "LSTM" else np.split(body.vector, 3)
    i, f = once(gate, "i", parts[0] + looks[0] * c), once(gate, "f", parts[1] + looks[1] * c)
    c = f * c + i * once(activation, "c", parts[2])
    o = act(gate, parts[3] + looks[2] * c) if np.any(looks[2]) else once(gate, "o", parts[3])
    return [o * act(activation, c), c]


def _product(kind: str, body: Body, h: Array) -> Array:
    """What the old state adds to the gates, computed once."""
    if body.product is None:
        ones = (1,) * (h.ndim - 2)
        body.product = h @ body.recurrent if kind == "LSTM" else convolve(
            h, body.recurrent, strides=ones, padding="same", dilation=ones, data_format="channels_first"
        )  # fmt: skip
    return body.product
