"""Values for the parts of a cut graph that bring each node to its corners, whatever the model's inputs can reach.

Shapes are those of a run of the whole model; floats and masks are made anew: rows of several distributions and scales,
the constants that a value is compared with, the points where an activation changes its formula, masks in every pattern.
Indices go over the whole range, one from each of as many blocks as there are places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from converter.model import Array, Model, Node, Value, dtype_of, layers
from converter.verification.coverage import knees

PATTERNS = ("post", "pre", "gaps", "none", "all", "one", "alternate")
SCALES = (1.0, 0.1, 3.0, 1e-3, 10.0, 30.0, 1e-6, 100.0)
SCALES_FLOAT16 = (1.0, 0.1, 3.0, 0.3, 2.0, 6.0, 0.03, 10.0)
GATES = {"i": 1, "f": 1, "c": 2, "o": 1, "z": -1, "r": 1, "h": 2}  # on which side a new state gets through, how far
AIMED = 2**20  # the largest kernel that is read only to make inputs
COMPARED = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "mod",
            "floor_divide")  # fmt: skip
# Functions with a domain, and how a number gets into it.
DOMAINS: Mapping[str, Callable[[Array], Array]] = {
    "log": np.abs, "sqrt": np.abs, "rsqrt": np.abs, "arcsin": np.tanh, "arccos": np.tanh, "arctanh": np.tanh,
    "arccosh": lambda x: 1 + np.abs(x), "log1p": np.abs,
}  # fmt: skip


@dataclass
class Wanted:
    """What the readers of a value make worth trying.

    Attributes:
        limit: indices are below it; None where no reader says.
        index: whether every reader takes it as an index or compares it.
        points: single numbers to hit, and to pass on either side.
        like: names of values that it is compared with.
        domain: into what the numbers should be brought, half of the time.
        time: the axis of time of a mask.
        aims: vectors of features that take a unit of a cell over the last knee of its activation, where relu is not 0.
    """

    limit: int | None = None
    index: bool = True
    points: list[float] = field(default_factory=list)
    like: list[str] = field(default_factory=list)
    domain: Callable[[Array], Array] | None = None
    time: int = 1
    aims: list[Array] = field(default_factory=list)


def wanted_of(model: Model) -> dict[str, Wanted]:
    """For each value of the model what its readers say."""
    found = {value.name: Wanted() for value in _values(model)}
    for node in model.nodes:
        for place, value in enumerate(node.inputs):
            if value is not None and not isinstance(node.layer, layers.Scan):
                _note(found[value.name], node, place)
        if isinstance(node.layer, layers.Scan):
            _note_body(found, node, node.layer)
    return found


def _note_body(found: Mapping[str, Wanted], node: Node, layer: layers.Scan) -> None:
    """What the nodes inside a Scan make worth trying in what goes into it; its sequences begin with time."""
    pairs = [(inner.name, outer.name) for inner, outer in zip(layer.inputs, node.inputs, strict=True) if outer]
    for _, name in pairs[layer.states : layer.states + layer.sequences]:
        found[name].time = 0
    outside = dict(pairs)
    for inner in layer.nodes:
        for place, value in enumerate(inner.inputs):
            if value is not None and value.name in outside:
                _note(found[outside[value.name]], inner, place)


def _values(model: Model) -> Iterator[Value]:
    yield from model.inputs
    yield from (state.input for state in model.states)
    for node in model.nodes:
        yield from node.outputs


def _note(wanted: Wanted, node: Node, place: int) -> None:
    layer = node.layer
    if isinstance(layer, layers.Embedding | layers.OneHot):
        limit = layer.depth if isinstance(layer, layers.OneHot) else layer.table.shape[0]
        wanted.limit = limit if wanted.limit is None else min(limit, wanted.limit)
        return
    if isinstance(layer, layers.Elementwise) and layer.op in COMPARED:
        wanted.like += [other.name for k, other in enumerate(node.inputs) if other is not None and k != place]
        return
    wanted.index = False
    if isinstance(layer, layers.Activate):
        wanted.points += knees(layer.activation)
    elif isinstance(layer, layers.Unary):
        wanted.domain = DOMAINS.get(layer.op)
        wanted.points += [-0.5, 0.5, 1.5, 2.5] if layer.op in ("floor", "ceil", "round", "sign") else []
    elif isinstance(layer, layers.Recurrent) and place == 1:
        wanted.time = 0 if layer.time_major else 1
    elif isinstance(layer, layers.Recurrent) and place == 0:
        for direction in layer.directions:
            wanted.aims += _aims(direction.cell)


def _aims(cell: layers.Cell) -> list[Array]:
    """For each unit of a cell the shortest input that takes it from a state of zeros over its last knee, gates aside,
    and the one that opens its gates as well, as far as there is one.
    """
    if not knees(cell.activation) or isinstance(cell, layers.ConvLSTMCell) or cell.kernel.size > AIMED:
        return []
    gates, units = len(cell.gates), cell.units
    kernel = cell.kernel.read().astype(np.float64).reshape(-1, gates, units)
    bias = np.zeros((1, gates, units)) if cell.bias is None else cell.bias.read().reshape(-1, gates, units)
    signs = np.asarray([GATES[gate] for gate in cell.gates])
    targets = signs[:, None] * (np.abs(bias.astype(np.float64)).sum(0) + 2 * max(0.0, *knees(cell.activation)) + 2)
    own = [k for k, gate in enumerate(cell.gates) if gate in "ch"]
    return [
        np.linalg.lstsq(kernel[:, some, unit].T, targets[some, unit], rcond=None)[0]
        for unit in range(min(units, 16))
        for some in (own, list(range(gates)))
    ]


def corner_values(
    model: Model, wanted: Mapping[str, Wanted], natural: Mapping[str, Array], fixed: frozenset[str], turn: int
) -> dict[str, Array]:
    """Values in the shapes of `natural`.

    Args:
        model: whose values they are.
        wanted: see `wanted_of`.
        natural: values of one run, by name.
        fixed: names of those that stay.
        turn: 0, 1, ...; each gives other ones.
    """
    rng = np.random.default_rng((4711, turn))
    made = dict(natural)
    for value in _values(model):
        if value.name not in natural or value.name in fixed or natural[value.name].ndim == 0:
            continue
        like = natural[value.name]
        if like.dtype.kind == "f":
            floats = _floats(like, wanted[value.name], made, rng, turn)
            rounds = value.dtype == "bfloat16" and wanted[value.name].like  # who compares rounds first
            made[value.name] = floats.astype(dtype_of("bfloat16")).astype(like.dtype) if rounds else floats
        elif like.dtype.kind == "b":
            made[value.name] = _mask(like.shape, wanted[value.name].time, rng, turn)
        elif like.dtype.kind in "iu" and wanted[value.name].limit is not None and wanted[value.name].index:
            made[value.name] = _indices(like, wanted[value.name], made, rng)
    return made


def _floats(like: Array, wanted: Wanted, made: Mapping[str, Array], rng: np.random.Generator, turn: int) -> Array:
    scales = SCALES_FLOAT16 if like.dtype == np.float16 else SCALES
    rows = like.shape[0]
    kinds = [(turn + row) % 5 for row in range(rows)]
    x = rng.standard_normal(like.shape)
    for row, kind in enumerate(kinds):
        if kind == 1:
            x[row] = rng.uniform(-2, 2, like.shape[1:])
        elif kind == 2:  # sparse, as one-hot inputs are
            x[row] = np.where(rng.random(like.shape[1:]) < 0.15, 1.0, 0.0)
        elif kind == 4:
            x[row] = np.abs(x[row])
        x[row] *= scales[(3 * turn + row) % len(scales)]
        if kind == 3 and wanted.aims and len(wanted.aims[0]) == like.shape[-1]:
            aim = wanted.aims[(turn * rows + row) // 5 % len(wanted.aims)]
            x[row] = aim * rng.uniform(0.9, 1.1, like.shape[1:])
    if wanted.domain is not None:
        x[turn % 2 :: 2] = wanted.domain(x[turn % 2 :: 2])
    x = x.astype(like.dtype)
    for points in (*map(np.asarray, wanted.points), *(made[name] for name in wanted.like if name in made)):
        x = _at(x, points, rng)
    return x


def _at(x: Array, points: Array, rng: np.random.Generator) -> Array:
    """Some elements at given points, some next to them."""
    exact = points.astype(x.dtype)
    try:
        target = np.broadcast_to(exact, x.shape)
    except ValueError:  # it is the points that are broadcast: any of them will do
        if exact.size == 0:
            return x
        target = rng.choice(exact.reshape(-1), x.shape)
    draw = rng.random(x.shape)
    near = target + (np.abs(target) + 1) * rng.standard_normal(x.shape).astype(x.dtype) * np.asarray(0.3, x.dtype)
    x = np.where(draw < 0.2, target, np.where(draw < 0.4, near, x)).astype(x.dtype)
    for sign, low in ((np.inf, 0.4), (-np.inf, 0.45)):
        x = np.where((draw >= low) & (draw < low + 0.05), np.nextafter(target, np.asarray(sign, x.dtype)), x)
    return x.astype(exact.dtype)


def _indices(like: Array, wanted: Wanted, made: Mapping[str, Array], rng: np.random.Generator) -> Array:
    """One from each of as many blocks of the range as there are places; the first and the last of all."""
    limit, count = wanted.limit or 1, like.size
    edges = np.linspace(0, limit, count + 1)
    picked = np.floor(edges[:-1] + rng.random(count) * np.diff(edges)).astype(np.int64)
    picked[:1], picked[-1:] = 0, limit - 1
    x = rng.permutation(np.clip(picked, 0, limit - 1)).reshape(like.shape).astype(like.dtype)
    for name in wanted.like:
        points = made.get(name)
        if points is not None and points.size == 1 and 0 <= points.reshape(-1)[0] < limit:
            x = np.where(rng.random(x.shape) < 0.2, points.reshape(-1)[0], x).astype(like.dtype)
    return x


def _mask(shape: tuple[int, ...], time: int, rng: np.random.Generator, turn: int) -> Array:
    """True where something is used: rows over time in every pattern; of more axes, each last one in every pattern."""
    if len(shape) < 2:
        return rng.random(shape) < 0.5
    if len(shape) == 2:
        rows = np.moveaxis(np.ones(shape, np.bool_), time, 1)
        for row in range(len(rows)):
            rows[row] = pattern(PATTERNS[(turn * len(rows) + row) % len(PATTERNS)], rows.shape[1], rng)
        return np.ascontiguousarray(np.moveaxis(rows, 1, time))
    flat = rng.random((int(np.prod(shape[:-1])), shape[-1])) < 0.5
    for row in range(len(flat)):
        kind = (turn + row) % 5
        if kind < 4:
            flat[row] = kind % 2 == 0
        if kind in (2, 3) and shape[-1]:
            flat[row, int(rng.integers(shape[-1]))] ^= True
    return flat.reshape(shape)


def pattern(name: str, time: int, rng: np.random.Generator) -> Array:
    """Which of `time` steps are used."""
    some = int(rng.integers(1, time)) if time > 1 else 0
    at = np.arange(time)
    made: Mapping[str, Callable[[], Array]] = {
        "post": lambda: at < time - some,
        "pre": lambda: at >= some,
        "gaps": lambda: rng.random(time) < 0.6,
        "none": lambda: at >= 0,
        "all": lambda: at < 0,
        "one": lambda: at == rng.integers(max(1, time)),
        "alternate": lambda: at % 2 == 1,
    }
    return made[name]()
