"""What a mask costs: our compaction next to the unmasked model, and tf2onnx's Loop for the same masked model.

    python -m benchmarks.mask --peer-python PEER/bin/python --folder FOLDER [--rounds 9] [--steps 50]

CPU time of one call, one thread. The mask is an input of the model ("lstm": x of 64 features, return_sequences), or
comes from an Embedding with mask_zero ("words": the last output, then Dense). "0 %" masks nothing, "50 %" a half:
behind the sequence, before it, or at random. FOLDER keeps models and the peer's exports. Run by hand.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np

from benchmarks.infer import FEATURES, UNITS, call, options, prepare, session
from benchmarks.measure import cpu_times, ratios, spread, table, verdict

KINDS = ("lstm", "words")
BATCHES = (1, 8, 32)
FULL = {1: 1.25, 8: 1.15, 32: 1.15}  # at most, of the unmasked model, by batch, when nothing is masked
HALF = 1.0  # and when half is
LOOP = {1: 3.0, 8: 1.3, 32: 1.3}  # at least, times ours, by batch


def masks(batch: int, steps: int) -> dict[str, np.ndarray]:
    """True where a step counts, [batch, steps]."""
    half = np.arange(steps)[None] < steps // 2
    patterns = {
        "0 %": np.ones((1, steps), bool), "50 % behind": half, "50 % before": ~half,
        "50 % random": np.random.default_rng(1).random((batch, steps)) < 0.5,
    }  # fmt: skip
    return {name: np.broadcast_to(mask, (batch, steps)).copy() for name, mask in patterns.items()}


def feed_of(kind: str, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of the model; an unmasked one takes x alone."""
    rng = np.random.default_rng(0)
    if kind == "words":
        return {"x": (rng.integers(1, 5000, mask.shape) * mask).astype(np.int32)}
    return {"x": rng.standard_normal((*mask.shape, FEATURES)).astype(np.float32), "mask": mask}


def measure(folder: Path, kind: str, units: int, batch: int, steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each side: "plain", and "ours" and "Loop" for each mask."""
    open_session = {
        side: session(str(folder / f"{kind}-{units}-{name}.onnx"))
        for side, name in (("plain", "plain.ours"), ("ours", "masked.ours"), ("Loop", "masked.peer"))
    }
    found = masks(batch, steps)
    sides = {"plain": call(open_session["plain"], feed_of(kind, found["0 %"]))}
    for name, mask in found.items():
        for side in ("ours", "Loop"):
            sides[f"{side} {name}"] = call(open_session[side], feed_of(kind, mask))
    return cpu_times(sides, rounds)


def main() -> int:
    given = options(__doc__ or "")
    rows, held = [], []
    names = [f"{kind}-{units}-{mask}" for kind in KINDS for units in UNITS for mask in ("plain", "masked")]
    prepare(given.peer_python, given.folder, names)
    for kind, batch, units in ((k, b, u) for k in KINDS for b in BATCHES for u in UNITS):
        found = measure(given.folder, kind, units, batch, given.steps, given.rounds)
        for mask in masks(1, 2):
            cost = ratios(found["plain"], found[f"ours {mask}"])
            loop = ratios(found[f"ours {mask}"], found[f"Loop {mask}"])
            rows.append([kind, str(batch), str(units), mask, spread(cost), spread(loop)])
            what, limit = f"{kind}, batch {batch}, {units} units, {mask}", FULL[batch] if mask == "0 %" else HALF
            least = LOOP[batch]
            cost_now, loop_now = statistics.median(cost), statistics.median(loop)
            held.append((f"{what}: {cost_now:.2f} of the unmasked, at most {limit}", cost_now <= limit))
            held.append((f"{what}: the Loop takes {loop_now:.2f} times as long, at least {least}", loop_now >= least))
    table(["model", "batch", "units", "masked", "ours: times unmasked", "Loop: times ours"], rows)
    return 0 if all([verdict(what, good) for what, good in held]) else 1


if __name__ == "__main__":
    sys.exit(main())
