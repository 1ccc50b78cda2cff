"""Names of operations, by who names them, and the functions they mean. Each row lists the names of the arguments.

The arguments stand in the order of the function's own; `_` is one that the operation does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from converter.keras.layers import op_functions as f
from converter.keras.layers import op_indexing as i
from converter.keras.layers import op_shapes as s
from converter.keras.layers.op_sizes import shape

PREFIX = "ops."  # before a Keras 3 operation's class, since layers have the same names (Add, Concatenate, Softmax)


class Op(NamedTuple):
    """A function and the names its arguments have; `fixed` are arguments that only this value is supported for."""

    function: f.Function
    names: str = "x"
    fixed: Mapping[str, object] = {}


_BINARY = {
    "Add": f.binary("add"), "Subtract": f.binary("subtract"), "Multiply": f.binary("multiply"), "Divide": f.divide,
    "TrueDivide": f.divide, "DivideNoNan": f.divide_no_nan, "FloorDivide": f.binary("floor_divide"),
    "Power": f.binary("power"), "Mod": f.binary("mod"), "Maximum": f.binary("maximum"), "Minimum": f.binary("minimum"),
    "Equal": f.binary("equal"), "NotEqual": f.binary("not_equal"), "Less": f.binary("less"),
    "LessEqual": f.binary("less_equal"), "Greater": f.binary("greater"), "GreaterEqual": f.binary("greater_equal"),
    "LogicalAnd": f.logical("and"), "LogicalOr": f.logical("or"), "LogicalXor": f.logical("xor"), "Matmul": f.matmul,
    "Dot": f.dot,
}  # fmt: skip
_UNARY = {
    "Absolute": f.unary("abs"), "Abs": f.unary("abs"), "Negative": f.unary("negative"), "Exp": f.unary("exp"),
    "Log": f.unary("log"), "Sqrt": f.unary("sqrt"), "Rsqrt": f.unary("rsqrt"), "Square": f.unary("square"),
    "Sin": f.unary("sin"), "Cos": f.unary("cos"), "Tan": f.unary("tan"), "Sign": f.unary("sign"),
    "Floor": f.unary("floor"), "Ceil": f.unary("ceil"), "Reciprocal": f.unary("reciprocal"), "Erf": f.unary("erf"),
    "Isnan": f.unary("isnan"), "LogicalNot": f.logical_not, "Copy": s.copy, "StopGradient": s.copy,
    "Tanh": f.activation("tanh"), "Sigmoid": f.activation("sigmoid"), "Relu": f.relu, "Silu": f.activation("silu"),
    "Relu6": f.activation("relu", 0.0, 6.0, 0.0), "Softplus": f.activation("softplus"),
    "Softsign": f.activation("softsign"), "Selu": f.activation("selu"), "LogSigmoid": f.activation("log_sigmoid"),
    "HardSigmoid": f.activation("hard_sigmoid", 1 / 6, 0.5), "HardSilu": f.activation("hard_silu"),
    "HardTanh": f.activation("hard_tanh"), "TanhShrink": f.activation("tanh_shrink"),
    "SparsePlus": f.activation("sparse_plus"), "SparseSigmoid": f.activation("hard_sigmoid", 0.5, 0.5),
}  # fmt: skip
_REDUCTIONS = {
    "Mean": f.reduction("mean"), "Sum": f.reduction("sum"), "Prod": f.reduction("prod"), "Any": f.reduction("any"),
    "All": f.reduction("all"), "Max": f.reduction("max"), "Min": f.reduction("min"), "Amax": f.reduction("max"),
    "Amin": f.reduction("min"), "Logsumexp": f.reduction("logsumexp"), "Var": f.variance, "Std": f.deviation,
    "Argmax": f.arg("argmax", "int32"), "Argmin": f.arg("argmin", "int32"),
}  # fmt: skip

# Keras 3: classes of keras.src.ops; constructor arguments stand in the configuration, call arguments in the node.
KERAS3: Mapping[str, Op] = {
    **{name: Op(function, "x1 x2") for name, function in _BINARY.items()},
    **{name: Op(function) for name, function in _UNARY.items()},
    **{name: Op(function, "x axis keepdims", {"initial": None}) for name, function in _REDUCTIONS.items()},
    "Average": Op(f.average, "x weights axis"),
    "Cumsum": Op(f.cumulative_sum, "x axis", {"dtype": None}),
    "Normalize": Op(f.normalize, "x axis order epsilon"),
    "Einsum": Op(f.einsum, "subscripts *"),
    "Where": Op(f.where, "condition x1 x2"),
    "Clip": Op(f.clip, "x x_min x_max"),
    "Cast": Op(f.cast, "x dtype"),
    "ConvertToTensor": Op(f.converted, "x dtype", {"sparse": None, "ragged": None}),  # the mask behind an Attention
    "Round": Op(f.unary("round"), "x", {"decimals": 0}),
    "Softmax": Op(f.softmax, "x axis"),
    "LogSoftmax": Op(f.log_softmax, "x axis"),
    "LeakyRelu": Op(f.with_parameter("leaky_relu"), "x negative_slope"),
    "Elu": Op(f.with_parameter("elu"), "x alpha"),
    "Celu": Op(f.with_parameter("celu"), "x alpha"),
    "HardShrink": Op(f.with_parameter("hard_shrink"), "x threshold"),
    "SoftShrink": Op(f.with_parameter("soft_shrink"), "x threshold"),
    "Squareplus": Op(f.with_parameter("squareplus"), "x b"),
    "Gelu": Op(f.gelu, "x approximate"),
    "Concatenate": Op(s.concatenate, "xs axis"),
    "Stack": Op(s.stack, "x axis"),
    "Unstack": Op(s.unstack, "x num axis"),
    "Split": Op(s.split, "x indices_or_sections axis"),
    "GetItem": Op(i.get_item, "x key"),
    "ExpandDims": Op(s.expand_dims, "x axis"),
    "Squeeze": Op(s.squeeze, "x axis"),
    "Reshape": Op(s.reshape, "x newshape"),
    "Transpose": Op(s.transpose, "x axes"),
    "Swapaxes": Op(s.swap_axes, "x axis1 axis2"),
    "Moveaxis": Op(s.move_axis, "x source destination"),
    "Flip": Op(s.flip, "x axis"),
    "Repeat": Op(s.repeat, "x repeats axis"),
    "Tile": Op(s.tile, "x repeats"),
    "BroadcastTo": Op(s.broadcast_to, "x shape"),
    "Pad": Op(s.pad, "x pad_width mode constant_values"),
    "Take": Op(i.take, "x indices axis"),
    "OneHot": Op(i.one_hot, "x num_classes axis dtype", {"sparse": False}),
    "OnesLike": Op(s.ones_like, "x dtype"),
    "ZerosLike": Op(s.zeros_like, "x dtype"),
}

# Neutral names of what both TensorFlow vocabularies below have.
_TF_BINARY = {
    "add": ("AddV2 Add", _BINARY["Add"]), "subtract": ("Sub", _BINARY["Subtract"]),
    "multiply": ("Mul", _BINARY["Multiply"]), "maximum": ("Maximum", _BINARY["Maximum"]),
    "minimum": ("Minimum", _BINARY["Minimum"]), "pow": ("Pow", _BINARY["Power"]),
    "floormod": ("FloorMod", _BINARY["Mod"]),
    "truediv": ("RealDiv", f.divide_floats), "divide": ("Div", f.divide_floats),
    "divide_no_nan": ("DivNoNan", f.divide_no_nan), "floordiv": ("FloorDiv", _BINARY["FloorDivide"]),
    "equal": ("Equal", _BINARY["Equal"]), "not_equal": ("NotEqual", _BINARY["NotEqual"]),
    "less": ("Less", _BINARY["Less"]),
    "less_equal": ("LessEqual", _BINARY["LessEqual"]), "greater": ("Greater", _BINARY["Greater"]),
    "greater_equal": ("GreaterEqual", _BINARY["GreaterEqual"]),
    "logical_and": ("LogicalAnd", f.logical("and")),
    "logical_or": ("LogicalOr", f.logical("or")), "squared_difference": ("SquaredDifference", f.squared_difference),
}  # fmt: skip
_TF_UNARY = {
    "abs": ("Abs", "Absolute"), "negative": ("Neg", "Negative"), "exp": ("Exp", "Exp"), "log": ("Log", "Log"),
    "sqrt": ("Sqrt", "Sqrt"), "rsqrt": ("Rsqrt", "Rsqrt"), "square": ("Square", "Square"), "sin": ("Sin", "Sin"),
    "cos": ("Cos", "Cos"), "tan": ("Tan", "Tan"), "sign": ("Sign", "Sign"), "floor": ("Floor", "Floor"),
    "ceil": ("Ceil", "Ceil"), "reciprocal": ("Reciprocal", "Reciprocal"), "erf": ("Erf", "Erf"),
    "is_nan": ("IsNan", "Isnan"), "logical_not": ("LogicalNot", "LogicalNot"), "tanh": ("Tanh", "Tanh"),
    "sigmoid": ("Sigmoid", "Sigmoid"), "softplus": ("Softplus", "Softplus"), "relu": ("Relu", "Relu"),
    "relu6": ("Relu6", "Relu6"), "selu": ("Selu", "Selu"), "softsign": ("Softsign", "Softsign"),
}  # fmt: skip
_REDUCE = "input_tensor axis keepdims"
_TF_REDUCTIONS = {
    "mean": ("Mean", "Mean"), "sum": ("Sum", "Sum"), "max": ("Max", "Max"), "min": ("Min", "Min"),
    "prod": ("Prod", "Prod"), "any": ("Any", "Any"), "all": ("All", "All"),
}  # fmt: skip

# tf.keras 2.4 and later: the `function` of a TFOpLambda, without its module ("math.multiply", "nn.softmax").
TF_FUNCTIONS: Mapping[str, Op] = {
    **{name: Op(function, "x y") for name, (_, function) in _TF_BINARY.items()},
    **{name: Op(_UNARY[own], "x") for name, (_, own) in _TF_UNARY.items()},
    **{f"reduce_{name}": Op(_REDUCTIONS[own], _REDUCE) for name, (_, own) in _TF_REDUCTIONS.items()},
    "sub": Op(_BINARY["Subtract"], "x y"), "mul": Op(_BINARY["Multiply"], "x y"), "div": Op(f.divide_floats, "x y"),
    "floor_div": Op(_BINARY["FloorDivide"], "x y"),
    "mod": Op(_BINARY["Mod"], "x y"), "neg": Op(_UNARY["Negative"]), "scalar_mul": Op(_BINARY["Multiply"], "scalar x"),
    "radd": Op(lambda o, a, b: _BINARY["Add"](o, b, a), "x y"),
    "rsub": Op(lambda o, a, b: _BINARY["Subtract"](o, b, a), "x y"),
    "rmul": Op(lambda o, a, b: _BINARY["Multiply"](o, b, a), "x y"),
    "rtruediv": Op(lambda o, a, b: f.divide_floats(o, b, a), "x y"),
    "eq": Op(_BINARY["Equal"], "x y"), "ne": Op(_BINARY["NotEqual"], "x y"),
    "reduce_logsumexp": Op(f.reduction("logsumexp"), _REDUCE),
    "reduce_variance": Op(f.variance, _REDUCE),
    "reduce_std": Op(f.deviation, _REDUCE),
    "argmax": Op(f.arg("argmax", "int64"), "input axis", {"output_type": "int64"}),
    "argmin": Op(f.arg("argmin", "int64"), "input axis", {"output_type": "int64"}),
    "cumsum": Op(f.cumulative_sum, "x axis exclusive reverse"),
    "l2_normalize": Op(f.l2_normalize, "x axis epsilon"),
    "add_n": Op(f.add_n, "inputs"),
    "matmul": Op(f.matmul, "a b transpose_a transpose_b",
                 dict.fromkeys(("adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse", "grad_a", "grad_b"), False)),
    "einsum": Op(f.einsum, "equation *"),
    "where": Op(f.where, "condition x y"),
    "clip_by_value": Op(f.clip, "t clip_value_min clip_value_max"),
    "cast": Op(f.cast, "x dtype"),
    "bias_add": Op(f.bias_add, "value bias data_format"),
    "softmax": Op(f.softmax, "logits axis"),
    "log_softmax": Op(f.log_softmax, "logits axis"),
    "leaky_relu": Op(f.with_parameter("leaky_relu", 0.2), "features alpha"),
    "elu": Op(f.activation("elu", 1.0), "features"),
    "swish": Op(f.activation("silu"), "features", {"beta": 1.0}),
    "silu": Op(f.activation("silu"), "features", {"beta": 1.0}),
    "gelu": Op(f.gelu, "features approximate"),
    "concat": Op(s.concatenate, "values axis"),
    "stack": Op(s.stack, "values axis"),
    "unstack": Op(s.unstack, "value num axis"),
    "split": Op(s.split_sizes, "value num_or_size_splits axis num"),
    "getitem": Op(i.get_item, "x slice_spec", {"var": None}),
    "expand_dims": Op(s.expand_dims, "input axis"),
    "squeeze": Op(s.squeeze, "input axis"),
    "reshape": Op(s.reshape, "tensor shape"),
    "shape": Op(shape, "input out_type"),
    "transpose": Op(s.transpose, "a perm", {"conjugate": False}),
    "reverse": Op(s.flip, "tensor axis"),
    "repeat": Op(s.repeat, "input repeats axis"),
    "tile": Op(s.tile, "input multiples"),
    "pad": Op(s.pad, "tensor paddings mode constant_values"),
    "gather": Op(i.gather, "params indices validate_indices axis batch_dims"),
    "one_hot": Op(i.one_hot, "indices depth axis dtype", {"on_value": None, "off_value": None}),
    "ones_like": Op(s.ones_like, "input dtype", {"layout": None, "optimize": True}),
    "zeros_like": Op(s.zeros_like, "input dtype", {"layout": None, "optimize": True}),
    "identity": Op(s.copy, "input"), "stop_gradient": Op(s.copy, "input"),
}  # fmt: skip

# Other names that TensorFlow's own functions have for the arguments above.
SYNONYMS: Mapping[str, str] = {
    "features": "x", "input": "x", "keep_dims": "keepdims", "a": "x", "b": "y", "dimension": "axis", "dim": "axis",
}  # fmt: skip

# TF 1.15 to 2.3: the `op` of a TensorFlowOpLayer's NodeDef; attributes that are read follow the inputs.
NODE_DEFS: Mapping[str, Op] = {
    **{op: Op(function, "0 1") for ops, function in _TF_BINARY.values() for op in ops.split()},
    **{op: Op(_UNARY[own], "0") for op, own in _TF_UNARY.values()},
    **{op: Op(_REDUCTIONS[own], "0 1 keep_dims") for op, own in _TF_REDUCTIONS.values()},
    "Elu": Op(f.activation("elu", 1.0), "0"),
    "LeakyRelu": Op(f.with_parameter("leaky_relu"), "0 alpha"),
    "AddN": Op(lambda o, *xs: f.add_n(o, xs), "*"),
    "BiasAdd": Op(f.bias_add, "0 1 data_format"),
    "Softmax": Op(f.softmax, "0"),
    "MatMul": Op(f.matmul, "0 1 transpose_a transpose_b"),
    "BatchMatMul": Op(f.matmul, "0 1 adj_x adj_y"), "BatchMatMulV2": Op(f.matmul, "0 1 adj_x adj_y"),
    "Einsum": Op(lambda o, equation, *xs: f.einsum(o, equation, *xs), "equation *"),
    "SelectV2": Op(f.where, "0 1 2"),
    "Select": Op(f.select, "0 1 2"),
    "OneHot": Op(i.one_hot_of, "0 1 2 3 axis"),
    "Cast": Op(f.cast, "0 DstT", {"Truncate": False}),
    "ArgMax": Op(f.arg("argmax", "int64"), "0 1"), "ArgMin": Op(f.arg("argmin", "int64"), "0 1"),
    "Cumsum": Op(f.cumulative_sum, "0 1 exclusive reverse"),
    "ConcatV2": Op(lambda o, *xs: s.concatenate(o, xs[:-1], xs[-1]), "*"),
    "Pack": Op(lambda o, axis, *xs: s.stack(o, xs, axis), "axis *"),
    "Unpack": Op(s.unstack, "0 num axis"),
    "Split": Op(lambda o, axis, x, num: s.split(o, x, num, axis), "0 1 num_split"),
    "SplitV": Op(s.split_sizes, "0 1 2 num_split"),
    "StridedSlice": Op(i.strided_slice,
                       "0 1 2 3 begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask"),
    "ExpandDims": Op(s.expand_dims, "0 1"),
    "Shape": Op(shape, "0"),
    "Squeeze": Op(s.squeeze, "0 squeeze_dims"),
    "Reshape": Op(s.reshape, "0 1"),
    "Transpose": Op(s.transpose, "0 1"),
    "ReverseV2": Op(s.flip, "0 1"),
    "Tile": Op(s.tile, "0 1"),
    "Pad": Op(s.pad, "0 1"),
    "GatherV2": Op(lambda o, x, indices, axis: i.take(o, x, indices, axis), "0 1 2", {"batch_dims": 0}),
    "OnesLike": Op(s.ones_like, "0"), "ZerosLike": Op(s.zeros_like, "0"),
    "Identity": Op(s.copy, "0"), "StopGradient": Op(s.copy, "0"),
}  # fmt: skip
