"""How a layer is asked: a space of arguments and of shapes, and the strategies that many layers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

KERAS3, TF_KERAS = "keras", "tf_keras"
BOTH = frozenset({KERAS3, TF_KERAS})


@dataclass(frozen=True)
class Space:
    """A layer class: strategies by argument name, and of its input shapes (without the batch)."""

    arguments: dict[str, Any]
    shapes: Any
    libraries: frozenset[str] = BOTH
    renamed: dict[str, str] = field(default_factory=dict)  # tf_keras' names of arguments
    integers: int = 0  # inputs are whole numbers below this
    refused: str = ""  # what the refusal says of arguments that this library computes in two ways
    lacks: dict[str, set[str]] = field(default_factory=dict)  # arguments that a library has not, or in part only
    texts: tuple[str, ...] = ()  # inputs are some of these
    opset: int | None = None
    closed: str = ""  # what the refusal says of sizes that the model leaves open
    values: tuple[float, ...] = ()  # inputs are some of these
    apart: bool = False  # called on its inputs one by one, not on a list

    @property
    def dtype(self) -> str:
        """Of the inputs."""
        return "string" if self.texts else "int32" if self.integers else "float32"


def shape(*sizes: Any) -> Any:
    """One input."""
    return st.tuples(*(n if isinstance(n, st.SearchStrategy) else st.just(n) for n in sizes)).map(lambda s: [s])


def images(rank: int) -> Any:
    """[*spatial, channels], of sizes that windows fit in."""
    sizes = {1: st.integers(4, 9), 2: st.integers(4, 7), 3: st.integers(4, 5)}[rank]
    return st.tuples(*[sizes] * rank, st.sampled_from([2, 4])).map(lambda s: [s])


def pairs(count: int) -> Any:
    """Several inputs of one shape, or of shapes that broadcast."""
    same = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(lambda s: [tuple(s)] * count)
    return st.one_of(same, st.just([(4, 3), (1, 3)] if count == 2 else [(4, 3)] * count))


BOOL = st.booleans()
# A library that does not know a name refuses it.
NAMES = [
    "linear", "relu", "tanh", "sigmoid", "hard_sigmoid", "softmax", "elu", "selu", "softplus", "softsign", "swish",
    "silu", "exponential", "gelu", "relu6", "celu", "mish", "log_sigmoid", "log_softmax", "hard_silu", "hard_tanh",
    "hard_shrink", "soft_shrink", "tanh_shrink", "squareplus", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "leaky_relu", "glu",
]  # fmt: skip
ACTIVATION = st.sampled_from([None, *NAMES])
CUBES = {r: st.tuples(*[st.integers(4, 6)] * (r + 1)).map(lambda s: [s]) for r in (1, 2, 3)}  # either way round
WIDE = shape(st.integers(2, 6), st.integers(2, 4))
SEQUENCE = shape(st.integers(2, 6), st.integers(1, 4))
ANY = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(lambda s: [tuple(s)])
FORMAT = st.sampled_from(["channels_last", "channels_first"])
LAST = st.just("channels_last")
FIRST = {TF_KERAS: {"data_format"}}  # TensorFlow computes channels_first on a CPU in part only, Keras 3 makes up for it
SMALL = st.floats(0, 2, width=16)
INTERPOLATION = st.sampled_from(
    ["nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]
)
NORMS = {"epsilon": st.sampled_from([1e-3, 1e-6, 0.1]), "center": BOOL, "scale": BOOL}


def axes(rank: int) -> Any:
    one = st.sampled_from([-1, *range(1, rank + 1)])
    return st.one_of(one, st.lists(st.integers(1, rank), min_size=1, max_size=2, unique=True).map(sorted))


def windows(rank: int, causal: bool = False, **more: Any) -> dict[str, Any]:
    """Arguments of a convolution. TensorFlow computes strides with dilation only in part on a CPU."""
    each = st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * rank).map(list))
    padding = ["valid", "same"] + ["causal"] * causal
    return {
        "kernel_size": each, "strides": st.one_of(st.just(1), each), "padding": st.sampled_from(padding),
        "dilation_rate": st.one_of(st.just(1), st.integers(1, 2)), "activation": ACTIVATION, "use_bias": BOOL,
        "data_format": FORMAT, **more,
    }  # fmt: skip


def pools(rank: int) -> dict[str, Any]:
    return {
        "pool_size": st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * rank).map(list)),
        "strides": st.one_of(st.none(), st.integers(1, 3)),
        "padding": st.sampled_from(["valid", "same"]),
        "data_format": FORMAT,
    }


def amounts(rank: int, most: int) -> Any:
    number = st.integers(0, most)
    if rank == 1:
        return st.one_of(number, st.tuples(number, number).map(list))
    return st.one_of(number, st.tuples(*[number] * rank).map(list), st.tuples(*[st.tuples(number, number)] * rank))


QUERIES = st.sampled_from([[(3, 4), (2, 4)], [(3, 4), (2, 4), (2, 4)]])
EXTRA = st.none() | st.integers(0, 2)
FILTERS = st.sampled_from([2, 4])
EITHER_WAY: dict[str, Any] = {"refused": "the bias of", "lacks": FIRST}
COLORS = shape(st.integers(4, 6), st.integers(4, 6), 3)
FACTOR = {"factor": st.sampled_from([0.3, (0.1, 0.4)])}
FACTORS = {"height_factor": st.just(0.3), "width_factor": st.just(0.2)}
ONLY_3, ONLY_2 = frozenset({KERAS3}), frozenset({TF_KERAS})
