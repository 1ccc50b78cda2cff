"""Rules for ONNX' LayerNormalization and BatchNormalization."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import Unsupported
from converter.model import Value, dtype_of, layers
from converter.readers.onnx.general import value_of
from converter.readers.onnx.tensors import Const, Tensor, Val, Zeros
from converter.readers.onnx.values import Builder, Call, broadcast


def _normalize(builder: Builder, call: Call) -> list[Tensor]:
    """LayerNormalization over the axes from `axis` on."""
    x = call.tensor(0)
    arrays = [call.tensor(k) if call.has(k) else None for k in (1, 2)]
    if not isinstance(x, Val) or not all(isinstance(array, Const | None) for array in arrays):
        raise Unsupported("LayerNormalization of this kind")
    value = builder.value(x, call.name)
    rank = len(value.shape)
    axes = tuple(range(call.integer("axis", -1) % rank, rank))
    gamma, beta = (array.weight if isinstance(array, Const) else None for array in arrays)
    layer = layers.LayerNormalization(axes, gamma, beta, call.number("epsilon", 1e-5))
    return [Val(builder.node(call.name, layer, (value,), value.shape)[0])]


def _batch(builder: Builder, call: Call) -> list[Tensor]:
    """One layer where its weights are the file's; else as it is computed, as tf2onnx normalizes layers."""
    weights = [call.tensor(k) for k in range(1, 5)]
    if call.integer("training_mode", 0):
        raise Unsupported("BatchNormalization in training")
    x = value_of(builder, call, 0)
    epsilon = call.number("epsilon", 1e-5)
    if all(isinstance(weight, Const) for weight in weights):
        held = [weight.weight for weight in weights if isinstance(weight, Const)]
        layer = layers.BatchNormalization(1, held[0], held[1], held[2], held[3], epsilon)
        return [Val(builder.node(call.name, layer, (x,), x.shape)[0])]
    sizes = (-1, *[1] * (len(x.shape) - 2))
    mean, variance = (_column(builder, call, k, sizes) for k in (3, 4))
    number = builder.number(f"{call.name}/epsilon", np.array(epsilon, dtype_of(x.dtype)))

    def both(op: layers.ElementwiseOp, a: Value, b: Value) -> Value:
        return builder.node(f"{call.name}/{op}", layers.Elementwise(op), (a, b), broadcast(a.shape, b.shape))[0]

    spread = both("add", variance, number)
    (root,) = builder.node(f"{call.name}/sqrt", layers.Unary("sqrt"), (spread,), spread.shape)
    made = both("divide", both("subtract", x, mean), root)
    made = made if _filled(builder, weights[0]) == 1 else both("multiply", made, _column(builder, call, 1, sizes))
    made = made if _filled(builder, weights[1]) == 0 else both("add", made, _column(builder, call, 2, sizes))
    return [Val(made)]


def _filled(builder: Builder, tensor: Tensor) -> float | None:
    """The one number that a tensor is full of; None where it is not known to be."""
    if isinstance(tensor, Zeros):
        return 0
    if isinstance(tensor, Const):
        numbers = np.unique(tensor.array)
        return float(numbers[0]) if numbers.size == 1 else None
    wide = builder.producer(tensor.value) if isinstance(tensor, Val) else None
    if wide is None or not isinstance(wide.layer, layers.Where) or wide.inputs[1] != wide.inputs[2]:
        return None
    one = None if wide.inputs[1] is None else builder.producer(wide.inputs[1])
    held = one.layer.weight if one is not None and isinstance(one.layer, layers.Constant) else None
    return float(held.read().item()) if held is not None and held.size == 1 else None


def _column(builder: Builder, call: Call, index: int, sizes: tuple[int, ...]) -> Value:
    """A vector along the channels."""
    vector = value_of(builder, call, index)
    if len(sizes) == 1:
        return vector
    layer = layers.Reshape(sizes)
    return builder.node(f"{call.name}/column", layer, (vector,), (vector.shape[0], *sizes[1:]))[0]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "LayerNormalization": _normalize, "BatchNormalization": _batch,
}  # fmt: skip
