"""Small neutral models built by hand, for tests of exporters and of the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converter.model import Array, Model, Node, Provenance, Shape, State, Value, Weight, constant, layers
from converter.model.activations import SIGMOID, TANH, Activation

SOURCE = Provenance("model.h5", "HDF5 whole model", "2.4.0", "tf.keras 2.4", "tensorflow", "00" * 32)


class Builder:
    """Adds inputs and nodes, then gives a Model."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> Value:
        value = Value(name, shape, dtype)
        self.inputs.append(value)
        return value

    def node(
        self, name: str, layer: Any, inputs: Sequence[Value | None], *outputs: Shape, dtype: str = "float32"
    ) -> tuple[Value, ...]:
        values = tuple(Value(f"{name}:{i}", shape, dtype) for i, shape in enumerate(outputs))
        self.nodes.append(Node(name, layer, tuple(inputs), values, name))
        return values

    def weight(self, *shape: int, scale: float = 0.3, dtype: str = "float32") -> Weight:
        return constant("weight", self.random.normal(0, scale, shape).astype(dtype))

    def model(self, outputs: Sequence[Value], names: Sequence[str] = (), states: Sequence[State] = ()) -> Model:
        names = tuple(names) or tuple(f"out{i}" for i in range(len(outputs)))
        return Model("m", tuple(self.inputs), tuple(outputs), names, tuple(self.nodes), tuple(states), (), SOURCE)

    # --- cells --------------------------------------------------------------------------------------------------------

    def lstm(
        self, features: int, units: int, activation: Activation = TANH, gate: Activation = SIGMOID, bias: bool = True,
        peephole: bool = False, dtype: str = "float32",
    ) -> layers.LSTMCell:  # fmt: skip
        kernel, recurrent = (self.weight(n, 4 * units, dtype=dtype) for n in (features, units))
        return layers.LSTMCell(
            units, kernel, recurrent, self.weight(4 * units, dtype=dtype) if bias else None, activation, gate,
            self.weight(3 * units, dtype=dtype) if peephole else None,
        )  # fmt: skip

    def gru(
        self, features: int, units: int, activation: Activation = TANH, gate: Activation = SIGMOID, bias: bool = True,
        reset_after: bool = True,
    ) -> layers.GRUCell:  # fmt: skip
        kernel, recurrent = (self.weight(n, 3 * units) for n in (features, units))
        shape = (2, 3 * units) if reset_after else (3 * units,)
        return layers.GRUCell(
            units, kernel, recurrent, self.weight(*shape) if bias else None, activation, gate, reset_after
        )

    def simple(self, features: int, units: int, activation: Activation = TANH, bias: bool = True) -> Any:
        kernel, recurrent = (self.weight(n, units) for n in (features, units))
        return layers.SimpleRNNCell(units, kernel, recurrent, self.weight(units) if bias else None, activation)


def feed(model: Model, batch: int, open_size: int, seed: int = 0) -> dict[str, Array]:
    """Seeded inputs of a model; axis 0 is `batch` and other open axes `open_size`."""
    random = np.random.default_rng(seed)
    arrays = {}
    for value in (*model.inputs, *(state.input for state in model.states)):
        shape = [(open_size if i else batch) if n is None else n for i, n in enumerate(value.shape)]
        if value.dtype == "bool":
            arrays[value.name] = random.random(shape) < 0.6
        elif "int" in value.dtype:
            arrays[value.name] = random.integers(0, 4, shape).astype(value.dtype)
        else:
            arrays[value.name] = random.normal(0, 1, shape).astype(value.dtype)
    return arrays


def one_layer(layer: Any, in_shape: Any, out_shape: Any, dtype: str = "float32", in_dtype: str = "float32") -> Model:
    b = Builder()
    x = b.input("x", in_shape, in_dtype)
    return b.model(b.node("layer", layer, [x], out_shape, dtype=dtype))


def lstm_model(b: Builder, **options: Any) -> Model:
    x = b.input("x", (None, None, 3))
    layer = layers.Recurrent((layers.Direction(b.lstm(3, 4, **options)),), return_sequences=True)
    y, *_ = b.node("lstm", layer, [x, None, None, None], (None, None, 4), (None, 4), (None, 4))
    return b.model([y], ["y"])
