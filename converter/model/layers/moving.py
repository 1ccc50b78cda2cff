"""Values moved, cut, joined, ordered and counted; none is changed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Reshape(Struct, frozen=True):
    """To `target`, which counts the batch: -1 for at most one inferred size, 0 for "as the input has on this axis"."""

    target: tuple[int, ...]


class FoldTime(Struct, frozen=True):
    """[batch, time, ...] -> [batch·time, ...], where sizes are not known beforehand."""


class UnfoldTime(Struct, frozen=True):
    """Inputs y [batch·time, *rest] and like [batch, time, ...]: y as [batch, time, *rest]."""


class Transpose(Struct, frozen=True):
    """Axes reordered: output axis k is input axis `axes[k]`."""

    axes: tuple[int, ...]


class Concatenate(Struct, frozen=True):
    """All inputs joined along `axis`."""

    axis: int


class ExpandDims(Struct, frozen=True):
    """New axes of size 1 at these positions of the output."""

    axes: tuple[int, ...]


class Squeeze(Struct, frozen=True):
    """These axes, each of size 1, removed."""

    axes: tuple[int, ...]


class Repeat(Struct, frozen=True):
    """Each element repeated `times` times in place along `axis` (np.repeat)."""

    axis: int
    times: int


class Tile(Struct, frozen=True):
    """The whole input repeated: `times` per axis (np.tile)."""

    times: tuple[int, ...]


class Pad(Struct, frozen=True):
    """`value` added before and after each axis: pads[axis] = (before, after). Negative numbers are not allowed."""

    pads: tuple[tuple[int, int], ...]
    value: float = 0.0
    mode: Literal["constant", "reflect", "edge"] = "constant"


class Slice(Struct, frozen=True):
    """x[start:stop:step] along some axes, with Python's meaning; None as in Python. step may be negative."""

    axes: tuple[int, ...]
    starts: tuple[int | None, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]


class Gather(Struct, frozen=True):
    """Inputs x, indices: np.take(x, indices, axis)."""

    axis: int


class TakeAlong(Struct, frozen=True):
    """Inputs x, indices of as many axes: np.take_along_axis(x, indices, axis); other axes have the same sizes."""

    axis: int


class GatherND(Struct, frozen=True):
    """Inputs x, indices [*lead, ..., depth]: x[lead][index] for each; the first `batch_axes` axes go together."""

    batch_axes: int = 0


class ArgSort(Struct, frozen=True):
    """The indices of the first elements in order along `axis`, int64; equal ones in the order they are in.

    `count`: how many of them, None for all.
    """

    axis: int
    descending: bool = False
    count: int | None = None


class Size(Struct, frozen=True):
    """The size of one axis, a scalar of int64."""

    axis: int


class Range(Struct, frozen=True):
    """0, 1, ... below the input, a scalar of int64."""


class Cast(Struct, frozen=True):
    """To `dtype`, as NumPy casts (truncation toward zero, non-zero to True)."""

    dtype: str
