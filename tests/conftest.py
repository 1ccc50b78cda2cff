"""What all tests share: the thousands of collected items are kept out of every later garbage collection."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
