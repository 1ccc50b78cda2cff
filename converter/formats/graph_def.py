"""Frozen graphs of TensorFlow 1: a GraphDef in a file of its own, weights and all.

Source: tensorflow/tensorflow `core/framework/graph.proto`; written by freeze_graph and tf.io.write_graph.
"""

from __future__ import annotations

from pathlib import Path


def sniff(path: Path) -> bool:
    """Whether the file begins as a GraphDef does: a node (field 1), in it a name (field 1), then an operator (field 2).

    ONNX and saved_model.pb begin with a number.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4096)
    place = _after_length(start, 0)
    if not place or start[place : place + 1] != b"\x0a":
        return False
    end = _after_length(start, place)
    length = start[end - 1] if end else 0
    return bool(end) and start[end + length : end + length + 1] == b"\x12" and start[end : end + length].isascii()


def _after_length(start: bytes, at: int) -> int:
    """Where the content of field 1 at `at` begins, or 0 if none does."""
    if start[at : at + 1] != b"\x0a":
        return 0
    for place in range(at + 1, min(at + 6, len(start))):
        if start[place] < 0x80:
            return place + 1
    return 0
