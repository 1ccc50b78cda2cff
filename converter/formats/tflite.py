"""TFLite files as they are: whether a file is one, and the metadata that ours carry."""

from __future__ import annotations

from pathlib import Path

IDENTIFIER = b"TFL3"
METADATA = "keras_lstm_convert"  # JSON: source, states, which tensor holds which value, the owner of each operator
MIN_RUNTIME = "min_runtime_version"  # TensorFlow's own: the oldest runtime that has all operators


def sniff(path: Path) -> bool:
    """Whether the file says that it is a TFLite flatbuffer."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(8)[4:] == IDENTIFIER
