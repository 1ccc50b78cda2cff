"""TFLite files of ours next to those of TensorFlow's converter: size, operators, Flex, time per call, error.

    python benchmarks/tflite.py          prints a table; needs tensorflow, tf_keras and ai-edge-litert

Each model is made by Keras 3 and by tf_keras with the same weights, batch 1 and known steps (TensorFlow's converter
fuses LSTMs of tf_keras only then). The error is that of a later call, next to Keras' own output: an operator that
keeps its states from the first shows there. Times are processor time, the best of several rounds taken in turn, each
with interpreters of its own, so that where their memory happens to lie favors no side.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[1]))
from ai_edge_litert.interpreter import Interpreter

from converter import api
from converter.formats import tflite
from converter.model.sizes import Sizes

STEPS, FEATURES, UNITS = 100, 16, 128
ROUNDS, CALLS = 40, 10


def _lstm(k: Any) -> list[Any]:
    return [k.layers.LSTM(UNITS, return_sequences=True)]


def _stack(k: Any) -> list[Any]:
    return [k.layers.LSTM(UNITS, return_sequences=True), k.layers.LSTM(UNITS), k.layers.Dense(10)]


def _both(k: Any) -> list[Any]:
    return [k.layers.Bidirectional(k.layers.LSTM(UNITS, return_sequences=True)), k.layers.Dense(10)]


def _gru(k: Any) -> list[Any]:
    return [k.layers.GRU(UNITS)]


MODELS: dict[str, Callable[[Any], list[Any]]] = {
    "LSTM(128), sequences": _lstm, "two LSTMs, Dense": _stack, "Bidirectional, Dense": _both, "GRU(128)": _gru,
}  # fmt: skip


def made(k: Any, layers: Callable[[Any], list[Any]], batch: int | None) -> Any:
    """A model of one of the two Keras."""
    return k.Sequential([k.Input((STEPS, FEATURES), batch_size=batch), *layers(k)])


def by_tensorflow(model: Any) -> bytes:
    """What TFLiteConverter makes of it, builtin operators first."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    data: bytes = converter.convert()
    return data


def by_us(model: Any, folder: Path) -> bytes:
    """What `convert --to tflite --batch 1` makes of its file."""
    model.save(folder / "m.keras")
    api.convert(folder / "m.keras", folder / "m.tflite", to="tflite", sizes=Sizes(batch=1), force=True)
    return (folder / "m.tflite").read_bytes()


class Measured:
    """One file in LiteRT on one thread."""

    def __init__(self, data: bytes, folder: Path, x: np.ndarray) -> None:
        path = folder / "measured.tflite"
        path.write_bytes(data)
        contents = tflite.read(path)
        self.kinds = [contents.kind(op) for graph in contents.model.subgraphs for op in graph.operators or []]
        self._data, self._x, self.best, self.last = data, x, np.inf, x

    def round(self) -> None:
        """Some calls of a new interpreter, by processor time."""
        interpreter = Interpreter(model_content=self._data, num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], self._x)
        interpreter.invoke()
        start = time.process_time()
        for _ in range(CALLS):
            interpreter.invoke()
        self.best = min(self.best, (time.process_time() - start) / CALLS)
        self.last = np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))

    def row(self, want: np.ndarray) -> str:
        """The figures, the error being that of a later call."""
        error = np.abs(self.last - want).max() / np.abs(want).max()
        fused, flex = (sum(part in kind for kind in self.kinds) for part in ("SEQUENCE", "Flex"))
        said = f"{len(self._data) / 1000:.1f} kB | {len(self.kinds)} | {fused} | {flex}"
        return f"{said} | {1e6 * self.best / STEPS:.1f} µs | {error:.1e}"


def main() -> None:
    """Prints the table."""
    import keras
    import tf_keras

    print("| model | made by | size | operators | fused | Flex | time per step | error of a later call |")
    print("|---|---|---|---|---|---|---|---|")
    x = np.random.default_rng(0).normal(size=(1, STEPS, FEATURES)).astype("float32")
    for name, layers in MODELS.items():
        keras.utils.set_random_seed(0)
        new, old = made(keras, layers, None), made(tf_keras, layers, 1)
        old.set_weights(new.get_weights())
        with tempfile.TemporaryDirectory() as place, redirect_stdout(StringIO()):
            folder = Path(place)
            files = {
                "this program": by_us(new, folder),
                "TFLiteConverter, Keras 3": by_tensorflow(made_like(new, layers)),
                "TFLiteConverter, tf_keras": by_tensorflow(old),
            }
            sides = {maker: Measured(data, folder, x) for maker, data in files.items()}
        for _ in range(ROUNDS):
            for side in sides.values():
                side.round()
        for maker, side in sides.items():
            print(f"| {name} | {maker} | {side.row(np.asarray(new(x)))} |", flush=True)


def made_like(model: Any, layers: Callable[[Any], list[Any]]) -> Any:
    """The model of Keras 3 again, of a fixed batch."""
    import keras

    fixed = made(keras, layers, 1)
    fixed.set_weights(model.get_weights())
    return fixed


if __name__ == "__main__":
    main()
