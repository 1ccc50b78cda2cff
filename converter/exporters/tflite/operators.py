"""The builtin operators we write: their options in the schema, their versions and the oldest runtime that has them.

Versions are TensorFlow's own rules for what an operator is asked to do, the runtimes its own table of them
(op_version.cc and runtime_version.cc in tensorflow/lite/tools/versioning); an older runtime refuses a file with a clear
error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NO_ACTIVATION, RELU, RELU6, TANH = 0, 1, 3, 4  # ActivationFunctionType
SAME, VALID = 0, 1  # Padding
REFLECT = 0  # MirrorPadMode


@dataclass(frozen=True)
class Call:
    """What an operator is asked to do, as far as its version depends on it."""

    dtypes: Sequence[str]
    shapes: Sequence[Sequence[int | None]]
    options: Mapping[str, Any]

    @property
    def dtype(self) -> str:
        """Of the first input."""
        return self.dtypes[0]

    @property
    def rank(self) -> int:
        """The most axes of an input."""
        return max(len(shape) for shape in self.shapes)

    @property
    def broadcasts(self) -> bool:
        """Whether the first two inputs have other shapes."""
        return self.shapes[0] != self.shapes[1]


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        options: its table in the schema; "" for none.
        since: the oldest runtime by version.
        version: which version a call needs.
    """

    options: str
    since: Mapping[int, str]
    version: Callable[[Call], int] = lambda call: 1


def _plain(options: str, since: str) -> Operator:
    return Operator(options, {1: since})


def _for(dtype: str, version: int) -> Callable[[Call], int]:
    return lambda call: version if call.dtype == dtype else 1


def _over(rank: int, version: int) -> Callable[[Call], int]:
    return lambda call: version if call.rank > rank else 1


def _fully_connected(call: Call) -> int:
    return 6 if len(call.dtypes) == 2 else 5 if call.options.get("keepNumDims") else 1


def _gather(call: Call) -> int:
    return 5 if call.options.get("batchDims") else 3 if call.dtype == "bool" else 1


def _transpose(call: Call) -> int:
    return 6 if call.rank > 5 else 4 if call.rank > 4 else 3 if call.dtype == "bool" else 1


def _strided_slice(call: Call) -> int:
    return 4 if call.rank > 4 else 3 if call.dtype == "bool" else 1


def _wide(version: int) -> Callable[[Call], int]:
    return lambda call: version if call.broadcasts and call.rank > 4 else 1


def _sub(call: Call) -> int:
    return 4 if call.dtype == "int64" else _wide(3)(call)


def _conv(call: Call) -> int:
    return 6 if call.shapes[0][-1] != call.shapes[1][-1] else 1


def _depthwise(call: Call) -> int:
    return 2 if (call.options["dilationWFactor"], call.options["dilationHFactor"]) != (1, 1) else 1


OPERATORS: Mapping[str, Operator] = {
    "ABS": Operator("AbsOptions", {1: "1.13.0", 5: "2.12.0"}, _for("int32", 5)),
    "ADD": Operator("AddOptions", {1: "1.5.0", 4: "2.6.0"}, _for("int64", 4)),
    "ARG_MAX": _plain("ArgMaxOptions", "1.9.0"),
    "ARG_MIN": _plain("ArgMinOptions", "1.9.0"),
    "AVERAGE_POOL_2D": _plain("Pool2DOptions", "1.5.0"),
    "BATCH_MATMUL": _plain("BatchMatMulOptions", "2.3.0"),
    "CAST": _plain("CastOptions", "1.5.0"),
    "CEIL": _plain("", "1.14.0"),
    "CONCATENATION": _plain("ConcatenationOptions", "1.5.0"),
    "CONV_2D": Operator("Conv2DOptions", {1: "1.5.0", 6: "2.9.0"}, _conv),
    "COS": _plain("CosOptions", "1.14.0"),
    "CUMSUM": _plain("CumsumOptions", "2.4.0"),
    "DEPTHWISE_CONV_2D": Operator("DepthwiseConv2DOptions", {1: "1.5.0", 2: "1.12.0"}, _depthwise),
    "DEQUANTIZE": Operator("DequantizeOptions", {2: "1.14.0"}, lambda call: 2),
    "DIV": Operator("DivOptions", {1: "1.6.0", 2: "2.3.0"}, _wide(2)),
    "DYNAMIC_UPDATE_SLICE": _plain("DynamicUpdateSliceOptions", "2.9.0"),
    "ELU": _plain("", "1.14.0"),
    "EQUAL": _plain("EqualOptions", "1.14.0"),
    "EXP": _plain("ExpOptions", "1.7.0"),
    "EXPAND_DIMS": _plain("ExpandDimsOptions", "1.10.0"),
    "FLOOR": _plain("", "1.9.0"),
    "FLOOR_DIV": Operator("FloorDivOptions", {1: "1.14.0", 2: "1.14.0"}, _for("float32", 2)),
    "FLOOR_MOD": _plain("FloorModOptions", "1.13.0"),
    "FULLY_CONNECTED": Operator(
        "FullyConnectedOptions", {1: "1.5.0", 5: "2.0.0", 6: "2.1.0"}, _fully_connected
    ),
    "GATHER": Operator("GatherOptions", {1: "1.6.0", 3: "1.15.0", 5: "2.5.0"}, _gather),
    "GATHER_ND": Operator("GatherNdOptions", {1: "1.14.0", 5: "2.17.0"}, _for("bool", 5)),
    "GELU": _plain("GeluOptions", "2.9.0"),
    "GREATER": _plain("GreaterOptions", "1.14.0"),
    "GREATER_EQUAL": _plain("GreaterEqualOptions", "1.14.0"),
    "HARD_SWISH": _plain("HardSwishOptions", "1.15.0"),
    "LEAKY_RELU": _plain("LeakyReluOptions", "1.13.1"),
    "LESS": _plain("LessOptions", "1.14.0"),
    "LESS_EQUAL": _plain("LessEqualOptions", "1.14.0"),
    "LOG": _plain("", "1.14.0"),
    "LOGICAL_AND": _plain("LogicalAndOptions", "1.11.0"),
    "LOGICAL_NOT": _plain("LogicalNotOptions", "1.11.0"),
    "LOGICAL_OR": _plain("LogicalOrOptions", "1.11.0"),
    "LOGISTIC": _plain("", "1.14.0"),
    "LOG_SOFTMAX": _plain("LogSoftmaxOptions", "1.14.0"),
    "MAXIMUM": Operator("MaximumMinimumOptions", {1: "1.14.0", 3: "2.3.0"}, _wide(3)),
    "MAX_POOL_2D": _plain("Pool2DOptions", "1.5.0"),
    "MEAN": _plain("ReducerOptions", "1.6.0"),
    "MINIMUM": Operator("MaximumMinimumOptions", {1: "1.14.0", 3: "2.3.0"}, _wide(3)),
    "MIRROR_PAD": _plain("MirrorPadOptions", "1.13.1"),
    "MUL": Operator("MulOptions", {1: "1.5.0", 5: "2.6.0"}, _for("int64", 5)),
    "NEG": _plain("NegOptions", "1.9.0"),
    "NOT_EQUAL": _plain("NotEqualOptions", "1.14.0"),
    "PACK": _plain("PackOptions", "1.11.0"),
    "PADV2": Operator("PadV2Options", {1: "1.9.0", 4: "2.6.0"}, _over(4, 4)),
    "POW": _plain("PowOptions", "1.10.0"),
    "QUANTIZE": Operator("QuantizeOptions", {2: "1.15.0"}, lambda call: 2),
    "RANGE": Operator("RangeOptions", {1: "1.13.0", 2: "2.14.0"}, _for("int64", 2)),
    "REDUCE_ALL": _plain("ReducerOptions", "2.6.0"),
    "REDUCE_ANY": _plain("ReducerOptions", "1.11.0"),
    "REDUCE_MAX": _plain("ReducerOptions", "1.11.0"),
    "REDUCE_MIN": _plain("ReducerOptions", "1.11.0"),
    "REDUCE_PROD": _plain("ReducerOptions", "1.11.0"),
    "RELU": _plain("", "1.5.0"),
    "RELU6": _plain("", "1.5.0"),
    "RESHAPE": _plain("ReshapeOptions", "1.5.0"),
    "REVERSE_V2": Operator("ReverseV2Options", {1: "1.14.0", 2: "2.2.0"}, _for("bool", 2)),
    "ROUND": _plain("", "1.14.0"),
    "RSQRT": _plain("", "1.10.0"),
    "SELECT_V2": _plain("SelectV2Options", "2.2.0"),
    "SHAPE": _plain("ShapeOptions", "1.10.0"),
    "SIGN": Operator("SignOptions", {1: "2.12.0", 2: "2.12.0"}, _for("int32", 2)),
    "SIN": _plain("", "1.9.0"),
    "SOFTMAX": _plain("SoftmaxOptions", "1.5.0"),
    "SPLIT": _plain("SplitOptions", "1.5.0"),
    "SQRT": _plain("", "1.10.0"),
    "SQUARE": _plain("SquareOptions", "1.12.0"),
    "SQUEEZE": _plain("SqueezeOptions", "1.6.0"),
    "STRIDED_SLICE": Operator("StridedSliceOptions", {1: "1.6.0", 3: "2.1.0", 4: "2.2.0"}, _strided_slice),
    "SUB": Operator("SubOptions", {1: "1.6.0", 3: "2.3.0", 4: "2.4.0"}, _sub),
    "SUM": _plain("ReducerOptions", "1.10.0"),
    "TANH": _plain("", "1.14.0"),
    "TILE": _plain("TileOptions", "1.10.1"),
    "TOPK_V2": _plain("TopKV2Options", "1.7.0"),
    "TRANSPOSE": Operator(
        "TransposeOptions", {1: "1.6.0", 3: "1.15.0", 4: "2.3.0", 6: "2.12.0"}, _transpose
    ),
    "TRANSPOSE_CONV": _plain("TransposeConvOptions", "1.9.0"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operator(
        "UnidirectionalSequenceLSTMOptions", {1: "1.13.1", 3: "2.3.0"}, _for("int8", 3)
    ),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _plain("SequenceRNNOptions", "1.14.0"),
    "WHILE": _plain("WhileOptions", "1.15.0"),
    "ZEROS_LIKE": _plain("ZerosLikeOptions", "1.12.0"),
}  # fmt: skip
