"""Keras 3's operations: classes of keras.src.ops and the functions they mean.

Constructor arguments stand in the configuration, call arguments in the node.
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
from converter.keras.operations.values import floating

_REDUCE = "x axis keepdims"
_POOL = "inputs pool_size strides padding data_format"
_CONV = "inputs kernel strides padding data_format dilation_rate"

_ELEMENTWISE: Mapping[str, Op] = {
    **{name: Op(function, "x1 x2") for name, function in BINARY.items()},
    **{name: Op(function) for name, function in UNARY.items()},
    "Fabs": Op(lambda o, x: m.absolute(o, floating(o, x))),
    "Isreal": Op(lambda o, x: k.ones_like(o, x, "bool")),
    "Real": Op(s.copy), "Conj": Op(s.copy), "Conjugate": Op(s.copy),
    "BitwiseNot": Op(m.invert), "BitwiseInvert": Op(m.invert),
    "Isclose": Op(m.is_close, "x1 x2 rtol atol equal_nan"),
    "AllClose": Op(m.all_close, "x1 x2 rtol atol equal_nan"),
    "NanToNum": Op(m.nan_to_number, "x nan posinf neginf"),
    "Where": Op(f.where, "condition x1 x2"),
    "Select": Op(f.choose, "condlist choicelist default"),
    "Clip": Op(f.clip, "x x_min x_max"),
    "Cast": Op(f.cast, "x dtype"),
    "SaturateCast": Op(f.saturate_cast, "x dtype"),
    "ConvertToTensor": Op(f.optional_cast, "x dtype", {"sparse": None, "ragged": None}),
    "Array": Op(f.optional_cast, "x dtype"),
    "Round": Op(m.rounded, "x decimals"),
    "Softmax": Op(f.softmax, "x axis"),
    "LogSoftmax": Op(f.log_softmax, "x axis"),
    "Sparsemax": Op(f.sparsemax, "x axis"),
    "Glu": Op(f.glu, "x axis"),
    "LeakyRelu": Op(f.with_parameter("leaky_relu"), "x negative_slope"),
    "Elu": Op(f.with_parameter("elu"), "x alpha"),
    "Celu": Op(f.with_parameter("celu"), "x alpha"),
    "HardShrink": Op(f.with_parameter("hard_shrink"), "x threshold"),
    "SoftShrink": Op(f.with_parameter("soft_shrink"), "x threshold"),
    "Squareplus": Op(f.with_parameter("squareplus"), "x b"),
    "Threshold": Op(f.threshold, "x threshold default_value"),
    "Gelu": Op(f.gelu, "x approximate"),
}  # fmt: skip
_REDUCTIONS: Mapping[str, Op] = {
    **{name: Op(function, _REDUCE) for name, function in REDUCTIONS.items()},
    "Max": Op(r.reduction("max"), f"{_REDUCE} initial"), "Min": Op(r.reduction("min"), f"{_REDUCE} initial"),
    "Amax": Op(r.reduction("max"), _REDUCE), "Amin": Op(r.reduction("min"), _REDUCE),
    "Prod": Op(r.typed("prod"), f"{_REDUCE} dtype"),
    "Argmax": Op(r.arg("argmax", "int32"), _REDUCE), "Argmin": Op(r.arg("argmin", "int32"), _REDUCE),
    "Average": Op(r.average, "x weights axis"),
    "Moments": Op(r.moments, "x axes keepdims", {"synchronized": False}),
    "CountNonzero": Op(r.count_nonzero, "x axis"),
    "Ptp": Op(r.span, _REDUCE),
    **{f"Nan{op}": Op(r.without_nan(op), _REDUCE) for op in ("sum", "prod", "max", "min")},
    "Nanmean": Op(r.mean_without_nan, _REDUCE), "Nanvar": Op(r.variance_without_nan, _REDUCE),
    "Nanstd": Op(r.deviation_without_nan, _REDUCE), "Nanargmax": Op(r.arg_without_nan("argmax"), _REDUCE),
    "Nanargmin": Op(r.arg_without_nan("argmin"), _REDUCE),
    "Cumsum": Op(c.cumulative_sum, "x axis", {"dtype": None}),
    "Cumprod": Op(c.cumulative_product, "x axis", {"dtype": None}),
    "Nancumsum": Op(c.cumulative_without_nan(c.cumulative_sum), "x axis", {"dtype": None}),
    "Norm": Op(r.norm, "x ord axis keepdims"),
    "Normalize": Op(r.normalize, "x axis order epsilon"),
    "Median": Op(t.median, _REDUCE),
    "Quantile": Op(lambda o, x, q, axis=None, keepdims=False: t.quantile(o, x, q, axis, "linear", keepdims),
                   "x q axis keepdims", {"method": "linear"}),  # Keras 3.15 does not tell its backend the method
    "Percentile": Op(t.percentile, "x q axis method keepdims"),
}  # fmt: skip
_PRODUCTS: Mapping[str, Op] = {
    "Matmul": Op(p.matmul, "x1 x2"),
    "Dot": Op(p.dot, "x1 x2"),
    "Inner": Op(p.inner, "x1 x2"),
    "Vdot": Op(p.vdot, "x1 x2"),
    "Outer": Op(p.outer, "x1 x2"),
    "Kron": Op(p.kron, "x1 x2"),
    "Tensordot": Op(p.tensordot, "x1 x2 axes"),
    "Einsum": Op(p.einsum, "subscripts *"),
    "Cross": Op(p.cross, "x1 x2 axisa axisb axisc axis"),
    "Diagonal": Op(p.diagonal, "x offset axis1 axis2"),
    "Trace": Op(p.trace, "x offset axis1 axis2"),
    "Diff": Op(p.difference, "a n axis"),
    "Trapezoid": Op(p.trapezoid, "y x dx axis"),
}
_SHAPES: Mapping[str, Op] = {
    "Concatenate": Op(s.concatenate, "xs axis"),
    "Stack": Op(s.stack, "x axis"),
    "Unstack": Op(s.unstack, "x num axis"),
    "Split": Op(s.split, "x indices_or_sections axis"),
    "ArraySplit": Op(a.array_split, "x indices_or_sections axis"),
    "Vsplit": Op(a.split_along(0), "x indices_or_sections"), "Hsplit": Op(a.split_along(1), "x indices_or_sections"),
    "Dsplit": Op(a.split_along(2), "x indices_or_sections"),
    "Hstack": Op(a.horizontal_stack, "xs"), "Vstack": Op(a.vertical_stack, "xs"), "Dstack": Op(a.depth_stack, "xs"),
    "Append": Op(a.append, "x1 x2 axis"),
    "ExpandDims": Op(s.expand_dims, "x axis"),
    "Squeeze": Op(s.squeeze, "x axis"),
    "Reshape": Op(s.reshape, "x newshape"),
    "Ravel": Op(a.ravel),
    "Transpose": Op(s.transpose, "x axes"),
    "Swapaxes": Op(s.swap_axes, "x axis1 axis2"),
    "Moveaxis": Op(s.move_axes, "x source destination"),
    "Flip": Op(s.flip, "x axis"), "Flipud": Op(a.flip_axis(0)), "Fliplr": Op(a.flip_axis(1)),
    "Rot90": Op(a.rot90, "array k axes"),
    "Roll": Op(a.roll, "x shift axis"),
    "Repeat": Op(s.repeat, "x repeats axis"),
    "Tile": Op(s.tile, "x repeats"),
    "BroadcastTo": Op(k.broadcast_to, "x shape"),
    "Pad": Op(s.pad, "x pad_width mode constant_values"),
    "DepthToSpace": Op(a.depth_to_space, "x block_size data_format"),
    "SpaceToDepth": Op(a.space_to_depth, "x block_size data_format"),
    "ExtractSequences": Op(a.frames, "x sequence_length sequence_stride"),
}  # fmt: skip
_INDEXING: Mapping[str, Op] = {
    "GetItem": Op(i.get_item, "x key"),
    "Slice": Op(i.part, "inputs start_indices shape"),
    "SliceUpdate": Op(i.update_part, "inputs start_indices updates"),
    "Take": Op(i.take, "x indices axis"),
    "TakeAlongAxis": Op(i.take_along, "x indices axis"),
    "OneHot": Op(i.one_hot, "x num_classes axis dtype", {"sparse": False}),
    "MultiHot": Op(i.multi_hot, "inputs num_classes axis dtype", {"sparse": False}),
    "Sort": Op(t.sort, "x axis"),
    "Argsort": Op(t.argsort, "x axis"),
    "TopK": Op(t.top_k, "x k sorted"),
    "Digitize": Op(t.digitize, "x bins"),
    "SearchSorted": Op(t.search_sorted, "sorted_sequence values side"),
    "IsIn": Op(t.is_in, "x1 x2 assume_unique invert"),
    "OnesLike": Op(k.ones_like, "x dtype"),
    "ZerosLike": Op(k.zeros_like, "x dtype"),
    "EmptyLike": Op(k.zeros_like, "x dtype"),
    "FullLike": Op(k.full_like, "x fill_value dtype"),
    "Tril": Op(k.band(True), "x k"),
    "Triu": Op(k.band(False), "x k"),
    "Size": Op(k.size),
}
_NN: Mapping[str, Op] = {
    "MaxPool": Op(n.pool("max"), _POOL), "AveragePool": Op(n.pool("average"), _POOL),
    "Conv": Op(n.conv, _CONV), "DepthwiseConv": Op(n.depthwise_conv, _CONV),
    "SeparableConv": Op(n.separable_conv, _CONV.replace("kernel", "depthwise_kernel pointwise_kernel")),
    "BatchNorm": Op(n.batch_norm, "x mean variance axis offset scale epsilon"),
    "LayerNorm": Op(n.layer_norm, "x gamma beta axis epsilon rms_scaling"),
    "RMSNorm": Op(n.rms_norm, "x scale axis epsilon"),
    "DotProductAttention": Op(n.attention, "query key value bias mask scale is_causal",
                              {"flash_attention": None, "attn_logits_soft_cap": None}),
}  # fmt: skip
KERAS3: Mapping[str, Op] = {**_ELEMENTWISE, **_REDUCTIONS, **_PRODUCTS, **_SHAPES, **_INDEXING, **_NN}
