"""Weights of 8 bits: DequantizeLinear says exactly which numbers they are. Rounded activations are no layer's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Array, Weight, layers
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder, Call

ROUNDING = frozenset({
    "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "QuantizeLinear", "MatMulInteger",
    "MatMulIntegerToFloat", "ConvInteger", "QLinearConv", "QLinearMatMul", "QGemm", "QAttention",
})  # fmt: skip
_WHOLE = ("int8", "uint8", "int16", "int32")  # of those that the operator takes, what is read


def _dequantized(builder: Builder, call: Call) -> list[Tensor]:
    """(x - zero point)·scale of an array of the file, or of the rows that are taken from one.

    https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
    """
    x, scale, zero = call.tensor(0), call.tensor(1), call.tensor(2) if call.has(2) else None
    if not isinstance(scale, Const) or not isinstance(zero, Const | None) or call.integer("block_size", 0):
        raise Unsupported("DequantizeLinear with a scale that is computed, or of blocks")
    if isinstance(x, Const):
        return [Const(_numbers(x.weight, scale, zero, call.integer("axis", 1)))]
    node = builder.producer(x.value) if isinstance(x, Val) else None
    if not isinstance(x, Val) or node is None or not isinstance(node.layer, layers.Embedding) or scale.weight.size != 1:
        raise Unsupported("DequantizeLinear of what is no array of the file")
    layer = layers.Embedding(_numbers(node.layer.table, scale, zero, 1))
    (made,) = builder.node(node.name, layer, node.inputs, x.value.shape, dtype=layer.table.dtype)
    return [Val(made, x.swapped, x.flat)]


def _numbers(weight: Weight, scale: Const, zero: Const | None, axis: int) -> Weight:
    """The array that is meant, in the type of its scale.

    Raises:
        InvalidModel: shapes or types do not fit each other.
    """
    if weight.dtype not in _WHOLE or not scale.weight.dtype.startswith(("float", "bfloat")):
        raise InvalidModel(f"DequantizeLinear of {weight.dtype} by a scale of {scale.weight.dtype}")
    if zero is not None and zero.weight.dtype != weight.dtype:
        raise InvalidModel(f"zero point of {zero.weight.dtype} for {weight.dtype}")
    if scale.weight.size != 1 and (
        not -len(weight.shape) <= axis < len(weight.shape) or scale.weight.shape != (weight.shape[axis],)
    ):
        raise InvalidModel(f"scale of shape {scale.weight.shape} for {weight.shape}")
    if zero is not None and zero.weight.size != scale.weight.size:
        raise InvalidModel(f"zero point of shape {zero.weight.shape}, scale of shape {scale.weight.shape}")
    along = [-1 if k == axis % len(weight.shape) else 1 for k in range(len(weight.shape))]

    def column(tensor: Const) -> Array:
        return tensor.array.reshape(along) if tensor.weight.size > 1 else tensor.array.reshape(())

    def read() -> Array:
        whole = weight.read().astype(np.int32) - (0 if zero is None else column(zero).astype(np.int32))
        return whole.astype(scale.array.dtype) * column(scale)

    return Weight(weight.name, weight.shape, scale.weight.dtype, read)


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {"DequantizeLinear": _dequantized}
