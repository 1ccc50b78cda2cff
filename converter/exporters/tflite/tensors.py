"""What a graph is made of: tensors, constants, operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from converter.errors import Unsupported
from converter.exporters.tflite.operators import OPERATORS, Call
from converter.formats.tflite import TYPES
from converter.model import Array, Shape


def element_type(dtype: str) -> int:
    """TensorType's number of a NumPy dtype name.

    Raises:
        Unsupported: the operators of TFLite do not compute with it.
    """
    if dtype not in TYPES:
        raise Unsupported(f"values of type {dtype} cannot be exported to TFLite")
    return TYPES[dtype]


@dataclass(frozen=True)
class Scaled:
    """What integers stand for."""

    scale: float
    zero: int = 0


@dataclass(frozen=True)
class Tensor:
    """A value of a graph; None in its shape where a size is open. Integers may stand for (n - zero)·scale."""

    name: str
    dtype: str
    shape: Shape
    scaled: Scaled | None = None

    @property
    def rank(self) -> int:
        """How many axes."""
        return len(self.shape)


@dataclass(frozen=True)
class Buffer:
    """The bytes of constants, read when the file is written; number 0 is none."""

    number: int
    read: Callable[[], Array]


@dataclass(frozen=True)
class Op:
    """One operator: its owner is the layer's node, for a proof; `inner` are what the schema calls intermediates."""

    kind: str
    owner: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any]
    inner: tuple[Tensor, ...] = ()

    @property
    def version(self) -> int:
        """The version that this call needs."""
        given = [x for x in self.inputs if x is not None]
        return OPERATORS[self.kind].version(Call([x.dtype for x in given], [x.shape for x in given], self.options))


@dataclass(frozen=True)
class Ranges:
    """The least and the largest values that a direction of a recurrent layer took on somebody's data."""

    x: tuple[float, float]
    h: tuple[float, float]
    c: tuple[float, float]
