"""Rules for ONNX operators that move values, cut them, or compute with shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Value, constant, layers
from converter.readers.onnx.general import elementwise
from converter.readers.onnx.values import (
    Builder,
    Call,
    Const,
    Dims,
    Filled,
    Spread,
    Stack,
    States,
    Tensor,
    Val,
    Zeros,
    plain,
)  # fmt: skip

_FAR = 1 << 31  # ONNX writes "to the end" as a huge number


def _shape(builder: Builder, call: Call) -> list[Tensor]:
    tensor = call.tensor(0)
    if isinstance(tensor, States) and tensor.hs[0] is not None:
        h = tensor.hs[0]
        return [Dims((len(tensor.hs), h.shape[0] or (h.name, 0), h.shape[1] or (h.name, 1)))]
    if isinstance(tensor, Val) and not tensor.flat:
        return [Dims(_own(tensor)[call.integer("start", 0) : call.integer("end", 99)])]
    if isinstance(tensor, Stack):
        y = tensor.ys[0]
        first, batch = (y.shape[k] or (y.name, k) for k in (1, 0))
        return [Dims((first, len(tensor.ys), batch, y.shape[2] or (y.name, 2)))]
    raise Unsupported("the shape of this tensor")


def _own(tensor: Val) -> tuple[int | tuple[str, int], ...]:
    """The sizes of a tensor, each a number or an axis of a value."""
    name = tensor.value.name
    return tuple(size if size is not None else (name, tensor.axis(k)) for k, size in enumerate(tensor.shape))


def _max(builder: Builder, call: Call) -> list[Tensor]:
    """Of sizes and 1, as our exports guard against empty inputs."""
    tensor, other = call.tensor(0), call.tensor(1)
    if isinstance(tensor, Dims) and isinstance(other, Const) and other.weight.size == 1 and other.array.item() == 1:
        return [tensor]
    return elementwise("maximum")(builder, call)


def _transpose(builder: Builder, call: Call) -> list[Tensor]:
    tensor = call.tensor(0)
    axes = tuple(call.attributes["perm"].ints) if "perm" in call.attributes else None
    if isinstance(tensor, Stack) and axes in ((0, 2, 1, 3), (2, 0, 1, 3)):
        return [Spread(tensor.ys, axes[0] == 0)]
    if isinstance(tensor, Spread) and axes == (1, 0, 2, 3):
        return [Spread(tensor.ys, not tensor.time_first)]
    if isinstance(tensor, Zeros):
        return [tensor]
    x = plain(builder, call)
    rank = len(x.shape)
    axes = axes or tuple(reversed(range(rank)))
    if sorted(axes) != list(range(rank)):
        raise InvalidModel(f"perm {axes} of {rank} axes")
    if axes == tuple(range(rank)):
        return [x]
    if rank == 3 and axes == (1, 0, 2):
        return [Val(x.value, not x.swapped)]
    return [Val(builder.transposed(builder.value(x, call.name), axes, call.name))]


def _joined(builder: Builder, call: Call, ys: tuple[Value, ...], swapped: bool) -> Val:
    """The directions side by side on the last axis."""
    if len(ys) == 1:
        return Val(ys[0], swapped)
    shape = (*ys[0].shape[:2], sum(y.shape[2] or 0 for y in ys))
    return Val(builder.node(call.name, layers.Concatenate(2), ys, shape)[0], swapped)


def _squeeze(builder: Builder, call: Call) -> list[Tensor]:
    tensor, axes = call.tensor(0), call.integers("axes", 1)
    if isinstance(tensor, Dims | Zeros | Filled):
        return [tensor]
    if isinstance(tensor, Const):
        gone = [k for k, size in enumerate(tensor.weight.shape) if size == 1] if axes is None else axes
        return [reshaped(tensor, [size for k, size in enumerate(tensor.weight.shape) if k not in gone])]
    if isinstance(tensor, Stack) and axes == [1] and len(tensor.ys) == 1:
        return [Val(tensor.ys[0], True)]
    if isinstance(tensor, Spread) and axes == [2] and len(tensor.ys) == 1:
        return [Val(tensor.ys[0], tensor.time_first)]
    if isinstance(tensor, States) and axes == [0] and len(tensor.hs) == 1 and tensor.hs[0] is not None:
        return [Val(tensor.hs[0])]
    x = plain(builder, call)
    if axes is None:
        raise Unsupported("Squeeze without axes")
    inner = tuple(sorted(x.axis(axis) for axis in axes))
    shape = tuple(s for k, s in enumerate(x.value.shape) if k not in inner)
    swapped = x.swapped and not set(inner) & {0, 1}
    return [Val(builder.node(call.name, layers.Squeeze(inner), (x.value,), shape)[0], swapped)]


def reshaped(tensor: Const, shape: list[int]) -> Const:
    """An array of the file in another shape."""
    return Const(tensor.weight.map(lambda a: a.reshape(shape), tuple(shape)))


def _unsqueeze(builder: Builder, call: Call) -> list[Tensor]:
    tensor, axes = call.tensor(0), call.integers("axes", 1)
    if axes is None:
        raise InvalidModel("Unsqueeze without axes")
    if isinstance(tensor, Dims | Zeros | Filled):
        return [tensor]
    if isinstance(tensor, Const):
        shape = list(tensor.weight.shape)
        for axis in sorted(axes):
            shape.insert(axis if axis >= 0 else axis + len(shape) + 1, 1)
        return [reshaped(tensor, shape)]
    x = plain(builder, call)
    if axes == [0] and len(x.shape) == 2:
        return [States((builder.value(x, call.name),))]
    value = builder.value(x, call.name)
    rank = len(value.shape) + len(axes)
    inner = tuple(sorted(axis % rank for axis in axes))
    sizes = list(value.shape)
    for axis in inner:
        sizes.insert(axis, 1)
    return [Val(builder.node(call.name, layers.ExpandDims(inner), (value,), tuple(sizes))[0])]


def _keeps_shape(tensor: Tensor, target: tuple[object, ...] | None) -> bool:
    return isinstance(tensor, Val) and not tensor.flat and target == _own(tensor)


def _reshape(builder: Builder, call: Call) -> list[Tensor]:
    tensor, target = call.tensor(0), builder.dims(call.tensor(1))
    if isinstance(tensor, Dims | Zeros) or _keeps_shape(tensor, target):
        return [tensor]
    if target is None or call.integer("allowzero", 0):
        raise Unsupported("Reshape to a computed shape")
    if isinstance(tensor, Const) and all(isinstance(size, int) and size > 0 for size in target):
        return [reshaped(tensor, [int(size) for size in target if isinstance(size, int)])]
    if isinstance(tensor, Spread) and len(target) == 3:
        width = sum(y.shape[2] or 0 for y in tensor.ys)
        if target[2] in (-1, width) and target[0] != -1 and target[1] != -1:
            return [_joined(builder, call, tensor.ys, tensor.time_first)]
    if isinstance(tensor, Val) and tensor.flat and len(target) == 3:
        y = tensor.value
        seen = [(tensor.flat, axis) for axis in ((1, 0) if tensor.swapped else (0, 1))]
        known = [y.shape[axis] for _, axis in seen]
        if target[2] in (-1, y.shape[2]) and all(t in (s, k) for t, s, k in zip(target, seen, known, strict=False)):
            return [Val(y, tensor.swapped)]
    if isinstance(tensor, Val) and len(tensor.shape) == 3 and len(target) == 2 and target[1] == tensor.shape[2]:
        return [Val(tensor.value, tensor.swapped, tensor.value.name)]
    x = builder.value(tensor, call.name)
    sizes: list[int | None] = [x.shape[k] if size == 0 else size if isinstance(size, int) else None for k, size in enumerate(target)]  # fmt: skip  # noqa: E501
    open_sizes = [k for k, size in enumerate(sizes) if size in (None, -1)]
    if len(open_sizes) > 1 and all(target[k] == 0 or target[k] == -1 for k in open_sizes):
        layer_target = tuple(int(t) for t in target if isinstance(t, int))
    elif len(open_sizes) > 1:
        raise Unsupported("Reshape with two open sizes")
    else:
        layer_target = tuple(-1 if size is None else size for size in sizes)
    shape = tuple(None if size == -1 else size for size in sizes)
    if shape.count(None) == 1 and None not in x.shape:
        rest = prod(size for size in shape if size is not None)
        shape = tuple(prod(s for s in x.shape if s) // max(1, rest) if size is None else size for size in shape)
    return [Val(builder.node(call.name, layers.Reshape(layer_target), (x,), shape)[0])]


def _concat(builder: Builder, call: Call) -> list[Tensor]:
    parts = [call.tensor(k) for k in range(len(call.inputs))]
    axis = call.integer("axis", 0)
    if all(isinstance(part, Zeros) for part in parts):
        return [Zeros()]
    sizes = [builder.dims(part) for part in parts]
    if all(size is not None for size in sizes) and any(isinstance(part, Dims) for part in parts):
        return [Dims(tuple(item for size in sizes for item in size or ()))]
    if axis == 0 and all(isinstance(part, States | Zeros) for part in parts):
        return [States(tuple(h for part in parts for h in (part.hs if isinstance(part, States) else (None,))))]
    if all(isinstance(part, Const) for part in parts):
        arrays = [part.array for part in parts if isinstance(part, Const)]
        return [Const(constant(call.name, np.concatenate(arrays, axis)))]
    values = [plain(builder, call, k) for k in range(len(parts))]
    swapped = all(value.swapped for value in values)
    inner = [value.value if swapped else builder.value(value, call.name) for value in values]
    at = Val(inner[0], swapped).axis(axis)
    total = [value.shape[at] for value in inner]
    size = None if None in total else sum(s for s in total if s is not None)
    shape = (*inner[0].shape[:at], size, *inner[0].shape[at + 1 :])
    return [Val(builder.node(call.name, layers.Concatenate(at), tuple(inner), shape)[0], swapped)]


def _slice(builder: Builder, call: Call) -> list[Tensor]:
    tensor = call.tensor(0)
    starts, stops = call.integers("starts", 1), call.integers("ends", 2)
    if starts is None or stops is None:
        raise InvalidModel("Slice without starts and ends")
    axes = call.integers("axes", 3) or list(range(len(starts)))
    steps = call.integers("steps", 4) or [1] * len(starts)
    if not len(starts) == len(stops) == len(axes) == len(steps) or 0 in steps:
        raise InvalidModel("Slice with arguments that do not fit each other")
    if isinstance(tensor, Zeros):
        return [tensor]
    items = builder.dims(tensor) if isinstance(tensor, Dims) else None
    if items is not None:
        return [Dims(items[starts[0] : stops[0] : steps[0]])]
    if isinstance(tensor, Stack) and axes == [1] and steps == [1]:
        return [Stack(tensor.ys[starts[0] : stops[0]])]
    if isinstance(tensor, States) and axes == [0] and steps == [1]:
        return [States(tensor.hs[starts[0] : stops[0]])]
    if isinstance(tensor, Const):
        picked = [slice(None)] * len(tensor.weight.shape)
        for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
            picked[axis] = slice(*_ends(start, stop, step), step)
        return [Const(constant(call.name, tensor.array[tuple(picked)]))]
    return [_sliced(builder, call, tensor, axes, starts, stops, steps)]


def _ends(start: int, stop: int, step: int) -> tuple[int | None, int | None]:
    """ONNX' ends as Python's: clamped to "from the beginning" and "to the end"."""
    if step > 0:
        return (None if start == 0 or start <= -_FAR else start), (None if stop >= _FAR - 1 else stop)
    return (None if start >= _FAR - 1 or start == -1 else start), (None if stop <= -_FAR else stop)


def _sliced(
    builder: Builder, call: Call, tensor: Tensor, axes: list[int], starts: list[int], stops: list[int], steps: list[int]
) -> Val:
    x = tensor if isinstance(tensor, Val) and not tensor.flat else Val(builder.value(tensor, call.name))
    ends = [_ends(*three) for three in zip(starts, stops, steps, strict=True)]
    inner = tuple(x.axis(axis) for axis in axes)
    shape = list(x.value.shape)
    for axis, (start, stop), step in zip(inner, ends, steps, strict=True):
        size = shape[axis]
        shape[axis] = len(range(size)[start:stop:step]) if size is not None else 1 if (start, stop, step) == (-1, None, 1) else None  # fmt: skip  # noqa: E501
    layer = layers.Slice(inner, tuple(e[0] for e in ends), tuple(e[1] for e in ends), tuple(steps))
    return Val(builder.node(call.name, layer, (x.value,), tuple(shape))[0], x.swapped)


def _reverse(builder: Builder, call: Call) -> list[Tensor]:
    """ReverseSequence of the whole length: the order of time turned round."""
    x, lengths = plain(builder, call), call.tensor(1)
    time = x.axis(call.integer("time_axis", 0))
    whole = isinstance(lengths, Filled) and lengths.item in ((x.value.name, time), x.value.shape[time])
    if not whole:
        raise Unsupported("ReverseSequence with lengths of its own")
    layer = layers.Slice((time,), (None,), (None,), (-1,))
    return [Val(builder.node(call.name, layer, (x.value,), x.value.shape)[0], x.swapped)]


def _gather(builder: Builder, call: Call) -> list[Tensor]:
    tensor, indices, axis = call.tensor(0), call.tensor(1), call.integer("axis", 0)
    if isinstance(tensor, Dims) and isinstance(indices, Const):
        return [Dims(tuple(tensor.items[int(i)] for i in indices.array.ravel()))]
    if isinstance(tensor, Const) and isinstance(indices, Val) and axis == 0 and len(tensor.weight.shape) == 2:
        shape = (*indices.value.shape, tensor.weight.shape[1])
        layer = layers.Embedding(tensor.weight)
        made = builder.node(call.name, layer, (indices.value,), shape, dtype=tensor.weight.dtype)
        return [Val(made[0], indices.swapped)]
    if not isinstance(indices, Const) or indices.weight.shape not in ((), (1,)):
        raise Unsupported("Gather of this kind")
    index, scalar = int(indices.array.ravel()[0]), indices.weight.shape == ()
    if isinstance(tensor, Stack) and axis == 1:
        return [Val(tensor.ys[index], True) if scalar else Stack((tensor.ys[index],))]
    if isinstance(tensor, States) and axis == 0 and tensor.hs[index] is not None:
        return [Val(tensor.hs[index]) if scalar else States((tensor.hs[index],))]  # type: ignore[arg-type]
    cut = _sliced(builder, call, tensor, [axis], [index], [_FAR if index == -1 else index + 1], [1])
    if not scalar:
        return [cut]
    at = cut.axis(axis)
    shape = tuple(s for k, s in enumerate(cut.value.shape) if k != at)
    return [Val(builder.node(call.name, layers.Squeeze((at,)), (cut.value,), shape)[0], cut.swapped and at > 1)]


RULES: Mapping[str, Callable[[Builder, Call], list[Tensor]]] = {
    "Shape": _shape, "Max": _max, "Transpose": _transpose,
    "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Reshape": _reshape, "Concat": _concat,
    "Slice": _slice, "Gather": _gather, "ReverseSequence": _reverse,
}  # fmt: skip
