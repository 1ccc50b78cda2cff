"""SavedModels as ONNX by this program and by tf2onnx: processor time, memory, operators of the result, run time.

    python benchmarks/saved_models.py TF2ONNX_PYTHON FOLDER...

FOLDER is a SavedModel; TF2ONNX_PYTHON a Python that has tf2onnx and TensorFlow. Prints a line for each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

LOOPS = {"Loop", "Scan"}
ROWS, STEPS, RUNS = 8, 50, 30


def timed(command: list[str]) -> tuple[bool, float, int]:
    """Whether it succeeded, its processor time in seconds, and its memory in MB."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    return status == 0, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def run_time(path: Path) -> float:
    """Milliseconds of one run on 8 rows of 50 steps (or what the model fixes), the middle of 30."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng, feed = np.random.default_rng(0), {}
    for value in session.get_inputs():
        shape = [n if isinstance(n, int) else ROWS if k == 0 else STEPS for k, n in enumerate(value.shape)]
        kind = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}.get(value.type)
        feed[value.name] = rng.integers(1, 3, shape, kind) if kind else rng.normal(size=shape).astype(np.float32)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - start)
    return 1000 * sorted(times)[RUNS // 2]


def operators(path: Path) -> str:
    """How many, and how many of them are recurrent operators or loops; those inside loops are counted, too."""
    found = Counter[str]()
    graphs = [onnx.load(path, load_external_data=False).graph]
    while graphs:
        for node in graphs.pop().node:
            found[node.op_type] += 1
            graphs += [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    native = sum(found[name] for name in ("LSTM", "GRU", "RNN"))
    return f"{sum(found.values())} operators, {native} native, {sum(found[name] for name in LOOPS)} loops"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tf2onnx", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for folder in given.folders:
            ours, theirs = Path(scratch) / "ours.onnx", Path(scratch) / "theirs.onnx"
            convert = [sys.executable, "-m", "converter", str(folder), "--route", "graph", "-o", str(ours), "--force"]
            commands = {
                "converter": ([*convert, "--no-verify"], ours), "with proof": (convert, ours),
                "tf2onnx": ([str(given.tf2onnx), "-m", "tf2onnx.convert", "--saved-model", str(folder), "--output",
                             str(theirs), "--opset", "13"], theirs),
            }  # fmt: skip
            for title, (command, path) in commands.items():
                path.unlink(missing_ok=True)
                done, seconds, megabytes = timed(command)
                what = f"{operators(path)}, {run_time(path):.2f} ms a run" if done and path.exists() else "failed"
                print(f"{folder.parent.name:24} {title:11} {seconds:6.1f} s {megabytes:5} MB  {what}", flush=True)


if __name__ == "__main__":
    main()
