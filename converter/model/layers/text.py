"""Text: lookups, and what takes strings apart."""

from __future__ import annotations

from msgspec import Struct

# What an exporter gives where a Lookup has no default: an index that no table has, even once cast to int32.
NO_INDEX = -(2**31)


class Lookup(Struct, frozen=True, eq=False):
    """For each element of x, int64 or string, the value next to it among `keys`, which differ.

    `default` for what is no key; None where the model has no meaning for such an element. Keys are all numbers or all
    text, and so are values.
    """

    keys: tuple[int | str, ...]
    values: tuple[int | str, ...]
    default: int | str | None


class LowerCase(Struct, frozen=True):
    """A to Z as a to z in strings; no other letter changes."""


class RemoveCharacters(Struct, frozen=True):
    """Strings without these ASCII characters."""

    characters: str


class SplitWords(Struct, frozen=True):
    """Strings [...] -> words [..., most words of any]: between ASCII white space; "" where there are fewer."""
