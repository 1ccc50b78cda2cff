"""Runs an exported model with onnxruntime and NumPy alone: `python examples/stream.py model.onnx`.

`stream` runs any exported file, its states carried from chunk to chunk. Called as a program it runs one batch, and a
model with states once more step by step: where no layer looks at all steps at once, both give the same.
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


def stream(session: Any, chunks: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields the model's outputs by name for each chunk of its inputs; states are carried from one to the next.

    A chunk holds an array for each input of the model, by name; states begin as zeros. A model without states takes
    chunks one by one. Feeding the outputs back is what Keras does between two calls of `predict`.
    """
    pairs = json.loads(session.get_modelmeta().custom_metadata_map.get("keras.states", "[]"))
    carried = {pair["input"]: pair["output"] for pair in pairs}
    names = [value.name for value in session.get_outputs()]
    states: dict[str, Any] = {}
    for chunk in chunks:
        batch = len(next(iter(chunk.values())))
        states = states or {v.name: zeros(v, batch, 1) for v in session.get_inputs() if v.name in carried}
        values = dict(zip(names, session.run(names, {**chunk, **states}), strict=True))
        states = {name: values.pop(output) for name, output in carried.items()}
        yield values


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
    print("one batch:", ", ".join(f"{name} {list(array.shape)}" for name, array in whole.items()))
    if not pairs or any(len(value.shape) < 2 or isinstance(value.shape[1], int) for value in inputs):
        return
    steps = [{name: array[:, t : t + 1] for name, array in batch.items()} for t in range(STEPS)]
    *_, last = stream(session, steps)
    ends = [(array[:, -1] if array.ndim > 2 else array, last[name].reshape(len(array), -1))
            for name, array in whole.items()]  # fmt: skip
    error = max(float(np.abs(a.reshape(len(a), -1) - b).max()) for a, b in ends)
    print(f"{STEPS} steps one by one: off by {error:.1e} from one run")


if __name__ == "__main__":
    main(sys.argv[1])
