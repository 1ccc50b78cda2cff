"""NumPy archives of our own (`converter.formats.npz`)."""

from __future__ import annotations

from pathlib import Path

from converter.comparing.files.neutral import neutral_parts
from converter.comparing.part import Part
from converter.formats.npz import read, sniff

__all__ = ["parts", "sniff"]


def parts(path: Path) -> list[Part]:
    """The layers with weights of a file, in order.

    Raises:
        InvalidModel: a member is no array, or the metadata does not say what they are.
    """
    contents = read(path)
    return neutral_parts(contents.tensors, contents.metadata)
