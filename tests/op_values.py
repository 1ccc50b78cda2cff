"""Inputs and arguments of operations: what they are, their values, and strategies of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

BATCH = 3


@dataclass(frozen=True)
class In:
    """An input of the model: its shape without the batch, what values it has ("normal", "ints", ...), its dtype."""

    shape: tuple[int, ...]
    kind: str = "normal"
    dtype: str = "float32"


@dataclass(frozen=True)
class Case:
    """One way to use an operation. `In`s among the arguments (in lists too) become inputs; time is open if `open`."""

    args: tuple[Any, ...]
    config: dict[str, Any] = field(default_factory=dict)
    open: bool = False


def values(given: In, rng: np.random.Generator) -> np.ndarray:
    """An array [BATCH, *shape] of the kind that an input has."""
    shape = (BATCH, *given.shape)
    normal = rng.normal(size=shape)
    kinds = {
        "normal": lambda: normal,
        "positive": lambda: np.abs(normal) + 0.1,
        "unit": lambda: np.tanh(normal) * 0.99,
        "above1": lambda: np.abs(normal) + 1.01,
        "wide": lambda: normal * 20,
        "tiny": lambda: np.sign(normal) * 10.0 ** rng.uniform(-20, 0.5, shape),
        "special": lambda: np.where(rng.random(shape) < 0.4, rng.choice(SPECIAL, shape), normal),
        "zeros": lambda: rng.choice(SPECIAL[1:], shape),
        "ties": lambda: rng.integers(-2, 3, shape),
        "halves": lambda: rng.integers(-9, 10, shape) / 2,
        "ints": lambda: rng.integers(-4, 5, shape),
        "counts": lambda: rng.integers(1, 5, shape),
        "index": lambda: rng.integers(0, 3, shape),
        "bool": lambda: rng.random(shape) < 0.5,
    }
    return np.asarray(kinds[given.kind]()).astype(given.dtype)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0])
BOOL = st.booleans()
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
INTEGERS = ("int32", "int64")


def x(kind: str = "normal", dtype: str = "float32", shapes: Any = SHAPES) -> Any:
    """One input."""
    return st.builds(In, shapes, st.just(kind), st.just(dtype))


def ints(shapes: Any = SHAPES) -> Any:
    return st.sampled_from(INTEGERS).flatmap(lambda d: x("ints", d, shapes))


def bools(shapes: Any = SHAPES) -> Any:
    return x("bool", "bool", shapes)


def case(*args: Any, opening: bool = True, **config: Any) -> Any:
    """Arguments of the call and of the constructor, each a strategy or what it is."""

    def strategy(v: Any) -> Any:
        return v if isinstance(v, st.SearchStrategy) else st.just(v)

    return st.builds(
        Case, st.tuples(*map(strategy, args)), st.fixed_dictionaries({k: strategy(v) for k, v in config.items()}),
        BOOL if opening else st.just(False),
    )  # fmt: skip


def unary(*kinds: str, whole: bool = False) -> Any:
    """Functions of floating numbers of these kinds, and of whole ones and truth values if Keras takes them."""
    inputs = [x(kind) for kind in (kinds or ("normal", "wide"))]
    return case(st.one_of(*inputs, *([ints(), bools()] if whole else [])))


def pairs(*inputs: Any) -> Any:
    """Two operands of one shape, or of shapes that broadcast."""
    shapes = [(4, 3), (2,), (2, 3, 2)], [((4, 3), (1, 3)), ((1, 3), (4, 1)), ((4, 3), (4, 1)), ((1,), (3,))]
    both = st.one_of(st.sampled_from([(s, s) for s in shapes[0]]), st.sampled_from(shapes[1]))
    kinds = st.tuples(st.sampled_from(inputs), st.sampled_from(inputs))
    return st.tuples(both, kinds).map(lambda d: tuple(In(s, *k) for s, k in zip(*d, strict=True)))


F, POSITIVE, I32, I64, U8, BOOLS = (
    ("normal", "float32"), ("positive", "float32"), ("ints", "int32"), ("ints", "int64"), ("counts", "uint8"),
    ("bool", "bool"),
)  # fmt: skip
HALF = ("normal", "float16")
NUMBERS = st.sampled_from([2, 3, 0.5, -1, 1.5, 7])


def binary(*inputs: Any, constants: Any = NUMBERS) -> Any:
    """Two tensors of any dtypes, a tensor and a number on either side, a tensor and a list or an array."""
    one = st.sampled_from(inputs or (F,)).map(lambda k: In((4, 3), *k))
    listed = st.sampled_from([[1.0, 2.0, 0.5], [1, 2, 3], np.array([2.0, 3.0, 0.5], "float32"), [[2], [3], [1], [4]]])
    return st.builds(Case, st.one_of(
        pairs(*(inputs or (F,))), st.tuples(one, constants), st.tuples(constants, one), st.tuples(one, listed),
        st.tuples(listed, one),
    ), st.just({}), BOOL)  # fmt: skip


def tensors(*inputs: Any) -> Any:
    """Two tensors."""
    return st.builds(Case, pairs(*(inputs or (F,))), st.just({}), BOOL)


DEEP = st.sampled_from([(4, 3), (2, 3, 2)])
KEYS = [  # what x[...] takes in either library
    0, (slice(None), -1), (slice(None), slice(None, None, -1)), (Ellipsis, None), (Ellipsis, 0), (slice(None), None),
    (slice(None), slice(1, 3), 0), (slice(None), slice(None, -1)),
]  # fmt: skip
AXIS = st.sampled_from([None, 1, 2, -1, -2, 0])
AXES = st.one_of(AXIS, st.sampled_from([(1, 2), (2, 1), (0, 1), (-1, 1), (1,)]))
INNER = st.sampled_from([1, 2, -1, -2])
TIME = st.sampled_from([1, -2])


def reduction(*inputs: Any, axes: Any = AXES, opening: bool = True, **config: Any) -> Any:
    given = inputs or (x("normal", shapes=DEEP), ints(DEEP), bools(DEEP), x("special", shapes=DEEP))
    return case(st.one_of(*given), axis=axes, keepdims=BOOL, opening=opening, **config)


FLOATS = (x("normal", shapes=DEEP), x("special", shapes=DEEP))
ANYTHING = st.one_of(x(), ints(), bools())
DEEPLY = st.one_of(x("normal", shapes=DEEP), ints(DEEP))
SORTABLE = st.one_of(x("ties", shapes=DEEP), x("normal", shapes=DEEP), ints(DEEP), x("counts", "uint8", DEEP))
ARITHMETIC = binary(F, I32, I64, U8, HALF)
ORDERED = binary(F, I32, I64, U8, BOOLS)
TRUTHS = tensors(F, I32, BOOLS)
SMALL = st.one_of(x("counts", "uint8", DEEP), x("ints", "int8", DEEP))
SAME = st.sampled_from([(3,), (4, 3)])


def listed(count: int = 2, shape: tuple[int, ...] = (2, 3), kinds: Any = (F, F, I32)) -> Any:
    return st.lists(st.sampled_from(kinds).map(lambda k: In(shape, *k)), min_size=count, max_size=3)


def named(rank: int) -> Any:
    sizes = {1: (6, 4), 2: (5, 6, 4), 3: (4, 4, 4, 2)}[rank]
    return In(sizes)


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


WINDOW = {"padding": st.sampled_from(["valid", "same"]), "data_format": "channels_last"}
RANK12 = st.sampled_from([1, 2])
WEIGHT = np.linspace(0.5, 2, 3).astype("float32")
OFFSET = np.linspace(-1, 1, 3).astype("float32")


def kernels(make: Any, **config: Any) -> Any:
    """An input of one or two dimensions and kernels that fit it."""
    return RANK12.flatmap(lambda rank: case(named(rank), *make(rank), **WINDOW, **config, opening=False))
