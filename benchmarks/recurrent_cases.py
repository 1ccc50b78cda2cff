"""Every configuration of a recurrent layer that a runtime may get wrong, as neutral models with random weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from converter.model import Model, Node, Provenance, Shape, Value, Weight, constant, layers
from converter.model.activations import NAMES, SIGMOID, TANH, Activation

FEATURES, UNITS, PLACES = 3, 4, 5
CELLS = ("LSTM", "GRU", "SimpleRNN")
SIDES = {"forward": [(False, False)], "backwards": [(True, False)], "bidirectional": [(False, False), (True, True)]}
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1, "ConvLSTM": 2}
SLOPES = {"hard_sigmoid 1/6": 1 / 6, "hard_sigmoid 0.2": 0.2}
GATES = {name: Activation("hard_sigmoid", (slope, 0.5)) for name, slope in SLOPES.items()} | {
    "relu gates": NAMES["relu"]
}
OTHERS = {name: NAMES[name] for name in ("relu", "elu", "softsign", "linear", "mish")}
SOURCE = Provenance("m", "made here", "3.15.1", "Keras 3.15.1", "", "")


@dataclass(frozen=True)
class Case:
    """One configuration; `also` holds what differs from Keras' defaults, by the words of `cases`."""

    cell: str
    direction: str = "forward"
    masked: bool = False
    sequences: bool = True
    states: bool = False
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        output = "sequences" if self.sequences else "last"
        parts = [self.cell, self.direction, "masked" * self.masked, output, "states" * self.states, *self.also]
        return ", ".join(filter(None, parts))


def cases() -> Iterator[Case]:
    """Cells × directions × masks × outputs, then one option after the other."""
    yield from (Case(*one) for one in itertools.product(CELLS, SIDES, (False, True), (True, False)))
    yield from (Case(*one, True, True) for one in itertools.product(CELLS, SIDES, (False, True)))
    for masked in (False, True):
        for cell, gate in itertools.product(("LSTM", "GRU"), GATES):
            yield Case(cell, "forward", masked, True, gate == "relu gates", (gate,))
        for cell, other in itertools.product(CELLS, OTHERS):
            yield Case(cell, "backwards", masked, other != "relu", True, (other,))
        for cell, direction in itertools.product(CELLS, SIDES):
            yield Case(cell, direction, masked, True, True, ("initial states",))
        yield from (Case("GRU", direction, masked, True, True, ("reset before",)) for direction in SIDES)
        yield from (Case("LSTM", direction, masked, True, True, ("peepholes",)) for direction in SIDES)
        yield from (Case(cell, "bidirectional", masked, True, False, ("no bias",)) for cell in CELLS)
        yield from (Case(cell, "bidirectional", masked, True, False, ("time major",)) for cell in CELLS)
        yield from (Case("LSTM", "bidirectional", masked, True, False, (merge,)) for merge in ("sum", "two outputs"))
        yield from (Case("ConvLSTM", direction, masked, True, True) for direction in SIDES)
        for cell, direction in itertools.product(CELLS, SIDES):
            yield Case(cell, direction, masked, True, False, ("next to another",))
        yield from (Case("LSTM", side, masked, True, False, ("next to another", "time major")) for side in SIDES)
        yield Case("ConvLSTM", "backwards", masked, False, False, ("initial states",))
    for rule, direction, sequences in itertools.product(("zero", "state"), SIDES, (True, False)):
        yield Case("LSTM", direction, True, sequences, True, ("initial states", rule))


def model_of(case: Case, batch: int | None, steps: int | None) -> Model:
    """A neutral model; sizes that are None stay open."""
    rng = np.random.default_rng(7)
    lead: Shape = (steps, batch) if "time major" in case.also else (batch, steps)
    places = (PLACES,) if case.cell == "ConvLSTM" else ()
    x, mask = Value("x", (*lead, *places, FEATURES), "float32"), Value("mask", lead, "bool")
    directions = tuple(layers.Direction(_cell(case, rng), *side) for side in SIDES[case.direction])
    merge = _merge(case)
    outputs = [len(directions) * UNITS] if merge == "concat" else [UNITS] * (1 if merge else len(directions))
    ahead = lead if case.sequences else (batch,)
    ys = [Value(f"rnn:{k}", (*ahead, *places, width), "float32") for k, width in enumerate(outputs)]
    count = STATES[case.cell] * len(directions)
    states = [Value(f"rnn:{len(ys) + k}", (batch, *places, UNITS), "float32") for k in range(count)]
    given = [Value(f"initial{k}", (batch, *places, UNITS), "float32") for k in range(count)]
    started = "initial states" in case.also
    rule = next((word for word in case.also if word in ("zero", "state")), "previous")
    layer = layers.Recurrent(directions, merge, case.sequences, rule, "time major" in case.also)  # type: ignore[arg-type]
    inputs = (x, mask if case.masked else None, *(given if started else [None] * count))
    wanted = (*ys, *states) if case.states else tuple(ys)
    node = Node("rnn", layer, inputs, (*ys, *states), "rnn")
    nodes = [node]
    if "next to another" in case.also:
        nodes.append(_other(case, _cell(case, rng), x, inputs[1]))
        wanted = (*wanted, nodes[1].outputs[0])
    names = tuple(f"y{k}" for k in range(len(wanted)))
    taken = tuple(value for value in inputs if value is not None)
    return Model("m", taken, wanted, names, tuple(nodes), (), (), SOURCE, ())


def _other(case: Case, cell: layers.Cell, x: Value, mask: Value | None) -> Node:
    """Another layer that reads the same x."""
    time_major = "time major" in case.also
    batch = x.shape[1 if time_major else 0]
    shapes = [(*x.shape[:2], UNITS), *[(batch, UNITS)] * cell.states]
    values = tuple(Value(f"other:{k}", shape, "float32") for k, shape in enumerate(shapes))
    layer = layers.Recurrent((layers.Direction(cell),), None, return_sequences=True, time_major=time_major)
    return Node("other", layer, (x, mask, *[None] * cell.states), values, "other")


def feed_of(model: Model, batch: int, steps: int) -> dict[str, np.ndarray]:
    """Inputs; of the rows of a mask, the last is masked whole, the second behind its first steps, others at random."""
    rng = np.random.default_rng(1)
    feed = {}
    for value in model.inputs:
        time_major = value.name in ("x", "mask") and _is_time_major(model)
        lead = (steps, batch) if time_major else (batch, steps) if value.name in ("x", "mask") else (batch,)
        if value.name == "mask":
            mask = rng.random((batch, steps)) < 0.6
            if batch > 2:
                mask[1], mask[-1] = np.arange(steps) < steps // 2, False
            feed["mask"] = np.ascontiguousarray(mask.T) if time_major else mask
        else:
            feed[value.name] = rng.normal(0, 1, (*lead, *value.shape[len(lead) :])).astype("f")
    return feed


def _is_time_major(model: Model) -> bool:
    layer = model.nodes[0].layer
    assert isinstance(layer, layers.Recurrent)
    return layer.time_major


def _merge(case: Case) -> layers.Merge | None:
    if case.direction != "bidirectional" or "two outputs" in case.also:
        return None
    return "sum" if "sum" in case.also else "concat"


def _cell(case: Case, rng: np.random.Generator) -> layers.Cell:
    def weight(*shape: int) -> Weight:
        return constant("w", rng.normal(0, 0.5, shape).astype("f"))

    activation = next((OTHERS[word] for word in case.also if word in OTHERS), TANH)
    gate = next((GATES[word] for word in case.also if word in GATES), SIGMOID)
    width = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1, "ConvLSTM": 4}[case.cell] * UNITS
    bias = "no bias" not in case.also
    if case.cell == "ConvLSTM":
        return layers.ConvLSTMCell(
            1, UNITS, weight(3, FEATURES, width), weight(3, UNITS, width), weight(width), activation, gate,
            (1,), "same", (1,), "channels_last",
        )  # fmt: skip
    kernel, recurrent = weight(FEATURES, width), weight(UNITS, width)
    if case.cell == "GRU":
        after = "reset before" not in case.also
        b = (weight(2, width) if after else weight(width)) if bias else None
        return layers.GRUCell(UNITS, kernel, recurrent, b, activation, gate, after)
    b = weight(width) if bias else None
    if case.cell == "SimpleRNN":
        return layers.SimpleRNNCell(UNITS, kernel, recurrent, b, activation)
    looks = weight(3 * UNITS) if "peepholes" in case.also else None
    return layers.LSTMCell(UNITS, kernel, recurrent, b, activation, gate, looks)
