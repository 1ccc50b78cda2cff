"""One input on its way through a model: gates and states of each cell, and errors step by step.

Each recurrent layer is looked at by itself, on the inputs that the float64 reference gives it, as the proof does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import structs

import reference_lstm
from converter import interpret
from converter.errors import ConversionError, clean
from converter.holding import with_values
from converter.model import Array, Model, Node
from converter.model.layers import Recurrent
from converter.report.gates import Recorder, gates_of
from converter.verification import natural
from converter.verification.calls import usable_cases
from converter.verification.inputs import cases_of
from converter.verification.own_data import OwnData
from converter.verification.recurrence import equation_of, recurrent_truth
from converter.verification.runnable import Runnable, opened
from reference_lstm import sequence

BATCH, STEPS = 4, 48  # of the input shown, where the model leaves both open


@dataclass(frozen=True)
class Trace:
    """A recurrent layer on one input.

    Attributes:
        node: its name; `layer` is the path of its Keras layer.
        used: [time] of bool, False where a step is masked; None without a mask.
        panels: of each direction what its gates and states were, [units, time] by name.
        exported, single, bound: [time], the largest error of the exported file and of the float32 reference against
            float64, and what rounding explains; `exported` is None where the file does not show the sequence.
    """

    node: str
    layer: str
    used: Array | None
    panels: tuple[Mapping[str, Array], ...]
    exported: Array | None
    single: Array
    bound: Array


@dataclass(frozen=True)
class Output:
    """One output on one input: [time, features] or [features], by the float64 reference and by the exported file."""

    name: str
    exact: Array
    exported: Array | None
    used: Array | None


def shown_call(model: Model, own: OwnData) -> natural.Call:
    """The input that is shown: the user's, or a long one that the model takes.

    Raises:
        InvalidModel: the model does not take the user's.
    """
    given = own.case(model)
    try:
        cases = [given] if given is not None else cases_of(model, 0, [(BATCH, STEPS)])[:1]
        return natural.run(model, cases)[0][0]
    except (ValueError, IndexError, ConversionError):
        if given is not None:
            raise
        return usable_cases(model, 0)[1][-1]


def row_of(model: Model, call: natural.Call) -> int:
    """The row of the batch that shows most: one in which some steps are masked and some are not."""
    for node in model.nodes:
        mask = node.inputs[1] if isinstance(node.layer, Recurrent) else None
        if mask is not None:
            used = _steps_used(node, call.values[mask.name])
            mixed = np.flatnonzero(np.any(used, 1) & ~np.all(used, 1))
            if mixed.size:
                return int(mixed[0])
    return 0


def traces(model: Model, exported: Path | None, call: natural.Call, row: int) -> list[Trace]:
    """Every recurrent layer on one input; `exported` is an ONNX file, or None for one that is not run."""
    made = {} if exported is None else _sequences(model, opened(exported), call)
    with np.errstate(all="ignore"):
        nodes = [node for node in model.nodes if isinstance(node.layer, Recurrent)]
        return [_trace(node, call, row, made.get(node.name)) for node in nodes]


def outputs(model: Model, exported: Path | None, call: natural.Call, row: int) -> list[Output]:
    """What comes out of the model for one row of the input."""
    have: dict[str, Array] = {}
    if exported is not None:
        file = opened(exported)
        given = [v.name for v in model.inputs] + [state.input.name for state in model.states]
        made = file.whole().run({theirs: call.given[ours] for theirs, ours in zip(file.inputs, given, strict=True)})
        have = dict(zip(model.output_names, (made[name] for name in file.outputs), strict=False))
    mask = next((m for node in model.nodes if (m := _mask(node, call, row)) is not None), None)
    return [
        Output(name, call.exact[value.name][row], have[name][row] if name in have else None, mask)
        for value, name in zip(model.outputs, model.output_names, strict=True)
        if call.exact[value.name].ndim > 1 and call.exact[value.name].dtype.kind == "f"
    ]


def _mask(node: Node, call: natural.Call, row: int) -> Array | None:
    layer = node.layer
    if not isinstance(layer, Recurrent) or node.inputs[1] is None:
        return None
    return np.asarray(_steps_used(node, call.values[node.inputs[1].name])[row])


def _steps_used(node: Node, mask: Array) -> Array:
    """[batch, time] of bool, whatever the order and however many places a mask has."""
    layer = node.layer
    assert isinstance(layer, Recurrent)
    used = np.any(mask.reshape(*mask.shape[:2], -1), -1)
    return np.asarray(used.T if layer.time_major else used)


def _trace(node: Node, call: natural.Call, row: int, exported: Array | None) -> Trace:
    layer = node.layer
    assert isinstance(layer, Recurrent)
    given = [None if value is None else call.values[value.name] for value in node.inputs]
    wide = [one if one is None or one.dtype.kind != "f" else one.astype(np.float64) for one in given]
    equation = equation_of(structs.replace(with_values(layer), return_sequences=True), "float32")
    truth = recurrent_truth(equation, wide, (), (True,) * len(layer.directions))
    narrow = [one if one is None or one.dtype.kind != "f" else one.astype(np.float32) for one in given]
    single = interpret.recurrent(structs.replace(layer, return_sequences=True), tuple(narrow), "float32")
    count = 1 if layer.merge or len(layer.directions) == 1 else 2
    exact = [near.value for near in truth.outputs[:count]]
    bounds = [np.broadcast_to(near.error, near.value.shape) for near in truth.outputs[:count]]
    joined = np.concatenate(exact, -1)
    fits = exported is not None and exported.shape == joined.shape
    return Trace(
        node.name,
        node.keras_layer,
        _mask(node, call, row),
        tuple(_panels(layer, k, wide, row) for k in range(len(layer.directions))),
        _by_step(exported - joined, layer.time_major) if fits and exported is not None else None,
        _by_step(np.concatenate(single[:count], -1) - joined, layer.time_major),
        _by_step(np.concatenate(bounds, -1), layer.time_major),
    )


def _by_step(difference: Array, time_major: bool) -> Array:
    """The largest magnitude at each step."""
    first = difference if time_major else np.swapaxes(difference, 0, 1)
    return np.asarray(np.abs(first).reshape(len(first), -1).max(-1))


def _panels(layer: Recurrent, side: int, given: list[Array | None], row: int) -> dict[str, Array]:
    """Gates and states of one direction for one row, in the order in which the input stands."""
    direction = layer.directions[side]
    cell = interpret.cell_of(direction.cell, "float64")
    x, mask, *initial = given
    assert x is not None
    axis = 1 if layer.time_major else 0
    picked = [None if one is None else one.take([row], axis) for one in (x, mask)]
    steps = [None if one is None else np.swapaxes(one, 0, 1 - axis) if not axis else one for one in picked]
    states = [None if one is None else one[[row]] for one in initial]
    own = tuple(states[side * cell.state_count : (side + 1) * cell.state_count])
    recorder = Recorder(cell)
    one_way = reference_lstm.Direction(recorder, direction.reverse_input)  # type: ignore[arg-type]
    assert steps[0] is not None
    sequence.run_direction(one_way, steps[0], steps[1], own)
    order = slice(None, None, -1) if direction.reverse_input else slice(None)
    return {name: array[order].T for name, array in gates_of(cell, recorder).items()}


def _sequences(model: Model, file: Runnable, call: natural.Call) -> dict[str, Array]:
    """By node what the exported file makes at every step of the inputs that the reference gives that node."""
    names = [v.name for v in model.inputs] + [state.input.name for state in model.states]
    places = {**file.tensors, **dict(zip(names, file.inputs, strict=False))}
    there = file.known - {*file.initializers}
    values = [v for v in natural.all_values(model) if places.get(v.name) in there and v.name in call.values]
    held = {places[value.name]: [value] for value in values}
    parts = file.parts(held)
    made = parts.run({tensor: call.values[listed[0].name] for tensor, listed in held.items()})
    found = {}
    for node in (node for node in model.nodes if isinstance(node.layer, Recurrent)):
        layer = node.layer
        assert isinstance(layer, Recurrent)
        count = 1 if layer.merge or len(layer.directions) == 1 else 2
        tensors = [places.get(value.name, "") for value in node.outputs[:count]]
        own = [one for one in parts.operators if one.owner == clean(node.name) and one.native]
        plain = count == 1 and node.inputs[1] is None and not layer.directions[0].reverse_input
        if layer.return_sequences and all(tensor in made for tensor in tensors):
            found[node.name] = np.concatenate([made[tensor] for tensor in tensors], -1)
        elif len(own) == len(layer.directions) == 1 and plain:
            found[node.name] = np.swapaxes(made[own[0].shown[0]][:, 0], 0, 0 if layer.time_major else 1)
    return found
