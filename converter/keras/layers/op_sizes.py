"""Sizes that a model takes from its tensors (tf.shape) in order to reshape by them, followed without computing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converter.errors import InvalidModel, Unsupported
from converter.model import Value


@dataclass(frozen=True)
class Size:
    """The open size of one axis of a tensor."""

    of: Value
    axis: int


@dataclass(frozen=True)
class Sizes(Value):
    """A tensor of sizes that no node makes: it is only good for being indexed, joined and reshaped by.

    Attributes:
        sizes: numbers, and open sizes by where they come from.
    """

    sizes: tuple[int | Size, ...] = ()


def shape(o: Any, x: Value, out_type: Any = None, optimize: Any = None) -> Sizes:
    """tf.shape."""
    if not isinstance(x, Value) or isinstance(x, Sizes):
        raise Unsupported("the shape of a constant or of a shape")
    return sizes_of([Size(x, k) if n is None else n for k, n in enumerate(x.shape)], (len(x.shape),))


def sizes_of(sizes: Sequence[int | Size], shape: tuple[int, ...]) -> Sizes:
    """These sizes as a tensor of `shape`, () or (count,)."""
    return Sizes("sizes", shape, "int32", tuple(sizes))


def pick(sizes: Sizes, key: Any) -> Sizes:
    """One size, or a slice of them.

    Raises:
        Unsupported: another way of indexing. InvalidModel: an index beyond the count.
    """
    item = key[0] if isinstance(key, list | tuple) and len(key) == 1 else key
    if len(sizes.shape) != 1 or not isinstance(item, int | slice):
        raise Unsupported("indexing a shape by other than a number or a slice")
    try:
        found = sizes.sizes[item]
    except (IndexError, TypeError, ValueError):
        raise InvalidModel(f"index {item} of {len(sizes.sizes)} sizes") from None
    return sizes_of(found, (len(found),)) if isinstance(found, tuple) else sizes_of([found], ())


def flat(given: Any) -> list[Any]:
    """A target shape with its `Sizes` spread out."""
    items = list(given) if isinstance(given, list | tuple) else [given]
    return [size for item in items for size in (item.sizes if isinstance(item, Sizes) else [item])]


def joined(xs: Sequence[Any]) -> Sizes | None:
    """Sizes and numbers as one tensor of sizes; None if there are none among `xs`."""
    if not any(isinstance(x, Sizes) for x in xs):
        return None
    sizes = flat(xs)
    return sizes_of(sizes, (len(sizes),))


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
