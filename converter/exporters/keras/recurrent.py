"""Recurrent layers: LSTM, GRU, SimpleRNN and ConvLSTM of Keras 3, and Bidirectional where it means the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from converter.errors import Unsupported
from converter.exporters.keras.activations import argument_of, factors, scale, unnamed
from converter.exporters.keras.graph import HINT, Graph, Ref, policy, rule
from converter.exporters.weights import DIRECTIONS
from converter.model import Node, Weight, layers
from converter.model.activations import Activation
from converter.model.layers import Direction, Recurrent

_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Add"}


def _factor(activation: Activation, place: str, dtype: str, last_axis: int = 1) -> tuple[object, float]:
    found = argument_of(activation, last_axis, dtype)
    if found is None:
        raise Unsupported(unnamed(activation), where=place, hint=HINT)
    return found


def _gated(cell: Any, last_axis: int = 1) -> dict[str, Weight]:
    """The arrays of a cell as Keras stores them, some gates scaled."""
    by = factors(cell, last_axis)
    arrays = (cell.kernel, cell.recurrent_kernel, cell.bias)
    return {f"cell/vars/{k}": scale(w, by) for k, w in enumerate(arrays) if w is not None}


@singledispatch
def keras_cell(cell: object, place: str, dtype: str) -> tuple[str, dict[str, Any], dict[str, Weight]]:
    """Class, arguments and arrays of a cell's layer in Keras 3 that computes in `dtype`.

    Raises:
        Unsupported: Keras 3 cannot compute exactly this.
    """
    raise Unsupported(f"no {type(cell).__name__} in Keras 3", where=place)


@keras_cell.register
def _lstm(cell: layers.LSTMCell, place: str, dtype: str) -> tuple[str, dict[str, Any], dict[str, Weight]]:
    if cell.peephole is not None:
        raise Unsupported("Keras has no peepholes", where=place, hint=HINT)
    config, weights = _four_gates(cell, place, dtype, 1)
    return "LSTM", {"units": cell.units, **config}, weights


@keras_cell.register
def _conv_lstm(cell: layers.ConvLSTMCell, place: str, dtype: str) -> tuple[str, dict[str, Any], dict[str, Weight]]:
    config, weights = _four_gates(cell, place, dtype, cell.rank + 1)
    window = list(cell.kernel.shape[: cell.rank])
    config |= {"filters": cell.filters, "kernel_size": window, "strides": list(cell.strides), "padding": cell.padding}
    config |= {"data_format": cell.data_format, "dilation_rate": list(cell.dilation)}
    return f"ConvLSTM{cell.rank}D", config, weights


def _four_gates(
    cell: layers.LSTMCell | layers.ConvLSTMCell, place: str, dtype: str, axis: int
) -> tuple[dict[str, Any], dict[str, Weight]]:
    activation, factor = _factor(cell.activation, place, dtype, axis)
    gate, _ = _factor(cell.recurrent_activation, place, dtype, axis)
    if factor != 1:
        what = f"{unnamed(cell.activation)}, and it also acts on the cell state, which no weight scales"
        raise Unsupported(what, where=place, hint=HINT)
    config = {"activation": activation, "recurrent_activation": gate, "use_bias": cell.bias is not None}
    return config, _gated(cell, axis)


@keras_cell.register
def _gru(cell: layers.GRUCell, place: str, dtype: str) -> tuple[str, dict[str, Any], dict[str, Weight]]:
    activation, _ = _factor(cell.activation, place, dtype)
    gate, _ = _factor(cell.recurrent_activation, place, dtype)
    config = {"units": cell.units, "activation": activation, "recurrent_activation": gate}
    config |= {"use_bias": cell.bias is not None, "reset_after": cell.reset_after}
    return "GRU", config, _gated(cell)


@keras_cell.register
def _simple(cell: layers.SimpleRNNCell, place: str, dtype: str) -> tuple[str, dict[str, Any], dict[str, Weight]]:
    activation, _ = _factor(cell.activation, place, dtype)
    config = {"units": cell.units, "activation": activation, "use_bias": cell.bias is not None}
    return "SimpleRNN", config, _gated(cell)


def last_axis(cell: layers.Cell) -> int:
    """The last axis of a cell's gates at one step."""
    return cell.rank + 1 if isinstance(cell, layers.ConvLSTMCell) else 1


class _Call:
    """One recurrent node while it is written."""

    def __init__(self, layer: Recurrent, graph: Graph, node: Node) -> None:
        self.layer, self.graph, self.node = layer, graph, node
        x, mask, *states = (graph.tensor(value) if not _carried(graph, value) else None for value in
                            (*node.inputs, *[None] * (2 - len(node.inputs))))  # fmt: skip
        if layer.time_major:
            x, mask = (None if tensor is None else self._swap(tensor) for tensor in (x, mask))
        self.x, self.mask = x, mask
        self.stateful = any(_carried(graph, value) for value in node.inputs)
        counts = [direction.cell.states for direction in layer.directions]
        states = states or [None] * sum(counts)
        ends = node.outputs[len(node.outputs) - sum(counts) :]
        by_state = mask is not None and layer.masked_output == "state"
        self.return_state = by_state or any(value.name in graph.read for value in ends)
        self.initial = [states[sum(counts[:k]) : sum(counts[: k + 1])] for k in range(len(counts))]

    def _swap(self, x: Ref) -> Ref:
        axes = [1, 0, *range(2, len(x.shape))]
        return self.graph.op("Transpose", (x,), Ref("", 0, tuple(x.shape[a] for a in axes), x.dtype), axes=axes)

    def config(self) -> dict[str, Any]:
        """Arguments that all directions share."""
        out: dict[str, Any] = {"return_sequences": self.layer.return_sequences, "return_state": self.return_state}
        if self.node.outputs[0].dtype in ("float16", "bfloat16"):  # some backends have no random matrix of these
            out["recurrent_initializer"] = "zeros"
        return {**out, "stateful": self.stateful, "zero_output_for_mask": self.layer.masked_output == "zero"}


def _carried(graph: Graph, value: Any) -> bool:
    """Whether a value is a state carried from call to call."""
    return value is not None and any(state.input.name == value.name for state in graph.model.states)


@rule.register
def recurrent(layer: Recurrent, graph: Graph, node: Node) -> None:
    """One layer per direction, or Bidirectional."""
    call = _Call(layer, graph, node)
    made = _bidirectional(call) if _is_bidirectional(call) else _directions(call)
    for value, ref in zip(node.outputs, made, strict=True):
        graph.values[value.name] = ref


def _is_bidirectional(call: _Call) -> bool:
    pair = call.layer.directions
    if len(pair) != 2 or not alike(pair) or call.layer.time_major:
        return False
    straight = [(d.reverse_input, d.reverse_output) for d in pair] == [(False, False), (True, True)]
    as_keras = "zero" if call.layer.return_sequences else "previous"  # keras/src/layers/rnn/bidirectional.py
    complete = all(s is not None for states in call.initial for s in states)
    none = all(s is None for states in call.initial for s in states)
    if call.stateful and call.return_state:  # keras/src/layers/rnn/bidirectional.py cannot build that
        return False
    return straight and (call.mask is None or call.layer.masked_output == as_keras) and (complete or none)


def alike(pair: Sequence[Direction]) -> bool:
    """Whether both directions are of one kind and size: Keras 3 takes the second to be as wide as the first."""
    first, second = (d.cell for d in pair)
    return type(first) is type(second) and first.recurrent_kernel.shape == second.recurrent_kernel.shape


def _bidirectional(call: _Call) -> list[Ref]:
    layer, graph, node = call.layer, call.graph, call.node
    parts: list[dict[str, Any]] = []
    weights: dict[str, Weight] = {}
    for k, direction in enumerate(layer.directions):
        class_name, config, arrays = keras_cell(direction.cell, node.name, node.outputs[0].dtype)
        dtype, arrays = policy(node, arrays)
        config |= {"name": f"{DIRECTIONS[k]}_{class_name.lower()}", **call.config(), **dtype, "go_backwards": k == 1}
        parts.append({"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None})
        weights |= {f"{DIRECTIONS[k]}_layer/{path}": weight for path, weight in arrays.items()}
    config = {"merge_mode": layer.merge, "layer": parts[0], "backward_layer": parts[1], **policy(node, {})[0]}
    states = [s for part in call.initial for s in part]
    name = graph.layer(node.name, "Bidirectional", config, (call.x,), weights, _keywords(call, states))
    for side, direction in zip(DIRECTIONS, layer.directions, strict=True):
        graph.note_scaled(f"{name} {side}", factors(direction.cell, last_axis(direction.cell)))
    refs = [Ref(name, k, value.shape, value.dtype) for k, value in enumerate(node.outputs)]
    heads = 1 if layer.merge is not None else 2
    return [_unmasked(call, ref) for ref in refs[:heads]] + refs[heads:]


def _keywords(call: _Call, states: list[Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if states and any(s is not None for s in states):
        out["initial_state"] = states
    if call.mask is not None:
        out["mask"] = call.mask
    return out


def _unmasked(call: _Call, ref: Ref) -> Ref:
    """A sequence without the mask that Keras would hand on to whatever reads it."""
    if call.mask is None or not call.layer.return_sequences:
        return ref
    return call.graph.op("Copy", (ref,), ref)


def _directions(call: _Call) -> list[Ref]:
    layer, graph, node = call.layer, call.graph, call.node
    heads: list[Ref] = []
    states: list[Ref] = []
    for k, direction in enumerate(layer.directions):
        class_name, config, weights = keras_cell(direction.cell, node.name, node.outputs[0].dtype)
        dtype, weights = policy(node, weights)
        config |= {**call.config(), **dtype, "go_backwards": direction.reverse_input}
        initial = _filled(call, call.initial[k])
        name = node.name if len(layer.directions) == 1 else f"{node.name}_{DIRECTIONS[k]}"
        name = graph.layer(name, class_name, config, (call.x,), weights, _keywords(call, initial))
        graph.note_scaled(name, factors(direction.cell, last_axis(direction.cell)))
        count = len(initial)
        value = node.outputs[0]
        own = [node.outputs[len(node.outputs) - _states(layer) + len(states) + s] for s in range(count)]
        head = Ref(name, 0, (*value.shape[:-1], own[0].shape[-1]), value.dtype)
        after = [Ref(name, 1 + s, state.shape, state.dtype) for s, state in enumerate(own)]
        head = _state_rule(call, _unmasked(call, head), initial, after, direction.reverse_input)
        if direction.reverse_output and layer.return_sequences:
            head = graph.op("Flip", (head,), head, axis=1)
        heads.append(head)
        states += after
    if len(heads) == 2 and layer.merge is not None:
        heads = [_merged(call, heads)]
    return [call._swap(h) if layer.time_major and layer.return_sequences else h for h in heads] + states


def _states(layer: Recurrent) -> int:
    return sum(direction.cell.states for direction in layer.directions)


def _filled(call: _Call, initial: list[Any]) -> list[Any]:
    """Initial states, zeros put in where only some are given."""
    given = [state for state in initial if state is not None]
    if not given or len(given) == len(initial):
        return initial
    return [call.graph.op("Multiply", (given[0], 0.0), given[0]) if s is None else s for s in initial]


def _state_rule(call: _Call, head: Ref, initial: list[Any], after: list[Ref], backwards: bool) -> Ref:
    """Outputs of masked steps before the first unmasked one, where they are the initial h (Keras <= 2.2.4)."""
    if call.mask is None or call.layer.masked_output != "state" or (not call.stateful and initial[0] is None):
        return head
    if not call.layer.return_sequences:
        return after[0]
    if call.stateful:
        raise Unsupported("Keras 3 has no counterpart of old Keras' masked steps in a stateful layer",
                          where=call.node.name, hint=HINT)  # fmt: skip
    graph, mask = call.graph, call.mask
    mask = graph.op("Flip", (mask,), mask, axis=1) if backwards else mask
    count = graph.op("Cumsum", (graph.op("Cast", (mask,), Ref("", 0, mask.shape, "int32"), dtype="int32"),),
                     Ref("", 0, mask.shape, "int32"), axis=1)  # fmt: skip
    seen = graph.op("Greater", (count, 0), Ref("", 0, mask.shape, "bool"))
    seen = graph.op("ExpandDims", (seen,), Ref("", 0, (*mask.shape, 1), "bool"), axis=-1)
    shape = (initial[0].shape[0], 1, initial[0].shape[1])
    first = graph.op("ExpandDims", (initial[0],), Ref("", 0, shape, head.dtype), axis=1)
    return graph.op("Where", (seen, head, first), head)


def _merged(call: _Call, heads: list[Ref]) -> Ref:
    graph, value, merge = call.graph, call.node.outputs[0], str(call.layer.merge)
    shape = Ref("", 0, value.shape, value.dtype)
    if merge == "concat":
        cell = call.layer.directions[0].cell
        first = isinstance(cell, layers.ConvLSTMCell) and cell.data_format == "channels_first"
        axis = (2 if call.layer.return_sequences else 1) if first else -1
        return graph.op("Concatenate", (heads,), shape, axis=axis)
    out = graph.op(_MERGES[merge], tuple(heads), shape)
    return graph.op("Multiply", (out, 0.5), shape) if merge == "ave" else out
