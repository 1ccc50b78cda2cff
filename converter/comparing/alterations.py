"""What was done to the gates of a layer, found by comparing each with each: orders, factors, rounding to float16."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from converter.model import Array

HARD_SIGMOID = 1.2  # clip(0.2x + 0.5) said as Keras 3's clip(x/6 + 0.5)
_CLOSE = 4e-7  # relative: two roundings of float32


def altered(a: Mapping[str, Array | None], b: Mapping[str, Array | None], order: str) -> tuple[str, str] | None:
    """What makes the matrices `a` those of `b`.

    Args:
        a, b: matrices by name, the gates side by side on the last axis.
        order: one letter for each gate.

    Returns:
        "permuted", "scaled" or "rounded", and what happened, in words; None where nothing of this explains it.
    """
    pairs = {name: (_gates(x, order), _gates(y, order)) for name, x in a.items() if (y := b.get(name)) is not None
             and x is not None and x.shape == y.shape}  # fmt: skip
    if len(pairs) != len(a) or len(a) != len(b) or not pairs:
        return None
    return _permuted(pairs, order) or _scaled(pairs, order) or _rounded(pairs)


def _gates(matrix: Array, order: str) -> list[Array]:
    return np.split(np.asarray(matrix).astype(np.float64), len(order), axis=-1)


def _same(a: Array, b: Array) -> bool:
    return bool(np.all(np.abs(a - b) <= _CLOSE * max(float(np.abs(a).max(initial=0)), 1e-30)))


Pairs = Mapping[str, tuple[list[Array], list[Array]]]


def _permuted(pairs: Pairs, order: str) -> tuple[str, str] | None:
    """Each gate of one file is one of the other's; in all matrices alike, or in some alone."""
    found: dict[str, str] = {}
    for name, (first, second) in pairs.items():
        if not any(np.any(block) for block in first):
            continue  # zeros are in any order
        places = [next((k for k, block in enumerate(first) if _same(block, other)), -1) for other in second]
        if sorted(places) != list(range(len(order))):
            return None
        found[name] = "".join(order[place] for place in places)
    moved = {name: gates for name, gates in found.items() if gates != order}
    if not moved or len(set(moved.values())) > 1:
        return None
    gates = next(iter(moved.values()))
    what = "" if len(moved) == len(found) else f" of {' and '.join(moved)} alone"
    return "permuted", f"the gates {', '.join(order)}{what} are in the order {', '.join(gates)}"


def _scaled(pairs: Pairs, order: str) -> tuple[str, str] | None:
    """Some gates are those of the other file times one factor."""
    factors: dict[str, float] = {}
    for k, gate in enumerate(order):
        for first, second in pairs.values():
            size = float(np.sum(first[k] ** 2))
            if size == 0:
                if np.any(second[k]):
                    return None
                continue
            factor = float(np.sum(first[k] * second[k])) / size
            if not _same(first[k] * factor, second[k]):
                return None
            if abs(factors.setdefault(gate, factor) - factor) > _CLOSE * abs(factor):
                return None
    by = {gate: factor for gate, factor in factors.items() if abs(factor - 1) > _CLOSE}
    values = {round(factor, 5) for factor in by.values()}
    if len(values) != 1:
        return None
    (value,) = values
    which = "it is" if len(order) == 1 else f"{'gate' if len(by) == 1 else 'gates'} {', '.join(by)} are"
    why = " (an old hard_sigmoid, as Keras 3 says it)" if value in (HARD_SIGMOID, round(1 / HARD_SIGMOID, 5)) else ""
    return "scaled", f"{which} multiplied by {value:g}{why}"


def _rounded(pairs: Pairs) -> tuple[str, str] | None:
    """One side is the other, rounded to float16."""
    for side in (0, 1):
        if all(
            np.array_equal(_half(pair[side][k]), pair[1 - side][k])
            for pair in pairs.values() for k in range(len(pair[0]))
        ):  # fmt: skip
            return "rounded", f"the {('second', 'first')[side]} file has the values of the other rounded to float16"
    return None


def _half(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float64)
