"""Rules for ONNX operators: each gives what stands for the tensors that it makes. Shapes are in onnx_shapes.py."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import Unsupported
from converter.formats.onnx_tensor import DTYPES, weight
from converter.model import Shape, constant, layers
from converter.model.activations import NAMES, Activation
from converter.readers.onnx.conv import RULES as CONV
from converter.readers.onnx.counted import Dim
from converter.readers.onnx.general import RULES as GENERAL
from converter.readers.onnx.general import matmul
from converter.readers.onnx.moving import RULES as MOVING
from converter.readers.onnx.recurrent import recurrent
from converter.readers.onnx.scan import scan
from converter.readers.onnx.shapes import RULES as SHAPES
from converter.readers.onnx.shapes import in_shape
from converter.readers.onnx.values import (
    Builder,
    Call,
    Const,
    Dims,
    Filled,
    Tensor,
    Val,
    Zeros,
    is_zero,
    on,
    plain,
)

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
    tensor = call.tensor(0)
    if isinstance(tensor, Dims | Zeros | Filled):
        return [tensor]
    kind = call.integer("to", 0)
    if kind not in DTYPES:
        raise Unsupported(f"Cast to ONNX data type {kind}")
    dtype = DTYPES[kind][0]
    if isinstance(tensor, Const):
        return [Const(tensor.weight.astype(dtype))]
    x = plain(builder, call)
    if x.value.dtype == dtype:
        return [x]
    made = builder.node(call.name, layers.Cast(dtype), (x.value,), x.value.shape, dtype=dtype)[0]
    return [Val(made, x.swapped)]


def _fill(builder: Builder, call: Call) -> list[Tensor]:
    """ConstantOfShape and Expand: zeros of any shape, or a size repeated."""
    if call.op == "ConstantOfShape":
        value = Const(weight(call.attributes["value"].t, call.folder)) if "value" in call.attributes else None
        if value is None or is_zero(value):
            return [Zeros()]
        if value.weight.dtype.startswith("int"):
            return [Filled(int(value.array.ravel()[0]))]
    elif is_zero(call.tensor(0)):
        return [Zeros()]
    else:
        items = builder.dims(call.tensor(0))
        if items is not None and len(items) == 1:
            return [Filled(items[0])]
    raise Unsupported(f"{call.op} of this kind")


def _matmul(builder: Builder, call: Call) -> list[Tensor]:
    kernel = call.tensor(1)
    if not isinstance(kernel, Const) or len(kernel.weight.shape) != 2:
        return matmul(builder, call)
    x = plain(builder, call, flat=True)
    return [on(builder, call, x, layers.Dense(kernel.weight, None), (*x.value.shape[:-1], kernel.weight.shape[1]))]


def _gemm(builder: Builder, call: Call) -> list[Tensor]:
    kernel, bias = call.tensor(1), call.tensor(2) if call.has(2) else None
    scaled = call.number("alpha", 1.0) != 1 or (bias is not None and call.number("beta", 1.0) != 1)
    if not isinstance(kernel, Const) or not isinstance(bias, Const | None) or scaled or call.integer("transA", 0):
        raise Unsupported("Gemm of this kind")
    weights = kernel.weight
    weights = weights.map(np.transpose, weights.shape[::-1]) if call.integer("transB", 0) else weights
    units = weights.shape[1]
    if bias is not None and bias.weight.shape not in ((units,), (1, units)):
        raise Unsupported(f"Gemm with a bias of shape {bias.weight.shape}")
    x = plain(builder, call, flat=True)
    layer = layers.Dense(weights, None if bias is None else in_shape(bias, [units]).weight)
    return [on(builder, call, x, layer, (*x.value.shape[:-1], units))]


def _add(builder: Builder, call: Call) -> list[Tensor]:
    """An Add that is the bias of the Dense before it, or any other."""
    for k in (0, 1):
        x, bias = call.tensor(k), call.tensor(1 - k)
        if isinstance(x, Val) and isinstance(bias, Const) and builder.nodes and builder.nodes[-1].outputs[0] == x.value:
            node = builder.nodes[-1]
            if isinstance(node.layer, layers.Dense) and node.layer.bias is None and bias.weight.shape == (node.layer.kernel.shape[1],):  # fmt: skip  # noqa: E501
                builder.nodes.pop()
                made = builder.node(node.name, layers.Dense(node.layer.kernel, bias.weight), node.inputs, x.value.shape)
                return [Val(made[0], x.swapped, x.flat)]
    return _elementwise("add")(builder, call)


def _elementwise(op: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        tensors = [call.tensor(k) for k in (0, 1)]
        if any(isinstance(t, Dims | Filled | Zeros) for t in tensors):
            return [_of_sizes(builder, call, op)]
        tensors = [Val(builder.value(t, call.name)) if isinstance(t, Val) and t.flat else t for t in tensors]
        vals = [t for t in tensors if isinstance(t, Val)]
        consts = [t for t in tensors if isinstance(t, Const)]
        swapped = bool(vals) and all(v.swapped for v in vals) and all(len(c.weight.shape) < 2 for c in consts)
        inner = [t.value if swapped and isinstance(t, Val) else builder.value(t, call.name) for t in tensors]
        shape = _broadcast(inner[0].shape, inner[1].shape)
        return [Val(builder.node(call.name, layers.Elementwise(op), tuple(inner), shape)[0], swapped)]  # type: ignore[arg-type]

    return rule


def _of_sizes(builder: Builder, call: Call, op: str) -> Dims:
    """Arithmetic of sizes, as far as they are numbers; one that is not stays when it is multiplied by 1."""
    a, b = (builder.dims(call.tensor(k)) for k in (0, 1))
    if a is None or b is None or op not in _ARITHMETIC or (len(a) != len(b) and 1 not in (len(a), len(b))):
        raise Unsupported(f"{call.op} on shapes")
    count = max(len(a), len(b))
    made: list[Dim] = []
    for x, y in zip(a * (count // len(a)), b * (count // len(b)), strict=True):
        if isinstance(x, int) and isinstance(y, int) and not (op == "divide" and y == 0):
            made.append(_ARITHMETIC[op](x, y))
        elif op in ("multiply", "divide") and y == 1:
            made.append(x)
        elif op == "multiply" and x == 1:
            made.append(y)
        else:
            raise Unsupported(f"{call.op} on open sizes")
    return Dims(tuple(made))


_ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),  # towards zero, as C does
}


def _broadcast(a: Shape, b: Shape) -> Shape:
    rank = max(len(a), len(b))
    wide = [(1,) * (rank - len(s)) + s for s in (a, b)]
    return tuple(y if x == 1 else x if y in (1, None) or x is not None else y for x, y in zip(*wide, strict=True))


def _activation(make: Callable[[Call, Val], Activation]) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = plain(builder, call, flat=True)
        return [on(builder, call, x, layers.Activate(make(call, x)), x.value.shape)]

    return rule


def _named(name: str) -> Rule:
    return _activation(lambda call, x: NAMES[name])


def _softmax(name: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x = plain(builder, call)
        rank = len(x.shape)
        axis = call.integer("axis", -1 if builder.opset >= 13 else 1) % rank
        if axis != rank - 1:
            raise Unsupported(f"{call.op} over axis {axis} of {rank}")
        return [on(builder, call, x, layers.Activate(Activation(name, (axis,))), x.value.shape)]

    return rule


RULES: Mapping[str, Rule] = {
    **GENERAL,
    **CONV,
    **SHAPES,
    **MOVING,
    "Identity": _identity, "Dropout": _identity, "Constant": _constant, "Cast": _cast, "ConstantOfShape": _fill,
    "Expand": _fill, "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent, "Scan": scan,
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
    "Elu": _activation(lambda call, x: Activation("elu", (call.number("alpha", 1.0),))),
}  # fmt: skip
