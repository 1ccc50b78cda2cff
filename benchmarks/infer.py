"""Run time of the exported file next to tf2onnx's export of the same model, a bare LSTM node and a NumPy loop.

    python -m benchmarks.infer --peer-python PEER/bin/python --folder FOLDER [--rounds 9] [--steps 50]

CPU time of one call, one thread, all sides in one onnxruntime. The bare node is what cannot be undercut: LSTM alone,
time-major in and out, with the same weights. Keras' layout is batch-major, so an export also holds two Transposes.
"Again" is our own file a second time: how far its ratios are from 1 is the noise. FOLDER keeps the models and the
peer's exports for the next run. Run by hand.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import reference_lstm
from benchmarks.measure import CONVERT, HERE, LEGACY, cpu_times, ratios, run, spread, table, verdict
from converter import interpret, load
from converter.model.layers import Recurrent

FEATURES = 64
BATCHES, UNITS = (1, 32), (32, 128, 512)
LEAST_NOISE = 1.05  # two measurements of the same file differ by so much at least
SIDES = ("again", "tf2onnx", "bare", "NumPy")
Call = Callable[[], object]


def prepare(peer: str, folder: Path, names: list[str]) -> None:
    """Makes the models and both exports of each; models and the peer's exports that are there stay."""
    missing = [name for name in names if not (folder / f"{name}.h5").exists()]
    if missing:
        run([peer, str(HERE / "make_models.py"), str(folder), *missing], **LEGACY)
    for name in names:
        model, theirs = folder / f"{name}.h5", folder / f"{name}.peer.onnx"
        run([*CONVERT, str(model), "-o", str(folder / f"{name}.ours.onnx"), "--no-verify", "--force"])
        if not theirs.exists():
            run([peer, "-m", "tf2onnx.convert", "--keras", str(model), "--output", str(theirs)], **LEGACY)


def options(description: str) -> argparse.Namespace:
    """What the benchmarks of run time take."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--peer-python", required=True, help="python of an environment with tf2onnx and tf_keras")
    parser.add_argument("--folder", type=Path, required=True, help="where models and exports go")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=50)
    made: argparse.Namespace = parser.parse_args()
    made.folder.mkdir(exist_ok=True)
    return made


def session(model: str | bytes) -> Any:
    """A session that computes in one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def call(made: Any, feed: Mapping[str, np.ndarray]) -> Call:
    """One run of a session; inputs are found by their names, whatever suffix a converter gave them."""
    given = {i.name: next(a for name, a in feed.items() if i.name.split(":")[0] == name) for i in made.get_inputs()}
    return lambda: made.run(None, given)


def bare(ours: Path) -> Any:
    """A session of the export's LSTM node alone."""
    import onnx
    from onnx import helper

    model = onnx.load(ours)
    node = next(node for node in model.graph.node if node.op_type == "LSTM")
    weights = [tensor for tensor in model.graph.initializer if tensor.name in node.input]
    node.input[:], node.output[:] = ["x", *node.input[1:4]], ["y"]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["time", "batch", FEATURES])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["time", 1, "batch", None])
    graph = helper.make_graph([node], "bare", [x], [y], weights)
    made = helper.make_model(graph, ir_version=model.ir_version, opset_imports=model.opset_import)
    return session(made.SerializeToString())


def loop(model: Path, x: np.ndarray) -> Call:
    """The reference in float32."""
    layer = next(node.layer for node in load(model).nodes if isinstance(node.layer, Recurrent))
    directions = [reference_lstm.Direction(interpret.cell_of(side.cell, "float32")) for side in layer.directions]
    return lambda: reference_lstm.run(directions, x, return_sequences=True)


def measure(folder: Path, units: int, batch: int, steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each side."""
    x = np.random.default_rng(0).standard_normal((batch, steps, FEATURES)).astype(np.float32)
    ours = folder / f"lstm-{units}-plain.ours.onnx"
    sides = {
        "ours": call(session(str(ours)), {"x": x}),
        "again": call(session(str(ours)), {"x": x}),
        "tf2onnx": call(session(str(folder / f"lstm-{units}-plain.peer.onnx")), {"x": x}),
        "bare": call(bare(ours), {"x": np.ascontiguousarray(x.transpose(1, 0, 2))}),
        "NumPy": loop(folder / f"lstm-{units}-plain.h5", x),
    }
    return cpu_times(sides, rounds)


def main() -> int:
    given = options(__doc__ or "")
    rows, held = [], []
    prepare(given.peer_python, given.folder, [f"lstm-{units}-plain" for units in UNITS])
    for batch, units in ((b, u) for b in BATCHES for u in UNITS):
        found = measure(given.folder, units, batch, given.steps, given.rounds)
        times = {side: ratios(found["ours"], found[side]) for side in SIDES}
        ms = spread([1000 * second for second in found["ours"]])
        rows.append([str(batch), str(units), ms, *(spread(one) for one in times.values())])
        noise = max(LEAST_NOISE, *times["again"], *(1 / ratio for ratio in times["again"]))
        for side, what in (("tf2onnx", "not slower than tf2onnx"), ("bare", "as fast as the bare node")):
            ratio = statistics.median(times[side])
            held.append((f"batch {batch}, {units} units: {what} ({ratio:.2f}, noise {noise:.2f})", ratio * noise > 1))
    table(["batch", "units", "ours, ms", *(f"{side}: times ours" for side in SIDES)], rows)
    return 0 if all([verdict(what, good) for what, good in held]) else 1


if __name__ == "__main__":
    sys.exit(main())
