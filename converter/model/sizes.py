"""Sizes of the inputs that a user fixes, since some runtimes and tools want all of them known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from converter.errors import Unsupported, clean
from converter.model.graph import Shape


@dataclass(frozen=True)
class Sizes:
    """What is to be fixed.

    Attributes:
        batch: the batch size of all inputs, or "keep" for the one in the file; None leaves it open.
        steps: the length of axis 1 of all inputs, where the file leaves it open.
        shapes: whole shapes by the name of the input.
    """

    batch: int | Literal["keep"] | None = None
    steps: int | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def of(self, name: str, shape: Shape, keeps_batch: bool) -> Shape:
        """The shape of an input.

        Args:
            name: of the input.
            shape: as the file has it.
            keeps_batch: whether a batch size in the file means something, as in stateful models.

        Raises:
            Unsupported: the file has other sizes.
        """
        kept = shape[0] if keeps_batch or self.batch == "keep" else None
        known: Shape = (kept, *shape[1:])
        if name in self.shapes:
            return _fixed(name, known, self.shapes[name])
        wanted = list(known)
        if isinstance(self.batch, int):
            wanted[0] = self.batch
        if self.steps is not None and len(wanted) > 1 and wanted[1] is None:
            wanted[1] = self.steps
        return tuple(wanted)

    def check(self, names: list[str]) -> None:
        """Refuse shapes of what is no input."""
        unknown = sorted(set(self.shapes) - set(names))
        if unknown:
            raise Unsupported(f"no input {clean(unknown[0])}", hint=f"the inputs are {', '.join(map(clean, names))}")


OPEN = Sizes()


def _fixed(name: str, shape: Shape, wanted: tuple[int, ...]) -> Shape:
    if len(shape) != len(wanted) or any(n not in (None, m) for n, m in zip(shape[1:], wanted[1:], strict=True)):
        raise Unsupported(f"input {clean(name)} has shape {shape}, which cannot be {wanted}")
    return wanted
