"""Strategies that draw graphs: recurrent layers among others, shared, nested, with masks and states from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from keras_graphs import Entry, Graph, GraphCase, Step
from keras_models import TF_KERAS, Layer, cells_in, flat, nested, sides, state_sizes, takes_states, with_options
from keras_spaces import BOOL, RARELY, bidirectional, mask_rows, single

Shape = tuple[int, ...]  # (time, features) of a sequence, (features,) of a vector
UNITS = st.integers(1, 3)


@dataclass
class Draft:
    """A graph while it is drawn."""

    library: str
    native: bool
    batch: int
    stateful: bool
    open_time: bool
    depth: int = 0  # of nesting
    entries: list[Entry] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    shapes: dict[int, Shape] = field(default_factory=dict)
    signatures: list[tuple[list[Shape], list[Shape]]] = field(default_factory=list)  # of each layer

    def enter(self, kind: str, shape: Shape, rows: Any = None) -> int:
        """A new entry; a mask or words are no tensor that layers take."""
        self.entries.append(Entry(kind, shape, rows))
        number = -len(self.entries)
        if kind == "floats":
            self.shapes[number] = shape
        return number

    def add(self, layer: Layer, on: Sequence[int], made: Sequence[Shape], **more: Any) -> list[int]:
        """A new layer and its first call."""
        self.layers.append(layer)
        self.signatures.append(([self.shapes.get(k, ()) for k in on], list(made)))
        return self.call(len(self.layers) - 1, on, **more)

    def call(self, layer: int, on: Sequence[int], **more: Any) -> list[int]:
        """Call a layer; the numbers of what it gives."""
        self.steps.append(Step(layer, tuple(on), **more))
        start = sum(k >= 0 for k in self.shapes)
        made = self.signatures[layer][1]
        self.shapes |= {start + k: shape for k, shape in enumerate(made)}
        return list(range(start, start + len(made)))

    def of_rank(self, rank: int) -> list[int]:
        """The sequences (2) or vectors (1) so far."""
        return [k for k, shape in self.shapes.items() if len(shape) == rank]

    def graph(self, draw: Any) -> Graph:
        """All that nobody used are outputs, and perhaps one more."""
        used = {k for step in self.steps for k in (*step.on, *flat(step.initial)) if isinstance(k, int)}
        made = [k for k in self.shapes if k >= 0]
        outputs = [k for k in made if k not in used]
        if draw(RARELY):
            outputs.append(draw(st.sampled_from(made)))
        return Graph(tuple(self.entries), tuple(self.layers), tuple(self.steps), tuple(dict.fromkeys(outputs)))


Act = Callable[[Any, Draft], None]


# --- recurrent layers -------------------------------------------------------------------------------------------------


def without_unroll(layer: Layer) -> Layer:
    """Layers over an open time cannot be unrolled."""
    return with_options(layer, unroll=False)


def outputs_of(layer: Layer, time: int) -> list[Shape]:
    """Shapes of what a recurrent layer gives."""
    widths = [cells_in(side)[-1]["units"] for side in sides(layer)]
    side = sides(layer)[0]
    merge = layer.get("merge_mode", "sum")
    wide = {"concat": [sum(widths)], None: widths}.get(merge, [max(widths)])
    lead = (time,) if side["return_sequences"] else ()
    states = list(flat(state_sizes(layer))) if side["return_state"] else []
    return [(*lead, n) for n in wide] + [(n,) for n in states]


def recurrent_layer(draw: Any, d: Draft) -> Layer:
    kind = bidirectional(d.library, d.native) if draw(BOOL) else single(d.library, d.native, UNITS)
    layer = draw(kind)
    if d.open_time:
        layer = without_unroll(layer)
    return with_options(layer, return_sequences=draw(BOOL), return_state=draw(BOOL), stateful=d.stateful)


def initial_states(draw: Any, d: Draft, layer: Layer) -> Any:
    """None, or states from what is there, from Dense layers, from new entries, or constants."""
    if d.stateful or not takes_states(layer) or not draw(RARELY):
        return None
    constants = draw(RARELY) and not d.depth

    def pick(size: int) -> Any:
        there = [k for k in d.of_rank(1) if d.shapes[k] == (size,)]
        if constants and (d.library == TF_KERAS or draw(BOOL)):
            return tuple(draw(st.lists(st.sampled_from([-0.5, 0.25, 1.0]), min_size=size, max_size=size)))
        if there and draw(st.integers(0, 3)):
            return draw(st.sampled_from(there))
        if d.of_rank(1) and (d.depth or draw(BOOL)):
            source = draw(st.sampled_from(d.of_rank(1)))
            return d.add({"class_name": "Dense", "units": size, "activation": "tanh"}, [source], [(size,)])[0]
        return d.enter("floats", (size,))

    if d.depth and not d.of_rank(1):
        return None
    return nested(state_sizes(layer), pick)


def explicit_mask(draw: Any, d: Draft, time: int) -> int | None:
    if d.depth or not draw(RARELY):
        return None
    return d.enter("mask", (time,), draw(mask_rows(d.batch, time)))


def recurrent(draw: Any, d: Draft) -> None:
    x = draw(st.sampled_from(d.of_rank(2)))
    layer = recurrent_layer(draw, d)
    time = d.shapes[x][0]
    initial = initial_states(draw, d, layer)
    d.add(layer, [x], outputs_of(layer, time), initial=initial, mask=explicit_mask(draw, d, time))


def again(draw: Any, d: Draft) -> None:
    """A layer or model that is there already, on other tensors, under another mask, from other states."""
    number = draw(st.integers(0, len(d.layers) - 1))
    shapes, layer = d.signatures[number][0], d.layers[number]
    fitting = [[k for k, shape in d.shapes.items() if shape == wanted] for wanted in shapes]
    if not all(fitting) or layer["class_name"] in {"Embedding", "Masking"}:
        return
    on = [draw(st.sampled_from(some)) for some in fitting]
    more: dict[str, Any] = {}
    if layer["class_name"] in {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"}:
        more["initial"] = initial_states(draw, d, layer)
        more["mask"] = explicit_mask(draw, d, shapes[0][0])
    d.call(number, on, **more)


# --- what surrounds them ------------------------------------------------------------------------------------------

DENSE = {"class_name": "Dense", "units": 2, "activation": "tanh"}
STEPS = {"class_name": "Sequential", "layers": [DENSE, {"class_name": "Dropout", "rate": 0.2}, DENSE]}
# Layers of a sequence [time, features] -> shape; those of a fixed time are below.
SEQUENCES: tuple[tuple[Layer, Callable[[int, int], Shape]], ...] = (
    ({"class_name": "Dropout", "rate": 0.5}, lambda t, f: (t, f)),
    ({"class_name": "SpatialDropout1D", "rate": 0.5}, lambda t, f: (t, f)),
    ({"class_name": "GaussianNoise", "stddev": 0.5}, lambda t, f: (t, f)),
    ({"class_name": "Activation", "activation": "tanh"}, lambda t, f: (t, f)),
    ({"class_name": "Activation", "activation": "softmax"}, lambda t, f: (t, f)),
    ({"class_name": "LeakyReLU"}, lambda t, f: (t, f)),
    ({"class_name": "BatchNormalization"}, lambda t, f: (t, f)),
    ({"class_name": "LayerNormalization"}, lambda t, f: (t, f)),
    (DENSE, lambda t, f: (t, 2)),
    ({"class_name": "TimeDistributed", "layer": DENSE}, lambda t, f: (t, 2)),
    ({"class_name": "TimeDistributed", "layer": STEPS}, lambda t, f: (t, 2)),
    ({"class_name": "Conv1D", "filters": 2, "kernel_size": 2, "padding": "causal"}, lambda t, f: (t, 2)),
    ({"class_name": "Conv1D", "filters": 3, "kernel_size": 3, "padding": "same"}, lambda t, f: (t, 3)),
    ({"class_name": "MaxPooling1D", "pool_size": 2, "padding": "same"}, lambda t, f: (-(-t // 2), f)),
    ({"class_name": "UpSampling1D", "size": 2}, lambda t, f: (2 * t, f)),
    ({"class_name": "ZeroPadding1D", "padding": 1}, lambda t, f: (t + 2, f)),
    ({"class_name": "GlobalAveragePooling1D"}, lambda t, f: (f,)),
    ({"class_name": "GlobalAveragePooling1D"}, lambda t, f: (f,)),
    ({"class_name": "GlobalMaxPooling1D"}, lambda t, f: (f,)),
)
FIXED: tuple[tuple[Layer, Callable[[int, int], Shape]], ...] = (
    ({"class_name": "Flatten"}, lambda t, f: (t * f,)),
    ({"class_name": "Permute", "dims": (2, 1)}, lambda t, f: (f, t)),
    ({"class_name": "Reshape", "target_shape": (-1, 1)}, lambda t, f: (t * f, 1)),
)
VECTORS: tuple[tuple[Layer, Callable[[int], Shape]], ...] = (
    (DENSE, lambda f: (2,)),
    ({"class_name": "Dropout", "rate": 0.5}, lambda f: (f,)),
    ({"class_name": "RepeatVector", "n": 3}, lambda f: (3, f)),
    ({"class_name": "RepeatVector", "n": 3}, lambda f: (3, f)),
    ({"class_name": "Reshape", "target_shape": (-1, 1)}, lambda f: (f, 1)),
)


def around(draw: Any, d: Draft) -> None:
    """A layer that passes, stops or uses a mask."""
    x = draw(st.sampled_from(list(d.shapes)))
    shape = d.shapes[x]
    table: Any = VECTORS if len(shape) == 1 else SEQUENCES if d.open_time else SEQUENCES + FIXED
    layer, made = draw(st.sampled_from(table))
    d.add(layer, [x], [made(*shape)])


def joined(draw: Any, d: Draft) -> None:
    """Two tensors together."""
    a = draw(st.sampled_from(list(d.shapes)))
    fitting = [k for k, shape in d.shapes.items() if len(shape) == len(d.shapes[a])]
    b = draw(st.sampled_from(fitting))
    p, q = d.shapes[a], d.shapes[b]
    ways: list[tuple[Layer, Shape]] = []
    if p == q:
        names = ("Add", "Average", "Multiply", "Maximum", "Subtract")
        ways += [({"class_name": name}, p) for name in names]
    if p[:-1] == q[:-1]:
        ways += [({"class_name": "Concatenate", "axis": -1}, (*p[:-1], p[-1] + q[-1]))] * 2
    if len(p) == 2 and p[1] == q[1]:
        ways += [({"class_name": "Concatenate", "axis": 1}, (p[0] + q[0], p[1]))]
        ways += [({"class_name": name}, p) for name in ("Attention", "AdditiveAttention")]
        if not d.open_time:
            ways += [({"class_name": "Dot", "axes": -1}, (p[0], q[0]))]
    if ways and a != b:
        layer, made = draw(st.sampled_from(ways))
        d.add(layer, [a, b], [made])


def inner(draw: Any, d: Draft) -> None:
    """A model in the model: functional on one or two tensors, or Sequential."""
    if d.depth > 1:
        return
    on = [draw(st.sampled_from(d.of_rank(2)))]
    if draw(RARELY):
        on.append(draw(st.sampled_from(list(d.shapes))))
    below = Draft(d.library, d.native, d.batch, d.stateful, d.open_time, d.depth + 1)
    for k in on:
        below.enter("floats", d.shapes[k])
    acts(draw, below, draw(st.integers(1, 3)), (recurrent, *AROUND))
    if not below.steps:
        return
    graph = below.graph(draw)
    one = len(on) == 1
    mask = explicit_mask(draw, d, d.shapes[on[0]][0]) if one else None
    chain = one and all(s.on == (k - 1,) and s.initial is None for k, s in enumerate(below.steps))
    single_outputs = all(len(made) == 1 for _, made in below.signatures) and len(below.layers) == len(below.steps)
    made = [below.shapes[k] for k in graph.outputs]
    if chain and single_outputs and len(graph.outputs) == 1 and draw(BOOL):
        d.add({"class_name": "Sequential", "layers": list(graph.layers)}, on, made, mask=mask)
    else:
        d.add({"class_name": "Model", "graph": graph}, on, made, mask=mask)


AROUND: tuple[Act, ...] = (recurrent, around, around, joined, again, again, inner)


def acts(draw: Any, d: Draft, count: int, table: Sequence[Act]) -> None:
    """The first act, then `count` of the table's."""
    table[0](draw, d)
    for _ in range(count):
        act = draw(st.sampled_from(table[1:]))
        if act not in (recurrent, inner) or d.of_rank(2):
            act(draw, d)


def source(draw: Any, d: Draft) -> None:
    """A sequence: floats, behind a Masking or not, or words behind an Embedding."""
    time = draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["floats", "masking", "masking", "ids"]))
    features = draw(st.integers(1, 3))
    if kind == "floats":
        d.enter("floats", (time, features))
        return
    rows = draw(mask_rows(d.batch, time))
    if kind == "ids":
        x = d.enter("ids", (time,), rows)
        d.add({"class_name": "Embedding", "input_dim": 5, "output_dim": features, "mask_zero": True}, [x],
              [(time, features)])  # fmt: skip
    else:
        x = d.enter("floats", (time, features), rows)
        d.add({"class_name": "Masking", "mask_value": 0.5}, [x], [(time, features)])


POLICIES = ["float32"] * 16 + ["float64", "float16", "mixed_float16", "bfloat16", "mixed_bfloat16"]


@st.composite
def graph_cases(draw: Any, library: str, native: bool) -> GraphCase:
    """A model of one or two sequences, a recurrent layer on the first, and whatever else."""
    d = Draft(library, native, draw(st.integers(1, 3)), draw(RARELY), draw(BOOL))
    source(draw, d)
    if draw(BOOL):
        source(draw, d)
    acts(draw, d, draw(st.integers(1, 6)), (recurrent, *AROUND))
    return GraphCase(
        library, draw(st.sampled_from([".h5", ".keras"])), d.graph(draw), d.batch, draw(st.integers(0, 999)),
        d.open_time, draw(st.sampled_from(POLICIES)), 3 if d.stateful else 1, native,
    )  # fmt: skip
