"""What each TensorFlow function in a model can be asked for, by the name that tf.keras writes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from op_values import (
    BATCH,
    BOOLS,
    DEEP,
    HALF,
    I32,
    INNER,
    KEYS,
    POSITIVE,
    SORTABLE,
    Case,
    F,
    In,
    array,
    bools,
    case,
    ints,
    listed,
    pairs,
    tensors,
    unary,
    x,
)


@dataclass(frozen=True)
class Function:
    """How to call it: the path below `tf`, or something that takes tf and the arguments; and cases of it."""

    call: str | Callable[..., Any]
    cases: Any

    def apply(self, tf: Any, case: Case, *args: Any) -> Any:
        if isinstance(self.call, str):
            return operator.attrgetter(self.call)(tf)(*args, **case.config)
        return self.call(tf, *args, **case.config)


FLOAT, BOOL = st.sampled_from([2.0, 0.5, -1.5]), st.booleans()
AXIS = st.sampled_from([None, 1, -1, [1], [1, 2], -2, 0])
DEEPLY = st.one_of(x("normal", shapes=DEEP), ints(DEEP))
FLOATING = x("normal", shapes=DEEP)
MATH = "math.{}".format


def operands(*inputs: Any, constants: Any = FLOAT) -> Any:
    """Two tensors of one dtype, and a tensor and a number on either side."""
    kinds = inputs or (F,)
    same = st.sampled_from(kinds).flatmap(lambda kind: tensors(kind))
    one = st.sampled_from([k for k in kinds if k[1].startswith("float")] or kinds).map(lambda k: In((4, 3), *k))
    return st.one_of(same, st.builds(Case, st.one_of(st.tuples(one, constants), st.tuples(constants, one))))


def over(python: Callable[..., Any], cases: Any) -> Function:
    """A Python operator."""
    return Function(lambda tf, *args: python(*args), cases)


def sized(make: Callable[..., Any]) -> Function:
    """Of a size that the model takes from its input."""
    return Function(lambda tf, v, **config: make(tf, v, tf.shape(v), **config), case(In((4, 3))))


WINDOW = {"padding": st.sampled_from(["SAME", "VALID"])}
ROWS = st.sampled_from([1, 2])
FUNCTIONS: dict[str, Function] = {
    # two operands
    "add": over(operator.add, operands(F, I32, HALF)),
    "subtract": over(operator.sub, operands(F, I32)),
    "multiply": over(operator.mul, operands(F, I32, HALF)),
    "truediv": over(operator.truediv, operands(F, I32)),
    "pow": over(operator.pow, st.one_of(operands(POSITIVE), case(x(), st.sampled_from([2, 3.0])))),
    "floor_div": over(operator.floordiv, st.one_of(operands(F), tensors(("counts", "int32")), case(ints(), 2))),
    "floormod": over(operator.mod, st.one_of(operands(F), tensors(("counts", "int32")), case(ints(), 3))),
    **{
        name: over(getattr(operator, short), operands(F, I32))
        for name, short in (("less", "lt"), ("less_equal", "le"), ("greater", "gt"), ("greater_equal", "ge"))
    },
    **{
        name: Function(MATH(name), st.sampled_from([F, I32]).flatmap(tensors))
        for name in ("maximum", "minimum", "equal", "not_equal", "squared_difference")
    },
    "div": Function("compat.v1.div", operands(F)),
    "divide_no_nan": Function(MATH("divide_no_nan"), tensors(("ties", "float32"))),
    **{name: Function(MATH(name), tensors(("ties", "float32"), POSITIVE)) for name in ("xlogy", "xlog1py", "xdivy")},
    "multiply_no_nan": Function(MATH("multiply_no_nan"), tensors(("ties", "float32"), ("special", "float32"))),
    "atan2": Function(MATH("atan2"), tensors(F, ("special", "float32"))),
    **{f"logical_{name}": Function(MATH(f"logical_{name}"), tensors(BOOLS)) for name in ("and", "or")},
    "scalar_mul": Function("scalar_mul", case(FLOAT, x())),
    "bias_add": Function("nn.bias_add", case(In((4, 3)), array(3))),
    "add_n": Function("add_n", case(listed(kinds=(F,)))),
    # one operand
    **{name: Function(MATH(name), unary("normal", "special")) for name in ("abs", "sign", "exp", "ceil", "floor")},
    **{name: Function(MATH(name), unary("positive")) for name in ("log", "sqrt", "rsqrt", "reciprocal")},
    **{name: Function(MATH(name), unary("normal", "tiny")) for name in ("sin", "cos", "tan", "sinh", "cosh")},
    **{
        name: Function(MATH(name), unary("normal", "wide"))
        for name in ("negative", "square", "erf", "tanh", "sigmoid", "softplus", "log_sigmoid")
    },
    **{name: Function(MATH(name), unary("unit")) for name in ("asin", "acos", "atanh")},
    **{name: Function(MATH(name), unary("tiny", "wide")) for name in ("atan", "asinh", "expm1")},
    "log1p": Function(MATH("log1p"), unary("tiny", "unit", "positive", "special")),
    "acosh": Function(MATH("acosh"), unary("above1")),
    **{name: Function(MATH(name), unary("halves")) for name in ("round", "rint")},
    **{name: Function(MATH(name), unary("special")) for name in ("is_nan", "is_inf", "is_finite")},
    "reciprocal_no_nan": Function(MATH("reciprocal_no_nan"), unary("ties")),
    "logical_not": over(operator.invert, case(bools())),
    **{name: Function(f"nn.{name}", unary()) for name in ("relu", "relu6", "selu", "softsign", "elu", "silu")},
    "leaky_relu": Function("nn.leaky_relu", case(x(), alpha=st.sampled_from([0.2, 0.5]))),
    "gelu": Function("nn.gelu", case(x(), approximate=BOOL)),
    **{
        name: Function(f"nn.{name}", case(FLOATING, axis=st.sampled_from([None, 1, -1])))
        for name in ("softmax", "log_softmax")
    },
    "compat.v1.where": Function(
        "compat.v1.where",
        pairs(F).map(lambda p: Case((In(p[0].shape, "bool", "bool"), In(p[0].shape), In(p[0].shape)))),
    ),
    "where": Function("where", pairs(F).map(lambda p: Case((In(p[0].shape, "bool", "bool"), *p)))),
    "clip_by_value": Function("clip_by_value", case(x(), -0.5, st.sampled_from([0.5, 1.0]))),
    "cast": Function(
        "cast", case(st.one_of(x("wide"), ints(), bools()), st.sampled_from(["float32", "int32", "bool", "int64"]))
    ),
    "saturate_cast": Function("saturate_cast", case(x("wide"), st.sampled_from(["int8", "uint8", "int32"]))),
    "identity": Function("identity", unary()),
    "stop_gradient": Function("stop_gradient", unary()),
    "ensure_shape": Function("ensure_shape", case(In((4, 3)), [None, 4, 3])),
    # reductions
    **{
        f"reduce_{n}": Function(MATH(f"reduce_{n}"), case(DEEPLY, axis=AXIS, keepdims=BOOL))
        for n in ("sum", "max", "min", "prod")
    },
    **{
        f"reduce_{n}": Function(MATH(f"reduce_{n}"), case(FLOATING, axis=AXIS, keepdims=BOOL))
        for n in ("mean", "variance", "std", "logsumexp", "euclidean_norm")
    },
    **{
        f"reduce_{n}": Function(MATH(f"reduce_{n}"), case(bools(DEEP), axis=AXIS, keepdims=BOOL))
        for n in ("any", "all")
    },
    **{
        n: Function(MATH(n), case(SORTABLE, axis=INNER, output_type=st.sampled_from(["int64", "int32"])))
        for n in ("argmax", "argmin")
    },
    "count_nonzero": Function(MATH("count_nonzero"), case(SORTABLE, axis=AXIS, keepdims=BOOL)),
    "cumsum": Function(MATH("cumsum"), case(DEEPLY, axis=INNER, exclusive=BOOL, reverse=BOOL)),
    "cumprod": Function(MATH("cumprod"), case(DEEPLY, axis=INNER, exclusive=BOOL, reverse=BOOL, opening=False)),
    "l2_normalize": Function(MATH("l2_normalize"), case(FLOATING, axis=INNER)),
    "norm": Function("norm", case(FLOATING, ord=st.sampled_from(["euclidean", 1, 2, 3]), axis=INNER, keepdims=BOOL)),
    # products
    "matmul": Function(
        "matmul", st.one_of(case(In((4, 3)), In((4, 3)), transpose_b=True), case(In((4, 3)), array(3, 2)))
    ),
    "tensordot": Function("tensordot", case(In((4, 3)), array(3, 2), st.sampled_from([1, [[2], [0]]]))),
    "cross": Function("linalg.cross", case(In((4, 3)), In((4, 3)))),
    "trace": Function("linalg.trace", case(In((4, 3)))),
    "diag": Function("linalg.diag", case(FLOATING)),
    "diag_part": Function("linalg.diag_part", case(In((4, 3)), opening=False)),
    "band_part": Function("linalg.band_part", case(FLOATING, st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1]))),
    # shapes
    "concat": Function("concat", case(listed(kinds=(F,)), axis=INNER)),
    "stack": Function("stack", case(listed(kinds=(F,)), axis=INNER)),
    "unstack": Function("unstack", case(In((4, 3)), axis=INNER, opening=False)),
    "split": Function("split", case(In((4, 6)), st.sampled_from([2, [1, 3], [2, -1]]), axis=INNER, opening=False)),
    "expand_dims": Function("expand_dims", case(DEEPLY, axis=st.sampled_from([0, 1, -1]))),
    "squeeze": Function("squeeze", case(In((1, 3, 1)), axis=st.sampled_from([1, [1, 3], -1]))),
    "reshape": Function("reshape", case(In((4, 6)), st.sampled_from([[-1, 24], [-1, 2, 12], [-1]]))),
    "transpose": Function("transpose", case(In((2, 3)), st.one_of(st.none(), st.permutations([0, 1, 2])))),
    "matrix_transpose": Function("linalg.matrix_transpose", case(DEEPLY)),
    "reverse": Function("reverse", case(DEEPLY, st.sampled_from([[1], [1, 2], [-1]]))),
    "roll": Function("roll", case(DEEPLY, st.sampled_from([1, -1, 5]), INNER)),
    "repeat": Function("repeat", case(DEEPLY, st.sampled_from([2, 3]), axis=INNER)),
    "tile": Function("tile", case(In((4, 3)), st.sampled_from([[1, 2, 1], [2, 1, 2]]))),
    "pad": Function(
        "pad", case(In((4, 3)), [[0, 0], [1, 2], [1, 0]], mode=st.sampled_from(["CONSTANT", "REFLECT", "SYMMETRIC"]))
    ),
    "broadcast_to": sized(lambda tf, v, s: tf.broadcast_to(v[:, :1], s)),
    "depth_to_space": Function("nn.depth_to_space", case(In((2, 3, 8)), 2, opening=False)),
    "space_to_depth": Function("nn.space_to_depth", case(In((4, 6, 2)), 2, opening=False)),
    "frame": Function("signal.frame", case(In((7,)), st.integers(1, 4), st.integers(1, 3), opening=False)),
    "shape": sized(lambda tf, v, s: tf.reshape(v, (s[0], -1))),
    "size": Function("size", case(DEEPLY)),
    "rank": Function("rank", case(DEEPLY)),
    "zeros": sized(lambda tf, v, s: tf.zeros((s[0], 2)) + tf.reduce_sum(v[:, 0], axis=1, keepdims=True)),
    "ones": sized(lambda tf, v, s: tf.ones([s[0], s[1]])),
    "fill": sized(lambda tf, v, s: tf.fill([s[0], 3], 2.5)),
    "range": sized(lambda tf, v, s: tf.cast(tf.range(s[1]), "float32") / tf.cast(s[1], "float32") + v[:, :, 0]),
    # picking
    "getitem": Function(
        lambda tf, v, key: v[key],
        case(
            In((4, 3)),
            st.sampled_from(KEYS),
        ),
    ),
    "slice": Function("slice", case(In((4, 3)), [0, 1, 0], st.sampled_from([[-1, 2, 2], [2, 3, 1]]), opening=False)),
    "strided_slice": Function(
        "strided_slice", case(In((4, 3)), [0, 1, 0], [BATCH, 4, 3], st.sampled_from([[1, 1, 1], [1, 2, 1]]))
    ),
    "gather": Function(
        "gather",
        st.one_of(
            case(In((4, 3)), st.sampled_from([0, [1, 0], [[0], [1]]]), axis=INNER),
            case(In((4, 3)), In((2,), "index", "int32"), axis=1, batch_dims=1),
            case(In((3, 4, 3)), In((2,), "index", "int64"), axis=st.sampled_from([1, 3]), batch_dims=1),
        ),
    ),
    "gather_nd": Function(
        "gather_nd",
        st.one_of(
            case(In((4, 3)), In((2, 1), "index", "int32"), batch_dims=1),
            case(In((4, 3)), In((2, 2), "index", "int32"), batch_dims=1),
        ),
    ),
    "embedding_lookup": Function(
        lambda tf, i, table: tf.nn.embedding_lookup(tf.constant(table), i), case(x("index", "int32"), array(3, 2))
    ),
    "reverse_sequence": Function("reverse_sequence", case(In((4, 3)), In((), "counts", "int32"), seq_axis=1)),
    "one_hot": Function(
        "one_hot", case(x("index", "int32"), 3, on_value=st.sampled_from([None, 2.0, 5]), axis=st.sampled_from([-1, 1]))
    ),
    "sequence_mask": Function(
        "sequence_mask", case(x("counts", "int32"), 5, dtype=st.sampled_from(["bool", "float32"]))
    ),
    "sort": Function("sort", case(SORTABLE, axis=INNER, direction=st.sampled_from(["ASCENDING", "DESCENDING"]))),
    "argsort": Function("argsort", case(SORTABLE, axis=INNER, direction=st.sampled_from(["ASCENDING", "DESCENDING"]))),
    "top_k": Function("math.top_k", case(SORTABLE, k=st.sampled_from([1, 2]))),
    "searchsorted": Function(
        "searchsorted", case([-1.0, 0.0, 0.5], In((), "halves"), side=st.sampled_from(["left", "right"]))
    ),
    "ones_like": Function("ones_like", case(st.one_of(x(), ints()))),
    "zeros_like": Function("zeros_like", case(st.one_of(x(), ints()))),
    # layers as functions
    **{
        f"{n}{r}d": Function(f"nn.{n}{r}d", case(In((6, 4) if r == 1 else (5, 6, 4)), 2, strides=ROWS, **WINDOW))
        for n in ("max_pool", "avg_pool")
        for r in (1, 2)
    },
    **{
        f"{n}3d": Function(f"nn.{n}3d", case(In((4, 3, 4, 2)), 2, strides=ROWS, **WINDOW))
        for n in ("max_pool", "avg_pool")
    },
    **{
        n: Function(
            f"compat.v1.nn.{n}",
            case(In((5, 6, 4)), [1, 2, 2, 1], strides=st.sampled_from([[1, 1, 1, 1], [1, 2, 1, 1]]), **WINDOW),
        )
        for n in ("max_pool", "avg_pool")
    },
    "conv1d": Function("nn.conv1d", case(In((6, 4)), array(2, 4, 3), stride=ROWS, **WINDOW)),
    "conv2d": Function("nn.conv2d", case(In((5, 6, 4)), array(2, 2, 4, 3), strides=ROWS, **WINDOW)),
    "conv3d": Function("nn.conv3d", case(In((4, 3, 4, 2)), array(2, 2, 2, 2, 3), strides=[1, 1, 1, 1, 1], **WINDOW)),
    "depthwise_conv2d": Function(
        "nn.depthwise_conv2d", case(In((5, 6, 4)), array(2, 2, 4, 2), strides=[1, 1, 1, 1], **WINDOW)
    ),
}
