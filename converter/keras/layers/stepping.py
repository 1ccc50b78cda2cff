"""Cells called by hand: LSTMCell and its kin outside of an RNN layer, as autoregressive models call them in a loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from converter.errors import InvalidModel
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType, Variable
from converter.keras.layers.cells import PEEPHOLES, cells_of, gru_cell, lstm_cell, simple_cell, variables
from converter.keras.layers.recurrent import check_state, given_states, in_caller_order, in_cell_order
from converter.keras.schema import Config
from converter.keras.shared.cell_runs import CellRun, run_cells, state_shapes
from converter.keras.shared.recurrent_config import GRUCellConfig, LSTMCellConfig
from converter.keras.spec import Bound, Call, LayerSpec, flatten
from converter.model.layers import Cell, GRUCell, LSTMCell, SimpleRNNCell


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


def _stacked_cells(spec: LayerSpec, bound: Bound, era: Era, dtype: str, features: int | None) -> tuple[Cell, ...]:
    found: tuple[Cell, ...] = ()
    for key, child in spec.children.items():
        found += cells_of(child, bound.children[key], era, dtype, features)
        features = getattr(found[-1], "units", None)
    return found


class StackedConfig(Config, frozen=True):
    """StackedRNNCells."""

    cells: list[dict[str, Any]]


def _peephole_variables(config: Any, era: Era) -> tuple[Variable, ...]:
    return (*variables(LSTMCell)(config, era), *map(Variable, PEEPHOLES))


SPEECHLESS = "Keras 2.0.9 to 2.1.2"  # no get_config of cells in keras/layers/recurrent.py before 2.1.3

TYPES: dict[str, LayerType] = {
    "LSTMCell": LayerType(LSTMCellConfig, step, variables(LSTMCell), cells=lstm_cell, unwritten=SPEECHLESS),
    "PeepholeLSTMCell": LayerType(  # extends TF 1's cell to the last: tf115_peephole, tf26_peephole
        LSTMCellConfig, step, _peephole_variables, cells=partial(lstm_cell, gate="hard_sigmoid")
    ),
    "GRUCell": LayerType(GRUCellConfig, step, variables(GRUCell), cells=gru_cell, unwritten=SPEECHLESS),
    "SimpleRNNCell": LayerType(
        LSTMCellConfig, step, variables(SimpleRNNCell), cells=simple_cell, unwritten=SPEECHLESS
    ),
    "StackedRNNCells": LayerType(
        StackedConfig, step, children=lambda c, e: {f"cells/{k}": cell for k, cell in enumerate(c.cells)},
        cells=_stacked_cells,
        untracked="TF 1.12 and 1.13 leave stacked cells out of checkpoints: save the weights as .h5",
    ),
}  # fmt: skip
