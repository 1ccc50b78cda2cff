"""Recurrent layers: one neutral `Recurrent` node each, and one for each cell of RNN([cells])."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.building.ops import FLOATS
from converter.keras.eras.switches import Era
from converter.keras.layer_type import Keras1, LayerType
from converter.keras.layers.cells import cells_of, gru_cell, lstm_cell, simple_cell, variables
from converter.keras.schema import Config
from converter.keras.shared.cell_runs import CellRun, mask_of_steps, run_cells, state_names, state_shapes
from converter.keras.shared.keras1 import CELL
from converter.keras.shared.masks import given_mask
from converter.keras.shared.recurrent_config import GRUConfig, LSTMConfig, RNNConfig
from converter.keras.spec import Bound, Call, LayerSpec, flatten
from converter.model import Array, Shape, Value
from converter.model.activations import SIGMOID, TANH
from converter.model.layers import Cell, ConvLSTMCell, GRUCell, LSTMCell, MaskedOutput, SimpleRNNCell


def _cell_of_rnn(config: RNNConfig, era: Any) -> dict[str, dict[str, Any]]:
    cell = config.cell
    if isinstance(cell, list):
        cell = {"class_name": "StackedRNNCells", "config": {"cells": cell}}
    return {"cell": cell}


@dataclass(frozen=True)
class Arguments:
    """What a recurrent layer is called with."""

    x: Tensor
    states: tuple[Value, ...]  # empty where none are passed
    mask: Value | None  # the one that is applied
    carried_mask: Value | None  # the one that the output sequence carries on


def arguments(call: Call) -> Arguments:
    """Sort out x, initial_state and mask: Keras 2 lists the states behind x, Keras 3 passes initial_state."""
    if call.kwargs.get("constants") is not None or call.config.num_constants:
        raise Unsupported("is called with constants=, which only cells of one's own read")
    x, *more = flatten(call.args[:1])
    if x.dtype not in FLOATS and call.era.switch("integers_become_floats"):
        x = Tensor(call.ops.cast(x.value, call.dtype), x.mask)
    given = call.args[1] if len(call.args) > 1 else call.kwargs.get("initial_state")
    states = [t.value for t in more] + given_states(call, given, x)
    explicit = call.args[2] if len(call.args) > 2 else call.kwargs.get("mask")
    if isinstance(explicit, list) and not isinstance(next(iter(explicit), None), list):
        explicit = explicit[0] if explicit else None
    mask = _given_mask(call, explicit)
    carried = mask if mask is not None and call.era.switch("explicit_mask_carried") else x.mask
    if mask is None and (not states or call.era.switch("mask_with_initial_state")):
        mask = x.mask
    return Arguments(x, tuple(states), mask, carried)


def _given_mask(call: Call, given: Any) -> Value | None:
    """A mask that is passed: a tensor, or a constant [batch, time].

    Raises:
        InvalidModel: a constant for another number of steps. Unsupported: something else.
    """
    mask = given_mask(call, given, "mask")
    steps = call.tensors[0].shape[1]
    if mask is not None and not isinstance(given, Tensor) and steps not in (None, mask.shape[1]):
        raise InvalidModel(f"mask= has {mask.shape[1]} steps, the input {steps}")
    return mask


def given_states(call: Call, given: Any, x: Tensor) -> list[Value]:
    """Initial states: tensors, and constants (arrays; lists of numbers in tf.keras), in lists of any depth.

    Raises:
        Unsupported: something else.
    """
    if given is None:
        return []
    if isinstance(given, Tensor):
        return [given.value]
    if isinstance(given, np.ndarray) or depth(given) == len(x.shape) - 1:
        return [constant_state(call, given, x)]
    if not isinstance(given, list | tuple):
        raise Unsupported(f"an initial state that is a {type(given).__name__}")
    return [state for item in given for state in given_states(call, item, x)]


def depth(given: Any) -> int:
    """How deep in lists a number is; -1 if it is none."""
    if isinstance(given, list):
        below = depth(given[0]) if given else -1
        return below + 1 if below >= 0 else -1
    return 0 if isinstance(given, int | float) else -1


def constant_state(call: Call, given: Array | list[Any], x: Tensor) -> Value:
    """A state that is a constant [batch, ...]. Keras 3 uses a single row for the whole batch.

    Raises:
        InvalidModel: it holds other things than numbers, has another number of axes, or another batch than others.
    """
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise InvalidModel("a constant initial state is no array of numbers") from None
    if array.ndim != len(x.shape) - 1 or not array.size:
        raise InvalidModel(f"a constant initial state has shape {array.shape}, {len(x.shape) - 1} axes are expected")
    state = call.ops.constant(array, call.dtype)
    if len(array) > 1 or not call.era.switch("one_state_for_all"):
        call.graph.fix_batch(len(array))
        return state
    ops = call.ops
    rows = ops.squeeze(ops.slice(x.value, 1, 0, 1), 1)
    for axis in range(1, array.ndim):
        rows = ops.slice(rows, axis, 0, 1)
    return ops.where(ops.cast(rows, "bool"), state, state)


def masked_output(call: Call, spec: LayerSpec, zero: bool, cells: Sequence[Cell]) -> MaskedOutput:
    """What a masked step of the layer `spec` puts out, by era; `zero` is zero_output_for_mask."""
    if zero and _heeds_zero_output(call, spec, cells):
        return "zero"
    config: Any = spec.config
    if config.unroll:  # starts from zeros in every version: 1.2.2, 2.1.6, run; k224_maskunroll
        return "previous"
    found: MaskedOutput = call.era.switch("masked_output")
    return found


def _heeds_zero_output(call: Call, spec: LayerSpec, cells: Sequence[Cell]) -> bool:
    """Whether zero_output_for_mask has an effect."""
    cell: Any = cells[0]
    config: Any = spec.config
    if isinstance(cell, ConvLSTMCell):
        return bool(call.era.switch("convlstm_zero_output"))
    if call.era.switch("fused_zero_output") or spec.class_name not in {"LSTM", "GRU"}:
        return True
    # could_use_cudnn of recurrent_v2.py in TensorFlow 2.0 and 2.1
    usual = cell.activation == TANH and cell.recurrent_activation == SIGMOID
    fused = usual and cell.bias is not None and getattr(cell, "reset_after", True)
    return not fused or bool(config.recurrent_dropout) or config.unroll


def features(x: Tensor, spec: LayerSpec) -> int | None:
    """The size of what a cell takes at each step: the features, or a ConvLSTM's channels.

    Raises:
        InvalidModel: the input is no sequence of what the layer takes.
        Unsupported: a ConvLSTM with time_major.
    """
    config: Any = spec.config
    rank = None if spec.row is None else spec.row.input_rank
    if len(x.shape) != rank:
        wanted = "of shape (batch, time, features)" if rank == 3 else "with spatial axes"
        raise InvalidModel(f"needs an input {wanted}, got shape {x.shape}")
    if rank == 3:
        return x.shape[-1]
    if config.time_major:
        raise Unsupported("ConvLSTM with time_major")
    return x.shape[2] if config.data_format == "channels_first" else x.shape[-1]


def initial_states(call: Call, cells: Sequence[Cell], given: tuple[Value, ...], config: Any, x: Shape) -> list[Value]:
    """Initial states in the order of the cells: those passed, those carried by a stateful layer, or none (zeros)."""
    suffixes = [f"{k}_{n}" if len(cells) > 1 else n for k, cell in enumerate(cells) for n in state_names(cell)]
    shapes = [s for cell in cells for s in state_shapes(cell, x, config)]
    if given:
        if config.stateful:
            _refuse_cond(call)
            call.graph.give(call.path)
        if len(given) != len(suffixes):
            raise InvalidModel(f"{len(given)} initial states are passed, {len(suffixes)} expected")
        ordered = in_cell_order(call, cells, list(given))
        for state, shape in zip(ordered, shapes, strict=True):
            check_state(state.shape, shape)
        return ordered
    if not config.stateful:
        return []
    flow = call.era.switch("states_flow_between_calls")
    return list(call.graph.carry(call.path, suffixes, shapes, call.dtype, flow))


def _refuse_cond(call: Call) -> None:
    """Keras takes the initial_state of a stateful layer, but tf.keras since TensorFlow 2.1 only if its own are zeros.

    Raises:
        Unsupported: for tf.keras from 2.0 on, which writes the same version as 2.1.0.
    """
    if not call.era.switch("stateful_takes_initial_state"):
        raise Unsupported("a stateful layer that is also called with initial_state, which counts only once in tf.keras")


def check_state(shape: Shape, expected: Shape) -> None:
    """Refuse an initial state of another size.

    Raises:
        InvalidModel: with both shapes.
    """
    fits = len(shape) == len(expected) and all(
        None in (n, m) or n == m for n, m in zip(shape[1:], expected[1:], strict=True)
    )
    if not fits:
        raise InvalidModel(f"an initial state has shape {shape}, {expected} is expected")


def in_cell_order(call: Call, cells: Sequence[Cell], states: list[Value]) -> list[Value]:
    """States as the caller counts them <-> in the order of the cells (Keras 2.0 and 2.1 count the last cell first)."""
    if len(cells) < 2 or not call.era.switch("stacked_states_last_first"):
        return states
    groups, start = [], 0
    sizes = [c.states for c in cells]
    for size in reversed(sizes):
        groups.append(states[start : start + size])
        start += size
    return [s for group in reversed(groups) for s in group]


def in_caller_order(call: Call, cells: Sequence[Cell], states: list[Value]) -> list[Value]:
    """The reverse of `in_cell_order`."""
    if len(cells) < 2 or not call.era.switch("stacked_states_last_first"):
        return states
    groups, start = [], 0
    for cell in cells:
        groups.append(states[start : start + cell.states])
        start += cell.states
    return [s for group in reversed(groups) for s in group]


def recurrent(call: Call) -> tuple[Tensor, ...]:
    """One call of LSTM, GRU, SimpleRNN, RNN, ConvLSTM and their kin."""
    config = call.config
    given = arguments(call)
    x = given.x
    cells = cells_of(call.spec, call.bound, call.era, call.dtype, features(x, call.spec))
    mask = mask_of_steps(call, given.mask, x.shape, cells)
    states = initial_states(call, cells, given.states, config, x.shape)
    zeroes = masked_output(call, call.spec, config.zero_output_for_mask, cells)
    run = CellRun(cells, config, config.go_backwards, False, config.return_sequences, zeroes)
    y, finals = run_cells(call, run, x.value, mask, states)
    if config.stateful and not given.states:
        call.graph.carried(call.path, states, finals)
    output = Tensor(y, given.carried_mask if config.return_sequences else None)
    after = in_caller_order(call, cells, finals) if config.return_state else []
    return (output, *(Tensor(s) for s in after))


def _cells_of_rnn(spec: LayerSpec, bound: Bound, era: Era, dtype: str, features: int | None) -> tuple[Cell, ...]:
    return cells_of(spec.children["cell"], bound.children["cell"], era, dtype, features)


def _layer(config: type[Config], kind: type[Cell], cells: Callable[..., tuple[Cell, ...]], *aliases: str) -> LayerType:
    return LayerType(
        config, recurrent, variables(kind), masking="own", cells=cells, input_rank=3, variables_under=("cell",),
        aliases=aliases, keras1=Keras1(CELL),
    )  # fmt: skip


TYPES: dict[str, LayerType] = {
    "LSTM": _layer(LSTMConfig, LSTMCell, lstm_cell, "UnifiedLSTM", "LSTMV1", "LSTMV2"),
    "GRU": _layer(GRUConfig, GRUCell, gru_cell, "UnifiedGRU", "GRUV1", "GRUV2"),
    "SimpleRNN": _layer(LSTMConfig, SimpleRNNCell, simple_cell),
    "CuDNNLSTM": _layer(LSTMConfig, LSTMCell, partial(lstm_cell, gate="sigmoid")),
    "CuDNNGRU": _layer(GRUConfig, GRUCell, partial(gru_cell, cudnn=True)),
    "RNN": LayerType(
        RNNConfig, recurrent, children=_cell_of_rnn, masking="own", cells=_cells_of_rnn, input_rank=3
    ),
}  # fmt: skip
