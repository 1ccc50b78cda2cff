"""What each operation of Keras 3 can be asked for: strategies of inputs, constants and constructor arguments."""

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


SPACES: dict[str, Any] = {
    # two operands
    **dict.fromkeys(("Add", "Subtract", "Multiply"), ARITHMETIC),
    **dict.fromkeys(("Divide", "TrueDivide"), binary(F, I32, I64)),
    "DivideNoNan": tensors(("ties", "float32"), F),
    "Power": st.one_of(
        binary(POSITIVE, constants=st.sampled_from([2, 0.5, -1.0])), case(x(), st.sampled_from([2, 3, 2.0]))
    ),
    "FloorDivide": binary(F, constants=st.sampled_from([2, 0.5, -3])),
    "Mod": st.one_of(binary(F, constants=st.sampled_from([2, 0.5, -3])), tensors(("counts", "int32"))),
    "Fmod": st.one_of(binary(F, constants=st.sampled_from([2, 0.5, -3])), tensors(("counts", "int32"))),
    **dict.fromkeys(("Maximum", "Minimum"), ORDERED),
    **dict.fromkeys(("Fmax", "Fmin"), tensors(F, ("special", "float32"), I32)),
    **dict.fromkeys(
        ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"),
        st.one_of(binary(F, I32, ("ties", "float32")), tensors(F, I32, ("special", "float32"))),
    ),
    **dict.fromkeys(("LogicalAnd", "LogicalOr", "LogicalXor"), TRUTHS),
    "Arctan2": tensors(F, ("special", "float32"), I32, ("tiny", "float32")),
    "Heaviside": tensors(F, ("ties", "float32"), I32),
    "Hypot": tensors(F, ("tiny", "float32"), ("ties", "float32"), I32),
    **dict.fromkeys(("Logaddexp", "Logaddexp2"), tensors(F, ("wide", "float32"), ("special", "float32"))),
    **dict.fromkeys(("BitwiseNot", "BitwiseInvert"), case(ints())),
    "Isclose": st.one_of(
        case(x("ties", shapes=SAME), x("ties", shapes=st.just((1,)))), case(x("special"), 1.0, 0.1, 0.5, equal_nan=BOOL)
    ),
    "AllClose": case(x("ties"), x("ties", shapes=st.just((1,))), rtol=0.5, atol=0.1, equal_nan=BOOL),
    # one operand
    **dict.fromkeys(("Absolute", "Abs", "Sign"), st.one_of(unary("normal", "special"), case(ints()))),
    "Fabs": unary("normal", "special", whole=True),
    "Negative": st.one_of(unary(), case(ints())),
    "Square": unary(whole=True),
    "Exp": unary("normal", "special", whole=True),
    **dict.fromkeys(("Log", "Log2", "Log10"), st.one_of(unary("positive"), case(x("counts", "int32")))),
    "Log1p": st.one_of(unary("tiny", "unit", "positive", "special"), case(x("counts", "int32"))),
    "Expm1": unary("tiny", "normal", "wide", "special", whole=True),
    "Exp2": unary(whole=True),
    "Sqrt": st.one_of(unary("positive", "special"), case(x("counts", "int32"))),
    "Rsqrt": unary("positive"),
    "Cbrt": st.one_of(unary("normal", "wide"), case(x("ints", "int32"))),
    **dict.fromkeys(("Sin", "Cos", "Tan", "Sinh", "Cosh"), unary("normal", "tiny", whole=True)),
    **dict.fromkeys(("Arcsin", "Arccos"), unary("unit", "special")),
    "Arctanh": unary("unit", "tiny"),
    **dict.fromkeys(("Arctan", "Arcsinh"), unary("tiny", "wide", "special", whole=True)),
    "Arccosh": unary("above1"),
    **dict.fromkeys(("Deg2rad", "Rad2deg", "Sinc"), unary("normal", "ties")),
    **dict.fromkeys(("Floor", "Ceil"), unary("normal", "special")),
    "Trunc": st.one_of(unary("wide"), case(ints())),
    "Round": case(st.one_of(x("halves"), x("wide")), decimals=st.sampled_from([0, 0, 1, 2, -1])),
    "Reciprocal": unary("positive", "special"),
    "Erf": unary("normal", "wide"),
    **dict.fromkeys(("Isnan", "Isinf", "Isfinite", "Isposinf", "Isneginf"), unary("special")),
    "Signbit": st.one_of(unary("ties", "normal"), case(ints()), case(bools())),
    "Isreal": unary("normal"),
    **dict.fromkeys(("Real", "Conj", "Conjugate", "Copy", "StopGradient"), unary()),
    "NanToNum": case(
        x("special"),
        nan=st.sampled_from([0.0, 2.0]),
        posinf=st.sampled_from([None, 9.0]),
        neginf=st.sampled_from([None, -9.0]),
    ),
    "LogicalNot": case(ANYTHING),
    # activations
    **dict.fromkeys(
        (
            "Tanh",
            "Sigmoid",
            "Relu",
            "Relu6",
            "Silu",
            "Softplus",
            "Softsign",
            "Selu",
            "LogSigmoid",
            "HardSigmoid",
            "HardSilu",
            "HardTanh",
            "TanhShrink",
            "SparsePlus",
            "SparseSigmoid",
        ),
        unary(),
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax"), case(x("normal", shapes=DEEP), axis=st.one_of(INNER, st.none()))),
    "Sparsemax": case(x("normal", shapes=DEEP), axis=INNER),
    "Glu": case(In((4, 2)), axis=INNER),
    "LeakyRelu": case(x(), negative_slope=st.sampled_from([0.2, 0.5])),
    **dict.fromkeys(("Elu", "Celu"), case(x(), alpha=st.sampled_from([1.0, 0.5]))),
    **dict.fromkeys(("HardShrink", "SoftShrink"), case(x(), threshold=st.sampled_from([0.5, 0.25]))),
    "Squareplus": case(x("wide"), b=st.sampled_from([4, 1.5])),
    "Threshold": case(x(), threshold=0.5, default_value=st.sampled_from([0.0, 2.0])),
    "Gelu": case(x(), approximate=BOOL),
    # choices and dtypes
    "Where": st.one_of(
        pairs(F, I32, ("special", "float32")).map(lambda p: Case((In(p[0].shape, "bool", "bool"), *p))),
        case(x("bool", "bool"), NUMBERS, 1.5),
        case(In((4, 3), "bool", "bool"), In((4, 3)), NUMBERS),
    ),
    "Select": case([In((4, 3), "bool", "bool"), In((4, 3), "bool", "bool")], [In((4, 3)), In((4, 3))], 0.5),
    "Clip": case(st.one_of(x(), ints()), x_min=-1, x_max=st.sampled_from([1, 2])),
    **dict.fromkeys(
        ("Cast", "ConvertToTensor", "Array"),
        case(
            st.one_of(x("wide"), ints(), bools()),
            dtype=st.sampled_from(["float32", "int32", "int64", "bool", "float16"]),
        ),
    ),
    "SaturateCast": case(st.one_of(x("wide"), ints()), dtype=st.sampled_from(["int8", "uint8", "int32", "float16"])),
    # reductions
    **dict.fromkeys(("Mean", "Sum", "Any", "All", "Var", "Std"), reduction(DEEPLY, bools(DEEP), SMALL)),
    **dict.fromkeys(("Amax", "Amin"), reduction(DEEPLY, bools(DEEP))),
    **dict.fromkeys(("Max", "Min"), st.one_of(reduction(DEEPLY, bools(DEEP)), reduction(DEEPLY, initial=0))),
    "Prod": reduction(DEEPLY, bools(DEEP), SMALL),
    "Logsumexp": reduction(x("wide", shapes=DEEP)),
    **dict.fromkeys(("Argmax", "Argmin"), reduction(SORTABLE, x("zeros", shapes=DEEP), axes=AXIS)),
    "Average": st.one_of(
        case(DEEPLY, axis=AXIS),
        case(In((4, 3)), In((4, 3), "positive"), axis=AXIS),
        case(In((4, 3)), array(4) ** 2, axis=1),
    ),
    "Moments": case(x("normal", shapes=DEEP), axes=st.sampled_from([[1], [1, 2], [-1]]), keepdims=BOOL),
    "CountNonzero": case(st.one_of(SORTABLE, bools(DEEP)), axis=AXES),
    "Ptp": reduction(DEEPLY),
    **dict.fromkeys(
        ("Nansum", "Nanprod", "Nanmax", "Nanmin", "Nanmean", "Nanvar", "Nanstd"), reduction(*FLOATS, ints(DEEP))
    ),
    **dict.fromkeys(("Nanargmax", "Nanargmin"), reduction(*FLOATS, axes=INNER)),
    **dict.fromkeys(("Cumsum", "Nancumsum"), case(DEEPLY, axis=AXIS)),
    "Cumprod": case(DEEPLY, axis=INNER, opening=False),
    "Norm": st.one_of(
        case(DEEPLY, ord=st.sampled_from([None, 1, 2, 3, 0]), axis=INNER, keepdims=BOOL),
        case(DEEPLY, ord=st.sampled_from([None, 1, -1, "fro"]), axis=st.sampled_from([(1, 2), (2, 1)]), keepdims=BOOL),
    ),
    "Normalize": case(x("normal", shapes=DEEP), axis=INNER, order=st.sampled_from([2, 1, 3])),
    "Median": reduction(DEEPLY, x("special", shapes=DEEP), axes=INNER, opening=False),
    "Quantile": case(DEEPLY, st.sampled_from([0.3, [0.1, 0.75], 0.5, 1.0]), axis=INNER, keepdims=BOOL, opening=False),
    "Percentile": case(
        DEEPLY,
        st.sampled_from([30, [10, 75], 50.0]),
        axis=INNER,
        keepdims=BOOL,
        opening=False,
        method=st.sampled_from(["linear", "lower", "higher", "nearest", "midpoint"]),
    ),
    # products
    "Matmul": st.one_of(
        case(In((4, 3)), In((3, 2))),
        case(In((4, 3)), array(3, 2)),
        case(In((4, 3)), array(3)),
        case(array(2, 4), In((4, 3))),
        case(In((4, 3), *I32), In((3, 2), *I32)),
        case(In((4,)), array(4, 2)),
    ),
    **dict.fromkeys(
        ("Dot",), st.one_of(case(In((4, 3)), array(3, 2)), case(In((4,)), array(4, 2)), case(In((4,)), array(4)))
    ),
    "Inner": st.one_of(case(In((4, 3)), array(3)), case(In((4,)), array(2, 4))),
    **dict.fromkeys(("Outer",), case(In((4, 3)), st.sampled_from([array(3), array(2, 2)]))),
    "Vdot": case(In((4, 3)), In((4, 3))),
    "Kron": case(In((4, 3)), st.sampled_from([array(2, 2), array(1, 2, 3)]), opening=False),
    "Tensordot": st.one_of(
        case(In((4, 3)), array(3, 2), axes=1),
        case(In((4, 3)), array(4, 3, 2), axes=2),
        case(In((4, 3)), array(2, 4), axes=[[1], [1]]),
    ),
    "Einsum": case(In((4, 3)), In((4, 3)), subscripts=st.sampled_from(["btd,bsd->bts", "btd,btd->bt", "bti,btj->bij"])),
    "Cross": st.one_of(
        case(In((4, 3)), In((4, 3))),
        case(In((4, 2)), In((4, 3))),
        case(In((4, 2)), In((4, 2))),
        case(In((3, 4)), In((3, 4)), axis=1, opening=False),
    ),
    "Diagonal": case(
        x("normal", shapes=st.sampled_from([(4, 3), (2, 3, 2)])),
        offset=st.sampled_from([0, 1, -1]),
        axis1=1,
        axis2=2,
        opening=False,
    ),
    "Trace": case(DEEPLY, offset=st.sampled_from([0, 1, -1]), axis1=1, axis2=2),
    "Diff": case(st.one_of(DEEPLY, bools(DEEP)), n=st.sampled_from([1, 2]), axis=st.just(1)),
    "Trapezoid": case(DEEPLY, dx=st.sampled_from([1.0, 0.5]), axis=INNER),
    # shapes
    **dict.fromkeys(("Concatenate", "Stack"), case(listed(), axis=INNER)),
    "Unstack": case(DEEPLY, axis=INNER, opening=False),
    "Split": case(
        x("normal", shapes=st.just((4, 6))),
        indices_or_sections=st.sampled_from([2, [1, 3], (2,)]),
        axis=INNER,
        opening=False,
    ),
    "ArraySplit": case(In((4, 6)), indices_or_sections=st.sampled_from([2, 3]), axis=INNER, opening=False),
    "Vsplit": case(In((4, 6)), indices_or_sections=st.sampled_from([[1]])),
    "Hsplit": case(In((4, 6)), indices_or_sections=st.sampled_from([2, [1, 3]]), opening=False),
    "Dsplit": case(In((4, 6)), indices_or_sections=st.sampled_from([2, [1, 3]])),
    **dict.fromkeys(("Hstack", "Vstack"), case(listed())),
    "Dstack": case(st.one_of(listed(), listed(shape=(2,)))),
    "Append": case(In((2, 3)), In((2, 3)), axis=AXIS),
    "ExpandDims": case(DEEPLY, axis=st.sampled_from([1, 2, -1, 0, [1, 2], (0, -1)])),
    "Squeeze": case(x("normal", shapes=st.just((1, 3, 1))), axis=st.sampled_from([1, -1, (1, 3), 3])),
    "Reshape": case(In((4, 6)), newshape=st.sampled_from([(-1, 24), (-1, 2, 12), (-1,), (-1, 6, 4)])),
    "Ravel": case(DEEPLY),
    "Transpose": case(In((2, 3, 4)), axes=st.one_of(st.none(), st.permutations([0, 1, 2, 3]))),
    "Swapaxes": case(DEEPLY, axis1=INNER, axis2=INNER),
    "Moveaxis": case(
        DEEPLY, source=st.sampled_from([1, -1, (1, 2)]), destination=st.sampled_from([2, 1, (2, 1), (-1, -2)])
    ),
    "Flip": case(DEEPLY, axis=AXES),
    **dict.fromkeys(("Flipud", "Fliplr"), case(DEEPLY)),
    "Rot90": case(In((4, 3)), k=st.sampled_from([-1, 0, 1, 3, 5]), axes=st.sampled_from([(1, 2), (2, 1)])),
    "Roll": case(DEEPLY, shift=st.sampled_from([1, -1, 2, 5]), axis=INNER),
    "Repeat": case(DEEPLY, repeats=st.sampled_from([2, 3]), axis=AXIS),
    "Tile": case(DEEPLY, repeats=st.sampled_from([2, (1, 2), (1, 2, 2), (2, 1, 1, 1, 1)])),
    "BroadcastTo": case(In((1, 3)), shape=st.sampled_from([(BATCH, 4, 3), (2, BATCH, 1, 3)]), opening=False),
    "Pad": st.one_of(
        case(In((4, 3)), pad_width=st.sampled_from([1, ((0, 0), (1, 2), (0, 1)), [[0, 1]]])),
        case(In((4, 3)), st.sampled_from([2.0, 3]), pad_width=1),
        case(In((4, 3)), pad_width=((0, 0), (1, 2), (2, 1)), mode=st.sampled_from(["reflect", "symmetric"])),
    ),
    "DepthToSpace": case(In((2, 3, 8)), block_size=2, data_format="channels_last", opening=False),
    "SpaceToDepth": case(In((4, 6, 2)), block_size=2, data_format="channels_last", opening=False),
    "ExtractSequences": case(In((2, 7)), sequence_length=st.integers(1, 4), sequence_stride=st.integers(1, 3)),
    # picking
    "GetItem": case(
        In((4, 3)),
        st.sampled_from(
            [
                0,
                -1,
                (slice(None), -1),
                (slice(None), slice(None, None, -1)),
                (Ellipsis, None),
                (Ellipsis, 0),
                (slice(None), None),
                (slice(None), slice(1, 3), 0),
                (slice(None), 1, Ellipsis),
                slice(0, 2),
                (slice(None), slice(None, -1)),
                (slice(None), slice(-1, None, -2), slice(None, None, 2)),
                None,
            ]
        ),
    ),
    "Slice": case(
        In((4, 3)),
        st.sampled_from([[0, 1, 0], (0, 0, 1)]),
        shape=st.sampled_from([[BATCH, 2, 2], (2, 3, 1)]),
        opening=False,
    ),
    "SliceUpdate": case(In((4, 3)), st.sampled_from([[0, 1, 0], (0, 2, 1)]), In((2, 2)), opening=False),
    "Take": case(DEEPLY, st.sampled_from([0, [1, 0], [[0], [1]], -1]), axis=AXIS),
    "TakeAlongAxis": st.one_of(
        case(In((4, 3)), In((2, 3), "index", "int32"), axis=1),
        case(In((4, 3)), In((4, 2), "index", "int64"), axis=-1),
        case(In((4, 3)), In((4, 1), "index", "int32"), axis=2),
        case(In((4, 3)), In((2, 1), "index", "int32"), axis=1),
    ),
    "OneHot": case(
        x("index", "int32"),
        num_classes=st.sampled_from([3, 2]),
        axis=st.sampled_from([-1, 1]),
        dtype=st.sampled_from([None, "int32", "bool"]),
    ),
    "MultiHot": case(x("index", "int32", st.just((4,))), num_classes=st.sampled_from([3, 5])),
    **dict.fromkeys(("Sort", "Argsort"), case(st.one_of(SORTABLE, bools(DEEP)), axis=AXIS)),
    "TopK": case(SORTABLE, k=st.sampled_from([1, 2]), sorted=True),
    "Digitize": case(st.one_of(x(), x("ties"), ints()), np.array([-1.0, 0.0, 0.5, 1.0])),
    "SearchSorted": case(
        np.array([-1, 0, 0.5, 0.5, 1], "float32"), In((), "halves"), side=st.sampled_from(["left", "right"])
    ),
    "IsIn": case(st.one_of(x("ties"), ints()), st.sampled_from([[0, 1], [[2, -1]]]), invert=BOOL),
    **dict.fromkeys(
        ("OnesLike", "ZerosLike", "EmptyLike"),
        case(st.one_of(ANYTHING, x("special")), dtype=st.sampled_from([None, "int32"])),
    ),
    "FullLike": case(ANYTHING, NUMBERS, dtype=st.sampled_from([None, "float32"])),
    **dict.fromkeys(("Tril", "Triu"), case(DEEPLY, k=st.integers(-2, 2))),
    "Size": case(DEEPLY),
    # layers as operations
    **dict.fromkeys(
        ("MaxPool", "AveragePool"),
        RANK12.flatmap(
            lambda r: case(named(r), pool_size=st.sampled_from([2, 3]), strides=st.sampled_from([None, 1, 2]), **WINDOW)
        ),
    ),
    "Conv": kernels(
        lambda r: (st.sampled_from([array(*[2] * r, 4, 3), array(*[3] * r, 4, 2)]),),
        strides=st.sampled_from([1, 2]),
        dilation_rate=1,
    ),
    "DepthwiseConv": kernels(lambda r: (array(*[2] * r, 4, 2),), strides=st.sampled_from([1, 2])),
    "SeparableConv": kernels(lambda r: (array(*[2] * r, 4, 2), array(*[1] * r, 8, 3)), strides=st.sampled_from([1, 2])),
    "BatchNorm": st.one_of(
        case(In((4, 3)), OFFSET, WEIGHT, axis=-1, epsilon=0.1), case(In((3, 4)), OFFSET, WEIGHT, OFFSET, WEIGHT, axis=1)
    ),
    "LayerNorm": st.one_of(
        case(In((4, 3)), WEIGHT, st.sampled_from([None, OFFSET]), axis=-1, epsilon=st.sampled_from([None, 0.1])),
        case(In((4, 3)), None, None, axis=[1, 2]),
        case(In((4, 3)), WEIGHT, None, axis=-1, rms_scaling=True),
    ),
    "RMSNorm": case(In((4, 3)), st.sampled_from([None, WEIGHT]), axis=-1, epsilon=st.sampled_from([None, 0.1])),
    "DotProductAttention": st.one_of(
        case(In((4, 2, 3)), In((5, 2, 3)), In((5, 2, 3)), is_causal=BOOL),
        case(In((4, 4, 3)), In((5, 2, 3)), In((5, 2, 3)), None, In((1, 4, 5), "bool", "bool"), 0.5),
    ),
}
