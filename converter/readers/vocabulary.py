"""Words that layers learned: the file `vocabulary.txt`, one word a line, that archives keep for each lookup layer.

Source: `IndexLookup.save_assets` in keras/src/layers/preprocessing/index_lookup.py (and in tf_keras), which writes all
words, special ones included, with open(..., "w"): in the encoding and with the line ends of the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter.errors import InvalidModel, Unsupported
from converter.limits import TEXT_BYTES
from converter.model import Weight


def words_of(data: bytes, place: str) -> Weight:
    """The words of a file in its order.

    Raises:
        InvalidModel: too large, or not UTF-8.
        Unsupported: a word holds a carriage return, so that words cannot be distinguished from line ends.
    """
    if len(data) > TEXT_BYTES:
        raise InvalidModel(f"{len(data)} bytes of words", where=place)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        hint = "save the model again where Python writes UTF-8 (PYTHONUTF8=1)"
        raise InvalidModel("not UTF-8 text", where=place, hint=hint) from None
    if text.count("\r") == text.count("\r\n") == text.count("\n"):
        text = text.replace("\r\n", "\n")  # written on Windows
    if "\r" in text:
        raise Unsupported("a word with a carriage return, which looks like the end of a line", where=place)
    return text_weight(place, text.split("\n"))


def text_weight(name: str, words: Sequence[str | None]) -> Weight:
    """Words at hand as a weight: an array of objects."""
    array = np.empty(len(words), object)
    array[:] = words
    return Weight(name, array.shape, "string", lambda: array)
