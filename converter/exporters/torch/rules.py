"""Layers around recurrent ones, as torch.nn layers or one line of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.errors import Unsupported
from converter.exporters.torch.activations import activated
from converter.exporters.torch.source import HINT, Writer, rule
from converter.model import Node, Weight, constant, layers
from converter.model.activations import LINEAR

_BINARY = {
    "add": "{a} + {b}", "subtract": "{a} - {b}", "multiply": "{a} * {b}", "divide": "{a} / {b}",
    "maximum": "torch.maximum({a}, {b})", "minimum": "torch.minimum({a}, {b})", "power": "{a} ** {b}",
    "equal": "{a} == {b}", "not_equal": "{a} != {b}", "less": "{a} < {b}", "less_equal": "{a} <= {b}",
    "greater": "{a} > {b}", "greater_equal": "{a} >= {b}", "and": "{a} & {b}", "or": "{a} | {b}", "xor": "{a} ^ {b}",
    "arctan2": "torch.arctan2({a}, {b})",
    "mod": "torch.remainder({a}, {b})", "floor_divide": "torch.floor_divide({a}, {b})",
}  # fmt: skip
_REDUCE = {
    "sum": "{x}.sum({axes}, keepdim={keep})", "mean": "{x}.mean({axes}, keepdim={keep})",
    "max": "{x}.amax({axes}, keepdim={keep})", "min": "{x}.amin({axes}, keepdim={keep})",
    "any": "{x}.any({axes}, keepdim={keep})", "all": "{x}.all({axes}, keepdim={keep})",
    "logsumexp": "{x}.logsumexp({axes}, keepdim={keep})",
}  # fmt: skip
_UNARY = {"negative": "-{x}", "not": "~{x}", "abs": "{x}.abs()"}


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
    """nn.BatchNorm1d to 3d; the channel axis is moved to place 1. torch's momentum is 1 less Keras'."""
    (node,) = nodes
    (size,) = layer.mean.shape
    rank = len(node.outputs[0].shape)
    if not 2 <= rank <= 5:
        raise Unsupported(f"nn.BatchNorm takes two to five axes, not {rank}", where=node.name, hint=HINT)
    ones, zeros = constant("gamma", np.ones(size), layer.mean.dtype), constant("beta", np.zeros(size), layer.mean.dtype)
    state = [
        ("weight", layer.gamma or ones), ("bias", layer.beta or zeros), ("running_mean", layer.mean),
        ("running_var", layer.variance), ("num_batches_tracked", constant("steps", np.zeros((), np.int64))),
    ]  # fmt: skip
    made = f"nn.BatchNorm{max(1, rank - 2)}d({size}, eps={layer.epsilon!r}, momentum={round(1 - layer.momentum, 12)!r})"
    attribute = writer.module(node.name, made, state, [layer.mean])
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
        raise Unsupported("nn.LayerNorm normalizes over the last axes", where=node.name, hint=HINT)
    dtype = node.outputs[0].dtype
    gamma = layer.gamma or constant("gamma", np.ones(sizes, np.float32), dtype)
    beta = layer.beta or constant("beta", np.zeros(sizes, np.float32), dtype)
    bare = layer.gamma is None and layer.beta is None
    made = f"nn.LayerNorm({sizes[0] if len(sizes) == 1 else sizes}, eps={layer.epsilon!r}"
    made += ", elementwise_affine=False)" if bare else ")"
    attribute = writer.module(node.name, made, [] if bare else [("weight", gamma), ("bias", beta)])
    one(layer, writer, node, f"self.{attribute}({writer.inputs(node)[0]})")


@rule.register
def conv(layer: layers.Conv, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """nn.Conv1d to 3d, after the padding that TensorFlow's "same" and Keras' "causal" mean."""
    (node,) = nodes
    rank, window = layer.rank, layer.kernel.shape[: layer.rank]
    filters, per_group = layer.kernel.shape[-1], layer.kernel.shape[-2]
    axes = (rank + 1, rank, *range(rank))
    state = [("weight", layer.kernel.map(lambda k: k.transpose(axes), (filters, per_group, *window)))]
    state += [("bias", layer.bias)] if layer.bias is not None else []
    even = all((w - 1) * d % 2 == 0 for w, d in zip(window, layer.dilation, strict=True))
    settings = [str(per_group * layer.groups), str(filters), _size(window)]
    settings += _given(stride=layer.strides, dilation=layer.dilation)
    settings += [f"groups={layer.groups}"] if layer.groups > 1 else []
    settings += [] if layer.bias is not None else ["bias=False"]
    padded = "{x}"
    if layer.padding == "causal":
        padded = f"F.pad({{x}}, [{(window[0] - 1) * layer.dilation[0]}, 0])"
    elif layer.padding == "same" and even and set(layer.strides) == {1}:
        settings.append('padding="same"')
    elif layer.padding == "same":
        padded = _same(writer, window, layer.strides, layer.dilation)
    attribute = writer.module(node.name, f"nn.Conv{rank}d({', '.join(settings)})", state, [layer.kernel])
    x = writer.inputs(node)[0]
    one(layer, writer, node, _channels_first(layer, x, lambda x: f"self.{attribute}({padded.format(x=x)})"))


def _size(sizes: tuple[int, ...]) -> str:
    """One number where all are the same, as torch takes it."""
    return str(sizes[0] if len(set(sizes)) == 1 else sizes)


def _given(**settings: tuple[int, ...]) -> list[str]:
    """Keyword arguments, without those that are 1 throughout: that is torch's default."""
    return [f"{name}={_size(sizes)}" for name, sizes in settings.items() if set(sizes) != {1}]


def _same(writer: Writer, window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]) -> str:
    writer.helpers.add("same")
    return f"same({{x}}, {list(window)}, {list(strides)}, {list(dilation)})"


def _channels_first(layer: layers.Conv | layers.Pool, x: str, call: Callable[[str], str]) -> str:
    return call(x) if layer.data_format == "channels_first" else f"{call(f'{x}.movedim(-1, 1)')}.movedim(1, -1)"


@rule.register
def pool(layer: layers.Pool, writer: Writer, nodes: tuple[Node, ...]) -> None:
    """F.max_pool1d and its kin; what is padded counts in no average."""
    (node,) = nodes
    name, sizes = f"F.{'max' if layer.kind == 'max' else 'avg'}_pool{layer.rank}d", f"{layer.window}, {layer.strides}"
    padded = "{x}"
    if layer.padding != "valid":
        padded = _same(writer, layer.window, layer.strides, (1,) * layer.rank)
        padded = padded[:-1] + ', float("-inf"))' if layer.kind == "max" else padded

    def call(x: str) -> str:
        result = f"{name}({padded.format(x=x)}, {sizes})"
        if layer.kind == "max" or layer.padding == "valid":
            return result
        return f"({result} / {name}({padded.format(x=f'torch.ones_like({x})')}, {sizes}))"

    one(layer, writer, node, _channels_first(layer, writer.inputs(node)[0], call))


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


def _gather(layer: layers.Gather, x: str, indices: str) -> str:
    """np.take: the axes of the indices stand where the axis was."""
    return f"take({x}, {indices}, {layer.axis})"


def _arg_sort(layer: layers.ArgSort, x: str) -> str:
    """Equal ones stay in order."""
    order = f"torch.argsort({x}, dim={layer.axis}, descending={layer.descending}, stable=True)"
    return order if layer.count is None else f"{order}.narrow({layer.axis}, 0, {layer.count})"


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
    layers.Gather: _gather,
    layers.OneHot: lambda layer, x: f"({x}[..., None] == torch.arange({layer.depth}, device={x}.device))",
    layers.Size: lambda layer, x: f"torch.tensor({x}.shape[{layer.axis}])",
    layers.Range: lambda layer, n: f"torch.arange(int({n}))",
    layers.ArgSort: _arg_sort,
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
        line = _LINES[type(layer)](layer, *writer.inputs(node))
        writer.helpers |= {"take"} if isinstance(layer, layers.Gather) else set()
        dtype = node.outputs[0].dtype
        writer.assign(node.outputs[0], f"{line}.to(torch.{dtype})" if isinstance(layer, layers.OneHot) else line)
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
