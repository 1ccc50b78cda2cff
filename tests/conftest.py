"""What all tests share: the thousands of collected items are kept out of every later garbage collection, and TensorFlow
computes by the same kernels on every processor (oneDNN's refuse a pooling that gives no step).
"""

from __future__ import annotations

import gc
import os
import sys

import pytest

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def names_begin_anew() -> None:
    """Keras numbers layers of a class through a process: what a test's layers are called is not for others to say."""
    if "keras.src.backend.common.global_state" in sys.modules:  # as its clear_session does, which takes long
        sys.modules["keras.src.backend.common.global_state"].set_global_attribute("object_name_uids", None)
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.reset_uids()
