"""What a verification found, in numbers; frozen, and plain enough for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from converter.lines import Shown, of_report

ONLY_ZEROS = "nothing but zeros was compared"
PROVED, NOT_PROVED, NOT_EQUAL = "proved", "not proved", "NOT equal"
WITHIN = "within the tolerance"


@dataclass(frozen=True)
class NodeResult:
    """One node of the model: its part of the exported graph against the float64 reference of that node alone.

    Attributes:
        name, kind: of the node, and what it computes.
        values: how many values were compared.
        steps: of a recurrent node, how many steps of a row were compared, each from the runtime's own states.
        share: the worst error as a share of what is allowed where it is; at most 1 in a right file.
        error, allowed: of that value.
        wrong: whether it computes something else.
        note: why ("shape ..."), or what cannot be said of it; else "".
    """

    name: str
    kind: str
    values: int
    steps: int
    share: float
    error: float
    allowed: float
    wrong: bool = False
    note: str = ""


@dataclass(frozen=True)
class Arrangement:
    """What one initializer of the file is: arrays of the source, bit for bit, or a constant.

    Attributes:
        initializer: its name.
        sources: the names of the arrays; none for a constant.
        how: the arrangement, or who reads the constant.
    """

    initializer: str
    sources: tuple[str, ...]
    how: str


@dataclass(frozen=True)
class OutputError:
    """One output or carried state, end to end against the float64 reference: a report, and a bound only where asked.

    Attributes:
        name: of the output.
        values: how many values were compared.
        scale: the largest magnitude expected.
        error: the exported file's worst absolute error.
        reference_error: the worst absolute error of the reference in float32.
        allowed: the bound of `error`, where the user gave a tolerance; else None.
        note: what is wrong with it ("shape ...", "not a number"), or "".
    """

    name: str
    values: int
    scale: float
    error: float
    reference_error: float
    allowed: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Within the bound, if there is one, and nothing noted."""
        return not self.note and (self.allowed is None or self.error <= self.allowed)


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """Original and exported file, side by side.

    Attributes:
        against: what the exported file was compared with.
        runtime: what ran it.
        cases: the inputs used, one line each.
        nodes: every node held to its equation.
        weights: what each initializer is.
        outputs: the outputs, end to end.
        wrong: where the file computes something else, the first such node first; empty if it does not.
        unproved: why there is no proof although nothing is wrong.
        notes: what the reader should know of a verification that passed.
        tolerance: where the user gave one: how far outputs may be off, which then are all that was compared.
        sides: of every choice in the graph (comparison, clip, selection, mask) the sides there are.
        missed: those that no value took.
    """

    against: str
    runtime: str
    cases: tuple[str, ...]
    nodes: tuple[NodeResult, ...] = ()
    weights: tuple[Arrangement, ...] = ()
    outputs: tuple[OutputError, ...] = ()
    wrong: tuple[str, ...] = ()
    unproved: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tolerance: float | None = None
    sides: int = 0
    missed: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the verification failed; empty if it passed."""
        return (*self.wrong, *self.unproved)

    @property
    def verdict(self) -> str:
        """One of "proved", "not proved", "NOT equal"; "within the tolerance" where one was given."""
        if self.wrong or self.unproved:
            return NOT_EQUAL if self.wrong else NOT_PROVED
        return PROVED if self.tolerance is None else WITHIN

    def summary(self) -> str:
        """The verdict, and the largest difference."""
        verdict = self.verdict if self.passed else f"{self.verdict}, {self.failures[0]}"
        return f"{verdict}; end-to-end error {self.error:.1e} against {self.against}"

    def lines(self) -> list[str]:
        """The verdict and both numbers."""
        return [self.summary(), *of_report(self)]

    @property
    def passed(self) -> bool:
        """No failure."""
        return not self.failures

    @property
    def share(self) -> float:
        """The worst error of a node, as a share of what is allowed there."""
        return max((one.share for one in self.nodes), default=0.0)

    @property
    def error(self) -> float:
        """The worst end-to-end error."""
        return max((one.error for one in self.outputs), default=0.0)

    @property
    def reference_error(self) -> float:
        """The worst error of the float32 reference."""
        return max((one.reference_error for one in self.outputs), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "verdict": self.verdict,
            "passed": self.passed,
            "node_error_as_share_of_allowed": self.share,
            "end_to_end_error": self.error,
            "reference_float32_error": self.reference_error,
            **asdict(self),
        }
