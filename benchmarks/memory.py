"""Models of 1 GB: CPU time and peak memory of converting them, next to copying the file; run by hand.

    python -m benchmarks.memory --peer-python PEER/bin/python --folder FOLDER [--rounds 3]

"stack" is an Embedding of 640 MB under four LSTMs, "single" one LSTM of two tensors of 500 MB each, both as .h5 and
as a SavedModel. FOLDER needs 8 GB and keeps the models; making them with TensorFlow takes minutes and 6 GB of memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from functools import partial
from pathlib import Path

from benchmarks.measure import CONVERT, HERE, LEGACY, Usage, compile_all, interleaved, run, spread, table, verdict

MODELS = ("stack.h5", "stack", "single.h5", "single")
LIMIT = 400.0  # MB


def sides(folder: Path, model: str) -> dict[str, partial[Usage]]:
    """Reading and writing, the same with the proof, and a copy."""
    file, out = str(folder / model), str(folder / "out.onnx")
    copy = "import shutil, sys; a, b = sys.argv[1:]; shutil.rmtree(b, True); shutil.copytree(a, b)"
    if model.endswith(".h5"):
        copy = "import shutil, sys; shutil.copyfile(*sys.argv[1:])"
    return {
        "convert --no-verify": partial(run, [*CONVERT, file, "-o", out, "--force", "--no-verify"]),
        "convert": partial(run, [*CONVERT, file, "-o", out, "--force"]),
        "copy": partial(run, [sys.executable, "-c", copy, file, str(folder / f"copy-of-{model}")]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", required=True, help="python of an environment with tensorflow and tf_keras")
    parser.add_argument("--folder", type=Path, required=True, help="where the models go")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    compile_all()
    given.folder.mkdir(exist_ok=True)
    for model in MODELS:
        if not (given.folder / model).exists():
            name = model.removesuffix(".h5") + ("" if model.endswith(".h5") else "/")
            run([given.peer_python, str(HERE / "make_models.py"), str(given.folder), name], **LEGACY)
    rows, held = [], []
    for model in MODELS:
        found = interleaved(sides(given.folder, model), given.rounds)
        for side, used in found.items():
            rows.append([model, side, spread([u.cpu for u in used], 1), spread([u.peak for u in used], 0)])
        peak = statistics.median(u.peak for u in found["convert --no-verify"])
        held.append((f"{model}: read and written within {LIMIT:.0f} MB ({peak:.0f})", peak < LIMIT))
    table(["model", "", "CPU s", "peak MB"], rows)
    return 0 if all([verdict(what, good) for what, good in held]) else 1


if __name__ == "__main__":
    sys.exit(main())
