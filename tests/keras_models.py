"""Recurrent models as plain data, and what builds them with Keras 3 or tf_keras.

A layer is a dict of its class name and arguments; dicts inside are layers (cells, wrapped layers, activations).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KERAS3, TF_KERAS = "keras", "tf_keras"
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}
KEPT = {"merge_mode", "activation", "recurrent_activation"}
Layer = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """A recurrent layer, where its initial states come from, and a plain layer before it."""

    layer: Layer
    initial: str = "none"  # "inputs": of the model; "dense": computed from one; "before": the states of the last block
    before: Layer | None = None


@dataclass(frozen=True)
class Case:
    """A model and what it is called on.

    Attributes:
        source: "floats", "masking", "ids" (an Embedding with mask_zero) or "mask" (floats, and a model input for it).
        shape: of the input without the batch; the last is the number of features.
        rows: the mask, [batch][time] (or [batch][outer time][time]).
        open_time: whether the model leaves the time open.
    """

    library: str
    suffix: str
    source: str
    shape: tuple[int, ...]
    rows: Any
    blocks: tuple[Block, ...]
    seed: int
    open_time: bool = False
    policy: str = "float32"
    head: Layer | None = None
    calls: int = 1
    native: bool = field(default=True, compare=False)

    def build(self, keras: Any) -> Any:
        """The Keras model, its weights drawn."""
        return build(keras, self)

    def arrays(self, model: Any) -> list[np.ndarray[Any, Any]]:
        """Inputs for one call, in the order of the model's."""
        return arrays(self, model)

    @property
    def text(self) -> str:
        """All its layers, to look for words in."""
        return str(self.blocks)

    @property
    def operators(self) -> range:
        """How many recurrent operators there may be."""
        least = sum(operators_of(block.layer) for block in self.blocks)
        return range(least, (2 if self.source != "floats" and misplaced(self.text) else 1) * least + 1)


def sides(layer: Layer) -> list[Layer]:
    """The recurrent layers in a layer: itself, or those it wraps."""
    if layer["class_name"] == "TimeDistributed":
        return sides(layer["layer"])
    if layer["class_name"] != "Bidirectional":
        return [layer]
    return [layer["layer"], layer["backward_layer"] or layer["layer"]]


def cells_in(layer: Layer) -> list[Layer]:
    """The cells of one recurrent layer, first to last."""
    cell = layer.get("cell", layer)
    if isinstance(cell, list):
        return cell
    return cell["cells"] if cell["class_name"] == "StackedRNNCells" else [cell]


def with_options(layer: Layer, **more: Any) -> Layer:
    """The layer with options of its sequences, which a wrapper has from what it wraps."""
    made = dict(layer)
    if layer["class_name"] in {"Bidirectional", "TimeDistributed"}:
        for key in ("layer", "backward_layer"):
            if made.get(key) is not None:
                made[key] = with_options(made[key], **more)
        return made
    return made | more


def operators_of(layer: Layer) -> int:
    """How many operators a layer must become: one a cell, and one for two directions of like cells."""
    both = [cells_in(side) for side in sides(layer)]
    if len(both) == 2 and all(len(cells) == 1 for cells in both) and alike(*(cells[0] for cells in both)):
        return 1
    return sum(len(cells) for cells in both)


def alike(a: Layer, b: Layer) -> bool:
    """Whether two cells fit into one operator of two directions."""
    same = ("class_name", "units", "reset_after")
    return [str(a.get(k, True)).removesuffix("Cell") for k in same] == [
        str(b.get(k, True)).removesuffix("Cell") for k in same
    ]


def misplaced(text: str) -> bool:
    """Unrolled masked layers of two directions may need two operators: Keras misplaces the zeros of one of them."""
    return "'unroll': True" in text


def state_sizes(layer: Layer) -> Any:
    """The sizes of a layer's states, nested as Keras nests them."""
    if layer["class_name"] == "Bidirectional":
        return [size for side in sides(layer) for size in state_sizes(side)]
    made = cells_in(layer)
    stacked = (
        not isinstance(layer.get("cell", {}), dict) or layer.get("cell", {}).get("class_name") == "StackedRNNCells"
    )
    if not stacked:
        return [made[0]["units"]] * STATES[made[0]["class_name"].removesuffix("Cell")]
    return [[c["units"]] * 2 if c["class_name"] == "LSTMCell" else c["units"] for c in made]


def takes_states(layer: Layer) -> bool:
    """Whether initial states can be passed: Keras splits those of a Bidirectional in the middle."""
    counts = [len(list(flat(state_sizes(side)))) for side in sides(layer)]
    return len(set(counts)) == 1


def made(keras: Any, layer: Any, policy: str | None) -> Any:
    """The Keras object a dict stands for."""
    if isinstance(layer, list):
        return [made(keras, item, policy) for item in layer]
    if not isinstance(layer, dict):
        return layer
    arguments = {
        k: made(keras, v, policy) for k, v in layer.items() if k != "class_name" and (v is not None or k in KEPT)
    }
    if policy is not None:
        arguments.setdefault("dtype", policy)
    return getattr(keras.layers, layer["class_name"])(**arguments)


def nested(shape: Any, make: Any) -> Any:
    """`make` of every size in a nest."""
    return [nested(item, make) for item in shape] if isinstance(shape, list) else make(shape)


def flat(structure: Any) -> Iterator[Any]:
    """Leaves of nested lists and tuples."""
    if isinstance(structure, list | tuple):
        for item in structure:
            yield from flat(item)
    else:
        yield structure


def build(keras: Any, case: Case) -> Any:
    """The Keras model of a case, its weights drawn."""
    policy = None if case.policy == "float32" else case.policy
    floats = "float64" if case.policy == "float64" else "float32"
    batch = len(case.rows) if case.calls > 1 else None
    steps = np.ndim(case.rows) - 1
    lengths = [None] * steps if case.open_time else list(case.shape[:steps])

    def entry(*shape: Any, dtype: str = floats) -> Any:
        inputs.append(keras.layers.Input(batch_shape=(batch, *shape), dtype=dtype))
        return inputs[-1]

    inputs: list[Any] = []
    mask = None
    if case.source == "ids":
        x = entry(*lengths, dtype="int32")
        x = keras.layers.Embedding(5, case.shape[-1], mask_zero=True, **({"dtype": policy} if policy else {}))(x)
    else:
        x = entry(*lengths, *case.shape[steps:])
    if case.source == "masking":
        x = keras.layers.Masking(0.5, **({"dtype": policy} if policy else {}))(x)
    if case.source == "mask":
        mask = entry(*lengths, dtype="bool")
    outputs: list[Any] = []
    states: list[Any] = []
    for k, block in enumerate(case.blocks):
        if block.before is not None:
            x = made(keras, block.before, policy)(x)
        arguments: dict[str, Any] = {} if mask is None or k else {"mask": mask}
        if block.initial != "none":
            arguments["initial_state"] = initial(keras, block, states, entry, policy)
        y = made(keras, block.layer, policy)(x, **arguments)
        both_sides = block.layer.get("merge_mode", "") is None
        y = list(y) if isinstance(y, list | tuple) else [y]
        x, states = y[0], y[1 + both_sides :]
        outputs += list(flat(y[1:]))
    outputs.append(x if case.head is None else made(keras, case.head, policy)(x))
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)
    rng = np.random.default_rng(case.seed)
    drawn = [rng.normal(scale=0.5, size=v.shape) for v in model.get_weights()]
    model.set_weights(
        [np.abs(d) + 0.3 if "variance" in w.name else d for d, w in zip(drawn, model.weights, strict=True)]
    )
    return model


def initial(keras: Any, block: Block, before: list[Any], entry: Any, policy: str | None) -> Any:
    """The initial states of a layer."""
    sizes = state_sizes(block.layer)
    if block.initial == "before":
        return before
    if block.initial == "inputs":
        return nested(sizes, lambda size: entry(size))
    start = entry(2)
    dense = {"class_name": "Dense", "activation": "tanh"}
    return nested(sizes, lambda size: made(keras, {**dense, "units": size}, policy)(start))


def arrays(case: Case, model: Any) -> list[np.ndarray[Any, Any]]:
    """Inputs for one call, in the order of the model's."""
    rng = np.random.default_rng(case.seed + 1)
    mask = np.asarray(case.rows)
    given: list[np.ndarray[Any, Any]] = []
    for k, entry in enumerate(model.inputs):
        shape = (mask.shape[0], *entry.shape[1:])
        if str(getattr(entry.dtype, "name", entry.dtype)) == "bool":
            given.append(mask)
        elif k == 0 and case.source == "ids":
            given.append((rng.integers(1, 5, mask.shape) * mask).astype("int32"))
        elif k == 0:
            x = rng.normal(size=(mask.shape[0], *case.shape))
            if case.source == "masking":
                kept = mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
                if x.ndim - mask.ndim > 1:  # each place by itself
                    kept = kept & (rng.random((*x.shape[:-1], 1)) < 0.7)
                x = np.where(kept, x, 0.5)
            given.append(x.astype(str(getattr(entry.dtype, "name", entry.dtype))))
        else:
            given.append(rng.normal(size=shape).astype(str(getattr(entry.dtype, "name", entry.dtype))))
    return given
