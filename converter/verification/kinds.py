"""Which exported files are proved by reading them back (`written`), not by running them; imports next to nothing."""

from __future__ import annotations

from pathlib import Path

from converter.formats import safetensors


def knows(path: Path) -> bool:
    """Whether a file is one of those that are proved here: no ONNX file, and nothing unknown."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        start = file.read(4)
    return start in (b"PK\3\4", b"\x89HDF") or safetensors.sniff(path)
