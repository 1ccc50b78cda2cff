"""Names that no other has, in one step for each: a file may call 20,000 layers alike."""

from __future__ import annotations

from collections.abc import Container, Sequence


def free_name(base: str, taken: Container[str], counts: dict[str, int], first: int = 1) -> str:
    """`base`, or `base` with the first number that makes it new.

    Args:
        taken: names that are not free; the caller adds what it uses.
        counts: the number last given to each base; kept by the caller.
        first: the number to begin with.
    """
    if base not in taken:
        return base
    count = counts.get(base, first - 1) + 1
    while f"{base}_{count}" in taken:
        count += 1
    counts[base] = count
    return f"{base}_{count}"


def first_repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs twice, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
