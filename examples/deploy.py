"""Runs an exported model with onnxruntime and NumPy alone: `python examples/deploy.py model.onnx`.

A model without states gets one fixed batch. A stateful one is streamed step by step, its states carried by the caller,
and once more in one run; both must give the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnxruntime

BATCH, STEPS = 4, 12
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
          "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}  # fmt: skip


def zeros(value: Any, batch: int, steps: int) -> Any:
    """An array for a graph input, or texts of as many words; open dimensions are the batch, then the steps."""
    sizes = [size if isinstance(size, int) else steps if axis else batch for axis, size in enumerate(value.shape)]
    if value.type == "tensor(string)":
        return np.full(sizes, " ".join(["word"] * steps), object)
    return np.zeros(sizes, DTYPES[value.type])


def stream(session: Any, chunks: Iterable[dict[str, Any]]) -> Iterator[list[Any]]:
    """Yields the model's outputs for each chunk of its inputs; the states are carried from one to the next."""
    pairs = json.loads(session.get_modelmeta().custom_metadata_map.get("keras.states", "[]"))
    state_inputs = [value for value in session.get_inputs() if value.name in {pair["input"] for pair in pairs}]
    names = [value.name for value in session.get_outputs()]
    states: dict[str, Any] = {}
    for chunk in chunks:
        batch = len(next(iter(chunk.values())))
        states = states or {value.name: zeros(value, batch, 1) for value in state_inputs}
        values = dict(zip(names, session.run(names, {**chunk, **states}), strict=True))
        states = {pair["input"]: values.pop(pair["output"]) for pair in pairs}
        yield list(values.values())


def main(path: str) -> None:
    """Runs the model at `path` and says what came out."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pairs = json.loads(session.get_modelmeta().custom_metadata_map.get("keras.states", "[]"))
    carried = {pair["input"] for pair in pairs}
    inputs = [value for value in session.get_inputs() if value.name not in carried]
    rng = np.random.default_rng(0)
    batch = {value.name: zeros(value, BATCH, STEPS) for value in inputs}
    for array in batch.values():
        if array.dtype.kind == "f":
            array[...] = rng.standard_normal(array.shape)
    (whole,) = stream(session, [batch])
    print(
        "one batch:",
        ", ".join(f"{v.name} {list(array.shape)}" for v, array in zip(session.get_outputs(), whole, strict=False)),
    )
    if not pairs or any(isinstance(value.shape[1], int) for value in inputs):
        return
    steps = [{name: array[:, t : t + 1] for name, array in batch.items()} for t in range(STEPS)]
    *_, last = stream(session, steps)
    error = max(float(np.abs(a[:, -1] - b[:, -1]).max()) if a.ndim > 2 else float(np.abs(a - b).max())
                for a, b in zip(whole, last, strict=True))  # fmt: skip
    print(f"{STEPS} steps one by one: off by {error:.1e} from one run")


if __name__ == "__main__":
    main(sys.argv[1])
