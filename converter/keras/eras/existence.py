"""Which Keras had which layer, activation or operation, and what it wrote of a layer: existence.json, read on demand.

The table is made from the sources of the genuine packages, see fixtures/make/make_existence.py.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from converter.keras.eras.switches import Era, Family

Section = Literal["layers", "initializers", "activations", "operations"]
Version = tuple[int, ...]
FAMILIES: dict[Family, str] = {"keras": "Keras", "tf.keras": "tf.keras", "keras3": "Keras"}


class Span(NamedTuple):
    """A run of versions in which a name is there and writes the same.

    Attributes:
        first, last: versions of the table, as `Era.key` has them.
        always: keys that `get_config` writes whatever the arguments are; those of any layer are left out.
        ever: further ones that it may write.
    """

    first: Version
    last: Version
    always: frozenset[str]
    ever: frozenset[str]


def had(section: Section, name: str, era: Era) -> Span | None:
    """The row of a name in the Keras of an era; None where that had no such name.

    Of versions that the table lacks, the last one before counts (of those before all, the first).
    """
    known = versions(era.family)
    version = known[max(0, bisect_right(known, era.key) - 1)]
    return next((span for span in spans(era.family, section, name) if span.first <= version <= span.last), None)


def anywhere(section: Section, name: str) -> str:
    """Which versions had a name, for messages; "" if none had."""
    found = []
    for family, called in FAMILIES.items():
        if rows := spans(family, section, name):
            newest = rows[-1].last == versions(family)[-1] and family == "keras3"
            last = "on" if newest else f"to {text(rows[-1].last)}"
            found.append(f"{called} {text(rows[0].first)} {last}")
    return ", ".join(found)


def text(version: Version) -> str:
    """A version as one writes it."""
    return ".".join(map(str, version))


@cache
def versions(family: Family) -> tuple[Version, ...]:
    """The versions of the table, in order."""
    return tuple(_version(version) for version in _table()[family]["versions"])


def _version(written: str) -> Version:
    return tuple(map(int, written.split(".")))


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="ascii"))
    return table


@cache
def spans(family: Family, section: Section, name: str) -> tuple[Span, ...]:
    """All rows of a name, in order."""
    rows = _table()[family].get(section, {}).get(name, ())
    return tuple(
        Span(_version(first), _version(last), *(frozenset(keys.split()) for keys in [*texts, "", ""][:2]))
        for first, last, *texts in rows
    )
