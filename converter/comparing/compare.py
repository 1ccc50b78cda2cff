"""Compares the weights of two files, gate by gate, whatever their conventions.

Layers are paired by structure (kind and sizes; then name, then place in order), brought to Keras' packing, and compared
matrix by matrix: "equal" (bit for bit), "rounding" (within a few ULPs), or "different". Where a whole cell differs, the
conventions of `converter.gates` are tried: if one framework's order read as another's explains the difference, it is
"permuted" and the two are named.

Arrays used in arithmetic (what ONNX has of many layers) are compared as a set for each name that both files know,
else by their values; only where both files hold a graph. Single numbers are settings, not weights.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from converter.comparing.alterations import altered
from converter.comparing.arithmetic import ARRAY
from converter.comparing.calls import calls_again, spellings
from converter.comparing.comparison import Comparison, Finding, Pair, Verdict
from converter.comparing.misreadings import misreadings
from converter.comparing.part import Part
from converter.comparing.parts import has_graph, parts_of
from converter.comparing.scaled import scale_note, unscaled
from converter.errors import ConversionError, InvalidModel
from converter.gates import ORDERS, Cell
from converter.model import Array

ROUNDING_ULPS = 8


def compare(a: Path | str, b: Path | str) -> Comparison:
    """Compares the weights of two readable files.

    Raises:
        InvalidModel, Unsupported, OSError: one of them cannot be read, or holds no weights.
    """
    sides = []
    for path in (Path(a), Path(b)):
        try:
            parts = parts_of(path)
        except ConversionError as error:
            raise _named(error, path) from error
        if not parts:
            raise InvalidModel("it holds no weights", where=str(path))
        sides.append(parts)
    if not (has_graph(Path(a)) and has_graph(Path(b))):  # one has layers alone
        left_out = tuple(part.name for parts in sides for part in parts if part.kind == ARRAY)
        sides = [[part for part in parts if part.kind != ARRAY] for parts in sides]
        return replace(compare_parts(*sides), left_out=left_out)
    return compare_parts(*sides)


def _named(error: ConversionError, path: Path) -> ConversionError:
    """The error with the whole path in front, not the bare name that readers begin with."""
    first, _, rest = error.where.partition(": ")
    where = rest if first == path.name else error.where
    return type(error)(error.what, where=where, hint=error.hint, layers=error.layers).at(str(path))


def compare_parts(a: Sequence[Part], b: Sequence[Part]) -> Comparison:
    """Compares two lists of layers."""
    a, b = _as_in(b, a), _as_in(a, b)
    again = calls_again(a, b), calls_again(b, a)
    further = {id(part) for calls in again for part, _ in calls}
    met, left_a, left_b = _met(*([part for part in side if id(part) not in further] for side in (a, b)))
    copied_a, left_a = _copies(left_a, [(other, one) for one, other in met])
    copied_b, left_b = _copies(left_b, met)
    pairs = [_pair(one, other) for one, other in met]
    pairs = _exchanged(pairs, {part.name: part for part in a}, {part.name: part for part in b})
    more_a, lost_a = _further(again[0], {one.name: other for one, other in met})
    more_b, lost_b = _further(again[1], {other.name: one for one, other in met})
    pairs += [_pair(part, mate) for part, mate in more_a] + [_pair(mate, part) for part, mate in more_b]
    pairs += [_pair(part, mate) for part, mate in copied_a] + [_pair(mate, part) for part, mate in copied_b]
    only_a, only_b = (tuple(part.name for part in side) for side in ([*left_a, *lost_a], [*left_b, *lost_b]))
    return Comparison(tuple(pairs), only_a, only_b)


def _copies(left: Sequence[Part], met: Sequence[tuple[Part, Part]]) -> tuple[list[tuple[Part, Part]], list[Part]]:
    """Parts that hold once more what one of their file does, each with what the other file uses as often; the others.

    Args:
        left: parts of a file without a counterpart.
        met: pairs of a part of the other file and one of that file.
    """
    again = {id(other): one.uses - other.uses for one, other in met}
    found, alone = [], []
    for part in left:
        same = (pair for pair in met if again[id(pair[1])] >= part.uses and pair[1].signature == part.signature)
        mate = next((pair for pair in same if _compared(part, pair[1]).verdict == "equal"), None)
        if mate is None:
            alone.append(part)
            continue
        again[id(mate[1])] -= part.uses
        found.append((part, mate[0]))
    return found, alone


def _further(
    calls: Sequence[tuple[Part, Part]], mates: Mapping[str, Part]
) -> tuple[list[tuple[Part, Part]], list[Part]]:
    """Further calls with the layer of the other file that the first call is paired with, and those that have none."""
    found = [(part, mates.get(first.name)) for part, first in calls]
    return [(part, mate) for part, mate in found if mate is not None], [part for part, mate in found if mate is None]


def _as_in(other: Sequence[Part], parts: Sequence[Part]) -> list[Part]:
    """The parts, those that the other file says in arithmetic likewise."""
    kinds = {part.kind for part in other}
    return [part.folded if part.folded is not None and part.folded.kind in kinds else part for part in parts]


def _met(a: Sequence[Part], b: Sequence[Part]) -> tuple[list[tuple[Part, Part]], list[Part], list[Part]]:
    """The parts that are counterparts, and those on either side that have none."""
    waiting: dict[tuple[object, ...], dict[int, Part]] = {}
    called: dict[tuple[object, ...], list[Part]] = {}
    for part in b:
        waiting.setdefault(part.signature, {})[id(part)] = part
        for spelling in dict.fromkeys(spellings(part.name)):
            called.setdefault((part.signature, spelling), []).append(part)
    met, only_a = [], []
    own = {(part.signature, spelling) for part in a for spelling in spellings(part.name)}
    for part in a:
        left = waiting.get(part.signature)
        if not left:
            only_a.append(part)
            continue
        named = (c for name in spellings(part.name) for c in called.get((part.signature, name), ()) if id(c) in left)
        other = next(named, None) or _unnamed(part, list(left.values()), own)  # files that sort names change the order
        del left[id(other)]
        met.append((part, other))
    ids = {key for parts in waiting.values() for key in parts}
    return met, only_a, [part for part in b if id(part) in ids]


def _unnamed(part: Part, candidates: Sequence[Part], own: Container[tuple[object, ...]]) -> Part:
    """The counterpart of a part that none of the candidates is called like: none that another is called like."""
    free = [c for c in candidates if not any((c.signature, name) in own for name in spellings(c.name))]
    same = (c for c in free if part.kind == ARRAY and _compared(part, c).verdict == "equal")
    return next(same, None) or (free or candidates)[0]


def _exchanged(pairs: list[Pair], a: Mapping[str, Part], b: Mapping[str, Part]) -> list[Pair]:
    """Two layers, or two directions, that have exchanged places."""
    bad = [k for k, pair in enumerate(pairs) if pair.verdict == "different"]
    for k, later in pairwise(bad):
        one, two = pairs[k], pairs[later]
        if a[one.a].signature != a[two.a].signature:
            continue
        crossed = (_pair(a[one.a], b[two.b]), _pair(a[two.a], b[one.b]))
        if all(pair.verdict in ("equal", "rounding") for pair in crossed):
            pairs[k] = replace(one, explanation=f"exchanged with {two.a}")
            pairs[later] = replace(two, explanation=f"exchanged with {one.a}")
    return pairs


def _pair(a: Part, b: Part) -> Pair:
    return replace(_compared(a, b), scaled=scale_note(a, b))


def _compared(a: Part, b: Part) -> Pair:
    first, second = unscaled(a), unscaled(b)
    if not isinstance(first, Cell) or not isinstance(second, Cell):
        assert isinstance(first, Mapping) and isinstance(second, Mapping)
        found = tuple(_finding(name, "", first.get(name), second.get(name)) for name in {**first, **second})
        return _explained(Pair(a.name, b.name, a.kind, found), altered(first, second, "-"))
    findings = tuple(_gate_findings(first, second))
    pair = Pair(a.name, b.name, a.kind, findings)
    if pair.verdict != "different":
        return pair
    explanation = _explain(first, second)
    if explanation:
        return replace(pair, explanation=explanation)
    return _explained(pair, altered(_matrices(first), _matrices(second), ORDERS[a.kind]))


def _explained(pair: Pair, found: tuple[str, str] | None) -> Pair:
    if found is None or pair.verdict != "different":
        return pair
    return replace(pair, explained=found[0], explanation=found[1])  # type: ignore[arg-type]


def _matrices(cell: Cell) -> dict[str, Array | None]:
    """The arrays to compare; the biases as one where that says the same."""
    out: dict[str, Array | None] = {"kernel": cell.kernel, "recurrent_kernel": cell.recurrent_kernel}
    if cell.kind == "GRU" and cell.reset_after:
        g = cell.kernel.shape[1]
        zeros = np.zeros(g, cell.kernel.dtype)
        if cell.bias is None and cell.recurrent_bias is None:
            return out
        first = zeros if cell.bias is None else cell.bias
        second = (zeros if cell.recurrent_bias is None else cell.recurrent_bias).copy()
        edge = 2 * cell.units  # gates z and r only see the sum
        first = np.concatenate([first[:edge] + second[:edge], first[edge:]])
        second[:edge] = 0
        return {**out, "bias": first, "recurrent_bias": second}
    bias = cell.single_bias
    # No bias is a bias of zeros.
    return {**out, "bias": np.zeros(cell.kernel.shape[1], cell.kernel.dtype) if bias is None else bias}


def _gate_findings(a: Cell, b: Cell) -> Iterable[Finding]:
    first, second = _matrices(a), _matrices(b)
    order = ORDERS[a.kind]
    if a.reset_after != b.reset_after:
        yield Finding("reset_after", "", "different")
    for matrix in {**first, **second}:
        x, y = first.get(matrix), second.get(matrix)
        if x is None or y is None:
            present = x if x is not None else y
            zero = present is not None and not np.any(present)
            yield Finding(matrix, "", "equal" if zero else "different")
            continue
        for k, gate in enumerate(order):
            picked = (..., slice(k * a.units, (k + 1) * a.units))
            yield _finding(matrix, gate if len(order) > 1 else "", x[picked], y[picked])


def _finding(matrix: str, gate: str, a: Array | None, b: Array | None) -> Finding:
    if a is None or b is None or a.shape != b.shape:
        return Finding(matrix, gate, "different")
    if a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return Finding(matrix, gate, "equal", of=a.size)
    wide_a, wide_b = (np.asarray(v).astype(np.float64) for v in (a, b))
    same_nan = np.isnan(wide_a) & np.isnan(wide_b)
    with np.errstate(invalid="ignore"):
        gap = np.where(same_nan | (wide_a == wide_b), 0.0, np.abs(wide_a - wide_b))
    gap = np.where(np.isnan(gap), np.inf, gap)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape)) if gap.size else ()
    ulps = float((gap / _ulp(a, b, wide_a, wide_b, whole="bias" in matrix)).max(initial=0.0))
    worst = float(gap.max(initial=0.0))
    verdict: Verdict = "rounding" if ulps <= ROUNDING_ULPS else "different"
    verdict = "equal" if worst == 0 and a.dtype == b.dtype else verdict
    values = (float(wide_a[where]), float(wide_b[where])) if gap.size else (0.0, 0.0)
    return Finding(matrix, gate, verdict, ulps, worst, int(np.count_nonzero(gap)), gap.size, where, values)


def _ulp(a: Array, b: Array, wide_a: Array, wide_b: Array, whole: bool) -> Array:
    """The unit in the last place of the coarser of two types, for each value, or of the largest value of all."""
    digits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
    bits = min(digits.get(a.dtype.name, 23), digits.get(b.dtype.name, 23))
    size = np.maximum(np.abs(wide_a), np.abs(wide_b))
    size = np.where(np.isfinite(size), size, 0.0)
    size = np.full_like(size, size.max(initial=0.0)) if whole else size
    return np.asarray(np.exp2(np.floor(np.log2(np.maximum(size, 2.0**-126))) - bits))


def _explain(a: Cell, b: Cell) -> str:
    """The misreading of one convention as another that turns the first cell into the second, or ""."""
    for wrong, names in misreadings(a):
        if all(finding.verdict != "different" for finding in _gate_findings(wrong, b)):
            return names
    return ""
