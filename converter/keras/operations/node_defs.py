"""TensorFlow's operations: the `op` of a TensorFlowOpLayer's NodeDef (TF 1.15 to 2.3). Inputs go by their number;
attributes that are read follow them."""

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
    "Equal": Op(functions.binary("equal"), "0 1", {"incompatible_shape_error": True}),
    "NotEqual": Op(functions.binary("not_equal"), "0 1", {"incompatible_shape_error": True}),
    "Elu": Op(functions.activation("elu", 1.0), "0"),
    "LeakyRelu": Op(functions.with_parameter("leaky_relu", 0.2), "0 alpha"),
    "Atan2": Op(arithmetic.arctan2, "0 1"),
    "AddN": Op(lambda o, *xs: functions.add_n(o, xs), "*"),
    "BiasAdd": Op(functions.bias_add, "0 1 data_format"),
    "Softmax": Op(functions.softmax, "0"),
    "LogSoftmax": Op(functions.log_softmax, "0"),
    "MatMul": Op(products.matmul, "0 1 transpose_a transpose_b", {"grad_a": False, "grad_b": False}),
    **{
        name: Op(products.matmul, "0 1 adj_x adj_y", {"grad_x": False, "grad_y": False})
        for name in ("BatchMatMul", "BatchMatMulV2")
    },
    "Einsum": Op(products.einsum, "equation *"),
    "Cross": Op(products.cross, "0 1"),
    "MatrixDiag": Op(making.diagonal_matrix, "0"),
    "MatrixDiagV2": Op(making.diagonal_matrix, "0 1 2 3 4"),
    "MatrixDiagV3": Op(making.diagonal_matrix, "0 1 2 3 4", {"align": "RIGHT_LEFT"}),
    "MatrixSetDiag": Op(making.with_diagonal, "0 1"),
    "MatrixSetDiagV2": Op(making.with_diagonal, "0 1 2"),
    "MatrixSetDiagV3": Op(making.with_diagonal, "0 1 2", {"align": "RIGHT_LEFT"}),
    "MatrixBandPart": Op(making.band_part, "0 1 2"),
    "SelectV2": Op(functions.where, "0 1 2"),
    "Select": Op(functions.select, "0 1 2"),
    "ClipByValue": Op(functions.clip, "0 1 2"),
    "OneHot": Op(indexing.one_hot_of, "0 1 2 3 axis T"),
    "Cast": Op(functions.cast, "0 DstT", {"Truncate": False}),
    "ArgMax": Op(reductions.arg("argmax", "int64"), "0 1 _ output_type"),
    "ArgMin": Op(reductions.arg("argmin", "int64"), "0 1 _ output_type"),
    "Cumsum": Op(cumulative.cumulative_sum, "0 1 exclusive reverse"),
    "Cumprod": Op(cumulative.cumulative_product, "0 1 exclusive reverse"),
    "TopKV2": Op(sorting.top_k, "0 1 sorted"),
    "ConcatV2": Op(lambda o, *xs: shapes.concatenate(o, xs[:-1], xs[-1]), "*"),
    "Pack": Op(lambda o, axis, *xs: shapes.stack(o, xs, axis), "axis *"),
    "Unpack": Op(shapes.unstack, "0 num axis"),
    "Split": Op(lambda o, axis, x, num: shapes.split(o, x, num, axis), "0 1 num_split"),
    "SplitV": Op(shapes.split_sizes, "0 1 2 num_split"),
    "StridedSlice": Op(indexing.strided_slice, f"0 1 2 3 {_MASKS}"),
    "Slice": Op(indexing.part, "0 1 2"),
    "ExpandDims": Op(shapes.expand_dims, "0 1"),
    "Squeeze": Op(shapes.squeeze, "0 squeeze_dims"),
    "Shape": Op(shape, "0 out_type"),
    "Size": Op(making.size, "0 out_type"),
    "Rank": Op(making.rank, "0"),
    "Reshape": Op(shapes.reshape, "0 1"),
    "Transpose": Op(shapes.transpose, "0 1"),
    "ReverseV2": Op(shapes.flip, "0 1"),
    "Roll": Op(arranging.roll, "0 1 2"),
    "ReverseSequence": Op(indexing.reverse_sequence, "0 1 seq_dim batch_dim"),
    "Tile": Op(making.tiled, "0 1"),
    "BroadcastTo": Op(making.broadcast_to, "0 1"),
    "Const": Op(making.constant, "value dtype"),
    "Fill": Op(making.filled, "0 1 T"),
    "Range": Op(making.numbers, "0 1 2 Tidx"),
    "Pad": Op(shapes.pad, "0 1"),
    "PadV2": Op(lambda o, x, width, value: shapes.pad(o, x, width, "constant", value), "0 1 2"),
    "MirrorPad": Op(shapes.pad, "0 1 mode"),
    "GatherV2": Op(
        lambda o, x, indices, axis, batch_dims=0: indexing.gather(o, x, indices, None, axis, batch_dims),
        "0 1 2 batch_dims",
    ),
    "GatherNd": Op(indexing.gather_nd, "0 1", {"bad_indices_policy": ""}),
    "OnesLike": Op(making.ones_like, "0"),
    "ZerosLike": Op(making.zeros_like, "0"),
    "Identity": Op(shapes.copy, "0"),
    "StopGradient": Op(shapes.copy, "0"),
    "DepthToSpace": Op(arranging.depth_to_space, "0 block_size data_format"),
    "SpaceToDepth": Op(arranging.space_to_depth, "0 block_size data_format"),
    "MaxPool": Op(nn.pool("max"), f"0 ksize {_WINDOW}", _PLAIN_CONV),
    "AvgPool": Op(nn.pool("average"), f"0 ksize {_WINDOW}"),
    "Conv2D": Op(nn.conv, f"0 1 {_WINDOW} dilations", _PLAIN_CONV),
    "DepthwiseConv2dNative": Op(nn.depthwise_conv, f"0 1 {_WINDOW} dilations", _PLAIN_CONV),
}
