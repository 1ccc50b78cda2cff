"""The order of layers in a row, where no file says it: each layer's output size is the next one's input size.

With sizes as points and layers as arrows this is an Eulerian path, so it is found without trying permutations.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

Arrow = tuple[int | None, int | None]


def orders(arrows: Sequence[Arrow]) -> tuple[tuple[int, ...], bool]:
    """An order in which each arrow begins where the one before it ends, and whether it is the only one.

    Args:
        arrows: (input size, output size) of each layer.

    Returns:
        Indices into `arrows`, none of them if there is no such order; with several orders, those of a beginning.
    """
    start, free = _start(arrows)
    rest = set(range(len(arrows)))
    if not free or not _joined(arrows, rest):
        return (), False
    if free > 1 and len(arrows) > 1:
        return (0,), False
    leaving = defaultdict(set)
    for index, (begin, _) in enumerate(arrows):
        leaving[begin].add(index)
    place = start
    found: list[int] = []
    while rest:
        choices = _choices(arrows, leaving[place], rest)
        if len(choices) > 1:
            return (*found, choices[0]), False
        (chosen,) = choices
        rest.remove(chosen)
        leaving[place].remove(chosen)
        found.append(chosen)
        place = arrows[chosen][1]
    return tuple(found), True


def _start(arrows: Sequence[Arrow]) -> tuple[int | None, int]:
    """Where a path over all arrows begins, and how many such places there are (0: no path)."""
    surplus = Counter(begin for begin, _ in arrows)
    surplus.subtract(end for _, end in arrows)
    uneven = sorted(count for count in surplus.values() if count)
    if uneven == [-1, 1]:
        return next(size for size, count in surplus.items() if count == 1), 1
    return (arrows[0][0], len(arrows)) if arrows and not uneven else (None, 0)


def _choices(arrows: Sequence[Arrow], leaving: Collection[int], rest: set[int]) -> list[int]:
    """Up to two arrows that may come next, so that all the others can still follow."""
    if len(leaving) == 1:
        return list(leaving)
    found: list[int] = []
    for index in sorted(leaving):
        others = rest - {index}
        if _joined(arrows, others, arrows[index][1]):
            found.append(index)
        if len(found) == 2:
            break
    return found


def _joined(arrows: Sequence[Arrow], rest: Collection[int], *also: int | None) -> bool:
    """Whether the arrows, and the point `also`, hang together."""
    near: dict[int | None, set[int | None]] = defaultdict(set)
    for index in rest:
        begin, end = arrows[index]
        near[begin].add(end)
        near[end].add(begin)
    todo = [*also] or [next(iter(near), None)]
    seen = set(todo)
    while todo:
        fresh = near.get(todo.pop(), set()) - seen
        seen |= fresh
        todo += fresh
    return set(near) <= seen
