"""LSTM, GRU and RNN of ONNX (https://onnx.ai/onnx/operators/onnx__LSTM.html) as neutral recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.gates import ORDERS, unpack
from converter.model import Array, Value, Weight, layers
from converter.model.activations import FUNCTIONS, LINEAR, NAMES, Activation
from converter.model.layers import Direction, Recurrent
from converter.readers.onnx.behind import without
from converter.readers.onnx.counted import Compact, Counting, Steps
from converter.readers.onnx.tensors import Const, Filled, Stack, States, Tensor, Val, is_zero
from converter.readers.onnx.values import Builder, Call

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
# Name in lower case -> neutral name, defaults of (alpha, beta); None: it takes none.
_ACTIVATIONS: Mapping[str, tuple[str, tuple[float | None, float | None]]] = {
    "tanh": ("tanh", (None, None)),
    "sigmoid": ("sigmoid", (None, None)),
    "relu": ("relu", (None, None)),
    "softsign": ("softsign", (None, None)),
    "softplus": ("softplus", (None, None)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", (0.01, None)),
    "elu": ("elu", (1.0, None)),
    "affine": ("linear", (1.0, 0.0)),
}


def recurrent(builder: Builder, call: Call) -> list[Tensor]:
    """A recurrent operator: its sequence, its last h and, of an LSTM, its last c."""
    given = call.tensor(0)
    if isinstance(given, Compact):
        call, given = without(builder, call, given)
    if call.integer("layout", 0) or "clip" in call.attributes or call.integer("input_forget", 0):
        raise Unsupported(f"{call.op} with layout, clip or input_forget")
    weights = [_constant(call, k) for k in (1, 2)]
    count, rows, features = weights[0].shape if len(weights[0].shape) == 3 else (0, 0, 0)
    units = rows // len(ORDERS[call.op])
    if count not in (1, 2) or not units or weights[1].shape != (count, rows, units):
        raise InvalidModel(f"W {weights[0].shape} and R {weights[1].shape} do not fit each other")
    straight = call.text("direction", "forward")
    backwards = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}.get(straight)
    if backwards is None or len(backwards) != count:
        raise InvalidModel(f"direction {straight!r} with {count} directions of weights")
    compact = given if isinstance(given, Compact) and given.time_first else None
    x = _batch_first(builder, call, features) if compact is None else compact.x
    if compact is not None and (count, backwards) != (1, (False,)):
        raise Unsupported(f"{call.op} over compact steps in direction {straight}")
    if compact is None or not _counts(call, compact):
        _lengths(call, x)
    functions = _activations(call, count)
    cells = [_cell(call, d, functions[d], units) for d in range(count)]
    states = [s for d in range(count) for s in _initial(builder, call, d, count, units)]
    backwards = backwards if compact is None else (compact.backwards,)
    directions = tuple(Direction(c, b, b) for c, b in zip(cells, backwards, strict=True))
    layer = Recurrent(directions, None, return_sequences=True)
    mask = None if compact is None else compact.mask
    sequence, state = (*x.shape[:2], units), (x.shape[0], units)
    made = builder.node(call.name, layer, (x, mask, *states), *[sequence] * count, *[state] * len(states))
    per = len(states) // count
    finals = [States(made[count + s :: per]) for s in range(per)]
    if compact is not None:
        return [Steps(made[0], compact.mask, compact.backwards), *finals]
    return [Stack(made[:count]), *finals]


def _counts(call: Call, compact: Compact) -> bool:
    """Whether sequence_lens, if given, count the unmasked steps."""
    lengths = call.tensor(4) if call.has(4) else None
    return lengths is None or (
        isinstance(lengths, Counting) and lengths.what == "lengths" and lengths.mask == compact.mask
    )


def _constant(call: Call, index: int) -> Weight:
    tensor = call.tensor(index)
    if not isinstance(tensor, Const):
        raise Unsupported(f"{call.op} whose weights are computed")
    return tensor.weight


def _batch_first(builder: Builder, call: Call, features: int) -> Value:
    """The input as [batch, time, features]."""
    x = call.tensor(0)
    if not isinstance(x, Val) or len(x.value.shape) != 3:
        x = Val(builder.value(x, call.name))
    if x.value.shape[2] not in (None, features):
        raise InvalidModel(f"an input of {x.value.shape[2]} features, weights for {features}")
    return builder.value(Val(x.value, not x.swapped), call.name)


def _lengths(call: Call, x: Value) -> None:
    """Sequence lengths may be given if all are the whole length."""
    if not call.has(4):
        return
    lengths = call.tensor(4)
    if isinstance(lengths, Filled) and lengths.item in ((x.name, 1), x.shape[1]):
        return
    if isinstance(lengths, Const) and x.shape[1] is not None and np.all(lengths.array == x.shape[1]):
        return
    raise Unsupported(f"{call.op} with sequence lengths of its own")


def _activations(call: Call, count: int) -> list[list[Activation]]:
    """The functions of each direction; alpha and beta are taken in order by those that need them."""
    defaults = _DEFAULTS[call.op]
    names = [s.decode("ascii", "replace") for s in call.attributes["activations"].strings] if "activations" in call.attributes else [*defaults * count]  # fmt: skip  # noqa: E501
    if len(names) != len(defaults) * count:
        raise InvalidModel(f"{len(names)} activations for {count} directions")
    alphas, betas = ([*call.attributes[a].floats] if a in call.attributes else [] for a in ("activation_alpha", "activation_beta"))  # fmt: skip  # noqa: E501
    functions = [_activation(name, alphas, betas) for name in names]
    return [functions[d * len(defaults) : (d + 1) * len(defaults)] for d in range(count)]


def _activation(name: str, alphas: list[float], betas: list[float]) -> Activation:
    found = _ACTIVATIONS.get(name.lower())
    if found is None:
        raise Unsupported(f"activation {name} is not read back from ONNX")
    neutral, (alpha, beta) = found
    given = [_near(values.pop(0)) if values else default
             for default, values in ((alpha, alphas), (beta, betas)) if default is not None]  # fmt: skip
    if neutral == "linear":
        if given != [1.0, 0.0]:
            raise Unsupported(f"activation Affine with {given}")
        return LINEAR
    return Activation(neutral, tuple(given)) if FUNCTIONS[neutral] and given else NAMES[neutral]


def _near(value: float) -> float:
    """The number that was meant: attributes are float32, 0.2 reads 0.200000003."""
    for meant in (0.2, 0.5, 1 / 6, 0.01, 0.3, 1.0, 0.0):
        if np.float32(value) == np.float32(meant):
            return meant
    return value


def _cell(call: Call, direction: int, functions: list[Activation], units: int) -> layers.Cell:
    """One direction's weights, unpacked when read."""
    given = {name: _constant(call, k) for name, k in (("W", 1), ("R", 2), ("B", 3), ("P", 7)) if call.has(k)}
    features, dtype, gates = given["W"].shape[2], given["W"].dtype, len(ORDERS[call.op])
    widths = {"B": 2 * gates * units, "P": 3 * units}
    for name, width in widths.items():
        if name in given and (len(given[name].shape) != 2 or given[name].shape[1] != width):
            raise InvalidModel(f"{name} of shape {given[name].shape}")
    after = bool(call.integer("linear_before_reset", 0))
    convention = f"onnx/{call.op}" + ("(linear_before_reset=1)" if after else "")

    def read(part: str) -> Array:
        arrays = {name: weight.read()[direction : direction + 1] for name, weight in given.items()}
        cell = unpack(arrays, convention)
        if part == "bias" and after:
            return np.stack([cell.bias, cell.recurrent_bias])  # type: ignore[list-item]
        found = cell.single_bias if part == "bias" else getattr(cell, part)
        assert found is not None
        return np.ascontiguousarray(found)

    def make(part: str, *shape: int) -> Weight:
        return Weight(f"{call.name}/{part}", shape, dtype, partial(read, part))

    width = gates * units
    kernel, recurrent_kernel = make("kernel", features, width), make("recurrent_kernel", units, width)
    bias = None if "B" not in given else make("bias", 2, width) if after else make("bias", width)
    if call.op == "LSTM":
        if functions[1] != functions[2]:
            raise Unsupported("an LSTM whose cell has two different activations")
        peephole = make("peephole", 3 * units) if "P" in given and not is_zero(Const(given["P"])) else None
        return layers.LSTMCell(units, kernel, recurrent_kernel, bias, functions[1], functions[0], peephole)
    if call.op == "GRU":
        return layers.GRUCell(units, kernel, recurrent_kernel, bias, functions[1], functions[0], after)
    return layers.SimpleRNNCell(units, kernel, recurrent_kernel, bias, functions[0])


_STATES = {5: "initial_h", 6: "initial_c"}


def _fits(name: str, tensor: Tensor | None, count: int, units: int) -> None:
    """Refuses an initial state that is not [num_directions, batch, hidden_size], as onnxruntime does."""
    if isinstance(tensor, States):
        directions, widths = len(tensor.hs), {h.shape[-1] for h in tensor.hs if h is not None}
    elif isinstance(tensor, Val | Const):
        shape = tensor.shape if isinstance(tensor, Val) else tensor.weight.shape
        if len(shape) != 3:
            raise InvalidModel(f"{name} has {len(shape)} axes, not 3")
        directions, widths = shape[0], {shape[2]}  # type: ignore[assignment]
    else:
        return
    wrong = widths - {None, units}
    if wrong or directions not in (None, count):
        seen = f"[{directions}, batch, {next(iter(wrong or widths), units)}]"
        raise InvalidModel(f"{name} is {seen}, but its operator has [{count}, batch, {units}]")


def _initial(builder: Builder, call: Call, direction: int, count: int, units: int) -> list[Value | None]:
    """The initial states of one direction, None for zeros."""
    states: list[Value | None] = []
    for index in (5, 6) if call.op == "LSTM" else (5,):
        tensor = call.tensor(index) if call.has(index) else None
        _fits(_STATES[index], tensor, count, units)
        if tensor is None or is_zero(tensor):
            states.append(None)
        elif isinstance(tensor, States) and len(tensor.hs) == count:
            states.append(tensor.hs[direction])
        elif isinstance(tensor, Const):
            held = tensor.weight.map(lambda array: array[direction], tensor.weight.shape[1:])
            states.append(builder.value(Const(held), f"{call.name}/state"))
        elif isinstance(tensor, Val) and len(tensor.shape) == 3:
            whole = builder.value(tensor, call.name)
            layer = layers.Slice((0,), (direction,), (direction + 1,), (1,))
            one = builder.node(f"{call.name}/state", layer, (whole,), (1, *whole.shape[1:]))[0]
            states += builder.node(f"{call.name}/state", layers.Squeeze((0,)), (one,), whole.shape[1:])
        else:
            raise Unsupported(f"{call.op} with initial states of this form")
    return states
