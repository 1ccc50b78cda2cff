"""What a verification found, in numbers; frozen, and plain enough for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from converter.lines import Shown, of_report

FACTOR = 10.0  # how much worse than the float32 reference a right runtime may be


@dataclass(frozen=True)
class LayerResidual:
    """The first criterion for one recurrent layer: one step of the runtime against the float64 cell.

    Attributes:
        layer: the node's name.
        steps: how many steps of a row were compared.
        error: the worst absolute error of a new state, divided by max(1, |c|).
        reference_error: the same of the reference in float32.
        allowed: the bound of `error`.
    """

    layer: str
    steps: int
    error: float
    reference_error: float
    allowed: float

    def joined(self, other: LayerResidual) -> LayerResidual:
        """Both directions of a layer as one."""
        return LayerResidual(
            self.layer,
            self.steps + other.steps,
            max(self.error, other.error),
            max(self.reference_error, other.reference_error),
            max(self.allowed, other.allowed),
        )

    @property
    def passed(self) -> bool:
        """Something was compared, and it is within the bound."""
        return self.steps > 0 and self.error <= self.allowed


@dataclass(frozen=True)
class OutputError:
    """The second criterion for one output or carried state: end to end against the float64 reference.

    Attributes:
        name: of the output.
        values: how many values were compared.
        scale: the largest magnitude expected.
        error: the exported file's worst absolute error.
        reference_error: the worst absolute error of the reference in float32.
        allowed: the bound of `error`; None where the model is ill-conditioned: two right float32 evaluations already
            differ so much that only the first criterion says anything.
        note: why nothing could be compared ("shape ...", "not a number"), or "".
    """

    name: str
    values: int
    scale: float
    error: float
    reference_error: float
    allowed: float | None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Within the bound, or ill-conditioned; never where a note stands."""
        return not self.note and (self.allowed is None or self.error <= self.allowed)


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """Original and exported file, side by side.

    Attributes:
        against: what the exported file was compared with.
        runtime: what ran it.
        cases: the inputs used, one line each.
        residuals: the first criterion, one for each recurrent layer.
        outputs: the second criterion, one for each output.
        failures: why the verification failed; empty if it passed.
        notes: what the reader should know of a verification that passed.
    """

    against: str
    runtime: str
    cases: tuple[str, ...]
    residuals: tuple[LayerResidual, ...]
    outputs: tuple[OutputError, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The verdict, and the largest difference."""
        verdict = "proved" if self.passed else f"not proved, {self.failures[0]}"
        return f"{verdict}; end-to-end error {self.error:.1e} against {self.against}"

    def lines(self) -> list[str]:
        """The verdict and both numbers."""
        return [self.summary(), *of_report(self)]

    @property
    def passed(self) -> bool:
        """No failure."""
        return not self.failures

    @property
    def residual(self) -> float:
        """The worst one-step residual."""
        return max((one.error for one in self.residuals), default=0.0)

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
            "passed": self.passed,
            "one_step_residual": self.residual,
            "end_to_end_error": self.error,
            "reference_float32_error": self.reference_error,
            **asdict(self),
        }
