"""What the two ways to run one direction of a recurrent layer, fused.py and loop.py, take and give."""

from __future__ import annotations

from dataclasses import dataclass

from converter.exporters.tflite.tensors import Ranges, Tensor
from converter.model.layers import Direction, Recurrent


@dataclass(frozen=True)
class Pass:
    """y as the layer gives it, and the final states [batch, units]; None where unread."""

    y: Tensor | None
    states: tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Job:
    """One direction of a recurrent layer, and what is read of it.

    Attributes:
        layer, direction: of the neutral model.
        side: what the names of its weights begin with, where there are two.
        x: [batch, time, features], or time-major, float32.
        mask: bool [batch, time] (time-major likewise), or None.
        initial: the initial states, None for zeros.
        wants_y, wants_states: what somebody reads.
        ranges: what values it takes, where it is to compute in integers.
    """

    layer: Recurrent
    direction: Direction
    side: str
    x: Tensor
    mask: Tensor | None
    initial: tuple[Tensor | None, ...]
    wants_y: bool
    wants_states: tuple[bool, ...]
    ranges: Ranges | None = None

    @property
    def time(self) -> int:
        """The axis of time in x."""
        return 0 if self.layer.time_major else 1

    @property
    def batch(self) -> int:
        """The axis of the batch in x."""
        return 1 - self.time
