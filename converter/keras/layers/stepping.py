"""Cells called by hand: LSTMCell and its kin outside of an RNN layer, as autoregressive models call them in a loop."""

from __future__ import annotations

from dataclasses import dataclass

from converter.errors import InvalidModel
from converter.keras.building.graph import Tensor
from converter.keras.layers.cells import cells_of
from converter.keras.layers.recurrent import check_state, given_states, in_caller_order, in_cell_order
from converter.keras.shared.cell_runs import CellRun, run_cells, state_shapes
from converter.keras.spec import Call, flatten


@dataclass(frozen=True)
class OneStep:
    """The options of a recurrent layer that takes a single step."""

    unroll: bool = False
    time_major: bool = False


def step(call: Call) -> tuple[Tensor, ...]:
    """One step: x [batch, features] and the states -> the output [batch, units] and the new states.

    It is a sequence of one step for the recurrent node, so that it stays a native one.

    Raises:
        InvalidModel: the states are not as many as the cell has, or of other sizes.
    """
    inputs, *more = flatten(call.args[:1])
    if len(inputs.shape) != 2:
        raise InvalidModel(f"a cell takes an input of shape (batch, features), got {inputs.shape}")
    x = Tensor(call.ops.expand_dims(inputs.value, 1))
    given = call.args[1] if len(call.args) > 1 else call.kwargs.get("states")
    states = [t.value for t in more] + given_states(call, given, x)
    cells = cells_of(call.spec, call.bound, call.era, call.dtype, inputs.shape[-1])
    options = OneStep()
    shapes = [shape for cell in cells for shape in state_shapes(cell, x.shape, options)]
    if len(states) != len(shapes):
        raise InvalidModel(f"a cell of {len(shapes)} states is called with {len(states)}")
    ordered = in_cell_order(call, cells, states)
    for state, shape in zip(ordered, shapes, strict=True):
        check_state(state.shape, shape)
    y, finals = run_cells(call, CellRun(cells, options, False, False, False, "previous"), x.value, None, ordered)
    return (Tensor(y), *(Tensor(state) for state in in_caller_order(call, cells, finals)))
