"""Layers around recurrent ones, as torch.nn layers or one line of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import Unsupported
from converter.exporters.torch.source import HINT, Writer, rule
from converter.model import Node, Weight, constant, layers
from converter.model.activations import LINEAR, Activation

# {x} is the input; parameters go by the names of `activations.FUNCTIONS`.
ACTIVATIONS: Mapping[str, str] = {
    "linear": "{x}",
    "tanh": "torch.tanh({x})",
    "sigmoid": "torch.sigmoid({x})",
    "hard_sigmoid": "({alpha} * {x} + {beta}).clamp(0, 1)",
    "elu": "F.elu({x}, {alpha})",
    "selu": "F.selu({x})",
    "celu": "F.celu({x}, {alpha})",
    "leaky_relu": "F.leaky_relu({x}, {alpha})",
    "softplus": "torch.logaddexp({x}, torch.zeros_like({x}))",
    "softsign": "F.softsign({x})",
    "exponential": "torch.exp({x})",
    "silu": "F.silu({x})",
    "hard_silu": "F.hardswish({x})",
    "hard_tanh": "F.hardtanh({x})",
    "hard_shrink": "F.hardshrink({x}, {threshold})",
    "soft_shrink": "F.softshrink({x}, {threshold})",
    "tanh_shrink": "F.tanhshrink({x})",
    "threshold": "F.threshold({x}, {threshold}, {value})",
    "thresholded_relu": "F.threshold({x}, {theta}, 0)",
    "mish": "F.mish({x})",
    "log_sigmoid": "F.logsigmoid({x})",
    "softmax": "torch.softmax({x}, {axis})",
    "log_softmax": "torch.log_softmax({x}, {axis})",
    "glu": "F.glu({x}, {axis})",
}
_BINARY = {
    "add": "{a} + {b}", "subtract": "{a} - {b}", "multiply": "{a} * {b}", "divide": "{a} / {b}",
    "maximum": "torch.maximum({a}, {b})", "minimum": "torch.minimum({a}, {b})", "power": "{a} ** {b}",
    "equal": "{a} == {b}", "not_equal": "{a} != {b}", "less": "{a} < {b}", "less_equal": "{a} <= {b}",
    "greater": "{a} > {b}", "greater_equal": "{a} >= {b}", "and": "{a} & {b}", "or": "{a} | {b}", "xor": "{a} ^ {b}",
    "arctan2": "torch.arctan2({a}, {b})",
}  # fmt: skip
_REDUCE = {
    "sum": "{x}.sum({axes}, keepdim={keep})", "mean": "{x}.mean({axes}, keepdim={keep})",
    "max": "{x}.amax({axes}, keepdim={keep})", "min": "{x}.amin({axes}, keepdim={keep})",
    "any": "{x}.any({axes}, keepdim={keep})", "all": "{x}.all({axes}, keepdim={keep})",
    "logsumexp": "{x}.logsumexp({axes}, keepdim={keep})",
}  # fmt: skip
_UNARY = {"negative": "-{x}", "not": "~{x}"}


def activated(activation: Activation, x: str, place: str) -> str:
    """The expression of an activation.

    Raises:
        Unsupported: PyTorch has none that is exactly this.
    """
    arguments = {k: repr(int(v)) if k == "axis" else repr(v) for k, v in activation.arguments.items()}
    if activation.name == "gelu":
        return f'F.gelu({x}, approximate="{"tanh" if activation.parameters[0] else "none"}")'
    if activation.name == "relu":
        slope, maximum, threshold = activation.parameters
        if threshold == 0 and slope == 0:
            return f"torch.relu({x})" if maximum == float("inf") else f"{x}.clamp(0, {maximum!r})"
        if threshold == 0 and maximum == float("inf"):
            return f"F.leaky_relu({x}, {slope!r})"
    template = ACTIVATIONS.get(activation.name)
    if template is None:
        raise Unsupported(f"activation {activation.name} has no counterpart in PyTorch here", where=place, hint=HINT)
    return template.format(x=x, **arguments)


def one(layer: object, writer: Writer, node: Node, expression: str) -> None:
    """The single output of a node, then its activation."""
    activation = getattr(layer, "activation", LINEAR)
    writer.assign(node.outputs[0], expression)
    if activation != LINEAR:
        name = writer.value(node.outputs[0])
        writer.assign(node.outputs[0], activated(activation, name, node.name))


@rule.register
def dense(layer: layers.Dense, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """nn.Linear; its weight is the transposed kernel."""
    (node,) = nodes
    features, units = layer.kernel.shape
    state = [("weight", layer.kernel.map(np.transpose, (units, features)))]
    state += [("bias", layer.bias)] if layer.bias is not None else []
    bias = "" if layer.bias is not None else ", bias=False"
    attribute = writer.module(node.name, f"nn.Linear({features}, {units}{bias})", state, [layer.kernel])
    one(layer, writer, node, f"self.{attribute}({writer.inputs(node)[0]})")


@rule.register
def embedding(layer: layers.Embedding, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """nn.Embedding."""
    (node,) = nodes
    rows, size = layer.table.shape
    attribute = writer.module(node.name, f"nn.Embedding({rows}, {size})", [("weight", layer.table)], [layer.table])
    one(layer, writer, node, f"self.{attribute}({writer.inputs(node)[0]}.long())")


@rule.register
def batch_normalization(layer: layers.BatchNormalization, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """nn.BatchNorm1d in evaluation, which is an affine map per channel; the channel axis is moved to place 1."""
    (node,) = nodes
    (size,) = layer.mean.shape
    rank = len(node.outputs[0].shape)
    if rank not in (2, 3):
        raise Unsupported(f"nn.BatchNorm1d takes two or three axes, not {rank}", where=node.name, hint=HINT)
    ones, zeros = constant("gamma", np.ones(size), layer.mean.dtype), constant("beta", np.zeros(size), layer.mean.dtype)
    state = [
        ("weight", layer.gamma or ones), ("bias", layer.beta or zeros), ("running_mean", layer.mean),
        ("running_var", layer.variance), ("num_batches_tracked", constant("steps", np.zeros((), np.int64))),
    ]  # fmt: skip
    attribute = writer.module(node.name, f"nn.BatchNorm1d({size}, eps={layer.epsilon!r})", state, [layer.mean])
    x = writer.inputs(node)[0]
    moved = f"self.{attribute}({x}.movedim({layer.axis}, 1)).movedim(1, {layer.axis})"
    one(layer, writer, node, f"self.{attribute}({x})" if layer.axis == 1 else moved)


@rule.register
def layer_normalization(layer: layers.LayerNormalization, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """nn.LayerNorm over the last axes."""
    (node,) = nodes
    rank = len(node.outputs[0].shape)
    sizes = [node.outputs[0].shape[axis] for axis in layer.axes]
    if layer.rms or tuple(layer.axes) != tuple(range(rank - len(sizes), rank)) or None in sizes:
        raise Unsupported("nn.LayerNorm normalises over the last axes", where=node.name, hint=HINT)
    dtype = node.outputs[0].dtype
    gamma = layer.gamma or constant("gamma", np.ones(sizes, np.float32), dtype)
    beta = layer.beta or constant("beta", np.zeros(sizes, np.float32), dtype)
    attribute = writer.module(
        node.name, f"nn.LayerNorm({sizes}, eps={layer.epsilon!r})", [("weight", gamma), ("bias", beta)]
    )
    one(layer, writer, node, f"self.{attribute}({writer.inputs(node)[0]})")


@rule.register
def conv(layer: layers.Conv, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """nn.Conv1d or nn.Conv2d; padding that depends on the input's size has no counterpart."""
    (node,) = nodes
    rank, window = layer.rank, layer.kernel.shape[: layer.rank]
    if rank > 2 or (layer.padding == "same" and any(step != 1 for step in layer.strides)):
        raise Unsupported(f"no counterpart of this Conv{rank}D in torch.nn", where=node.name, hint=HINT)
    if layer.padding == "same" and any((w - 1) * d % 2 for w, d in zip(window, layer.dilation, strict=True)):
        reach = [(w - 1) * d for w, d in zip(window, layer.dilation, strict=True)]
        pads = [n for r in reversed(reach) for n in (r // 2, r - r // 2)]
    else:
        pads = [(window[0] - 1) * layer.dilation[0], 0] if layer.padding == "causal" else []
    filters, per_group = layer.kernel.shape[-1], layer.kernel.shape[-2]
    axes = (rank + 1, rank, *range(rank))
    state = [("weight", layer.kernel.map(lambda k: k.transpose(axes), (filters, per_group, *window)))]
    state += [("bias", layer.bias)] if layer.bias is not None else []
    same = ', padding="same"' if layer.padding == "same" and not pads else ""
    settings = f"stride={layer.strides}, dilation={layer.dilation}, groups={layer.groups}"
    settings += "" if layer.bias is not None else ", bias=False"
    expression = f"nn.Conv{rank}d({per_group * layer.groups}, {filters}, {tuple(window)}, {settings}{same})"
    attribute = writer.module(node.name, expression, state, [layer.kernel])
    one(layer, writer, node, _channels_first(layer, writer.inputs(node)[0], lambda x: (
        f"self.{attribute}(F.pad({x}, {pads}))" if pads else f"self.{attribute}({x})"
    )))  # fmt: skip


def _channels_first(layer: layers.Conv | layers.Pool, x: str, call: Callable[[str], str]) -> str:
    return call(x) if layer.data_format == "channels_first" else f"{call(f'{x}.movedim(-1, 1)')}.movedim(1, -1)"


@rule.register
def pool(layer: layers.Pool, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """F.max_pool1d and its kin."""
    (node,) = nodes
    if layer.padding != "valid" or layer.rank > 2:
        raise Unsupported("no counterpart of padded pooling in torch.nn", where=node.name, hint=HINT)
    name = f"F.{'max' if layer.kind == 'max' else 'avg'}_pool{layer.rank}d"
    one(layer, writer, node, _channels_first(
        layer, writer.inputs(node)[0], lambda x: f"{name}({x}, {layer.window}, {layer.strides})"
    ))  # fmt: skip


@rule.register
def activate(layer: layers.Activate, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """One line."""
    (node,) = nodes
    writer.assign(node.outputs[0], activated(layer.activation, writer.inputs(node)[0], node.name))


@rule.register
def constant_array(layer: layers.Constant, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """A buffer."""
    weight: Weight = layer.weight
    writer.assign(nodes[0].outputs[0], writer.constant(nodes[0].name, weight))


def _reshape(layer: layers.Reshape, x: str) -> str:
    sizes = [f"{x}.shape[{k}]" if size == 0 else str(size) for k, size in enumerate(layer.target)]
    return f"{x}.reshape({', '.join(sizes)})"


def _slice(layer: layers.Slice, x: str) -> str:
    parts = [":"] * (max(layer.axes) + 1)
    flips = []
    for axis, start, stop, step in zip(layer.axes, layer.starts, layer.stops, layer.steps, strict=True):
        if step == -1 and start is None and stop is None:
            flips.append(axis)
        elif step > 0:
            parts[axis] = f"{'' if start is None else start}:{'' if stop is None else stop}:{step}"
        else:
            raise Unsupported("a slice with a negative step", hint=HINT)
    turned = f"{x}.flip({flips})" if flips else x
    return turned if set(parts) == {":"} else f"{turned}[{', '.join(parts)}]"


def _nested(x: str, axes: tuple[int, ...], method: str) -> str:
    order = sorted(axes) if method == "unsqueeze" else sorted(axes, reverse=True)
    return x + "".join(f".{method}({axis})" for axis in order)


def _pad(layer: layers.Pad, x: str) -> str:
    if layer.mode != "constant":
        raise Unsupported(f"padding by {layer.mode}", hint=HINT)
    return f"F.pad({x}, {[n for pair in reversed(layer.pads) for n in pair]}, value={layer.value!r})"


def _swap(x: str, swapped: bool) -> str:
    return f"{x}.transpose(-1, -2)" if swapped else x


def _reduce(layer: layers.Reduce, x: str) -> str:
    if layer.op in ("argmax", "argmin", "prod"):
        return f"{x}.{layer.op}({layer.axes[0]}, keepdim={layer.keepdims})"
    return _REDUCE[layer.op].format(x=x, axes=list(layer.axes), keep=layer.keepdims)


# Layers that are one line: type -> expression of the layer and its inputs' variables.
_LINES: Mapping[type, Callable[..., str]] = {
    layers.Reshape: lambda layer, x: _reshape(layer, x),
    layers.FoldTime: lambda layer, x: f"{x}.flatten(0, 1)",
    layers.UnfoldTime: lambda layer, y, like: f"{y}.unflatten(0, {like}.shape[:2])",
    layers.Transpose: lambda layer, x: f"{x}.permute({list(layer.axes)})",
    layers.Concatenate: lambda layer, *x: f"torch.cat([{', '.join(x)}], {layer.axis})",
    layers.ExpandDims: lambda layer, x: _nested(x, layer.axes, "unsqueeze"),
    layers.Squeeze: lambda layer, x: _nested(x, layer.axes, "squeeze"),
    layers.Repeat: lambda layer, x: f"{x}.repeat_interleave({layer.times}, {layer.axis})",
    layers.Tile: lambda layer, x: f"{x}.repeat({list(layer.times)})",
    layers.Pad: _pad,
    layers.Slice: _slice,
    layers.TakeAlong: lambda layer, x, i: f"{x}.gather({layer.axis}, {i}.long())",
    layers.Cast: lambda layer, x: f"{x}.to(torch.{layer.dtype})",
    layers.Unary: lambda layer, x: _UNARY.get(layer.op, f"torch.{layer.op}({{x}})").format(x=x),
    layers.Where: lambda layer, condition, a, b: f"torch.where({condition}, {a}, {b})",
    layers.Reduce: _reduce,
    layers.CumSum: lambda layer, x: f"{x}.cumsum({layer.axis})",
    layers.MatMul: lambda layer, a, b: f"{_swap(a, layer.transpose_a)} @ {_swap(b, layer.transpose_b)}",
    layers.Einsum: lambda layer, *x: f'torch.einsum("{layer.equation}", {", ".join(x)})',
}


def _line(layer: object, writer: Writer, nodes: tuple[Node, ...]) -> None:
    (node,) = nodes
    try:
        writer.assign(node.outputs[0], _LINES[type(layer)](layer, *writer.inputs(node)))
    except Unsupported as error:
        raise error.at(node.name) from error


for _type in _LINES:
    rule.register(_type, _line)


@rule.register
def elementwise(layer: layers.Elementwise, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """From left to right."""
    (node,) = nodes
    template = _BINARY.get(layer.op)
    if template is None:
        raise Unsupported(f"{layer.op} has no counterpart in PyTorch here", where=node.name, hint=HINT)
    first, *rest = writer.inputs(node)
    for other in rest:
        first = template.format(a=f"({first})" if " " in first else first, b=other)
    writer.assign(node.outputs[0], first)
