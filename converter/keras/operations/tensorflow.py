"""TensorFlow's functions: the `function` of a TFOpLambda (tf.keras 2.4 and later), without its module.

"math.multiply", "nn.softmax", "__operators__.add", "compat.v1.transpose"; modules that are not in `MODULES` are
refused.
There are no rows for what tf.keras takes apart (`moments`, `matvec`, `^`), nor for what it does not write whole: of
`==`, `!=` and einsum the second operand is not in the file, and Keras itself cannot load it.
"""

from __future__ import annotations

from collections.abc import Mapping

from converter.keras.operations import (
    arithmetic,
    arranging,
    cumulative,
    functions,
    indexing,
    making,
    nn,
    products,
    reductions,
    shapes,
    sorting,
)
from converter.keras.operations.rows import BINARY, REDUCTIONS, UNARY, Op
from converter.keras.operations.sizes import shape

MODULES = frozenset({
    "", "math", "nn", "linalg", "signal", "dtypes", "__operators__", "compat.v1", "compat.v1.math", "compat.v1.nn",
    "compat.v1.linalg",
})  # fmt: skip

# What both TensorFlow vocabularies have, by the name of the function: names of the NodeDef operations, and the meaning.
TF_BINARY: Mapping[str, tuple[str, functions.Function]] = {
    "add": ("AddV2 Add", BINARY["Add"]),
    "subtract": ("Sub", BINARY["Subtract"]),
    "multiply": ("Mul", BINARY["Multiply"]),
    "maximum": ("Maximum", BINARY["Maximum"]),
    "minimum": ("Minimum", BINARY["Minimum"]),
    "pow": ("Pow", BINARY["Power"]),
    "floormod": ("FloorMod", BINARY["Mod"]),
    "truediv": ("RealDiv", functions.true_divide),
    "divide": ("Div", functions.true_divide),
    "divide_no_nan": ("DivNoNan", functions.divide_no_nan),
    "floordiv": ("FloorDiv", BINARY["FloorDivide"]),
    "equal": ("Equal", functions.binary("equal")),
    "not_equal": ("NotEqual", functions.binary("not_equal")),
    "less": ("Less", functions.binary("less")),
    "less_equal": ("LessEqual", functions.binary("less_equal")),
    "greater": ("Greater", functions.binary("greater")),
    "greater_equal": ("GreaterEqual", functions.binary("greater_equal")),
    "logical_and": ("LogicalAnd", functions.logical("and")),
    "logical_or": ("LogicalOr", functions.logical("or")),
    "squared_difference": ("SquaredDifference", functions.squared_difference),
    "xlogy": ("Xlogy", arithmetic.product_no_nan("multiply", "log")),
    "xlog1py": ("Xlog1py", arithmetic.product_no_nan("multiply", "log1p")),
    "xdivy": ("Xdivy", arithmetic.product_no_nan("divide")),
    "multiply_no_nan": ("MulNoNan", arithmetic.multiply_no_nan),
}
TF_UNARY: Mapping[str, tuple[str, functions.Function]] = {
    **{
        name: (node, UNARY[own])
        for name, (node, own) in {
            "abs": ("Abs", "Absolute"),
            "negative": ("Neg", "Negative"),
            "exp": ("Exp", "Exp"),
            "log": ("Log", "Log"),
            "sqrt": ("Sqrt", "Sqrt"),
            "rsqrt": ("Rsqrt", "Rsqrt"),
            "square": ("Square", "Square"),
            "sin": ("Sin", "Sin"),
            "cos": ("Cos", "Cos"),
            "tan": ("Tan", "Tan"),
            "sign": ("Sign", "Sign"),
            "floor": ("Floor", "Floor"),
            "ceil": ("Ceil", "Ceil"),
            "erf": ("Erf", "Erf"),
            "is_nan": ("IsNan", "Isnan"),
            "is_inf": ("IsInf", "Isinf"),
            "is_finite": ("IsFinite", "Isfinite"),
            "logical_not": ("LogicalNot", "LogicalNot"),
            "tanh": ("Tanh", "Tanh"),
            "sigmoid": ("Sigmoid", "Sigmoid"),
            "softplus": ("Softplus", "Softplus"),
            "relu": ("Relu", "Relu"),
            "relu6": ("Relu6", "Relu6"),
            "selu": ("Selu", "Selu"),
            "softsign": ("Softsign", "Softsign"),
            "sinh": ("Sinh", "Sinh"),
            "cosh": ("Cosh", "Cosh"),
            "asin": ("Asin", "Arcsin"),
            "acos": ("Acos", "Arccos"),
            "atan": ("Atan", "Arctan"),
            "asinh": ("Asinh", "Arcsinh"),
            "acosh": ("Acosh", "Arccosh"),
            "atanh": ("Atanh", "Arctanh"),
            "expm1": ("Expm1", "Expm1"),
            "log1p": ("Log1p", "Log1p"),
        }.items()
    },
    "reciprocal": ("Reciprocal Inv", functions.unary("reciprocal")),
    "round": ("Round", functions.unary("round")),
    "rint": ("Rint", functions.unary("round")),
}
TF_REDUCTIONS: Mapping[str, tuple[str, functions.Function]] = {
    **{
        f"reduce_{name.lower()}": (name, REDUCTIONS[name])
        for name in ("Mean", "Sum", "Max", "Min", "Prod", "Any", "All")
    },
    "reduce_euclidean_norm": (
        "EuclideanNorm",
        lambda o, x, axis=None, keep=False: reductions.norm(o, x, None, axis, keep),
    ),
}


_REDUCE = "input_tensor axis keepdims"
_POOL = "input ksize strides padding data_format"
_CONV = "input filters strides padding data_format dilations"
_LIKE = {"layout": None, "optimize": True}
_MATMUL = dict.fromkeys(("adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse", "grad_a", "grad_b"), False)

_ELEMENTWISE: Mapping[str, Op] = {
    **{name: Op(function, "x y") for name, (_, function) in TF_BINARY.items()},
    **{name: Op(function, "x") for name, (_, function) in TF_UNARY.items()},
    "div": Op(functions.true_divide, "x y"),
    "floor_div": Op(BINARY["FloorDivide"], "x y"),
    "mod": Op(BINARY["Mod"], "x y"),
    "scalar_mul": Op(BINARY["Multiply"], "scalar x"),
    "atan2": Op(arithmetic.arctan2, "y x"),
    "reciprocal_no_nan": Op(arithmetic.reciprocal_no_nan),
    "log_sigmoid": Op(functions.activation("log_sigmoid")),
    "add_n": Op(functions.add_n, "inputs"),
    "where": Op(functions.where, "condition x y"),
    "compat.v1.where": Op(functions.select, "condition x y"),
    "clip_by_value": Op(functions.clip, "t clip_value_min clip_value_max"),
    "cast": Op(functions.cast, "x dtype"),
    "saturate_cast": Op(functions.saturate_cast, "value dtype"),
    "bias_add": Op(functions.bias_add, "value bias data_format"),
    "softmax": Op(functions.softmax, "logits axis"),
    "log_softmax": Op(functions.log_softmax, "logits axis"),
    "leaky_relu": Op(functions.with_parameter("leaky_relu", 0.2), "features alpha"),
    "elu": Op(functions.activation("elu", 1.0), "features"),
    **{name: Op(UNARY["Silu"], "features", {"beta": 1.0}) for name in ("silu", "swish")},
    "gelu": Op(functions.gelu, "features approximate"),
    "identity": Op(shapes.copy, "input"),
    "stop_gradient": Op(shapes.copy, "input"),
    "ensure_shape": Op(lambda o, x, wanted: shapes.copy(o, x), "x shape"),
}
_REDUCTIONS: Mapping[str, Op] = {
    **{name: Op(function, _REDUCE) for name, (_, function) in TF_REDUCTIONS.items()},
    "reduce_logsumexp": Op(reductions.reduction("logsumexp"), _REDUCE),
    "reduce_variance": Op(reductions.variance, _REDUCE),
    "reduce_std": Op(reductions.deviation, _REDUCE),
    "argmax": Op(reductions.arg("argmax", "int64"), "input axis _ output_type"),
    "argmin": Op(reductions.arg("argmin", "int64"), "input axis _ output_type"),
    "count_nonzero": Op(
        lambda o, x, axis=None, keepdims=False, dtype="int64": reductions.count_nonzero(o, x, axis, keepdims, dtype),
        "input axis keepdims dtype",
    ),
    "cumsum": Op(cumulative.cumulative_sum, "x axis exclusive reverse"),
    "cumprod": Op(cumulative.cumulative_product, "x axis exclusive reverse"),
    "l2_normalize": Op(reductions.l2_normalize, "x axis epsilon"),
    "norm": Op(reductions.norm, "tensor ord axis keepdims"),
}
_PRODUCTS: Mapping[str, Op] = {
    "matmul": Op(products.matmul, "a b transpose_a transpose_b", {**_MATMUL, "output_type": None}),
    "tensordot": Op(products.tensordot, "a b axes"),
    "cross": Op(products.cross, "a b"),
    "trace": Op(lambda o, x: products.trace(o, x, 0, -2, -1)),
    "diag_part": Op(
        lambda o, x, offset=0: products.diagonal(o, x, offset, -2, -1),
        "input k",
        {"padding_value": 0, "align": "RIGHT_LEFT"},
    ),
    "diag": Op(
        making.diagonal_matrix,
        "diagonal",
        {"k": 0, "num_rows": -1, "num_cols": -1, "padding_value": 0, "align": "RIGHT_LEFT"},
    ),
    "band_part": Op(making.band_part, "input num_lower num_upper"),
}
_SHAPES: Mapping[str, Op] = {
    "concat": Op(shapes.concatenate, "values axis"),
    "stack": Op(shapes.stack, "values axis"),
    "unstack": Op(shapes.unstack, "value num axis"),
    "split": Op(shapes.split_sizes, "value num_or_size_splits axis num"),
    "expand_dims": Op(shapes.expand_dims, "input axis"),
    "squeeze": Op(shapes.squeeze, "input axis"),
    "reshape": Op(shapes.reshape, "tensor shape"),
    "transpose": Op(shapes.transpose, "a perm", {"conjugate": False}),
    "matrix_transpose": Op(lambda o, x: shapes.swap_axes(o, x, -2, -1), "a", {"conjugate": False}),
    "reverse": Op(shapes.flip, "tensor axis"),
    "roll": Op(arranging.roll, "input shift axis"),
    "repeat": Op(shapes.repeat, "input repeats axis"),
    "tile": Op(making.tiled, "input multiples"),
    "pad": Op(shapes.pad, "tensor paddings mode constant_values"),
    "broadcast_to": Op(making.broadcast_to, "input shape"),
    "depth_to_space": Op(arranging.depth_to_space, "input block_size data_format"),
    "space_to_depth": Op(arranging.space_to_depth, "input block_size data_format"),
    "frame": Op(arranging.frames, "signal frame_length frame_step", {"pad_end": False, "pad_value": 0, "axis": -1}),
    "shape": Op(shape, "input out_type"),
    "size": Op(making.size, "input out_type"),
    "rank": Op(making.rank, "input"),
    "zeros": Op(making.of_number(0.0), "shape dtype", {"layout": None}),
    "ones": Op(making.of_number(1.0), "shape dtype", {"layout": None}),
    "fill": Op(making.filled, "dims value", {"layout": None}),
    "range": Op(making.numbers, "start limit delta dtype"),
}
_INDEXING: Mapping[str, Op] = {
    "getitem": Op(indexing.get_item, "x slice_spec", {"var": None}),
    "slice": Op(indexing.part, "input_ begin size"),
    "strided_slice": Op(
        indexing.strided_slice,
        "input_ begin end strides begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask",
        {"var": None},
    ),
    "gather": Op(indexing.gather, "params indices _ axis batch_dims"),
    "gather_nd": Op(indexing.gather_nd, "params indices batch_dims", {"bad_indices_policy": ""}),
    "embedding_lookup": Op(lambda o, table, ids: indexing.take(o, table, ids, 0), "params ids", {"max_norm": None}),
    "reverse_sequence": Op(indexing.reverse_sequence, "input seq_lengths seq_axis batch_axis"),
    "one_hot": Op(indexing.one_hot_of, "indices depth on_value off_value axis dtype"),
    "sequence_mask": Op(making.sequence_mask, "lengths maxlen dtype"),
    "sort": Op(sorting.sort, "values axis direction"),
    "argsort": Op(sorting.argsort, "values axis direction", {"stable": False}),
    "top_k": Op(sorting.top_k, "input k sorted", {"index_type": "int32"}),
    "searchsorted": Op(sorting.search_sorted, "sorted_sequence values side", {"out_type": "int32"}),
    "ones_like": Op(making.ones_like, "input dtype", _LIKE),
    "zeros_like": Op(making.zeros_like, "input dtype", _LIKE),
}
_NN: Mapping[str, Op] = {
    **{name: Op(nn.pool("max"), _POOL) for name in ("max_pool", "max_pool1d", "max_pool2d", "max_pool3d")},
    **{name: Op(nn.pool("average"), _POOL) for name in ("avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d")},
    "conv1d": Op(nn.conv, _CONV.replace("strides", "stride")),
    "conv2d": Op(nn.conv, _CONV),
    "conv3d": Op(nn.conv, _CONV),
    "depthwise_conv2d": Op(nn.depthwise_conv, _CONV.replace("filters", "filter")),
}
# What tf.keras writes without a second operand, and cannot open itself.
UNWRITTEN = frozenset({"einsum", "linalg.einsum", "__operators__.eq", "__operators__.ne"})
TF_FUNCTIONS: Mapping[str, Op] = {**_ELEMENTWISE, **_REDUCTIONS, **_PRODUCTS, **_SHAPES, **_INDEXING, **_NN}

# Other names that TensorFlow's own functions have for the arguments above.
SYNONYMS: Mapping[str, str] = {
    "features": "x",
    "input": "x",
    "value": "input",
    "keep_dims": "keepdims",
    "a": "x",
    "b": "y",
    "dimension": "axis",
    "dim": "axis",
    "reduction_indices": "axis",
    "squeeze_dims": "axis",
    "filter": "filters",
}
# Arguments without effect on the result. A table in one piece is partitioned in no way.
INERT_ARGUMENTS = frozenset({"name", "use_cudnn_on_gpu", "validate_indices", "partition_strategy"})
