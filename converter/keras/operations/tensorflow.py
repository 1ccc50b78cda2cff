"""TensorFlow's functions: the `function` of a TFOpLambda (tf.keras 2.4 and later), without its module.

"math.multiply", "nn.softmax", "__operators__.add", "compat.v1.transpose"; modules that are not in `MODULES` are
refused.
There are no rows for what tf.keras takes apart (`moments`, `matvec`, `^`), nor for what it does not write whole: of
`==`, `!=` and einsum the second operand is not in the file, and Keras itself cannot load it.
"""

from __future__ import annotations

from collections.abc import Mapping

from converter.keras.operations import arranging as a
from converter.keras.operations import cumulative as c
from converter.keras.operations import functions as f
from converter.keras.operations import indexing as i
from converter.keras.operations import making as k
from converter.keras.operations import math as m
from converter.keras.operations import nn as n
from converter.keras.operations import products as p
from converter.keras.operations import reductions as r
from converter.keras.operations import shapes as s
from converter.keras.operations import sorting as t
from converter.keras.operations.rows import BINARY, REDUCTIONS, UNARY, Op
from converter.keras.operations.sizes import shape

MODULES = frozenset({
    "", "math", "nn", "linalg", "signal", "dtypes", "__operators__", "compat.v1", "compat.v1.math", "compat.v1.nn",
    "compat.v1.linalg",
})  # fmt: skip

# What both TensorFlow vocabularies have, by the name of the function: names of the NodeDef operations, and the meaning.
TF_BINARY: Mapping[str, tuple[str, f.Function]] = {
    "add": ("AddV2 Add", BINARY["Add"]), "subtract": ("Sub", BINARY["Subtract"]),
    "multiply": ("Mul", BINARY["Multiply"]), "maximum": ("Maximum", BINARY["Maximum"]),
    "minimum": ("Minimum", BINARY["Minimum"]), "pow": ("Pow", BINARY["Power"]), "floormod": ("FloorMod", BINARY["Mod"]),
    "truediv": ("RealDiv", f.true_divide), "divide": ("Div", f.true_divide),
    "divide_no_nan": ("DivNoNan", f.divide_no_nan), "floordiv": ("FloorDiv", BINARY["FloorDivide"]),
    "equal": ("Equal", f.binary("equal")), "not_equal": ("NotEqual", f.binary("not_equal")),
    "less": ("Less", f.binary("less")), "less_equal": ("LessEqual", f.binary("less_equal")),
    "greater": ("Greater", f.binary("greater")), "greater_equal": ("GreaterEqual", f.binary("greater_equal")),
    "logical_and": ("LogicalAnd", f.logical("and")), "logical_or": ("LogicalOr", f.logical("or")),
    "squared_difference": ("SquaredDifference", f.squared_difference),
    "xlogy": ("Xlogy", m.product_no_nan("multiply", "log")),
    "xlog1py": ("Xlog1py", m.product_no_nan("multiply", "log1p")), "xdivy": ("Xdivy", m.product_no_nan("divide")),
    "multiply_no_nan": ("MulNoNan", m.multiply_no_nan),
}  # fmt: skip
TF_UNARY: Mapping[str, tuple[str, f.Function]] = {
    **{name: (node, UNARY[own]) for name, (node, own) in {
        "abs": ("Abs", "Absolute"), "negative": ("Neg", "Negative"), "exp": ("Exp", "Exp"), "log": ("Log", "Log"),
        "sqrt": ("Sqrt", "Sqrt"), "rsqrt": ("Rsqrt", "Rsqrt"), "square": ("Square", "Square"), "sin": ("Sin", "Sin"),
        "cos": ("Cos", "Cos"), "tan": ("Tan", "Tan"), "sign": ("Sign", "Sign"), "floor": ("Floor", "Floor"),
        "ceil": ("Ceil", "Ceil"), "erf": ("Erf", "Erf"), "is_nan": ("IsNan", "Isnan"), "is_inf": ("IsInf", "Isinf"),
        "is_finite": ("IsFinite", "Isfinite"), "logical_not": ("LogicalNot", "LogicalNot"), "tanh": ("Tanh", "Tanh"),
        "sigmoid": ("Sigmoid", "Sigmoid"), "softplus": ("Softplus", "Softplus"), "relu": ("Relu", "Relu"),
        "relu6": ("Relu6", "Relu6"), "selu": ("Selu", "Selu"), "softsign": ("Softsign", "Softsign"),
        "sinh": ("Sinh", "Sinh"), "cosh": ("Cosh", "Cosh"), "asin": ("Asin", "Arcsin"), "acos": ("Acos", "Arccos"),
        "atan": ("Atan", "Arctan"), "asinh": ("Asinh", "Arcsinh"), "acosh": ("Acosh", "Arccosh"),
        "atanh": ("Atanh", "Arctanh"), "expm1": ("Expm1", "Expm1"), "log1p": ("Log1p", "Log1p"),
    }.items()},
    "reciprocal": ("Reciprocal Inv", f.unary("reciprocal")), "round": ("Round", f.unary("round")),
    "rint": ("Rint", f.unary("round")),
}  # fmt: skip
TF_REDUCTIONS: Mapping[str, tuple[str, f.Function]] = {
    **{f"reduce_{name.lower()}": (name, REDUCTIONS[name])
       for name in ("Mean", "Sum", "Max", "Min", "Prod", "Any", "All")},
    "reduce_euclidean_norm": ("EuclideanNorm", lambda o, x, axis=None, keep=False: r.norm(o, x, None, axis, keep)),
}  # fmt: skip


_REDUCE = "input_tensor axis keepdims"
_POOL = "input ksize strides padding data_format"
_CONV = "input filters strides padding data_format dilations"
_LIKE = {"layout": None, "optimize": True}
_MATMUL = dict.fromkeys(("adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse", "grad_a", "grad_b"), False)

_ELEMENTWISE: Mapping[str, Op] = {
    **{name: Op(function, "x y") for name, (_, function) in TF_BINARY.items()},
    **{name: Op(function, "x") for name, (_, function) in TF_UNARY.items()},
    "div": Op(f.true_divide, "x y"), "floor_div": Op(BINARY["FloorDivide"], "x y"), "mod": Op(BINARY["Mod"], "x y"),
    "scalar_mul": Op(BINARY["Multiply"], "scalar x"), "atan2": Op(m.arctan2, "y x"),
    "reciprocal_no_nan": Op(m.reciprocal_no_nan), "log_sigmoid": Op(f.activation("log_sigmoid")),
    "add_n": Op(f.add_n, "inputs"),
    "where": Op(f.where, "condition x y"), "compat.v1.where": Op(f.select, "condition x y"),
    "clip_by_value": Op(f.clip, "t clip_value_min clip_value_max"),
    "cast": Op(f.cast, "x dtype"), "saturate_cast": Op(f.saturate_cast, "value dtype"),
    "bias_add": Op(f.bias_add, "value bias data_format"),
    "softmax": Op(f.softmax, "logits axis"), "log_softmax": Op(f.log_softmax, "logits axis"),
    "leaky_relu": Op(f.with_parameter("leaky_relu", 0.2), "features alpha"),
    "elu": Op(f.activation("elu", 1.0), "features"),
    **{name: Op(UNARY["Silu"], "features", {"beta": 1.0}) for name in ("silu", "swish")},
    "gelu": Op(f.gelu, "features approximate"),
    "identity": Op(s.copy, "input"), "stop_gradient": Op(s.copy, "input"),
    "ensure_shape": Op(lambda o, x, wanted: s.copy(o, x), "x shape"),
}  # fmt: skip
_REDUCTIONS: Mapping[str, Op] = {
    **{name: Op(function, _REDUCE) for name, (_, function) in TF_REDUCTIONS.items()},
    "reduce_logsumexp": Op(r.reduction("logsumexp"), _REDUCE),
    "reduce_variance": Op(r.variance, _REDUCE), "reduce_std": Op(r.deviation, _REDUCE),
    "argmax": Op(r.arg("argmax", "int64"), "input axis _ output_type"),
    "argmin": Op(r.arg("argmin", "int64"), "input axis _ output_type"),
    "count_nonzero": Op(lambda o, x, axis=None, keepdims=False, dtype="int64":
                        r.count_nonzero(o, x, axis, keepdims, dtype), "input axis keepdims dtype"),
    "cumsum": Op(c.cumulative_sum, "x axis exclusive reverse"),
    "cumprod": Op(c.cumulative_product, "x axis exclusive reverse"),
    "l2_normalize": Op(r.l2_normalize, "x axis epsilon"),
    "norm": Op(r.norm, "tensor ord axis keepdims"),
}  # fmt: skip
_PRODUCTS: Mapping[str, Op] = {
    "matmul": Op(p.matmul, "a b transpose_a transpose_b", {**_MATMUL, "output_type": None}),
    "tensordot": Op(p.tensordot, "a b axes"),
    "cross": Op(p.cross, "a b"),
    "trace": Op(lambda o, x: p.trace(o, x, 0, -2, -1)),
    "diag_part": Op(lambda o, x, offset=0: p.diagonal(o, x, offset, -2, -1), "input k",
                    {"padding_value": 0, "align": "RIGHT_LEFT"}),
    "diag": Op(k.diagonal_matrix, "diagonal",
               {"k": 0, "num_rows": -1, "num_cols": -1, "padding_value": 0, "align": "RIGHT_LEFT"}),
    "band_part": Op(k.band_part, "input num_lower num_upper"),
}  # fmt: skip
_SHAPES: Mapping[str, Op] = {
    "concat": Op(s.concatenate, "values axis"),
    "stack": Op(s.stack, "values axis"),
    "unstack": Op(s.unstack, "value num axis"),
    "split": Op(s.split_sizes, "value num_or_size_splits axis num"),
    "expand_dims": Op(s.expand_dims, "input axis"), "squeeze": Op(s.squeeze, "input axis"),
    "reshape": Op(s.reshape, "tensor shape"),
    "transpose": Op(s.transpose, "a perm", {"conjugate": False}),
    "matrix_transpose": Op(lambda o, x: s.swap_axes(o, x, -2, -1), "a", {"conjugate": False}),
    "reverse": Op(s.flip, "tensor axis"), "roll": Op(a.roll, "input shift axis"),
    "repeat": Op(s.repeat, "input repeats axis"), "tile": Op(k.tiled, "input multiples"),
    "pad": Op(s.pad, "tensor paddings mode constant_values"),
    "broadcast_to": Op(k.broadcast_to, "input shape"),
    "depth_to_space": Op(a.depth_to_space, "input block_size data_format"),
    "space_to_depth": Op(a.space_to_depth, "input block_size data_format"),
    "frame": Op(a.frames, "signal frame_length frame_step", {"pad_end": False, "pad_value": 0, "axis": -1}),
    "shape": Op(shape, "input out_type"), "size": Op(k.size, "input out_type"), "rank": Op(k.rank, "input"),
    "zeros": Op(k.of_number(0.0), "shape dtype", {"layout": None}),
    "ones": Op(k.of_number(1.0), "shape dtype", {"layout": None}),
    "fill": Op(k.filled, "dims value", {"layout": None}),
    "range": Op(k.numbers, "start limit delta dtype"),
}  # fmt: skip
_INDEXING: Mapping[str, Op] = {
    "getitem": Op(i.get_item, "x slice_spec", {"var": None}),
    "slice": Op(i.part, "input_ begin size"),
    "strided_slice": Op(i.strided_slice, "input_ begin end strides begin_mask end_mask ellipsis_mask new_axis_mask "
                        "shrink_axis_mask", {"var": None}),
    "gather": Op(i.gather, "params indices _ axis batch_dims"),
    "gather_nd": Op(i.gather_nd, "params indices batch_dims", {"bad_indices_policy": ""}),
    "embedding_lookup": Op(lambda o, table, ids: i.take(o, table, ids, 0), "params ids", {"max_norm": None}),
    "reverse_sequence": Op(i.reverse_sequence, "input seq_lengths seq_axis batch_axis"),
    "one_hot": Op(i.one_hot_of, "indices depth on_value off_value axis dtype"),
    "sequence_mask": Op(k.sequence_mask, "lengths maxlen dtype"),
    "sort": Op(t.sort, "values axis direction"),
    "argsort": Op(t.argsort, "values axis direction", {"stable": False}),
    "top_k": Op(t.top_k, "input k sorted", {"index_type": "int32"}),
    "searchsorted": Op(t.search_sorted, "sorted_sequence values side", {"out_type": "int32"}),
    "ones_like": Op(k.ones_like, "input dtype", _LIKE), "zeros_like": Op(k.zeros_like, "input dtype", _LIKE),
}  # fmt: skip
_NN: Mapping[str, Op] = {
    **{name: Op(n.pool("max"), _POOL) for name in ("max_pool", "max_pool1d", "max_pool2d", "max_pool3d")},
    **{name: Op(n.pool("average"), _POOL) for name in ("avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d")},
    "conv1d": Op(n.conv, _CONV.replace("strides", "stride")),
    "conv2d": Op(n.conv, _CONV), "conv3d": Op(n.conv, _CONV),
    "depthwise_conv2d": Op(n.depthwise_conv, _CONV.replace("filters", "filter")),
}  # fmt: skip
TF_FUNCTIONS: Mapping[str, Op] = {**_ELEMENTWISE, **_REDUCTIONS, **_PRODUCTS, **_SHAPES, **_INDEXING, **_NN}

# Other names that TensorFlow's own functions have for the arguments above.
SYNONYMS: Mapping[str, str] = {
    "features": "x", "input": "x", "value": "input", "keep_dims": "keepdims", "a": "x", "b": "y", "dimension": "axis",
    "dim": "axis", "reduction_indices": "axis", "squeeze_dims": "axis", "filter": "filters",
}  # fmt: skip
# Arguments without effect on the result. A table in one piece is partitioned in no way.
INERT_ARGUMENTS = frozenset({"name", "use_cudnn_on_gpu", "validate_indices", "partition_strategy"})
