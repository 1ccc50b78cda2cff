"""What stands for the tensors of a mask in an ONNX file of our own; masks.py recognizes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converter.model import Value

COMPUTED = -1
Dim = int | tuple[str, int]  # a size, or that of an axis of a value; or the number that a value is, its axis COMPUTED


@dataclass(frozen=True)
class Counting:
    """Unmasked steps, counted: int64 [batch, time] ("count", "lengths" [batch]); older files have one more axis.

    Attributes:
        value: the same as a neutral value.
        mask: bool [batch, time].
        what: "ones", "from start" or "from end" (up to and with each step), "count", "lengths", "some" (any at all);
            "first" or "last" (that step alone), "count if first" or "count if last" (0 where that step is masked).
        kept: it is 0 at masked steps.
        flipped: the order of time is reversed.
    """

    value: Value
    mask: Value
    what: str
    kept: bool = False
    flipped: bool = False


@dataclass(frozen=True)
class Order:
    """Where the unmasked steps stand, in the order in which they are taken, then the masked ones."""

    mask: Value
    backwards: bool


@dataclass(frozen=True)
class Rows:
    """0, 1, 2, ... for each row of a batch, [batch] or, as a column, [batch, 1].

    Attributes:
        batch: how many rows.
        value: the same as a neutral value.
        column: whether it is one.
    """

    batch: Dim
    value: Value
    column: bool = False


@dataclass(frozen=True)
class Places:
    """The indices of outputs once time and batch are merged: a step times the size of the batch, plus the row.

    Attributes:
        steps: which ones.
        placed: whether the row was added.
        turned: whether ONNX sees [time, batch].
    """

    steps: Counting
    placed: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Compact:
    """x with its steps in that order; ONNX sees [batch, time, features], or [time, batch, features]."""

    x: Value
    mask: Value
    backwards: bool
    time_first: bool = False


@dataclass(frozen=True)
class Steps:
    """The outputs of a recurrent operator at the compact steps; y is the output of its neutral node."""

    y: Value
    mask: Value
    backwards: bool


@dataclass(frozen=True)
class History:
    """Those outputs after what is before the first: zeros, or the initial h."""

    steps: Steps
    rule: Literal["previous", "state"]
