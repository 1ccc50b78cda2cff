"""What stands for a tensor while a graph is translated, besides neutral values, arrays and `Dims`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from converter.model import Value, Weight


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor of the file, unread."""

    weight: Weight


@dataclass(eq=False)
class Resource:
    """A variable.

    Attributes:
        name: of the step that makes its handle.
        value: Stored, or what was assigned last.
    """

    name: str
    value: Any


@dataclass(frozen=True, eq=False)
class TensorList:
    """A list of tensors of one shape.

    Attributes:
        stacked: its elements along axis 0; None for a list that is still to be filled.
        length: how many elements, int or Dim.
        last: the last element, where that is a value of its own.
        only: where one element alone is there.
    """

    stacked: Value | None
    length: Any
    last: Value | None = None
    only: Value | None = None
