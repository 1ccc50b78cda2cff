"""Sizes that are open until a model runs, as integer polynomials, and which each axis of a neutral value has.

Graphs compute shapes (Shape, StridedSlice, Pack, Prod, Reshape); where a size comes from must be known to translate
that. NumPy computes with arrays of these as with numbers. An axis of which no rule knows the size gets a symbol of its
own, so that it can still be read from the value when the model runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.errors import Unsupported
from converter.model import Array

Monomial = tuple[str, ...]


class OpenSize(Unsupported):
    """Something is asked of an open size that only the running model knows."""


@dataclass(frozen=True)
class Dim:
    """A polynomial in symbols that stand for open sizes; never a plain number, which is an int."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def symbol(name: str) -> Dim:
        """One open size."""
        return Dim((((name,), 1),))

    def __add__(self, other: Any) -> Any:
        found = dict(self.terms)
        for monomial, factor in terms_of(other).items():
            found[monomial] = found.get(monomial, 0) + factor
        return simplified(found)

    def __mul__(self, other: Any) -> Any:
        found: dict[Monomial, int] = {}
        for a, m in self.terms:
            for b, n in terms_of(other).items():
                key = tuple(sorted((*a, *b)))
                found[key] = found.get(key, 0) + m * n
        return simplified(found)

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + other * -1

    def __rsub__(self, other: Any) -> Any:
        return self * -1 + other

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Any:
        """Division without remainder.

        Raises:
            OpenSize: it may have one.
        """
        divisor = terms_of(other)
        if len(divisor) != 1:
            if isinstance(other, Dim) and other == self:
                return 1
            raise OpenSize("a quotient of sizes that the model computes")
        ((below, number),) = divisor.items()
        found: dict[Monomial, int] = {}
        for monomial, factor in self.terms:
            rest = list(monomial)
            for name in below:
                if name not in rest:
                    raise OpenSize("a quotient of sizes that the model computes")
                rest.remove(name)
            if number == 0 or factor % number:
                raise OpenSize("a quotient of sizes that the model computes")
            found[tuple(rest)] = factor // number
        return simplified(found)

    def __rfloordiv__(self, other: Any) -> Any:
        raise OpenSize("a quotient of sizes that the model computes")

    def _compare(self, other: Any) -> bool:
        raise OpenSize("a comparison of sizes that the model computes")

    __lt__ = __le__ = __gt__ = __ge__ = __mod__ = __rmod__ = __truediv__ = __rtruediv__ = _compare

    def __index__(self) -> int:
        raise OpenSize("a number that the model computes")

    __int__ = __float__ = __bool__ = __index__

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value for some sizes."""
        total = 0
        for monomial, factor in self.terms:
            for name in monomial:
                factor *= sizes[name]
            total += factor
        return total

    @property
    def name(self) -> str | None:
        """The symbol, if it is nothing else."""
        if len(self.terms) == 1 and len(self.terms[0][0]) == 1 and self.terms[0][1] == 1:
            return self.terms[0][0][0]
        return None


Axis = int | Dim
Axes = tuple[Axis, ...]


def terms_of(number: Any) -> dict[Monomial, int]:
    """A polynomial or a number as terms."""
    if isinstance(number, Dim):
        return dict(number.terms)
    return {(): int(number)}


def simplified(found: Mapping[Monomial, int]) -> Any:
    """A polynomial, or the number that it is."""
    terms = tuple(sorted((monomial, factor) for monomial, factor in found.items() if factor))
    if not terms:
        return 0
    return terms[0][1] if len(terms) == 1 and not terms[0][0] else Dim(terms)


def product(axes: Axes) -> Any:
    """The size of all axes together."""
    total: Any = 1
    for size in axes:
        total = size * total
    return total


@dataclass(frozen=True, eq=False)
class Dims:
    """A tensor of whole numbers, some of which are open sizes.

    Attributes:
        array: of objects, int or Dim.
        dtype: that the graph gives it.
    """

    array: Array
    dtype: str

    def axes(self) -> list[Axis]:
        """All elements in a row."""
        return list(np.ravel(self.array))


def dims_or_array(array: Any, dtype: str) -> Any:
    """An array of objects as Dims, or as plain numbers where that is all it holds."""
    array = np.asarray(array, object)
    if any(isinstance(item, Dim) for item in np.ravel(array)):
        return Dims(array, dtype)
    return array.astype(dtype)
