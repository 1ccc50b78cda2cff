"""Text to verify a model with: words that it knows, words that it does not, its mask token, what is between words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converter.model import Array
from converter.model.layers import Lookup, SplitWords

_AT_ENDS = 4  # words taken from either end of a vocabulary: the special ones come first
_STRANGE: dict[type, tuple[Any, ...]] = {
    str: ("", "[UNK]", "no such word", "\u00c9t\u00e9", "\U0001f600 "), int: (-7, 2**40, 0)
}  # fmt: skip
_BETWEEN = (" ", " ", "  ", "\t", "\n ", ", ", "! ")
_INSIDE = ("", "", "", "-", "'", "...")


@dataclass
class Words:
    """What lookups say of an input that they read.

    Attributes:
        known: some words of the vocabulary, those with a special meaning among them.
        strange: some that are not in it; none where the model has no meaning for them.
        split: whether it is text of several words.
    """

    known: list[Any] = field(default_factory=list)
    strange: list[Any] = field(default_factory=list)
    split: bool = False

    def note(self, layer: Lookup | SplitWords) -> None:
        """A node reads the input, or words of it."""
        if isinstance(layer, SplitWords):
            self.split = True
            return
        self.known += dict.fromkeys((*layer.keys[:_AT_ENDS], *layer.keys[-_AT_ENDS:]))
        if layer.default is not None:
            self.strange += [word for word in _STRANGE[type(layer.keys[0])] if word not in layer.keys]

    def values(self, shape: tuple[int, ...], length: int, rng: np.random.Generator, dtype: np.dtype[Any]) -> Array:
        """An array of words, or of texts of up to `length` words, the first of just as many."""
        count = int(np.prod(shape))
        made = np.empty(count, dtype)
        for place in range(count):
            if self.split:
                size = length if place == 0 else int(rng.integers(0, length + 1))
                made[place] = _text([self._word(rng) for _ in range(size)], rng)
            else:
                made[place] = np.asarray(self._word(rng)).astype(dtype)[()]  # too large a number wraps
        return made.reshape(shape)

    def _word(self, rng: np.random.Generator) -> Any:
        """Two of three are known."""
        pool: Sequence[Any] = self.known if self.known and (not self.strange or rng.random() < 0.67) else self.strange
        return pool[int(rng.integers(len(pool)))] if pool else ""


def _text(words: Sequence[str], rng: np.random.Generator) -> str:
    """Words in any case, some with punctuation in them, between white space."""
    parts = []
    for word in words:
        middle = len(word) // 2
        shown = word.upper() if word.isascii() and rng.random() < 0.3 else word
        inside, between = (pool[int(rng.integers(len(pool)))] for pool in (_INSIDE, _BETWEEN))
        parts.append(shown[:middle] + inside + shown[middle:] + between)
    return "".join(parts)
