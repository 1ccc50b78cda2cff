"""Sizes that a model takes from its tensors (tf.shape): tensors like others, of which it is known what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converter.errors import InvalidModel, Unsupported, clean
from converter.keras.building.ops import Ops
from converter.model import Value, layers


@dataclass(frozen=True)
class Size:
    """The open size of one axis of a tensor."""

    of: Value
    axis: int


@dataclass(frozen=True)
class Sizes(Value):
    """A tensor of sizes, a scalar or a vector. Reshaping by it needs to know which; nodes that nobody reads go later.

    Attributes:
        sizes: numbers, and open sizes by where they come from.
    """

    sizes: tuple[int | Size, ...] = ()


def shape(o: Ops, x: Value, out_type: Any = None) -> Sizes:
    """tf.shape.

    Raises:
        Unsupported: of a constant.
    """
    if not isinstance(x, Value):
        raise Unsupported(f"the shape of the constant {clean(x, 40)}")
    sizes = [Size(x, k) if n is None else n for k, n in enumerate(x.shape)]
    return sizes_of(o, sizes, (len(sizes),), str(out_type or "int32"))


def sizes_of(o: Ops, sizes: Sequence[int | Size], shape: tuple[int, ...], dtype: str = "int32") -> Sizes:
    """These sizes as a tensor of `shape`, () or (count,)."""
    made = [
        o.cast(o.one(layers.Size(size.axis), [size.of], (), "int64"), dtype) if isinstance(size, Size) else size
        for size in sizes
    ]
    if not any(isinstance(size, Value) for size in made):
        value = o.constant(list(made) if shape else made[0], dtype)
    elif not shape:
        (value,) = (size for size in made if isinstance(size, Value))
    else:
        each = [o.expand_dims(p, 0) if isinstance(p, Value) else o.constant([p], dtype) for p in made]
        value = o.concatenate(each, 0) if len(each) > 1 else each[0]
    return Sizes(value.name, shape, dtype, tuple(sizes))


def pick(o: Ops, sizes: Sizes, key: Any) -> Sizes | None:
    """One size, or a slice of them; None for another way of indexing.

    Raises:
        InvalidModel: an index beyond the count.
    """
    item = key[0] if isinstance(key, list | tuple) and len(key) == 1 else key
    if len(sizes.shape) != 1 or not isinstance(item, int | slice):
        return None
    try:
        found = sizes.sizes[item]
    except (IndexError, TypeError, ValueError):
        raise InvalidModel(f"index {item} of {len(sizes.sizes)} sizes") from None
    if isinstance(found, tuple):
        return sizes_of(o, found, (len(found),), sizes.dtype)
    return sizes_of(o, [found], (), sizes.dtype)


def flat(given: Any) -> list[Any]:
    """A target shape with its `Sizes` spread out."""
    items = list(given) if isinstance(given, list | tuple) else [given]
    return [size for item in items for size in (item.sizes if isinstance(item, Sizes) else [item])]


def joined(o: Ops, xs: Sequence[Any], rank: int) -> Sizes | None:
    """Sizes and numbers, scalars or vectors by `rank`, as one vector; None if there are no sizes, or other tensors."""
    sizes = [x for x in xs if isinstance(x, Sizes)]
    rest = [x for x in xs if not isinstance(x, Sizes)]
    if not sizes or any(len(x.shape) != rank for x in sizes):
        return None
    if not all(type(n) is int for x in rest for n in (x if rank and isinstance(x, list) else [x])):
        return None
    found = [n for x in xs for n in (x.sizes if isinstance(x, Sizes) else x if isinstance(x, list) else [x])]
    return sizes_of(o, found, (len(found),), sizes[0].dtype)


def settle(x: Value, target: Sequence[Any]) -> list[Any]:
    """A target shape of numbers: an open size becomes 0 where it is that of the same axis of x, else the one -1.

    Raises:
        Unsupported: more than one size stays open.
    """
    found: list[Any] = []
    for place, size in enumerate(target):
        if isinstance(size, Size):
            found.append(0 if size.of.name == x.name and size.axis == place else -1)
        else:
            found.append(size)
    if found.count(-1) > 1:
        raise Unsupported("a reshape by several sizes that the model computes")
    return found
