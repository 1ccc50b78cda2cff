"""What each TensorFlow operation can be asked for as a NodeDef: inputs in order (constants too), then attributes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from op_spaces_tf import BOOL, DEEPLY, FLOATING
from op_values import (
    BATCH,
    BOOLS,
    DEEP,
    I32,
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

INNER = st.sampled_from([1, 2, -1])
AXES = st.sampled_from([[1], [1, 2], 1, -1])
SIGNS = ("normal", "special")
WINDOW = {"padding": st.sampled_from(["SAME", "VALID"]), "data_format": "NHWC"}
STRIDES = st.sampled_from([[1, 1, 1, 1], [1, 2, 2, 1]])
IMAGE = In((5, 6, 4))


def constant(*kinds: Any) -> Any:
    """Two tensors, and a tensor and a constant on either side."""
    one = In((4, 3), *(kinds or (F,))[0])
    return st.one_of(tensors((kinds or (F,))[0]), case(one, 2.0), case(1.5, one))


NODES: dict[str, Any] = {
    **dict.fromkeys(
        ("AddV2", "Add", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference", "Atan2", "RealDiv", "Div"), constant()
    ),
    "Pow": st.one_of(constant(POSITIVE), case(x(), 2.0)),
    "FloorMod": constant(POSITIVE),
    "FloorDiv": constant(),
    **dict.fromkeys(
        ("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"), st.one_of(constant(), tensors(I32))
    ),
    "DivNoNan": tensors(("ties", "float32")),
    **dict.fromkeys(("Xlogy", "Xlog1py", "Xdivy"), tensors(POSITIVE)),
    "MulNoNan": tensors(("ties", "float32")),
    **dict.fromkeys(("LogicalAnd", "LogicalOr"), tensors(BOOLS)),
    **dict.fromkeys(("Abs", "Sign", "Exp", "Ceil", "Floor"), unary("normal", "special")),
    **dict.fromkeys(("Log", "Sqrt", "Rsqrt", "Reciprocal", "Inv"), unary("positive")),
    **dict.fromkeys(("Sin", "Cos", "Tan", "Sinh", "Cosh"), unary("normal", "tiny")),
    **dict.fromkeys(
        ("Neg", "Square", "Erf", "Tanh", "Sigmoid", "Softplus", "Softsign", "Relu", "Relu6", "Selu", "Elu"), unary()
    ),
    **dict.fromkeys(("Asin", "Acos", "Atanh"), unary("unit")),
    **dict.fromkeys(("Atan", "Asinh", "Expm1"), unary("tiny")),
    "Log1p": unary("tiny", "unit", "special"),
    "Acosh": unary("above1"),
    **dict.fromkeys(("Round", "Rint"), unary("halves")),
    **dict.fromkeys(("IsNan", "IsInf", "IsFinite"), unary("special")),
    "LogicalNot": case(bools()),
    "LeakyRelu": case(x(), alpha=st.sampled_from([0.2, 0.5])),
    **{name: case(DEEPLY, AXES, keep_dims=BOOL) for name in ("Sum", "Max", "Min", "Prod")},
    **{name: case(FLOATING, AXES, keep_dims=BOOL) for name in ("Mean", "EuclideanNorm")},
    **{name: case(bools(DEEP), AXES, keep_dims=BOOL) for name in ("Any", "All")},
    "AddN": case(listed(kinds=(F,))),
    "BiasAdd": case(In((4, 3)), array(3), data_format="NHWC"),
    **dict.fromkeys(("Softmax", "LogSoftmax"), case(In((3,)))),
    "MatMul": case(In((4,)), array(4, 2), transpose_a=False, transpose_b=False),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2"), case(In((4, 3)), In((4, 3)), adj_x=False, adj_y=True)),
    "Einsum": case([In((4, 3)), In((2, 3))], equation="btd,bsd->bts"),
    "Cross": case(In((4, 3)), In((4, 3))),
    "MatrixDiag": case(FLOATING),
    **{f"MatrixDiagV{n}": case(In((4, 3)), 0, *sizes, 0.5) for n, sizes in ((2, (3, 5)), (3, (6, 3)))},
    "MatrixSetDiag": case(In((2, 3, 3)), In((2, 3))),
    **{f"MatrixSetDiagV{n}": case(In((2, *sizes)), In((2, 3)), 0) for n, sizes in ((2, (3, 5)), (3, (5, 3)))},
    "MatrixBandPart": case(FLOATING, st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1])),
    "SelectV2": pairs(F).map(lambda p: Case((In(p[0].shape, "bool", "bool"), *p))),
    "Select": case(In((4, 3), "bool", "bool"), In((4, 3)), In((4, 3))),
    "ClipByValue": case(x(), -0.5, 0.5),
    "OneHot": st.one_of(
        case(x("index", "int32"), 3, st.sampled_from([1.0, 2.0]), 0.0, axis=st.sampled_from([-1, 1])),
        case(x("index", "int64"), 3, 5, st.sampled_from([0, 1]), axis=-1),
    ),
    "Cast": case(st.one_of(x("wide"), ints(), bools()), DstT=st.sampled_from(["float32", "int32", "bool", "int64"])),
    **{name: case(SORTABLE, INNER, output_type=st.sampled_from(["int64", "int32"])) for name in ("ArgMax", "ArgMin")},
    "Cumsum": case(DEEPLY, INNER, exclusive=BOOL, reverse=BOOL),
    "Cumprod": case(DEEPLY, INNER, exclusive=BOOL, reverse=BOOL, opening=False),
    "TopKV2": case(SORTABLE, st.sampled_from([1, 2]), sorted=True),
    "ConcatV2": case(listed(kinds=(F,)), INNER),
    "Pack": case(listed(kinds=(F,)), axis=INNER),
    "Unpack": case(In((4, 3)), num=4, axis=1, opening=False),
    "Split": case(INNER, In((4, 6)), num_split=2, opening=False),
    "SplitV": case(In((4, 6)), [1, -1, 2], INNER, num_split=3, opening=False),
    "StridedSlice": st.one_of(
        case(
            In((4, 3)),
            [0, 1, 0],
            [0, 3, 0],
            [1, 1, 1],
            begin_mask=5,
            end_mask=5,
            ellipsis_mask=0,
            new_axis_mask=0,
            shrink_axis_mask=st.sampled_from([0, 2]),
        ),
        case(
            In((4, 3)),
            [0, -1],
            [0, 0],
            [1, 1],
            begin_mask=0,
            end_mask=0,
            ellipsis_mask=1,
            new_axis_mask=0,
            shrink_axis_mask=2,
        ),
        case(
            In((4, 3)),
            [0, 0],
            [0, 0],
            [1, 1],
            begin_mask=1,
            end_mask=1,
            ellipsis_mask=0,
            new_axis_mask=2,
            shrink_axis_mask=0,
        ),
    ),
    "Slice": case(In((4, 3)), [0, 1, 0], st.sampled_from([[-1, 2, 2], [2, 3, 1]]), opening=False),
    "ExpandDims": case(DEEPLY, st.sampled_from([0, 1, -1])),
    "Squeeze": case(In((1, 3, 1)), axis=st.sampled_from([[1], [1, 3], [-1]])),
    "Shape": case(In((4, 3)), out_type=st.sampled_from(["int32", "int64"])),
    "Size": case(In((4, 3))),
    "Rank": case(In((4, 3))),
    "Reshape": case(In((4, 6)), st.sampled_from([[-1, 24], [-1, 2, 12], [-1]])),
    "Transpose": case(In((2, 3)), st.permutations([0, 1, 2])),
    "ReverseV2": case(DEEPLY, st.sampled_from([[1], [1, 2], [-1]])),
    "Roll": case(DEEPLY, st.sampled_from([1, -1]), INNER),
    "ReverseSequence": case(In((4, 3)), In((), "counts", "int32"), seq_dim=1, batch_dim=0),
    "Tile": case(In((4, 3)), st.sampled_from([[1, 2, 1], [2, 1, 2]])),
    "BroadcastTo": case(In((1, 3)), [BATCH, 4, 3], opening=False),
    "Pad": case(In((4, 3)), [[0, 0], [1, 2], [1, 0]]),
    "PadV2": case(In((4, 3)), [[0, 0], [1, 2], [1, 0]], 2.0),
    "MirrorPad": case(In((4, 3)), [[0, 0], [1, 2], [1, 0]], mode=st.sampled_from(["REFLECT", "SYMMETRIC"])),
    "GatherV2": st.one_of(
        case(In((4, 3)), st.sampled_from([0, [1, 0], [[0], [1]]]), INNER, batch_dims=0),
        case(In((4, 3)), In((2,), "index", "int32"), 1, batch_dims=1),
    ),
    "GatherNd": case(In((4, 3)), [[0, 1], [1, 2]]),
    **dict.fromkeys(("OnesLike", "ZerosLike"), case(st.one_of(x(), ints()))),
    "Identity": unary(),
    "StopGradient": unary(),
    "DepthToSpace": case(In((2, 3, 8)), block_size=2, data_format="NHWC", opening=False),
    "SpaceToDepth": case(In((4, 6, 2)), block_size=2, data_format="NHWC", opening=False),
    **dict.fromkeys(("MaxPool", "AvgPool"), case(IMAGE, ksize=[1, 2, 2, 1], strides=STRIDES, **WINDOW)),
    "Conv2D": case(IMAGE, array(2, 2, 4, 3), strides=STRIDES, **WINDOW),
    "DepthwiseConv2dNative": case(IMAGE, array(2, 2, 4, 2), strides=STRIDES, **WINDOW),
}
