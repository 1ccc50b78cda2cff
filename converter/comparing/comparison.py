"""What a comparison of two files found: by matrix and gate, by layer, and in all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from converter.lines import Shown

Verdict = Literal["equal", "rounding", "permuted", "scaled", "rounded", "different"]
_RANK = {"equal": 0, "rounding": 1, "permuted": 2, "scaled": 3, "rounded": 4, "different": 5}


@dataclass(frozen=True)
class Finding:
    """One matrix, or one gate of it.

    Attributes:
        matrix: "kernel", "recurrent_kernel", "bias", ...
        gate: "i", "f", "c", "o", "z", "r", "h", or "" where there are none.
        verdict: see the module.
        ulps: largest difference in units in the last place of the coarser type (for biases: of their largest value).
        difference: largest absolute difference.
        count, of: how many values differ, of how many.
        where: index of the largest difference, within the gate.
        values: the two values there.
    """

    matrix: str
    gate: str
    verdict: Verdict
    ulps: float = 0.0
    difference: float = 0.0
    count: int = 0
    of: int = 0
    where: tuple[int, ...] = ()
    values: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Pair:
    """Two layers that are in the same place.

    Attributes:
        a, b: their names in the two files.
        kind: "LSTM", "Dense", ...
        findings: per matrix and gate.
        explanation: what explains the difference, or "".
        explained: the verdict where there is an explanation.
        scaled: what a file says its weights were multiplied by, which is divided out before they are compared, or "".
    """

    a: str
    b: str
    kind: str
    findings: tuple[Finding, ...]
    explanation: str = ""
    explained: Verdict = "permuted"
    scaled: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        if self.explanation:
            return self.explained
        return max((finding.verdict for finding in self.findings), key=_RANK.__getitem__, default="equal")


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """The comparison of two files.

    Attributes:
        pairs: layers with a counterpart.
        only_a, only_b: layers without one.
        left_out: arrays in one file's arithmetic, of which the other, that holds layers alone, says nothing.
    """

    pairs: tuple[Pair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def summary(self) -> str:
        """The verdict, and over how many layers."""
        return f"{'equal' if self.equal else 'NOT equal'}, {len(self.pairs)} pairs of layers"

    @property
    def equal(self) -> bool:
        """Whether all weights are the same, up to rounding, and there are any."""
        same = all(pair.verdict in ("equal", "rounding") for pair in self.pairs)
        return bool(self.pairs) and same and not self.only_a and not self.only_b

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        pairs = [{**asdict(pair), "verdict": pair.verdict} for pair in self.pairs]
        return {"equal": self.equal, "pairs": pairs, "only_a": list(self.only_a),
                "only_b": list(self.only_b), "left_out": list(self.left_out)}  # fmt: skip

    def lines(self) -> list[str]:
        """A table: one row per gate that differs, one per layer that does not."""
        rows = [("layer", "in the other", "kind", "matrix", "verdict")]
        for pair in self.pairs:
            rows += _rows(pair)
        rows += [(name, "-", "", "", "only in the first file") for name in self.only_a]
        rows += [("-", name, "", "", "only in the second file") for name in self.only_b]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        shown = [[*(cell.ljust(w) for cell, w in zip(row[:4], widths, strict=True)), row[4]] for row in rows]
        notes = [f"not compared, as one of the files holds layers alone: {', '.join(self.left_out)}"] * bool(
            self.left_out
        )
        return ["  ".join(cells).rstrip() for cells in shown] + notes + ["equal" if self.equal else "NOT equal"]


def _rows(pair: Pair) -> Iterable[tuple[str, str, str, str, str]]:
    if pair.explanation:
        return [(pair.a, pair.b, pair.kind, "all", f"{pair.verdict}: {pair.explanation}")]
    bad = [finding for finding in pair.findings if finding.verdict == "different"]
    if not bad:
        ulps = max((finding.ulps for finding in pair.findings), default=0.0)
        text = "bit-equal" if pair.verdict == "equal" else f"equal up to rounding ({ulps:.3g} ULP)"
        return [(pair.a, pair.b, pair.kind, "all", f"{pair.scaled}, {text} otherwise" if pair.scaled else text)]
    return [(pair.a, pair.b, pair.kind, f"{f.matrix} {f.gate}".strip(), _in_words(f)) for f in bad]


def _in_words(finding: Finding) -> str:
    if not finding.of:
        return "only one of the two has it"
    first, second = finding.values
    return (
        f"different: {finding.count} of {finding.of} values, by up to {finding.difference:.3g} "
        f"at {list(finding.where)}: {first:.6g} and {second:.6g}"
    )
