"""An exported file in the framework that it is written for: a `.keras` archive in Keras 3, a module in PyTorch.

Whole outputs are compared with the float64 reference, as in `elsewhere`. The framework has to be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from converter.errors import ConversionError, Unsupported
from converter.exporters import EXPORTERS
from converter.model import Array, Model
from converter.verification.calls import usable_cases
from converter.verification.elsewhere import judged
from converter.verification.report import Report

Run = Callable[[Sequence[Array], Sequence[Array]], Sequence[Array]]
"""Arrays of the inputs, and of the states; gives those of the outputs, then of the states where they can be seen."""


@dataclass(frozen=True)
class Started:
    """A file in its framework.

    Attributes:
        title: the framework and its version.
        run: what runs it.
        states: whether the outputs of `run` end with the states.
    """

    title: str
    run: Run
    states: bool


def verify(model: Model, exported: Path, home: str, seed: int = 0) -> Report:
    """Runs a file of the target `home`, whose row names what starts it.

    Raises:
        Unsupported: the framework is not installed, or refuses the file.
        FileExistsError: the module next to the weights is not ours.
    """
    cases, calls = usable_cases(model, seed)
    inputs, states = model.inputs, [state.input for state in model.states]
    try:
        started: Started = import_module(EXPORTERS[home].home).started(exported)
        made = []
        seen = model if started.states else replace(model, states=())
        ends = [*seen.outputs, *(state.output for state in seen.states)]
        for call in calls:
            given = [[call.given[v.name].astype(_dtype(v.dtype)) for v in values] for values in (inputs, states)]
            made.append({value.name: array for value, array in zip(ends, started.run(*given), strict=True)})
    except (ConversionError, OSError):
        raise
    except Exception as error:  # whatever a framework raises is its refusal
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise Unsupported(f"{home} refuses the file: {reason[:200]}") from error
    return judged(seen, cases, calls, made, started.title)


def _dtype(name: str) -> str:
    """NumPy has no bfloat16; both frameworks take float32 for it."""
    return "float32" if name == "bfloat16" else name
