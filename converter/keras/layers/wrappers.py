"""Bidirectional and TimeDistributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from converter.errors import InvalidModel, Unsupported
from converter.keras.building.graph import Tensor
from converter.keras.eras.switches import Era
from converter.keras.layer_type import LayerType
from converter.keras.layers.cells import cells_of
from converter.keras.layers.recurrent import arguments, features, in_caller_order, initial_states, masked_output
from converter.keras.schema import Config
from converter.keras.shared.cell_runs import CellRun, mask_of_steps, run_cells, state_names, state_shapes
from converter.keras.shared.masks import call_mask, carried_mask
from converter.keras.spec import Bound, Call, LayerSpec, flatten
from converter.model import Shape, Value, layers
from converter.model.layers import Cell, ConvLSTMCell, Direction, MaskedOutput, Recurrent


class BidirectionalConfig(Config, frozen=True):
    """https://keras.io/api/layers/recurrent_layers/bidirectional/"""

    layer: dict[str, Any]
    backward_layer: dict[str, Any] | None = None
    merge_mode: Literal["concat", "sum", "mul", "ave"] | None = "concat"
    num_constants: int | None = None
    # Keras copies these from the wrapped layer into the wrapper; the wrapped layer's own decide.
    return_sequences: bool | None = None
    return_state: bool | None = None
    stateful: bool | None = None


def both(config: BidirectionalConfig, era: Era) -> Mapping[str, Mapping[str, Any]]:
    """The two wrapped layers; an implied backward one is a copy of the first that runs the other way."""
    inner: Any = config.layer.get("config")
    if not isinstance(inner, Mapping):
        raise InvalidModel("the wrapped layer has no config")
    name = inner.get("name") or "layer"
    backward = config.backward_layer
    if backward is None:
        flipped = {**inner, "name": f"backward_{name}", "go_backwards": not inner.get("go_backwards", False)}
        backward = {**config.layer, "config": flipped}
    forward_name = name if config.backward_layer is not None else f"forward_{name}"
    return {
        "forward_layer": {**config.layer, "config": {**inner, "name": forward_name}},
        "backward_layer": backward,
    }


def _bidirectional(call: Call) -> tuple[Tensor, ...]:
    sides = [(call.spec.children[k], call.bound.children[k]) for k in ("forward_layer", "backward_layer")]
    configs: list[Any] = [spec.config for spec, _ in sides]
    forward = configs[0]
    if any(getattr(c, "return_sequences", None) != forward.return_sequences for c in configs):
        raise InvalidModel("the two wrapped layers differ in return_sequences")
    if any(c.time_major != forward.time_major for c in configs):
        raise Unsupported("the two wrapped layers differ in time_major: Keras reads batch as time in one of them")
    given = arguments(call)
    x = given.x.value
    dtype = configs[0].compute_dtype or call.dtype
    cells = [cells_of(spec, bound, call.era, dtype, features(given.x, spec)) for spec, bound in sides]
    steps_mask = mask_of_steps(call, given.mask, x.shape, [c[0] for c in cells])
    states = _states(call, cells, given.states, configs, x.shape)
    runs = [
        CellRun(
            cells[k],
            configs[k],
            configs[k].go_backwards,
            k == 1,
            forward.return_sequences,
            _masked_output(call, sides[k][0], cells[k]),
        )
        for k in range(2)
    ]
    merge = call.config.merge_mode
    if fits_one_node(runs, steps_mask, merge):
        ys, finals = _one_node(call, runs, x, steps_mask, states, merge)
    else:
        ys, finals = _two_runs(call, runs, x, steps_mask, states, merge)
    if forward.stateful and not given.states:
        call.graph.carried(call.path, [s for side in states for s in side], [s for side in finals for s in side])
    mask = given.carried_mask if forward.return_sequences else None
    outputs = [Tensor(y, mask) for y in ys]
    if forward.return_state:
        outputs += [Tensor(s) for k in range(2) for s in in_caller_order(call, cells[k], finals[k])]
    return tuple(outputs)


def fits_one_node(runs: list[CellRun], mask: Value | None, merge: str | None) -> bool:
    """Whether both sides are one cell each, of equal rules and of units that merge."""
    cells = [cell for one in runs for cell in one.cells]
    if len(cells) != 2 or any(isinstance(cell, ConvLSTMCell) for cell in cells):
        return False
    if mask is not None and any(one.misplaces_zeros for one in runs):
        return False
    units = [getattr(cell, "units", 0) for cell in cells]
    mergeable = merge in {"concat", None} or units[0] == units[1]
    return mergeable and runs[0].masked_output == runs[1].masked_output


def _states(call: Call, cells: list[Any], given: tuple[Value, ...], configs: list[Any], x: Shape) -> list[list[Value]]:
    """Initial states of each side.

    Raises:
        Unsupported: they are passed to sides of which one has more states. Keras splits them in the middle.
    """
    if configs[0].stateful and not given:
        return _carry_both(call, cells, x, configs)
    forward, backward = (sum(cell.states for cell in stack) for stack in cells)
    if given and forward != backward:
        raise Unsupported("initial states for two sides of which one has more states than the other")
    parts = (given[:forward], given[forward:])
    return [initial_states(call, *side, x) for side in zip(cells, parts, configs, strict=True)]


def _carry_both(call: Call, cells: list[Any], x: Shape, configs: list[Any]) -> list[list[Value]]:
    """States of both sides of a stateful layer, carried under one path."""
    suffixes: list[str] = []
    shapes: list[Shape] = []
    for side, stack, config in zip(("forward", "backward"), cells, configs, strict=True):
        for k, cell in enumerate(stack):
            infix = f"{k}_" if len(stack) > 1 else ""
            suffixes += [f"{side}_{infix}{name}" for name in state_names(cell)]
            shapes += state_shapes(cell, x, config)
    flow = call.era.switch("states_flow_between_calls")
    values = list(call.graph.carry(call.path, suffixes, shapes, call.dtype, flow))
    split = sum(c.states for c in cells[0])
    return [values[:split], values[split:]]


def _masked_output(call: Call, side: LayerSpec, cells: Sequence[Cell]) -> MaskedOutput:
    """Most versions zero the masked steps if return_sequences, and then only, whatever the wrapped layer says.

    TF 1.13 makes the wrapped layer say yes. In files of 1.14 and 1.15 it says so only if the user made it.
    """
    config: Any = side.config
    forced = call.era.switch("bidirectional_zero_output")
    if forced is None:
        forced = bool(call.era.ragged) or not config.zero_output_for_mask
    return masked_output(call, side, config.return_sequences if forced else config.zero_output_for_mask, cells)


Runs = tuple[list[Value], list[list[Value]]]


def _one_node(
    call: Call, runs: list[CellRun], x: Value, mask: Value | None, states: list[list[Value]], merge: Any
) -> Runs:
    """Both directions as one bidirectional node."""
    one = runs[0]
    directions = tuple(Direction(run.cells[0], run.reverse_input, run.reverse_output) for run in runs)
    units = [run.cells[0].units for run in runs]  # type: ignore[union-attr]
    states_of = [state_shapes(run.cells[0], x.shape, run.config) for run in runs]
    wide = {"concat": [sum(units)], None: units}.get(merge, [units[0]])
    lead = x.shape[:2] if one.return_sequences else states_of[0][0][:1]
    outputs = [((*lead, n), x.dtype) for n in wide]
    outputs += [(s, x.dtype) for shapes in states_of for s in shapes]
    count = one.cells[0].states
    given: list[Value | None] = []
    for side, run in zip(states, runs, strict=True):
        given += side or [None] * run.cells[0].states
    layer = Recurrent(directions, merge, one.return_sequences, one.masked_output, one.config.time_major)
    values = call.graph.emit(layer, [x, mask, *given], outputs, call.path)
    ys, after = list(values[: len(wide)]), list(values[len(wide) :])
    return ys, [after[:count], after[count:]]


def _two_runs(
    call: Call, runs: list[CellRun], x: Value, mask: Value | None, states: list[list[Value]], merge: Any
) -> Runs:
    """Stacked cells on a side, or ConvLSTMs: each side by itself, merged by operators (Keras joins the last axis)."""
    made = [run_cells(call, run, x, mask, side) for run, side in zip(runs, states, strict=True)]
    ys, finals = [y for y, _ in made], [after for _, after in made]
    ops = call.ops
    if merge == "concat":
        return [ops.concatenate(ys, -1)], finals
    if merge in {"sum", "ave"}:
        total = ops.elementwise("add", *ys)
        return [ops.with_scalar("multiply", total, 0.5) if merge == "ave" else total], finals
    return ([ops.elementwise("multiply", *ys)] if merge == "mul" else ys), finals


# --- TimeDistributed --------------------------------------------------------------------------------------------------


class TimeDistributedConfig(Config, frozen=True):
    """https://keras.io/api/layers/recurrent_layers/time_distributed/"""

    layer: dict[str, Any]


def _time_distributed(call: Call) -> tuple[Tensor, ...]:
    inner, bound = call.spec.children["layer"], call.bound.children["layer"]
    x, carried = Tensor(call.x.value, call_mask(call)), carried_mask(call)
    if len(x.shape) < 3:
        raise InvalidModel(f"needs an input of shape (batch, time, ...), got {x.shape}")
    if getattr(inner.config, "quantized", False):
        raise Unsupported("TimeDistributed around a quantized layer, whose scales Keras leaves out there")
    path = f"{call.path}/{inner.name}"
    if inner.row is not None and inner.row.stepwise and not inner.children:
        y = call.apply(inner, (Tensor(x.value),), {}, bound, path)
        return tuple(Tensor(t.value, carried) for t in y)
    return tuple(_apply_to_steps(call, inner, bound, x, carried, path))


def _apply_to_steps(
    call: Call, inner: LayerSpec, bound: Bound, x: Tensor, carried: Value | None, path: str
) -> list[Tensor]:
    """Fold time into the batch, apply, unfold: [batch, time, ...] -> [batch·time, ...] -> [batch, time, ...]."""
    if getattr(inner.config, "stateful", False):
        raise Unsupported("TimeDistributed around a stateful layer")
    folded = fold(call, x.value)
    masks, deep = _masks(call, inner, x)
    inner_mask = fold(call, x.mask) if x.mask is not None and deep else None
    outputs = call.apply(inner, (Tensor(folded, inner_mask),), {}, bound, path)
    return [
        Tensor(unfold(call, t.value, x.value), _mask_after(call, x, t.mask, carried) if masks == "inner" else carried)
        for t in flatten(list(outputs))
    ]


def _masks(call: Call, inner: LayerSpec, x: Tensor) -> tuple[str, bool]:
    """How masks go, by the table of switches, and whether the input has one that the wrapped layer sees.

    Raises:
        Unsupported: releases of TensorFlow that write the same version differ.
    """
    fixed = call.graph.fixed_inputs
    masks = call.era.switch("time_distributed_masks_fixed" if fixed else "time_distributed_masks")
    deep = x.mask is not None and len(x.mask.shape) > 2
    if masks == "unsure":
        if deep and inner.class_name not in {"LSTM", "GRU"}:
            what = (
                f"TimeDistributed around {inner.class_name} with a mask for each step, in a model of a fixed batch size"
            )
            raise Unsupported(f"{what}: TF 1.13 and 1.15 treat it in two ways and write the same version")
        masks = "passed"
    return masks, deep and masks != "passed"


def _mask_after(call: Call, x: Tensor, made: Value | None, carried: Value | None) -> Value | None:
    """The wrapped layer's own mask where it gives one, else the one carried, true where any of a step is."""
    if made is not None:
        return unfold(call, made, x.value)
    for _ in range(len(carried.shape) - 2 if carried is not None else 0):
        assert carried is not None
        carried = call.ops.reduce("any", carried, [-1])
    return carried


def fold(call: Call, x: Value) -> Value:
    """[batch, time, ...] -> [batch·time, ...]."""
    sizes = [-1 if n is None else n for n in x.shape[2:]]
    if sizes.count(-1) == 0:
        return call.ops.reshape(x, [-1, *sizes], (None, *x.shape[2:]))
    return call.ops.one(layers.FoldTime(), [x], (None, *x.shape[2:]), x.dtype)


def unfold(call: Call, y: Value, like: Value) -> Value:
    """[batch·time, ...] -> [batch, time, ...] with the batch and time of `like`."""
    time = like.shape[1]
    known = [n for n in y.shape[1:] if n is not None]
    if time is not None and len(known) == len(y.shape) - 1:
        return call.ops.reshape(y, [-1, time, *known], (like.shape[0], time, *y.shape[1:]))
    return call.ops.one(layers.UnfoldTime(), [y, like], (*like.shape[:2], *y.shape[1:]), y.dtype)


TYPES: dict[str, LayerType] = {
    "Bidirectional": LayerType(BidirectionalConfig, _bidirectional, children=both, masking="own", input_rank=3),
    "TimeDistributed": LayerType(
        TimeDistributedConfig, _time_distributed, children=lambda c, e: {"layer": c.layer}, masking="own"
    ),
}
