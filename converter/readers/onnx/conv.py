"""Rules for ONNX' convolutions and pooling, as layers with the channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from msgspec import structs

from converter.errors import Unsupported
from converter.model import Node, Shape, Value, layers
from converter.readers.onnx.general import value_of
from converter.readers.onnx.tensors import Const, Tensor, Val
from converter.readers.onnx.values import Builder, Call

Rule = Callable[[Builder, Call], list[Tensor]]


def _spatial(builder: Builder, call: Call) -> tuple[Value, int]:
    """The input with its channels last, and how many spatial axes it has."""
    x = value_of(builder, call, 0)
    rank = len(x.shape) - 2
    if rank not in (1, 2, 3):
        raise Unsupported(f"{call.op} over {rank} axes")
    return builder.transposed(x, (0, *range(2, rank + 2), 1), f"{call.name}/last"), rank


def _padding(
    call: Call, x: Value, window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...] | str:
    """ "valid", "same" (as TensorFlow pads), or the sizes before and after each axis where it is neither."""
    auto = call.attributes["auto_pad"].s if "auto_pad" in call.attributes else b"NOTSET"
    if auto == b"SAME_UPPER":
        return "same"
    if auto not in (b"NOTSET", b"VALID"):
        raise Unsupported(f"{call.op} with auto_pad {auto.decode('ascii', 'replace')}")
    pads = tuple(call.attributes["pads"].ints) if "pads" in call.attributes and auto == b"NOTSET" else ()
    if not any(pads):
        return "valid"
    total = []
    for size, w, s, d in zip(x.shape[1:-1], window, strides, dilation, strict=True):
        if s > 1 and size is None:
            return pads
        total.append(max((w - 1) * d + (0 if size is None else ((size - 1) // s) * s + 1 - size), 0))
    return "same" if pads == (*(n // 2 for n in total), *(n - n // 2 for n in total)) else pads


def _padded(builder: Builder, call: Call, x: Value, pads: tuple[int, ...], value: float) -> Value:
    """x with numbers put around its spatial axes."""
    rank = len(pads) // 2
    pairs = ((0, 0), *zip(pads[:rank], pads[rank:], strict=True), (0, 0))
    shape = tuple(None if size is None else size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True))
    return builder.node(f"{call.name}/pad", layers.Pad(pairs, value), (x,), shape)[0]


def _sizes(call: Call, name: str, rank: int) -> tuple[int, ...]:
    return tuple(int(n) for n in call.attributes[name].ints) if name in call.attributes else (1,) * rank


def _moved(builder: Builder, call: Call, y: Value, rank: int) -> list[Tensor]:
    return [Val(builder.transposed(y, (0, rank + 1, *range(1, rank + 1)), f"{call.name}/first"))]


def _after(
    shape: Shape, window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> Shape:
    """Spatial sizes after a window has passed."""
    reach = ((w - 1) * d for w, d in zip(window, dilation, strict=True))
    lost = (0 if padding == "same" else r for r in reach)
    return tuple(
        None if n is None else (n - gone - 1) // s + 1 for n, gone, s in zip(shape, lost, strides, strict=True)
    )


def _conv(builder: Builder, call: Call) -> list[Tensor]:
    kernel, bias = call.tensor(1), call.tensor(2) if call.has(2) else None
    if not isinstance(kernel, Const) or not isinstance(bias, Const | None):
        raise Unsupported("Conv whose weights are computed")
    x, rank = _spatial(builder, call)
    weight = kernel.weight
    if len(weight.shape) != rank + 2:
        raise Unsupported(f"Conv with a kernel of shape {weight.shape}")
    window, groups = weight.shape[2:], call.integer("group", 1)
    strides, dilation = _sizes(call, "strides", rank), _sizes(call, "dilations", rank)
    padding = _padding(call, x, window, strides, dilation)
    if not isinstance(padding, str):
        x, padding = _padded(builder, call, x, padding, 0.0), "valid"
    axes = (*range(2, rank + 2), 1, 0)
    turned = weight.map(lambda w: np.transpose(w, axes), tuple(weight.shape[axis] for axis in axes))
    layer = layers.Conv(
        rank, turned, None if bias is None else bias.weight, strides, padding, dilation, groups, "channels_last"  # type: ignore[arg-type]
    )  # fmt: skip
    shape = (x.shape[0], *_after(x.shape[1:-1], window, strides, dilation, padding), weight.shape[0])
    return _moved(builder, call, builder.node(call.name, layer, (x,), shape)[0], rank)


def conv_with_bias(builder: Builder, call: Call) -> list[Tensor] | None:
    """A Conv with what is added to it, where that is its bias: tf2onnx writes [1, filters, 1, ...].

    An axis of the image may be taken away in between, as for a Conv1D that is written as one over two axes.
    """
    for k in (0, 1):
        y, bias = call.tensor(k), call.tensor(1 - k)
        if not isinstance(y, Val) or y.swapped or y.flat or not isinstance(bias, Const):
            continue
        squeezed = builder.producer(y.value)
        gone = squeezed.layer.axes if squeezed is not None and isinstance(squeezed.layer, layers.Squeeze) else ()
        turned = _behind(builder, squeezed) if gone else squeezed
        node = _behind(builder, turned)
        if turned is None or node is None or not isinstance(node.layer, layers.Conv) or node.layer.bias is not None:
            continue
        rank, filters = node.layer.rank, node.layer.kernel.shape[-1]
        first = isinstance(turned.layer, layers.Transpose) and turned.layer.axes == (0, rank + 1, *range(1, rank + 1))
        ones = [1] * (len(y.shape) - 2)
        if first and min(gone, default=2) > 1 and bias.weight.shape in ((1, filters, *ones), (filters, *ones)):
            layer = structs.replace(node.layer, bias=bias.weight.map(np.ravel, (filters,)))
            (made,) = _moved(builder, call, builder.node(node.name, layer, node.inputs, node.outputs[0].shape)[0], rank)
            whole = builder.value(made, call.name)
            shape = y.value.shape
            return [Val(builder.node(call.name, layers.Squeeze(gone), (whole,), shape)[0])] if gone else [made]
    return None


def _behind(builder: Builder, node: Node | None) -> Node | None:
    """What makes the first input of a node."""
    return None if node is None or node.inputs[0] is None else builder.producer(node.inputs[0])


def _conv_transpose(builder: Builder, call: Call) -> list[Tensor]:
    """Uncropped, with what is added at the end; `pads` are then cut off."""
    kernel, bias = call.tensor(1), call.tensor(2) if call.has(2) else None
    if not isinstance(kernel, Const) or not isinstance(bias, Const | None) or call.integer("group", 1) != 1:
        raise Unsupported("ConvTranspose of this kind")
    auto = call.attributes["auto_pad"].s if "auto_pad" in call.attributes else b"NOTSET"
    if auto not in (b"NOTSET", b"VALID") or "output_shape" in call.attributes:
        raise Unsupported("ConvTranspose with auto_pad or output_shape")
    x, rank = _spatial(builder, call)
    weight, window = kernel.weight, kernel.weight.shape[2:]
    strides, dilation = _sizes(call, "strides", rank), _sizes(call, "dilations", rank)
    zeros = (0,) * rank
    extra = tuple(call.attributes["output_padding"].ints) if "output_padding" in call.attributes else zeros
    pads = tuple(call.attributes["pads"].ints) if "pads" in call.attributes else (*zeros, *zeros)
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    usual = tuple(max(s - r, 0) for s, r in zip(strides, reach, strict=True))
    axes = (*range(2, rank + 2), 1, 0)
    turned = weight.map(lambda w: np.transpose(w, axes), tuple(weight.shape[axis] for axis in axes))
    layer = layers.ConvTranspose(
        rank, turned, None if bias is None else bias.weight, strides, "valid", None if extra == usual else extra,
        dilation, "channels_last",
    )  # fmt: skip
    sizes = tuple(
        None if n is None else (n - 1) * s + r + more
        for n, s, r, more in zip(x.shape[1:-1], strides, reach, extra, strict=True)
    )
    (y,) = builder.node(call.name, layer, (x,), (x.shape[0], *sizes, weight.shape[1]))
    if any(pads):
        first, last = pads[:rank], pads[rank:]
        left = (None if n is None else n - a - b for n, a, b in zip(sizes, first, last, strict=True))
        along = tuple(range(1, rank + 1))
        crop = layers.Slice(along, tuple(a or None for a in first), tuple(-b or None for b in last), (1,) * rank)
        (y,) = builder.node(f"{call.name}/crop", crop, (y,), (y.shape[0], *left, y.shape[-1]))
    return _moved(builder, call, y, rank)


def _pool(kind: str) -> Rule:
    def rule(builder: Builder, call: Call) -> list[Tensor]:
        x, rank = _spatial(builder, call)
        window, strides = _sizes(call, "kernel_shape", rank), _sizes(call, "strides", rank)
        ones = (1,) * rank
        padding = _padding(call, x, window, strides, ones)
        if call.integer("ceil_mode", 0):
            raise Unsupported(f"{call.op} with ceil_mode, which also takes windows that begin in the padding")
        if _sizes(call, "dilations", rank) != ones or len(call.outputs) > 1:
            raise Unsupported(f"{call.op} with dilations, or with the places of what it takes")
        counted = kind == "max" or bool(call.integer("count_include_pad", 0))
        if padding == "same" and kind == "average" and counted:
            padding = tuple(call.attributes["pads"].ints) if "pads" in call.attributes else ()
        if not isinstance(padding, str):
            if not counted or not padding:
                raise Unsupported(f"{call.op} whose padding is neither counted nor that of the same size")
            x = _padded(builder, call, x, padding, float("-inf") if kind == "max" else 0.0)
            padding = "valid"
        layer = layers.Pool(rank, kind, window, strides, padding)  # type: ignore[arg-type]
        sizes = _after(x.shape[1:-1], window, strides, ones, padding)
        return _moved(builder, call, builder.node(call.name, layer, (x,), (x.shape[0], *sizes, x.shape[-1]))[0], rank)

    return rule


def _global_average(builder: Builder, call: Call) -> list[Tensor]:
    x = value_of(builder, call, 0)
    axes = tuple(range(2, len(x.shape)))
    shape = (*x.shape[:2], *(1 for _ in axes))
    return [Val(builder.node(call.name, layers.Reduce("mean", axes, True), (x,), shape)[0])]


RULES: Mapping[str, Rule] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "MaxPool": _pool("max"), "AveragePool": _pool("average"),
    "GlobalAveragePool": _global_average,
}  # fmt: skip
