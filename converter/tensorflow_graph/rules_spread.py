"""Dilated convolutions as TensorFlow writes them: every d-th step is laid in a batch of its own, and convolved plainly.

SpaceToBatchND pads, cuts and spreads, BatchToSpaceND gathers and crops (tensorflow/core/ops/array_ops.cc;
`with_space_to_batch` in tensorflow/python/ops/nn_ops.py). What is between them is done on the tensor as it was,
the convolution with a dilation of d. How far that is padded is paddings less crops, which must be the same for every
length: what is left makes the length a multiple of d, and is cropped again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.model import Array, Value
from converter.tensorflow_graph.definitions import Step
from converter.tensorflow_graph.kernels import KERNELS, run_kernel
from converter.tensorflow_graph.kernels_nn import channels, padding
from converter.tensorflow_graph.sizes import Dim, Dims

Sizes = Mapping[str, int]
Stepping = Callable[[Step, Sequence[Any]], Any]
MAX_DILATION = 1 << 16


@dataclass(frozen=True, eq=False)
class Computed:
    """A number that depends on sizes in a way that no polynomial gives: a remainder.

    Attributes:
        at: its value for some sizes.
    """

    at: Callable[[Sizes], Array]


@dataclass(frozen=True, eq=False)
class Spread:
    """A tensor whose steps are laid in the batch.

    Attributes:
        value: the tensor before.
        block: how far apart neighbors are, for each axis that is spread.
        paddings: before and after each of them, [axes, 2].
        rank, axes: how many axes there are now, and where these are.
        done: what was done to it since: a step, and the operands behind the first.
    """

    value: Value
    block: tuple[int, ...]
    paddings: Any
    rank: int
    axes: tuple[int, ...]
    done: tuple[tuple[Step, tuple[Any, ...]], ...] = ()


def computed(step: Step, inputs: Sequence[Any]) -> Computed:
    """What an operator makes of sizes and of numbers computed from them.

    Raises:
        Unsupported: one of the operands is computed by the running model.
    """
    for x in inputs:
        if not isinstance(x, Computed | Dims | np.ndarray | np.generic) or step.op not in KERNELS:
            raise Unsupported(f"{step.text()} reads a remainder of a size")
    return Computed(lambda sizes: run_kernel(step.op, step.attributes, [_at(x, sizes) for x in inputs])[0])


def _at(x: Any, sizes: Sizes) -> Array:
    if isinstance(x, Computed):
        return np.asarray(x.at(sizes))
    if not isinstance(x, Dims):
        return np.asarray(x)
    return np.array([n.at(sizes) if isinstance(n, Dim) else n for n in x.axes()], x.dtype).reshape(x.array.shape)


def spread(step: Step, x: Any, block: Any, paddings: Any) -> Any:
    """SpaceToBatchND.

    Raises:
        Unsupported: sizes that the running model computes.
    """
    if not isinstance(x, Value):
        raise Unsupported(f"{step.text()} of a constant")
    if not isinstance(block, np.ndarray) or not isinstance(paddings, Computed | Dims | np.ndarray):
        raise Unsupported(f"{step.text()} by sizes that the model computes")
    sizes = tuple(int(n) for n in block.ravel())
    if not sizes or len(sizes) >= len(x.shape) or not all(0 < n <= MAX_DILATION for n in sizes):
        raise InvalidModel(f"blocks of {list(sizes)} in a tensor of shape {x.shape}")
    return Spread(x, sizes, paddings, len(x.shape), tuple(range(1, 1 + len(sizes))))


def on_spread(t: Any, step: Step, inputs: Sequence[Any], stepping: Stepping) -> Any:
    """What a step makes of a spread tensor: noted down, and done once BatchToSpaceND gives the crops.

    Raises:
        Unsupported: anything but a convolution and what surrounds one.
    """
    x, *others = inputs
    if not isinstance(x, Spread) or any(isinstance(other, Spread) for other in others):
        raise Unsupported(f"{step.text()} reads a tensor that SpaceToBatchND made")
    if step.op == "BatchToSpaceND":
        block, crops = others
        return _gathered(t, step, x, block, crops, stepping)
    rank = x.rank
    if step.op == "ExpandDims":
        rank += 1
        place = int(np.ravel(others[0])[0]) % rank
        axes = tuple(k + (place <= k) for k in x.axes)
    elif step.op == "Squeeze":
        gone = [int(n) % rank for n in step.attributes.get("squeeze_dims", step.attributes.get("axis", ()))]
        if not gone or set(gone) & set(x.axes):
            raise Unsupported(f"{step.text()} of axes that SpaceToBatchND spread")
        rank -= len(gone)
        axes = tuple(k - sum(n < k for n in gone) for k in x.axes)
    elif step.op in ("Conv2D", "Conv3D", "DepthwiseConv2dNative"):
        step, axes = _dilated(step, x), x.axes
    elif step.op in ("Identity", "BiasAdd"):
        axes = x.axes
    else:
        raise Unsupported(f"{step.text()} between SpaceToBatchND and BatchToSpaceND")
    return replace(x, rank=rank, axes=axes, done=(*x.done, (step, tuple(others))))


def _dilated(step: Step, x: Spread) -> Step:
    """The convolution with the dilation that the spreading stands for.

    Raises:
        Unsupported: it pads, strides or dilates itself.
    """
    a, last = step.attributes, 4 if step.op == "Conv3D" else 3
    plain = all(n == 1 for key in ("strides", "dilations") for n in a.get(key, ()))
    if padding(a) != "valid" or channels(a) != "channels_last" or not plain or max(x.axes) > last - 1:
        raise Unsupported(f"{step.text()} between SpaceToBatchND and BatchToSpaceND has options of its own")
    dilations = [1] * (last + 1)
    for axis, size in zip(x.axes, x.block, strict=True):
        dilations[axis] = size
    made = type(step.attr["strides"])()
    made.list.i.extend(dilations)
    return replace(step, attr={**step.attr, "dilations": made})


def _gathered(t: Any, step: Step, x: Spread, block: Any, crops: Any, stepping: Stepping) -> Any:
    """BatchToSpaceND: the tensor padded, and all that was done to it."""
    if not isinstance(block, np.ndarray) or tuple(block.ravel().tolist()) != x.block:
        raise Unsupported(f"{step.text()} gathers otherwise than SpaceToBatchND spread")
    if not isinstance(crops, Computed | Dims | np.ndarray):
        raise Unsupported(f"{step.text()} by sizes that the model computes")
    pads = _pads(t, step, x, crops)
    value: Any = x.value
    if pads.any():
        rest = len(value.shape) - 1 - len(pads)
        every = np.concatenate([np.zeros((1, 2), np.int32), pads, np.zeros((rest, 2), np.int32)])
        value = stepping(Step(step.name, "Pad", (), ()), [value, every])[0]
    for one, others in x.done:
        value = stepping(one, [value, *others])[0]
    return value


def _pads(t: Any, step: Step, x: Spread, crops: Any) -> Array:
    """Paddings less crops, [axes, 2]: the same for every length, so for as many as cover each remainder twice.

    Raises:
        Unsupported: they are not.
    """
    known = t.axes(x.value)
    found = set[tuple[int, ...]]()
    for size in range(1, 2 * max(x.block) + 2):
        sizes = dict.fromkeys(t.symbols, size)
        before, after = _at(x.paddings, sizes), _at(crops, sizes)
        if before.shape != (len(x.block), 2) or after.shape != before.shape:
            raise InvalidModel(f"{step.text()} has paddings of shape {before.shape}")
        for k, (pair, d) in enumerate(zip(before.tolist(), x.block, strict=True)):
            length = known[1 + k].at(sizes) if isinstance(known[1 + k], Dim) else known[1 + k]
            if (length + sum(pair)) % d:
                raise InvalidModel(f"{step.text()}: a length of {length + sum(pair)} in blocks of {d}")
        found.add(tuple((before - after).ravel().tolist()))
    if len(found) != 1 or min(pads := found.pop()) < 0:
        raise Unsupported(f"{step.text()} crops otherwise for other lengths")
    return np.array(pads, np.int32).reshape(-1, 2)
