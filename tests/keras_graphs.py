"""Graphs of layers as plain data: shared layers, nested models, branches. Built with Keras 3 or tf_keras.

Tensors are numbered: what the steps give, in order, from 0; the entries from -1 downwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras_models import Layer, flat, made, misplaced, nested, operators_of


@dataclass(frozen=True)
class Entry:
    """An input: "floats", "ids" (for an Embedding), "mask" (bool); `shape` without the batch.

    `rows`, [batch][time], says which steps hold data; the others hold what a Masking or an Embedding takes for none.
    """

    kind: str
    shape: tuple[int, ...]
    rows: Any = None


@dataclass(frozen=True)
class Step:
    """A call of a layer, by its number, on one tensor or on a list of them.

    Attributes:
        initial: numbers of tensors for the initial states, nested as Keras wants them; or an array for a constant.
        mask: the number of the mask that is passed by keyword.
    """

    layer: int
    on: tuple[int, ...]
    initial: Any = None
    mask: int | None = None


@dataclass(frozen=True)
class Graph:
    """A functional model. A layer of class "Model" holds another Graph, one of class "Sequential" a list of layers."""

    entries: tuple[Entry, ...]
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class GraphCase:
    """A graph, and how it is run. `batch` is fixed if there are several calls."""

    library: str
    suffix: str
    graph: Graph
    batch: int
    seed: int
    open_time: bool = False
    policy: str = "float32"
    calls: int = 1
    native: bool = True

    def build(self, keras: Any) -> Any:
        """The Keras model, its weights drawn."""
        model = functional(keras, self.graph, self)
        rng = np.random.default_rng(self.seed)
        drawn = [rng.normal(scale=0.5, size=np.shape(v)) for v in model.get_weights()]
        pairs = zip(drawn, model.weights, strict=True)
        model.set_weights([np.abs(d) + 0.3 if "variance" in w.name else d for d, w in pairs])
        return model

    def arrays(self, model: Any) -> list[np.ndarray[Any, Any]]:
        """Inputs for one call, in the order of the model's."""
        rng = np.random.default_rng(self.seed + 1)
        return [values(entry, self, rng) for entry in self.graph.entries]

    @property
    def text(self) -> str:
        """All of it, to look for words in."""
        return str(self.graph)

    @property
    def operators(self) -> range:
        """How many recurrent operators there may be; calls that no output needs disappear."""
        most = sum(operators_of(layer) for layer in recurrent_in(self.graph))
        return range(2 * most + 1 if misplaced(self.text) else most + 1)


def values(entry: Entry, case: GraphCase, rng: Any) -> np.ndarray[Any, Any]:
    """Values for one input."""
    shape = (case.batch, *entry.shape)
    rows = np.ones(shape[:2], bool) if entry.rows is None else np.asarray(entry.rows)
    if entry.kind == "mask":
        return rows
    if entry.kind == "ids":
        return (rng.integers(1, 5, shape) * rows).astype("int32")
    x = rng.normal(size=shape)
    return np.where(rows.reshape(*rows.shape, *[1] * (x.ndim - 2)), x, 0.5).astype(floats(case))


def floats(case: GraphCase) -> str:
    """The dtype of the inputs."""
    return case.policy if case.policy in {"float64", "float16"} else "float32"


def functional(keras: Any, graph: Graph, case: GraphCase, name: str | None = None) -> Any:
    """A functional model."""
    batch = case.batch if case.calls > 1 else None
    dtypes = {"mask": "bool", "ids": "int32", "floats": floats(case)}
    if case.policy.startswith(("mixed", "bfloat16")) and name is not None and case.seed % 3:
        dtypes["floats"] = case.policy.removeprefix("mixed_")
    inputs, tensors = [], {}
    for entry in graph.entries:
        shape = entry.shape
        if case.open_time and len(shape) > (entry.kind == "floats"):
            shape = (None, *shape[1:])  # type: ignore[assignment]
        inputs.append(keras.layers.Input(batch_shape=(batch, *shape), dtype=dtypes[entry.kind]))
        tensors[-len(inputs)] = inputs[-1]
    layers = [layer_of(keras, layer, case, k) for k, layer in enumerate(graph.layers)]
    for step in graph.steps:
        on = [tensors[k] for k in step.on]
        keywords: dict[str, Any] = {}
        if step.mask is not None:
            keywords["mask"] = tensors[step.mask]
        if step.initial is not None:
            keywords["initial_state"] = nested(step.initial, lambda k: state(k, tensors, case))
        for y in flat(layers[step.layer](on if len(on) > 1 else on[0], **keywords)):
            tensors[len(tensors) - len(inputs)] = y
    outputs = [tensors[k] for k in graph.outputs]
    options = {} if name is None else {"name": name}
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0], **options)


def state(given: Any, tensors: dict[int, Any], case: GraphCase) -> Any:
    """An initial state: a tensor by its number, or a constant, written as a tuple of its last axis."""
    if isinstance(given, int):
        return tensors[given]
    rows = case.batch if case.library == "tf_keras" or case.seed % 2 else 1
    array = np.tile(np.asarray(given, floats(case)), (rows, 1)) * np.arange(1, rows + 1)[:, None]
    import tensorflow

    return tensorflow.constant(array.astype(floats(case)))


def layer_of(keras: Any, layer: Layer, case: GraphCase, number: int) -> Any:
    """A Keras layer or model."""
    policy = None if case.policy == "float32" else case.policy
    if layer["class_name"] == "Model":
        return functional(keras, layer["graph"], case, f"inner_{number}_{case.seed}")
    if layer["class_name"] == "Sequential":
        return keras.Sequential([layer_of(keras, inner, case, number) for inner in layer["layers"]])
    if layer["class_name"] == "TimeDistributed":
        return keras.layers.TimeDistributed(layer_of(keras, layer["layer"], case, number))
    return made(keras, layer, policy)


def recurrent_in(graph: Graph) -> Iterator[Layer]:
    """Every call of a recurrent layer, those in nested models each time the model is called."""
    for step in graph.steps:
        yield from recurrent_of(graph.layers[step.layer])


def recurrent_of(layer: Layer) -> Iterator[Layer]:
    """The recurrent layers in one call of a layer."""
    if layer["class_name"] == "Model":
        yield from recurrent_in(layer["graph"])
    elif layer["class_name"] == "Sequential":
        for inner in layer["layers"]:
            yield from recurrent_of(inner)
    elif layer["class_name"] in RECURRENT:
        yield layer


RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"}
