"""Rules for ONNX operators: each gives what stands for the tensors that it makes. Shapes are in onnx_shapes.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from converter.errors import Unsupported
from converter.formats.onnx_tensor import DTYPES, weight
from converter.model import Value, constant, dtype_of, layers
from converter.model.activations import NAMES, Activation
from converter.readers.onnx.branches import RULES as BRANCHES
from converter.readers.onnx.conv import RULES as CONV
from converter.readers.onnx.conv import conv_with_bias
from converter.readers.onnx.cutting import RULES as CUTTING
from converter.readers.onnx.general import RULES as GENERAL
from converter.readers.onnx.general import matmul
from converter.readers.onnx.loop_rule import loop
from converter.readers.onnx.moving import RULES as MOVING
from converter.readers.onnx.normalizing import RULES as NORMALIZING
from converter.readers.onnx.one_hot import one_hot
from converter.readers.onnx.quantized import RULES as QUANTIZED
from converter.readers.onnx.recurrent import recurrent
from converter.readers.onnx.reshaping import RULES as RESHAPING
from converter.readers.onnx.resizing import RULES as RESIZING
from converter.readers.onnx.scan import scan
from converter.readers.onnx.shapes import RULES as SHAPES
from converter.readers.onnx.shapes import in_shape, own_sizes
from converter.readers.onnx.sizes import RULES as SIZES
from converter.readers.onnx.sizes import computed, of_sizes
from converter.readers.onnx.splitting import RULES as SPLITTING
from converter.readers.onnx.tensors import Const, Dims, Filled, Tensor, Val, Zeros, is_zero
from converter.readers.onnx.text import RULES as TEXT
from converter.readers.onnx.triangles import RULES as TRIANGLES
from converter.readers.onnx.values import Builder, Call, broadcast, on, plain

Rule = Callable[[Builder, Call], list[Tensor]]


def _identity(builder: Builder, call: Call) -> list[Tensor]:
    return [call.tensor(0)]


def _constant(builder: Builder, call: Call) -> list[Tensor]:
    if "value" in call.attributes:
        return [Const(weight(call.attributes["value"].t, call.folder))]
    for name, field in (("value_int", "i"), ("value_float", "f"), ("value_ints", "ints"), ("value_floats", "floats")):
        if name in call.attributes:
            dtype = np.int64 if "int" in name else np.float32
            return [Const(constant(call.name, np.array(getattr(call.attributes[name], field), dtype)))]
    raise Unsupported("a Constant of this form")


def _cast(builder: Builder, call: Call) -> list[Tensor]:
    tensor, kind = call.tensor(0), call.integer("to", 0)
    if kind not in DTYPES:
        raise Unsupported(f"Cast to ONNX data type {kind}")
    dtype = DTYPES[kind][0]
    if isinstance(tensor, Zeros) or (isinstance(tensor, Dims | Filled) and dtype in _OF_SIZES):
        return [replace(tensor, dtype=dtype)]
    if isinstance(tensor, Const):
        return [Const(tensor.weight.astype(dtype))]
    x = plain(builder, call)
    if x.value.dtype == dtype:
        return [x]
    hot = one_hot(builder, x.value, dtype, call.name) if x.value.dtype == "bool" else None
    if hot is not None:
        return [Val(hot, x.swapped)]
    made = builder.node(call.name, layers.Cast(dtype), (x.value,), x.value.shape, dtype=dtype)[0]
    return [Val(made, x.swapped)]


_FEW = 64  # numbers of a constant that may be sizes
_OF_SIZES = ("int64", "int32", "float32", "float64")


def _fill(builder: Builder, call: Call) -> list[Tensor]:
    """ConstantOfShape: zeros of any shape, or another number in one that is known."""
    shape = builder.dims(call.tensor(0))
    value = Const(weight(call.attributes["value"].t, call.folder)) if "value" in call.attributes else None
    sizes = [size for size in shape or () if isinstance(size, int)]
    if value is not None and shape is not None and len(sizes) == len(shape) and prod(sizes) <= _FEW:
        return [Const(constant(call.name, np.full(sizes, value.array.ravel()[0])))]
    if value is None or is_zero(value):
        return [Zeros(shape, "float32" if value is None else value.weight.dtype)]
    if value.weight.dtype in ("int64", "int32"):
        return [Filled(int(value.array.ravel()[0]), shape, value.weight.dtype)]
    if shape is None:
        raise Unsupported("ConstantOfShape of a computed shape")
    return [Val(builder.stretched(builder.number(call.name, value.array.reshape(())), shape, call.name))]


def _expand(builder: Builder, call: Call) -> list[Tensor]:
    """Zeros of any shape, a size repeated, or any value broadcast to sizes that are known."""
    tensor, shape = call.tensor(0), builder.dims(call.tensor(1))
    items = builder.dims(tensor)
    single = items is not None and len(items) == 1 and (isinstance(tensor, Dims) or len(tensor.weight.shape) < 2)  # type: ignore[union-attr]
    if single and items is not None:
        dtype = tensor.dtype if isinstance(tensor, Dims) else tensor.weight.dtype  # type: ignore[union-attr]
        return [Filled(items[0], shape, dtype)]
    if isinstance(tensor, Zeros):
        return [Zeros(None, tensor.dtype)]
    if isinstance(tensor, Const) and is_zero(tensor) and (shape is None or tensor.weight.size == 1):
        return [Zeros(shape, tensor.weight.dtype)]
    if shape is None:
        raise Unsupported("Expand to a computed shape")
    numbers = [size for size in shape if isinstance(size, int)]
    if isinstance(tensor, Const) and len(numbers) == len(shape):
        wide = np.broadcast_shapes(tensor.weight.shape, tuple(numbers))
        return [Const(tensor.weight.map(lambda array: np.array(np.broadcast_to(array, wide)), wide))]
    x = plain(builder, call)
    sizes, own = (*[1] * (len(x.shape) - len(shape)), *shape), (*[1] * (len(shape) - len(x.shape)), *own_sizes(x))
    if all(size in (1, have) for size, have in zip(sizes, own, strict=True)) and len(shape) <= len(x.shape):
        return [x]
    return [Val(builder.stretched(builder.value(x, call.name), shape, call.name))]


def _matmul(builder: Builder, call: Call) -> list[Tensor]:
    kernel = call.tensor(1)
    if not isinstance(kernel, Const) or len(kernel.weight.shape) != 2:
        return matmul(builder, call)
    x = plain(builder, call, flat=True)
    return [on(builder, call, x, layers.Dense(kernel.weight, None), (*x.value.shape[:-1], kernel.weight.shape[1]))]


def _gemm(builder: Builder, call: Call) -> list[Tensor]:
    """A Dense where its weights are the file's; else the product, and what is added to it."""
    kernel, bias = call.tensor(1), call.tensor(2) if call.has(2) else None
    scaled = call.number("alpha", 1.0) != 1 or (bias is not None and call.number("beta", 1.0) != 1)
    turned = call.integer("transA", 0)
    if not isinstance(kernel, Const) or len(kernel.weight.shape) != 2 or scaled or turned:
        return [_product(builder, call)]
    weights = kernel.weight
    weights = weights.map(np.transpose, weights.shape[::-1]) if call.integer("transB", 0) else weights
    units = weights.shape[1]
    held = isinstance(bias, Const) and bias.weight.shape in ((units,), (1, units))
    x = plain(builder, call, flat=True)
    layer = layers.Dense(weights, in_shape(bias, [units]).weight if held and isinstance(bias, Const) else None)
    made = on(builder, call, x, layer, (*x.value.shape[:-1], units))
    return [made if bias is None or held else _plus(builder, call, builder.value(made, call.name), bias)]


def _product(builder: Builder, call: Call) -> Tensor:
    """alpha·A·B + beta·C."""
    a, b = (builder.value(call.tensor(k), call.name) for k in (0, 1))
    a = builder.transposed(a, (1, 0), f"{call.name}/a") if call.integer("transA", 0) else a
    b = builder.transposed(b, (1, 0), f"{call.name}/b") if call.integer("transB", 0) else b
    (made,) = builder.node(call.name, layers.MatMul(), (a, b), (a.shape[0], b.shape[1]))
    made = _times(builder, call, made, "alpha")
    if not call.has(2):
        return Val(made)
    return _plus(builder, call, made, call.tensor(2))


def _plus(builder: Builder, call: Call, x: Value, bias: Tensor) -> Val:
    added = _times(builder, call, builder.value(bias, call.name), "beta")
    shape = broadcast(x.shape, added.shape)
    return Val(builder.node(f"{call.name}/add", layers.Elementwise("add"), (x, added), shape)[0])


def _times(builder: Builder, call: Call, x: Value, name: str) -> Value:
    """x times an attribute."""
    by = call.number(name, 1.0)
    if by == 1:
        return x
    number = builder.number(f"{call.name}/{name}", np.array(by, dtype_of(x.dtype)))
    return builder.node(f"{call.name}/{name}", layers.Elementwise("multiply"), (x, number), x.shape)[0]


def _add(builder: Builder, call: Call) -> list[Tensor]:
    """An Add that is the bias of the Dense or Conv before it, or any other."""
    for k in (0, 1):
        x, bias = call.tensor(k), call.tensor(1 - k)
        node = builder.producer(x.value) if isinstance(x, Val) and isinstance(bias, Const) else None
        if not isinstance(x, Val) or not isinstance(bias, Const) or node is None:
            continue
        if isinstance(node.layer, layers.Dense) and node.layer.bias is None and bias.weight.shape == (node.layer.kernel.shape[1],):  # fmt: skip  # noqa: E501
            layer = layers.Dense(node.layer.kernel, bias.weight)
            return [Val(builder.node(node.name, layer, node.inputs, x.value.shape)[0], x.swapped, x.flat)]
    return conv_with_bias(builder, call) or _elementwise("add")(builder, call)


def _elementwise(op: layers.ElementwiseOp) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        tensors = [call.tensor(k) for k in (0, 1)]
        sizes = of_sizes(builder, op, tensors[0], tensors[1], call.name)
        if sizes is not None:
            return [sizes]
        tensors = [Val(builder.value(t, call.name)) if isinstance(t, Val) and t.flat else t for t in tensors]
        vals = [t for t in tensors if isinstance(t, Val)]
        consts = [t for t in tensors if isinstance(t, Const)]
        swapped = bool(vals) and all(v.swapped for v in vals) and all(len(c.weight.shape) < 2 for c in consts)
        inner = [t.value if swapped and isinstance(t, Val) else builder.value(t, call.name) for t in tensors]
        return [Val(computed(builder, op, inner[0], inner[1], call.name), swapped)]

    return rule


def _activation(make: Callable[[Call, Val], Activation]) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = plain(builder, call, flat=True)
        return [on(builder, call, x, layers.Activate(make(call, x)), x.value.shape)]

    return rule


def _named(name: str) -> Rule:
    return _activation(lambda call, x: NAMES[name])


def _selu(call: Call, x: Val) -> Activation:
    given = [np.float32(call.number(name, usual)) for name, usual in _SELU.items()]
    if given != [np.float32(usual) for usual in _SELU.values()]:
        raise Unsupported(f"Selu with alpha and gamma {given}")
    return NAMES["selu"]


_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}


def _softmax(name: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = plain(builder, call)
        rank = len(x.shape)
        axis = call.integer("axis", -1 if builder.opset >= 13 else 1) % rank
        if axis != rank - 1 and builder.opset < 13:
            raise Unsupported(f"{call.op} over all axes from {axis} on of {rank}, as before opset 13")
        return [on(builder, call, x, layers.Activate(Activation(name, (x.axis(axis),))), x.value.shape)]

    return rule


RULES: Mapping[str, Rule] = {
    **GENERAL,
    **CONV,
    **SHAPES,
    **MOVING,
    **CUTTING,
    **SIZES,
    **TEXT,
    **SPLITTING,
    **RESIZING,
    **BRANCHES,
    **NORMALIZING,
    **QUANTIZED,
    **RESHAPING,
    **TRIANGLES,
    "Identity": _identity, "Dropout": _identity, "Constant": _constant, "Cast": _cast, "ConstantOfShape": _fill,
    "Expand": _expand, "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent, "Scan": scan, "Loop": loop,
    "MatMul": _matmul, "Gemm": _gemm,
    "Add": _add, "Sub": _elementwise("subtract"), "Mul": _elementwise("multiply"), "Div": _elementwise("divide"),
    "Tanh": _named("tanh"), "Sigmoid": _named("sigmoid"), "Relu": _named("relu"), "Softsign": _named("softsign"),
    "Softplus": _named("softplus"), "Softmax": _softmax("softmax"), "LogSoftmax": _softmax("log_softmax"),
    "HardSigmoid": _activation(
        lambda call, x: Activation("hard_sigmoid", (call.number("alpha", 0.2), call.number("beta", 0.5)))
    ),
    "LeakyRelu": _activation(lambda call, x: Activation("leaky_relu", (call.number("alpha", 0.01),))),
    "Gelu": _activation(lambda call, x: Activation("gelu", (float(call.text("approximate", "none") == "tanh"),))),
    "HardSwish": _named("hard_silu"), "Mish": _named("mish"), "ThresholdedRelu": _activation(
        lambda call, x: Activation("thresholded_relu", (call.number("alpha", 1.0),))
    ), "Celu": _activation(lambda call, x: Activation("celu", (call.number("alpha", 1.0),))),
    "Selu": _activation(_selu), "Elu": _activation(lambda call, x: Activation("elu", (call.number("alpha", 1.0),))),
}  # fmt: skip
