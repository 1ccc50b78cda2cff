"""What all tests share: the thousands of collected items are kept out of every later garbage collection, and TensorFlow
computes by the same kernels on every processor (oneDNN's refuse a pooling that gives no step).
"""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
