"""The schema of TFLite files, which the runtime's package brings along; imported when a file is written or read."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from converter.errors import Unsupported

PACKAGE = "ai-edge-litert"


@cache
def schema() -> ModuleType:
    """Classes of the flatbuffer's tables.

    Raises:
        Unsupported: the package is not installed.
    """
    try:
        return import_module("ai_edge_litert.schema_py_generated")
    except ImportError as error:
        raise Unsupported(f"{PACKAGE} is not installed", hint=f"pip install {PACKAGE}") from error
