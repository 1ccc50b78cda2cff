"""The outputs of the whole file next to those of the whole model: a report. The proof is in the nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from converter.model import Array, Model
from converter.verification.natural import Call
from converter.verification.report import OutputError

Values = Mapping[str, Array]


APART = 1e-6  # of the largest value: more than two engines differ by that both compute in float64


def compare_outputs(
    model: Model, calls: Sequence[Call], made: Sequence[Values], engine: Callable[[Values, Values], Values] | None
) -> list[OutputError]:
    """For each output and carried state the worst error over all calls.

    Args:
        model: the neutral model.
        calls: what the reference makes of each.
        made: what the file does, by the model's names.
        engine: another engine, whose outputs then are the truth; the reference's must be the same.
    """
    named = [(value.name, name) for value, name in zip(model.outputs, model.output_names, strict=True)]
    named += [(state.output.name, state.output.name) for state in model.states]
    states = {state.input.name for state in model.states}
    exact = [call.exact for call in calls]
    if engine is not None:
        exact = []
        for call in calls:
            inputs, carried = ({n: a for n, a in call.given.items() if (n in states) == held} for held in (False, True))
            exact.append(engine(inputs, carried))
    found = []
    for value, name in named:
        triples = [(a[value], b.single[value], c[value]) for a, b, c in zip(exact, calls, made, strict=True)]
        one = _output_error(name, triples)
        apart = max((_distance(a[value], b.exact[value]) for a, b in zip(exact, calls, strict=True)), default=0.0)
        if engine is not None and not one.note and not apart <= APART * one.scale:
            one = replace(one, note=f"the float64 reference is off by {apart:.1e}")
        found.append(one)
    return found


def compare_expected(name: str, want: Array, have: Array, share: float) -> OutputError:
    """An output next to what the user expects of it, which may be off by a share of the largest value."""
    one = _output_error(f"{name}, as you expect it", [(want, want, have)])
    return replace(one, allowed=share * one.scale)


def _distance(a: Array, b: Array) -> float:
    """The largest difference; infinite for other shapes, and where one alone is not a number."""
    if a.shape != b.shape:
        return np.inf
    if a.dtype.hasobject:
        return 0.0 if np.array_equal(a, b) else np.inf
    same = (a == b) | (a != a) & (b != b)
    off = np.where(same, 0.0, np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)))
    return float(np.max(np.where(np.isnan(off), np.inf, off), initial=0.0))


def _as_numbers(want: Array, single: Array, have: Array) -> tuple[Array, ...]:
    """Strings as ones where they are those wanted, and zeros where not."""
    return np.ones(want.shape), *((made == want).astype(np.float64) if made.shape == want.shape else made
                                  for made in (single, have))  # fmt: skip


def _output_error(name: str, triples: Sequence[tuple[Array, ...]]) -> OutputError:
    scale = error = reference_error = 0.0
    count = 0
    note = ""
    for triple in triples:
        want, single, have = _as_numbers(*triple) if triple[0].dtype.hasobject else triple
        if have.shape != want.shape:
            note = note or f"shape {list(have.shape)}, expected {list(want.shape)}"
            continue
        exact, single, have = (np.asarray(a).astype(np.float64) for a in (want, single, have))
        if np.any(~np.isfinite(have) & np.isfinite(exact) & np.isfinite(single)):
            note = note or "infinite or not a number where the model is not"
            continue
        finite = np.isfinite(exact) & np.isfinite(single) & np.isfinite(have)
        exact, single, have = exact[finite], single[finite], have[finite]
        count += exact.size
        scale = max(scale, float(np.abs(exact).max(initial=0.0)))
        error = max(error, float(np.abs(have - exact).max(initial=0.0)))
        reference_error = max(reference_error, float(np.abs(single - exact).max(initial=0.0)))
    return OutputError(name, count, scale, error, reference_error, None, note)
