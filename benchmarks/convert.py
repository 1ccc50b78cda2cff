"""CPU time and peak memory of `convert`, its proof included, next to tf2onnx's command line; run by hand.

    python -m benchmarks.convert --peer-python PEER/bin/python [--rounds 5]

PEER is an environment with tf2onnx, tensorflow and tf_keras; it also makes the models.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import (
    CONVERT,
    HERE,
    LEGACY,
    MODERN,
    Usage,
    compile_all,
    interleaved,
    ratios,
    run,
    spread,
    table,
    verdict,
)

CASES = {"small.h5": LEGACY, "small.keras": MODERN, "large.h5": LEGACY}


def sides(peer: str, folder: Path, model: str) -> dict[str, partial[Usage]]:
    """Both converters on one file."""
    file, out = str(folder / model), str(folder / f"{model}.onnx")
    theirs = [peer, "-m", "tf2onnx.convert", "--keras", file, "--output", str(folder / f"{model}.peer.onnx")]
    return {
        "ours": partial(run, [*CONVERT, file, "-o", out, "--force"]),
        "without proof": partial(run, [*CONVERT, file, "-o", out, "--force", "--no-verify"]),
        "tf2onnx": partial(run, theirs, **CASES[model]),
    }


def report(model: str, found: dict[str, list[Usage]]) -> list[list[str]]:
    """One row for each side."""
    ours = found["ours"]
    return [
        [
            model, side, spread([u.cpu for u in used]), spread([u.peak for u in used], 0),
            spread(ratios([u.cpu for u in ours], [u.cpu for u in used]), 1),
            spread(ratios([u.peak for u in ours], [u.peak for u in used]), 1),
        ]
        for side, used in found.items()
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peer-python", required=True, help="python of an environment with tf2onnx and tf_keras")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    compile_all()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = [arguments.peer_python, str(HERE / "make_models.py"), name]
        run([*make, "small", "large"], **LEGACY)
        run([*make, "small"], **MODERN)
        start = [run([*CONVERT, "--help"]) for _ in range(2 * arguments.rounds)]
        found = {model: interleaved(sides(arguments.peer_python, folder, model), arguments.rounds) for model in CASES}
    rows = [row for model, used in found.items() for row in report(model, used)]
    table(["model", "", "CPU s", "peak MB", "CPU: times ours", "memory: times ours"], rows)
    print(f"\nconvert --help: {spread([u.cpu for u in start])} s of CPU, {spread([u.peak for u in start], 0)} MB\n")
    held = [verdict("convert --help takes under 0.25 s of CPU", statistics.median(u.cpu for u in start) < 0.25)]
    for model in ("small.h5", "small.keras"):
        ours, theirs = found[model]["ours"], found[model]["tf2onnx"]
        cpu = statistics.median(ratios([u.cpu for u in ours], [u.cpu for u in theirs]))
        peak = statistics.median(ratios([u.peak for u in ours], [u.peak for u in theirs]))
        held += [verdict(f"{model}: at most 1/12 of tf2onnx's CPU time (1/{cpu:.1f})", cpu >= 12)]
        held += [verdict(f"{model}: at most 1/8 of tf2onnx's memory (1/{peak:.1f})", peak >= 8)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
