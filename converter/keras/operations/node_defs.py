"""TensorFlow's operations: the `op` of a TensorFlowOpLayer's NodeDef (TF 1.15 to 2.3). Inputs go by their number;
attributes that are read follow them."""

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
from converter.keras.operations.rows import Op
from converter.keras.operations.sizes import shape
from converter.keras.operations.tensorflow import TF_BINARY, TF_REDUCTIONS, TF_UNARY

# Attributes that say what the inputs already tell, or what concerns the execution alone.
INERT_ATTRIBUTES = frozenset({
    "T", "Tk", "Tindex", "Tidx", "Tdim", "Tshape", "Tlen", "Tperm", "Tmultiples", "Tindices", "Tparams", "Taxis",
    "Tpaddings", "Tshift", "TI", "SrcT", "Index", "index_type", "N", "_output_shapes", "_class", "use_cudnn_on_gpu",
    "validate_indices",
})  # fmt: skip
_WINDOW = "strides padding data_format"
_MASKS = "begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask"
_PLAIN_CONV: Mapping[str, object] = {"explicit_paddings": []}

NODE_DEFS: Mapping[str, Op] = {
    **{op: Op(function, "0 1") for ops, function in TF_BINARY.values() for op in ops.split()},
    **{op: Op(function, "0") for ops, function in TF_UNARY.values() for op in ops.split()},
    **{op: Op(function, "0 1 keep_dims") for op, function in TF_REDUCTIONS.values()},
    "Equal": Op(f.binary("equal"), "0 1", {"incompatible_shape_error": True}),
    "NotEqual": Op(f.binary("not_equal"), "0 1", {"incompatible_shape_error": True}),
    "Elu": Op(f.activation("elu", 1.0), "0"), "LeakyRelu": Op(f.with_parameter("leaky_relu"), "0 alpha"),
    "Atan2": Op(m.arctan2, "0 1"),
    "AddN": Op(lambda o, *xs: f.add_n(o, xs), "*"),
    "BiasAdd": Op(f.bias_add, "0 1 data_format"),
    "Softmax": Op(f.softmax, "0"), "LogSoftmax": Op(f.log_softmax, "0"),
    "MatMul": Op(p.matmul, "0 1 transpose_a transpose_b", {"grad_a": False, "grad_b": False}),
    **{name: Op(p.matmul, "0 1 adj_x adj_y", {"grad_x": False, "grad_y": False})
       for name in ("BatchMatMul", "BatchMatMulV2")},
    "Einsum": Op(p.einsum, "equation *"),
    "Cross": Op(p.cross, "0 1"),
    "MatrixDiag": Op(k.diagonal_matrix, "0"), "MatrixBandPart": Op(k.band_part, "0 1 2"),
    "SelectV2": Op(f.where, "0 1 2"), "Select": Op(f.select, "0 1 2"),
    "ClipByValue": Op(f.clip, "0 1 2"),
    "OneHot": Op(i.one_hot_of, "0 1 2 3 axis T"),
    "Cast": Op(f.cast, "0 DstT", {"Truncate": False}),
    "ArgMax": Op(r.arg("argmax", "int64"), "0 1 _ output_type"),
    "ArgMin": Op(r.arg("argmin", "int64"), "0 1 _ output_type"),
    "Cumsum": Op(c.cumulative_sum, "0 1 exclusive reverse"),
    "Cumprod": Op(c.cumulative_product, "0 1 exclusive reverse"),
    "TopKV2": Op(t.top_k, "0 1 sorted"),
    "ConcatV2": Op(lambda o, *xs: s.concatenate(o, xs[:-1], xs[-1]), "*"),
    "Pack": Op(lambda o, axis, *xs: s.stack(o, xs, axis), "axis *"),
    "Unpack": Op(s.unstack, "0 num axis"),
    "Split": Op(lambda o, axis, x, num: s.split(o, x, num, axis), "0 1 num_split"),
    "SplitV": Op(s.split_sizes, "0 1 2 num_split"),
    "StridedSlice": Op(i.strided_slice, f"0 1 2 3 {_MASKS}"),
    "Slice": Op(i.part, "0 1 2"),
    "ExpandDims": Op(s.expand_dims, "0 1"), "Squeeze": Op(s.squeeze, "0 squeeze_dims"),
    "Shape": Op(shape, "0 out_type"), "Size": Op(k.size, "0 out_type"), "Rank": Op(k.rank, "0"),
    "Reshape": Op(s.reshape, "0 1"), "Transpose": Op(s.transpose, "0 1"),
    "ReverseV2": Op(s.flip, "0 1"), "Roll": Op(a.roll, "0 1 2"),
    "ReverseSequence": Op(i.reverse_sequence, "0 1 seq_dim batch_dim"),
    "Tile": Op(k.tiled, "0 1"), "BroadcastTo": Op(k.broadcast_to, "0 1"),
    "Fill": Op(k.filled, "0 1 T"), "Range": Op(k.numbers, "0 1 2 Tidx"),
    "Pad": Op(s.pad, "0 1"), "PadV2": Op(lambda o, x, width, value: s.pad(o, x, width, "constant", value), "0 1 2"),
    "MirrorPad": Op(s.pad, "0 1 mode"),
    "GatherV2": Op(lambda o, x, indices, axis, batch_dims=0: i.gather(o, x, indices, None, axis, batch_dims),
                   "0 1 2 batch_dims"),
    "GatherNd": Op(i.gather_nd, "0 1", {"bad_indices_policy": ""}),
    "OnesLike": Op(k.ones_like, "0"), "ZerosLike": Op(k.zeros_like, "0"),
    "Identity": Op(s.copy, "0"), "StopGradient": Op(s.copy, "0"),
    "DepthToSpace": Op(a.depth_to_space, "0 block_size data_format"),
    "SpaceToDepth": Op(a.space_to_depth, "0 block_size data_format"),
    "MaxPool": Op(n.pool("max"), f"0 ksize {_WINDOW}", _PLAIN_CONV),
    "AvgPool": Op(n.pool("average"), f"0 ksize {_WINDOW}"),
    "Conv2D": Op(n.conv, f"0 1 {_WINDOW} dilations", _PLAIN_CONV),
    "DepthwiseConv2dNative": Op(n.depthwise_conv, f"0 1 {_WINDOW} dilations", _PLAIN_CONV),
}  # fmt: skip
