"""What each Keras layer can be asked for: strategies of its arguments and of the shapes it is called on."""

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
    texts: tuple[str, ...] = ()  # inputs are some of these
    opset: int | None = None

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
SMALL = st.floats(0, 2, width=16)
NORMS = {"epsilon": st.sampled_from([1e-3, 1e-6, 0.1]), "center": BOOL, "scale": BOOL}


def axes(rank: int) -> Any:
    one = st.sampled_from([-1, *range(1, rank + 1)])
    return st.one_of(one, st.lists(st.integers(1, rank), min_size=1, max_size=2, unique=True).map(sorted))


def windows(rank: int, causal: bool = False, **more: Any) -> dict[str, Any]:
    """Arguments of a convolution. TensorFlow computes strides, dilation and channels_first only in part on a CPU."""
    each = st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * rank).map(list))
    padding = ["valid", "same"] + ["causal"] * causal
    return {
        "kernel_size": each, "strides": st.one_of(st.just(1), each), "padding": st.sampled_from(padding),
        "dilation_rate": st.one_of(st.just(1), st.integers(1, 2)), "activation": ACTIVATION, "use_bias": BOOL,
        "data_format": LAST, **more,
    }  # fmt: skip


def pools(rank: int) -> dict[str, Any]:
    return {
        "pool_size": st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * rank).map(list)),
        "strides": st.one_of(st.none(), st.integers(1, 3)),
        "padding": st.sampled_from(["valid", "same"]),
        "data_format": LAST,
    }


def amounts(rank: int, most: int) -> Any:
    number = st.integers(0, most)
    if rank == 1:
        return st.one_of(number, st.tuples(number, number).map(list))
    return st.one_of(number, st.tuples(*[number] * rank).map(list), st.tuples(*[st.tuples(number, number)] * rank))


QUERIES = st.sampled_from([[(3, 4), (2, 4)], [(3, 4), (2, 4), (2, 4)]])
EXTRA = st.none() | st.integers(0, 2)
FILTERS = st.sampled_from([2, 4])
WORDS = ["a", "b", "c", "d", "ab", "its", "\u00e9t\u00e9", "x y", "abcdef"]
ENCODED = {
    "output_mode": st.sampled_from(["int", "int", "one_hot", "multi_hot", "count", "tf_idf"]),
    "idf_weights": st.sampled_from([None, [0.5, 2.0, 1.25, 3.0]]), "max_tokens": st.sampled_from([None, 9]),
    "pad_to_max_tokens": BOOL,
}  # fmt: skip
SPACES: dict[str, Space] = {
    "Dense": Space({"units": st.integers(1, 5), "activation": ACTIVATION, "use_bias": BOOL}, ANY),
    "Activation": Space({"activation": ACTIVATION}, ANY),
    "ReLU": Space({"max_value": st.none() | SMALL, "negative_slope": SMALL, "threshold": SMALL}, ANY),
    "LeakyReLU": Space({"negative_slope": SMALL}, ANY, renamed={"negative_slope": "alpha"}),
    "ELU": Space({"alpha": SMALL}, ANY),
    "ThresholdedReLU": Space({"theta": SMALL}, ANY, frozenset({TF_KERAS})),
    "Softmax": Space({"axis": st.sampled_from([-1, 1, [1], [1, 2], -2])}, SEQUENCE),
    "PReLU": Space({"shared_axes": st.sampled_from([None, [1], [2], [1, 2]])}, SEQUENCE),
    "BatchNormalization": Space({"axis": st.integers(-2, 2), **NORMS}, SEQUENCE),
    "LayerNormalization": Space({"axis": axes(2), **NORMS}, WIDE),
    "Flatten": Space({"data_format": FORMAT}, ANY),
    "Reshape": Space({"target_shape": st.sampled_from([(-1,), (6, 2), (3, -1), (2, 3, -1)])}, shape(4, 3)),
    "Permute": Space({"dims": st.permutations([1, 2, 3]).map(tuple)}, shape(2, 3, 4)),
    "RepeatVector": Space({"n": st.integers(1, 4)}, shape(st.integers(1, 4))),
    "Concatenate": Space({"axis": st.sampled_from([-1, 1, 2])}, st.just([(4, 3), (4, 3)])),
    **{name: Space({}, pairs(2)) for name in ("Subtract",)},
    **{
        name: Space({}, st.integers(2, 3).flatmap(pairs))
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
    },
    "Dot": Space(
        {"axes": st.sampled_from([-1, 1, 2, (1, 1), (2, 1), (1, 2)]), "normalize": BOOL},
        st.sampled_from([[(4,), (4,)], [(3, 4), (4,)], [(4, 4), (4, 4)], [(4, 3), (3, 4)], [(2, 3, 4), (5, 4)]]),
    ),
    **{f"{kind}Pooling{r}D": Space(pools(r), images(r)) for kind in ("Max", "Average") for r in (1, 2, 3)},
    **{
        f"Global{kind}Pooling{r}D": Space({"data_format": FORMAT, "keepdims": BOOL}, images(r))
        for kind in ("Max", "Average")
        for r in (1, 2, 3)
    },
    **{
        f"Conv{r}D": Space(windows(r, r == 1, filters=FILTERS, groups=st.integers(1, 2)), images(r))
        for r in (1, 2, 3)
    },
    **{f"DepthwiseConv{r}D": Space(windows(r, depth_multiplier=st.integers(1, 2)), images(r)) for r in (1, 2)},
    **{
        f"SeparableConv{r}D": Space(windows(r, r == 1, filters=FILTERS, depth_multiplier=st.integers(1, 2)), images(r))
        for r in (1, 2)
    },
    **{
        f"Conv{r}DTranspose": Space(windows(r, filters=FILTERS, output_padding=EXTRA), images(r))
        for r in (1, 2, 3)
    },
    **{
        f"Cropping{r}D": Space({"cropping": amounts(r, 1), **({"data_format": FORMAT} if r > 1 else {})}, CUBES[r])
        for r in (1, 2, 3)
    },
    **{
        f"ZeroPadding{r}D": Space({"padding": amounts(r, 2), **({"data_format": FORMAT} if r > 1 else {})}, images(r))
        for r in (1, 2, 3)
    },
    "UpSampling1D": Space({"size": st.integers(1, 3)}, images(1)),
    **{
        f"UpSampling{r}D": Space(
            {"size": st.integers(1, 3) | st.tuples(*[st.integers(1, 2)] * r).map(list), "data_format": FORMAT},
            images(r),
        )
        for r in (2, 3)
    },
    "LocallyConnected1D": Space(
        {"filters": FILTERS, "kernel_size": st.integers(1, 3), "strides": st.integers(1, 2), "use_bias": BOOL},
        images(1),
        frozenset({TF_KERAS}),
    ),
    **{
        f"Adaptive{kind}Pooling{r}D": Space({"output_size": st.integers(2, 4)}, images(r), frozenset({KERAS3}))
        for kind in ("Average", "Max")
        for r in (1, 2, 3)
    },
    "GroupNormalization": Space({"groups": st.sampled_from([1, 2, 4, -1]), **NORMS}, shape(3, 2, 4)),
    "RMSNormalization": Space({"axis": axes(2), "epsilon": NORMS["epsilon"]}, WIDE, frozenset({KERAS3})),
    "UnitNormalization": Space({"axis": axes(2)}, WIDE),
    "EinsumDense": Space(
        {
            "equation": st.just("abc,cd->abd"), "output_shape": st.just((None, 5)), "activation": ACTIVATION,
            "bias_axes": st.sampled_from([None, "d"]),
        },
        shape(4, 3),
    ),
    "Attention": Space(
        {"use_scale": BOOL, "score_mode": st.sampled_from(["dot", "concat"])}, QUERIES
    ),
    "AdditiveAttention": Space({"use_scale": BOOL}, QUERIES),
    "Identity": Space({}, ANY),
    "Rescaling": Space({"scale": SMALL, "offset": SMALL}, ANY),
    "Normalization": Space(
        {"axis": st.sampled_from([-1, 1, None, (1, 2)]), "mean": st.just(0.3), "variance": st.just(2), "invert": BOOL},
        WIDE,
    ),
    "Discretization": Space(
        {
            "bin_boundaries": st.lists(st.floats(-2, 2, width=16), min_size=1, max_size=4, unique=True).map(sorted),
            "output_mode": st.sampled_from(["int", "one_hot", "multi_hot", "count"]),
        },
        shape(st.integers(1, 3)),
    ),
    "CategoryEncoding": Space(
        {"num_tokens": st.just(6), "output_mode": st.sampled_from(["one_hot", "multi_hot", "count"])},
        shape(st.integers(1, 3)),
        integers=6,
    ),
    "IntegerLookup": Space(
        {
            "vocabulary": st.permutations(range(1, 9)).map(lambda words: sorted(words[:4])), "invert": BOOL,
            "mask_token": st.sampled_from([None, 0]), "num_oov_indices": st.integers(1, 3),
            **ENCODED,
        },
        shape(st.integers(1, 3)),
        integers=12,
    ),
    "StringLookup": Space(
        {
            "vocabulary": st.permutations(WORDS).map(lambda words: words[:4]), "num_oov_indices": st.integers(0, 1),
            "mask_token": st.sampled_from([None, "", "mask"]), "oov_token": st.sampled_from(["[UNK]", "?"]), **ENCODED,
        },
        shape(st.integers(1, 3)),
        texts=(*WORDS, "", "mask", "[UNK]", "A", "\u00c9t\u00e9"),
    ),
    "TextVectorization": Space(
        {
            "vocabulary": st.permutations(WORDS).map(lambda words: words[:4]),
            **ENCODED, "output_mode": st.sampled_from(["int", "int", "multi_hot", "count", "tf_idf"]),
            "standardize": st.sampled_from([None, "lower", "strip_punctuation", "lower_and_strip_punctuation"]),
            "split": st.sampled_from([None, "whitespace", "whitespace"]),
            "output_sequence_length": st.sampled_from([None, 1, 3, 9]),
        },
        st.sampled_from([[(1,)], [(1,)], [(3,)]]),
        texts=(
            *WORDS, "", " ", "\t\n", "a  B c", " b\ta ", "!a?b", "A.b,C;d", "a.b!c-d--ef", "a\tb\tc\td\nab\rits",
            "no\x0bone\x0c", "\u00c9t\u00e9 \u00e9t\u00e9 a\u00a0b",
            "[UNK] a-b it's \\ ` ~ _ {a} (b) <c> \"d\" #@$%^&*+=|/[]", "\u2003a\u2003 b\x1cc \r\n d", "a " * 12,
        ),
        opset=20,
    ),
}  # fmt: skip
