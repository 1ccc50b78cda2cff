"""What stands for text that an ONNX file of our own takes apart and joins again; splitting.py recognizes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converter.model import Value
from converter.readers.onnx.counted import Dim


@dataclass(frozen=True)
class Texts:
    """One text, in every place of a tensor.

    Attributes:
        text: what it is.
        shape: of the tensor; () where the file holds it once.
    """

    text: str
    shape: tuple[Dim, ...] = ()


@dataclass(frozen=True)
class Blanked:
    """Texts [...] with a blank in place of some characters, and with more blanks at both ends, as many as it happens.

    Attributes:
        value: the texts as they were.
        characters: those that are blanks now.
    """

    value: Value
    characters: frozenset[str]


@dataclass(frozen=True)
class Pieces:
    """Texts [...] taken apart at each of one character, [..., most pieces of any], or numbers of these pieces.

    Attributes:
        text: what is taken apart.
        at: the character; None for words.
        what: the pieces; "counts" of each text, [...]; "shape" of all pieces, a vector; "most" pieces of any, a number.
    """

    text: Value | Blanked
    at: str | None
    what: Literal["pieces", "counts", "shape", "most"] = "pieces"

    @property
    def rank(self) -> int:
        """The number of the texts' axes, which is the axis of the pieces."""
        value = self.text.value if isinstance(self.text, Blanked) else self.text
        return len(value.shape)
