"""Layers that only move values: Flatten, Reshape, Permute, RepeatVector, cropping, padding."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from msgspec import Meta

from converter.errors import InvalidModel
from converter.keras.building.graph import Tensor, product
from converter.keras.layer_type import Keras1, LayerType
from converter.keras.layers.convolution import rank_of
from converter.keras.schema import Axes, Config, DataFormat, Number, Positive, Sizes
from converter.keras.shared.keras1 import UNORDERED_IMAGE
from converter.keras.shared.windows import replaced, spatial_axes
from converter.keras.spec import Call
from converter.model import Shape, layers


class FlattenConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/flatten/"""

    data_format: DataFormat | None = None


class ReshapeConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/reshape/"""

    target_shape: Sizes  # None where Keras 3 was given an open size; it reads that as -1


class PermuteConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/permute/"""

    dims: list[Positive]


class RepeatVectorConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/repeat_vector/"""

    n: Positive


class CroppingConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/cropping1d/"""

    cropping: Number | Annotated[list[Number | Axes], Meta(max_length=3)] | None = None
    data_format: DataFormat | None = None


class ZeroPaddingConfig(Config, frozen=True):
    """https://keras.io/api/layers/reshaping_layers/zero_padding1d/"""

    padding: Number | Annotated[list[Number | Axes], Meta(max_length=3)] | None = None
    data_format: DataFormat | None = None


def _flatten(call: Call) -> tuple[Tensor, ...]:
    x = call.x.value
    if len(x.shape) == 1:
        return (Tensor(call.ops.expand_dims(x, 1)),)
    if call.config.data_format == "channels_first":
        x = call.ops.transpose(x, [0, *range(2, len(x.shape)), 1])
    total = product(x.shape[1:])
    return (Tensor(call.ops.reshape(x, [0, -1 if total is None else total], (x.shape[0], total))),)


def resolve(target: list[int], inputs: Shape) -> list[int | None]:
    """The sizes that `target`, with at most one -1, makes of an input of sizes `inputs`; None where open.

    Raises:
        InvalidModel: two -1, or a count that does not fit.
    """
    if sum(n == -1 for n in target) > 1 or any(n < -1 for n in target):
        raise InvalidModel(f"a target shape of {target}")
    known, total = product(tuple(n for n in target if n != -1)), product(inputs)
    assert known is not None
    if -1 not in target:
        if total is not None and total != known:
            raise InvalidModel(f"{inputs} cannot be reshaped to {target}")
        return list(target)
    if total is not None and (known == 0 or total % known):
        raise InvalidModel(f"{inputs} cannot be reshaped to {target}")
    return [n if n != -1 else (None if total is None else total // known) for n in target]


def _reshape(call: Call) -> tuple[Tensor, ...]:
    x, target = call.x.value, [-1 if n is None else n for n in call.config.target_shape]
    sizes = resolve(target, x.shape[1:])
    return (Tensor(call.ops.reshape(x, [0, *(-1 if n is None else n for n in sizes)], (x.shape[0], *sizes))),)


def _permute(call: Call) -> tuple[Tensor, ...]:
    x, dims = call.x.value, call.config.dims
    if sorted(dims) != list(range(1, len(x.shape))):
        raise InvalidModel(f"a permutation {dims} of an input with {len(x.shape)} axes")
    return (Tensor(call.ops.transpose(x, [0, *dims])),)


def _repeat_vector(call: Call) -> tuple[Tensor, ...]:
    x, n = call.x.value, call.config.n
    if len(x.shape) != 2:
        raise InvalidModel(f"RepeatVector of an input of shape {x.shape}")
    wide = call.ops.expand_dims(x, 1)
    return (Tensor(call.ops.one(layers.Repeat(1, n), [wide], (x.shape[0], n, x.shape[1]), x.dtype)),)


def pairs(given: int | list[int | list[int]] | None, rank: int) -> list[tuple[int, int]]:
    """(before, after) of each spatial axis, from one number, one per axis, or a pair per axis (in 1D: one pair).

    Raises:
        InvalidModel: another form, or a negative number.
    """
    given = 1 if given is None else given
    if isinstance(given, int):
        found = [(given, given)] * rank
    elif rank == 1 and len(given) == 2 and all(isinstance(n, int) for n in given):
        found = [(n, m) for n, m in [given] if isinstance(n, int) and isinstance(m, int)]
    else:
        found = [(n, n) if isinstance(n, int) else (n[0], n[-1]) for n in given if isinstance(n, int) or len(n) == 2]
    if len(found) != rank or any(n < 0 for pair in found for n in pair):
        raise InvalidModel(f"{given} is no amount for {rank} spatial axes")
    return found


def _cropping(call: Call) -> tuple[Tensor, ...]:
    rank, x = rank_of(call), call.x.value
    axes = tuple(spatial_axes(x.shape, rank, call.config.data_format))
    amounts = pairs(call.config.cropping, rank)
    sizes = []
    for axis, (before, after) in zip(axes, amounts, strict=True):
        size = x.shape[axis]
        if size is not None and size <= before + after:
            raise InvalidModel(f"cropping by {before + after} leaves nothing of {size}")
        sizes.append(None if size is None else size - before - after)
    stops = tuple(-after if after else None for _, after in amounts)
    layer = layers.Slice(axes, tuple(before for before, _ in amounts), stops, (1,) * rank)
    return (Tensor(call.emit(layer, [x], replaced(x.shape, axes, sizes), x.dtype)),)


def _zero_padding(call: Call) -> tuple[Tensor, ...]:
    rank, x = rank_of(call), call.x.value
    axes = spatial_axes(x.shape, rank, call.config.data_format)
    amounts = dict(zip(axes, pairs(call.config.padding, rank), strict=True))
    shape = tuple(None if n is None else n + sum(amounts.get(axis, (0, 0))) for axis, n in enumerate(x.shape))
    layer = layers.Pad(tuple(amounts.get(axis, (0, 0)) for axis in range(len(x.shape))))
    return (Tensor(call.emit(layer, [x], shape, x.dtype)),)


_CROPPING = {"1D": Keras1(), "2D": UNORDERED_IMAGE, "3D": UNORDERED_IMAGE}
_PADDING = {
    "1D": Keras1(sides=("left_pad", "right_pad")),
    "2D": replace(UNORDERED_IMAGE, sides=("top_pad", "bottom_pad", "left_pad", "right_pad")),
    "3D": UNORDERED_IMAGE,
}

TYPES: dict[str, LayerType] = {
    "Flatten": LayerType(FlattenConfig, _flatten),
    "Reshape": LayerType(ReshapeConfig, _reshape),
    "Permute": LayerType(PermuteConfig, _permute),
    "RepeatVector": LayerType(RepeatVectorConfig, _repeat_vector, input_rank=2, keeps_features=True),
    **{f"Cropping{rank}": LayerType(CroppingConfig, _cropping, keras1=keras1) for rank, keras1 in _CROPPING.items()},
    **{
        f"ZeroPadding{rank}": LayerType(ZeroPaddingConfig, _zero_padding, keras1=keras1)
        for rank, keras1 in _PADDING.items()
    },
}
