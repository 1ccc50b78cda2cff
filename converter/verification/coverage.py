"""Which sides of each choice in a graph the values took: of comparisons, clips, selections, masks.

A choice of which only one side was ever taken is proved on that side alone, and the report names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from converter.model import Array, Node, layers
from converter.model.activations import Activation

_INF = float("inf")


def _relu(slope: float, maximum: float, threshold: float) -> tuple[float, ...]:
    return (threshold,) if maximum == _INF else tuple(sorted({threshold, maximum}))


# Where each activation changes its formula.
KNEES: Mapping[str, Callable[..., tuple[float, ...]]] = {
    "hard_sigmoid": lambda alpha, beta: (-beta / alpha, (1 - beta) / alpha) if alpha else (),
    "relu": _relu,
    "elu": lambda alpha: (0.0,),
    "selu": lambda: (0.0,), "celu": lambda alpha: (0.0,), "leaky_relu": lambda alpha: (0.0,),
    "hard_silu": lambda: (-3.0, 3.0), "hard_tanh": lambda: (-1.0, 1.0),
    "hard_shrink": lambda threshold: (-threshold, threshold), "soft_shrink": lambda threshold: (-threshold, threshold),
    "threshold": lambda threshold, value: (threshold,), "thresholded_relu": lambda theta: (theta,),
    "sparse_plus": lambda: (-1.0, 1.0),
}  # fmt: skip
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor")


def knees(activation: Activation) -> tuple[float, ...]:
    """The arguments at which an activation changes its formula."""
    found = KNEES.get(activation.name)
    return () if found is None else tuple(float(knee) for knee in found(*activation.parameters))


@dataclass
class Coverage:
    """What was taken of each choice, by its name in words."""

    taken: dict[str, dict[str, bool]] = field(default_factory=dict)
    node: str = ""

    def note(self, choice: str, sides: Mapping[str, bool]) -> None:
        """Adds sides that were taken."""
        known = self.taken.setdefault(choice, dict.fromkeys(sides, False))
        for side, taken in sides.items():
            known[side] = known.get(side, False) or bool(taken)

    def activation(self, activation: Activation, z: Array) -> None:
        """The pieces of an activation that arguments fall in."""
        if at := knees(activation):
            pieces = np.bincount(np.searchsorted(at, np.ravel(z)), minlength=len(at) + 1)
            self.note(f"{self.node}: {activation.name}", {_piece(at, k): bool(n) for k, n in enumerate(pieces)})

    def values(self, node: Node, inputs: tuple[Array | None, ...], output: Array) -> None:
        """What a node's inputs and its first output say of its choices."""
        layer = node.layer
        if isinstance(layer, layers.Where):
            self._both(f"{node.name}: selection", inputs[0])
        elif isinstance(layer, layers.Elementwise) and layer.op in COMPARISONS:
            self._both(f"{node.name}: {layer.op}", output)
        elif isinstance(layer, layers.Elementwise) and layer.op in ("maximum", "minimum"):
            first, *others = (np.asarray(x) for x in inputs)
            for k, other in enumerate(others):
                self._both(f"{node.name}: {layer.op} {k}", first > other)
        elif isinstance(layer, layers.Recurrent) and inputs[1] is not None:
            self._both(f"{node.name}: mask", inputs[1])

    def _both(self, choice: str, condition: Array | None) -> None:
        if condition is not None and condition.size:
            true = np.asarray(condition).astype(bool)
            self.note(choice, {"true": bool(true.any()), "false": not bool(true.all())})

    @property
    def sides(self) -> int:
        """How many sides there are."""
        return sum(len(sides) for sides in self.taken.values())

    @property
    def missed(self) -> tuple[str, ...]:
        """The sides never taken, in words."""
        return tuple(
            f"{choice} never {side}"
            for choice, sides in self.taken.items()
            for side, taken in sides.items()
            if not taken
        )


def _piece(at: tuple[float, ...], k: int) -> str:
    low, high = (f"above {at[k - 1]:g}" if k else ""), (f"up to {at[k]:g}" if k < len(at) else "")
    return " ".join(filter(None, (low, high)))


_OBSERVER: ContextVar[Coverage | None] = ContextVar("observer", default=None)


@contextmanager
def observing(coverage: Coverage, node: str) -> Iterator[None]:
    """Activations evaluated inside are noted as this node's."""
    coverage.node = node
    token = _OBSERVER.set(coverage)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


def observe(activation: Activation, z: Array) -> None:
    """Called by what evaluates an activation."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer.activation(activation, z)
